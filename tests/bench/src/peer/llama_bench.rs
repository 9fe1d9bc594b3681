//! `llama-bench` of llama.cpp and of ik_llama.cpp, which share an ancestor and most of their flags.

use std::{path::Path, process::Command};

use serde::Deserialize;

use crate::{
    BenchError,
    model::ModelFile,
    process::{self, Ran},
    side::{IkMode, Pass, Timed},
};

/// One test of the program's JSON.
#[derive(Debug, Deserialize)]
struct Test {
    build_commit: String,
    build_number: u64,
    n_prompt: usize,
    n_gen: usize,
    samples_ns: Vec<u64>,
}

pub(crate) fn llama_cpp(
    program: &Path,
    model: &ModelFile,
    pass: Pass,
    threads: usize,
) -> Result<Timed, BenchError> {
    let mut command = shared_command(program, model, pass, threads);
    command.arg("--no-warmup");
    command.args(["-p", &pass.prompt.to_string(), "-n", &pass.generate.to_string()]);
    command.args(["-d", &pass.depth.to_string()]);
    timed(&command_name(program), &process::run(&mut command)?)
}

pub(crate) fn ik_llama(
    program: &Path,
    mode: IkMode,
    model: &ModelFile,
    pass: Pass,
    threads: usize,
) -> Result<Timed, BenchError> {
    let mut command = shared_command(program, model, pass, threads);
    command.args(["-w", "0", "-p", &pass.prompt.to_string(), "-n", "0"]);
    if pass.generate > 0 {
        command.args(["-gp", &format!("{},{}", pass.depth, pass.generate)]);
    }
    if mode == IkMode::Repacked {
        command.args(["-rtr", "1"]);
    }
    timed(&command_name(program), &process::run(&mut command)?)
}

fn shared_command(program: &Path, model: &ModelFile, pass: Pass, threads: usize) -> Command {
    let mut command = Command::new(program);
    command.arg("-m").arg(&model.path).args(["-o", "json", "-t", &threads.to_string()]);
    command.args(["-r", &pass.repeat.to_string()]);
    command
}

fn command_name(program: &Path) -> String {
    process::name_of(program.as_os_str())
}

fn timed(program: &str, ran: &Ran) -> Result<Timed, BenchError> {
    let unknown = |reason: String| BenchError::Answer { program: program.into(), reason };
    // ik_llama.cpp prints other lines around the list.
    let list = ran.stdout.find('[').zip(ran.stdout.rfind(']'));
    let (from, to) = list.ok_or_else(|| unknown("no list of tests".into()))?;
    let tests: Vec<Test> =
        serde_json::from_str(&ran.stdout[from..=to]).map_err(|e| unknown(e.to_string()))?;
    let mut timed =
        Timed { wall_secs: ran.wall.as_secs_f64(), peak_bytes: ran.peak_bytes, ..Timed::default() };
    for test in tests {
        let secs = test.samples_ns.iter().map(|&ns| ns as f64 / 1e9);
        match (test.n_prompt, test.n_gen) {
            // Tokens after a prompt: only they are on the clock.
            (_, 1..) => timed.generate_secs.extend(secs),
            (1.., 0) => timed.prompt_secs.extend(secs),
            (0, 0) => return Err(unknown("a test of nothing".into())),
        }
        timed.version = Some(format!("build {} ({})", test.build_number, test.build_commit));
    }
    Ok(timed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::timed;
    use crate::process::Ran;

    fn ran(stdout: &str) -> Ran {
        Ran { stdout: stdout.into(), wall: Duration::from_secs(2), peak_bytes: Some(7) }
    }

    #[test]
    fn prompts_and_single_tokens_are_told_apart() {
        let stdout = r#"loading
            [ {"build_commit": "abc", "build_number": 12, "n_prompt": 512, "n_gen": 0, "n_depth": 0,
               "samples_ns": [ 4000000000, 2000000000 ], "samples_ts": [ 128.0, 256.0 ]},
              {"build_commit": "abc", "build_number": 12, "n_prompt": 512, "n_gen": 64,
               "samples_ns": [ 1500000000 ]} ]
            done"#;
        let timed = timed("llama-bench", &ran(stdout)).unwrap();
        assert_eq!(timed.prompt_secs, [4.0, 2.0]);
        assert_eq!(timed.generate_secs, [1.5]);
        assert_eq!((timed.wall_secs, timed.peak_bytes), (2.0, Some(7)));
        assert_eq!(timed.version.as_deref(), Some("build 12 (abc)"));
    }

    #[test]
    fn another_answer_is_refused() {
        for stdout in ["", "usage: llama-bench", "[ {\"n_prompt\": 1} ]"] {
            timed("llama-bench", &ran(stdout)).unwrap_err();
        }
    }
}
