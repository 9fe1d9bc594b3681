//! Everything built and started.

use std::{env, fs, process::Command};

use crate::{
    Profile, TaskError, Workspace, build_plugins,
    shell::{self, say},
};

/// How to start.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// On the command line even where there is a display.
    pub headless: bool,
    /// Handed to the program.
    pub args: Vec<String>,
}

/// Builds the programs and the plugins optimised, then opens the window, or does the main job on the command line.
///
/// # Errors
/// [`TaskError`].
pub fn run(workspace: &Workspace, options: &RunOptions) -> Result<(), TaskError> {
    let headless = options.headless || !has_display();
    if headless && !options.headless {
        say("no display found, so this runs on the command line");
    }
    build(workspace, Profile::Release, !headless)?;
    let program = if headless { "hearth" } else { "hearth-gui" };
    if !headless {
        warn_of_missing_libraries();
    }
    let path =
        workspace.programs(Profile::Release).join(format!("{program}{}", env::consts::EXE_SUFFIX));
    let mut command = Command::new(path);
    command.current_dir(&workspace.root);
    if headless {
        command.arg("demo");
    }
    shell::run(command.args(&options.args))
}

/// Builds the programs and the plugins and puts them all in one folder.
///
/// # Errors
/// [`TaskError`].
pub fn build(workspace: &Workspace, profile: Profile, window: bool) -> Result<(), TaskError> {
    check_tools()?;
    // Both in one call: in two, cargo would settle on other features and build what they share twice.
    let mut programs = vec!["--package", "hearth-cli"];
    if window {
        programs.extend(["--package", "hearth-gui"]);
    }
    workspace.build(profile, &programs)?;
    workspace.build_runtime(profile)?;
    build_plugins(workspace, profile)?;
    copy_starter(workspace, profile)?;
    say(&format!("everything is in {}", workspace.programs(profile).display()));
    Ok(())
}

/// Puts the starter model beside a profile's programs, if the repository has it.
pub(crate) fn copy_starter(workspace: &Workspace, profile: Profile) -> Result<(), TaskError> {
    let from = workspace.root.join("engine/starter/hearth-starter.gguf");
    if !from.is_file() {
        say("the repository holds no starter model; add one of your own with `hearth model add`");
        return Ok(());
    }
    let to = workspace.programs(profile).join("hearth-starter.gguf");
    fs::copy(&from, &to).map(drop).map_err(|source| TaskError::File { path: to, source })
}

/// What the native parts need, told before a build of minutes fails on it.
pub(crate) fn check_tools() -> Result<(), TaskError> {
    if !cfg!(unix) {
        return Ok(());
    }
    for (program, needed_for) in [("cc", "SQLCipher"), ("make", "OpenSSL"), ("perl", "OpenSSL")] {
        if shell::read(Command::new(program).arg("--version")).is_none() {
            return Err(TaskError::Missing(format!(
                "`{program}` is missing; building {needed_for} needs it.\n\
                 Debian, Ubuntu:  apt install build-essential perl\n\
                 Fedora:          dnf install gcc make perl\n\
                 macOS:           xcode-select --install"
            )));
        }
    }
    Ok(())
}

/// The window opens these while it runs; without them it cannot say clearly what it lacks.
const WINDOW_LIBRARIES: [&str; 6] = [
    "libX11.so.6",
    "libX11-xcb.so.1",
    "libXcursor.so.1",
    "libXi.so.6",
    "libxkbcommon-x11.so.0",
    "libEGL.so.1",
];

fn warn_of_missing_libraries() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let list = |program: &str| shell::read(Command::new(program).arg("-p"));
    let Some(known) = list("ldconfig").or_else(|| list("/sbin/ldconfig")) else { return };
    let missing: Vec<&str> =
        WINDOW_LIBRARIES.into_iter().filter(|library| !known.contains(library)).collect();
    if !missing.is_empty() {
        say(&format!(
            "the window may not open, the system lacks {}.\n\
             Debian, Ubuntu:  apt install libx11-6 libx11-xcb1 libxcursor1 libxi6 libxkbcommon-x11-0 libegl1 libgl1\n\
             Fedora:          dnf install libX11 libX11-xcb libXcursor libXi libxkbcommon-x11 libglvnd-egl\n\
             Or use the command line: cargo xtask run --headless",
            missing.join(", ")
        ));
    }
}

fn has_display() -> bool {
    let set = |variable| env::var_os(variable).is_some_and(|value| !value.is_empty());
    cfg!(not(all(unix, not(target_os = "macos")))) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}
