//! The examples in each language, built in a folder outside the repository and tried against their scenario.

use std::{fs, path::Path, process::Command};

use hearth_authoring::{
    Language, NewPlugin, Project, Scenario, build, check, create, run_scenario,
};

use crate::{runtime, skip};

/// Set where plugins are built from nothing: that takes minutes and a registry, so it is for the night.
const SLOW: &str = "HEARTH_SLOW_GUESTS";

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn install(program: &str, args: &[&str], dir: &Path) {
    let status = Command::new(program).args(args).current_dir(dir).status().unwrap();
    assert!(status.success(), "{program} {args:?}");
}

/// From nothing to a plugin that passes its scenario.
fn from_nothing(test: &str, language: Language, tools: impl FnOnce(&Path)) {
    let Some(runtime) = runtime(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tea-timer");
    create(&NewPlugin::named("Tea timer", language, path.clone()).unwrap()).unwrap();
    tools(&path);
    let project = Project::open(&path).unwrap();
    let built = build(&project).unwrap();
    assert_eq!(built.inspection.manifest.name, "Tea timer");
    assert!(built.inspection.sealed, "{:?}", built.inspection.imports);
    let component = fs::read(&built.path).unwrap();
    let checked = check(&component, Some(&runtime)).unwrap();
    let odd: Vec<_> =
        checked.advice.iter().filter(|a| a.about == "unused" || a.about == "undeclared").collect();
    assert!(odd.is_empty(), "{odd:?}");
    for file in project.scenarios() {
        let report =
            run_scenario(&component, &Scenario::read(&file).unwrap(), &runtime, dir.path())
                .unwrap();
        assert!(report.passed, "{report}");
    }
}

#[test]
fn rust_from_nothing() {
    if std::env::var_os(SLOW).is_none() {
        return skip("rust from nothing", "HEARTH_SLOW_GUESTS is not set");
    }
    from_nothing("rust from nothing", Language::Rust, |_dir| {});
}

#[test]
fn c_from_nothing() {
    if !is_there("clang") || !is_there("wasm-ld") {
        return skip("c from nothing", "no clang or no wasm-ld (apt install clang lld)");
    }
    from_nothing("c from nothing", Language::C, |_dir| {});
}

#[test]
fn javascript_from_nothing() {
    if std::env::var_os(SLOW).is_none() || !is_there("npm") {
        return skip(
            "javascript from nothing",
            "HEARTH_SLOW_GUESTS is not set, or there is no npm",
        );
    }
    from_nothing("javascript from nothing", Language::JavaScript, |dir| {
        install("npm", &["install", "--no-audit", "--no-fund"], dir);
    });
}

#[test]
fn python_from_nothing() {
    if std::env::var_os(SLOW).is_none() || !is_there("python3") {
        return skip(
            "python from nothing",
            "HEARTH_SLOW_GUESTS is not set, or there is no python3",
        );
    }
    from_nothing("python from nothing", Language::Python, |dir| {
        install("python3", &["-m", "venv", ".venv"], dir);
        install(".venv/bin/pip", &["install", "--quiet", "componentize-py==0.25.1"], dir);
    });
}
