//! A process that is shut in tries to get out, by every door known. This program is never part of Hearth: it starts
//! itself anew for each attempt, shut in just as a runner is, and looks at how the attempt ends.
#![allow(clippy::print_stdout, reason = "tests")]

#[cfg(target_os = "linux")]
mod attempts;
#[cfg(target_os = "linux")]
mod trials;

#[cfg(target_os = "linux")]
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [flag, stage, name] if flag == trials::ATTEMPT => attempts::attempt(stage, name),
        _ => trials::run(),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("SKIPPED escape: Hearth uses no sandbox of this system");
}
