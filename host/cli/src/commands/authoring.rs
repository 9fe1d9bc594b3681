//! `hearth plugin`, for those who make them: begin, build, pack, check, test, sign. None of it needs a vault.

mod dev;

use std::{
    fs,
    path::{Path, PathBuf},
};

use hearth_authoring::{
    BuildError, Checked, NewError, NewPlugin, Project, Runtime, Scenario, build, check, create,
    keygen, pack_component, run_scenario, sign,
};
use hearth_session::{ErrorKind, PluginId};
use serde_json::json;

use crate::{
    args::AuthorVerb,
    render::{Out, note},
    shell::{Failure, Opener, Outcome},
};

pub(crate) fn run(verb: AuthorVerb, opener: &Opener, out: Out) -> Outcome {
    match verb {
        AuthorVerb::New { name, lang, id, path } => {
            let path = path.unwrap_or_else(|| PathBuf::from(folder_of(&name)));
            let new = match id {
                Some(id) => {
                    let id = PluginId::new(id).map_err(|error| user(&error, ""))?;
                    NewPlugin::with_id(&name, id, lang, path)
                }
                None => NewPlugin::named(&name, lang, path),
            };
            begin(&new.map_err(|error| user(&error, ""))?, out)
        }
        AuthorVerb::Build { path } => built(&path, out).map(drop),
        AuthorVerb::Pack { file, manifest, out: to } => pack(&file, &manifest, &to, out),
        AuthorVerb::Check { path } => {
            let file = component_in(&path)?;
            let found =
                check(&read(&file)?, Some(&runtime()?)).map_err(|error| input(&error, ""))?;
            say_checked(&file, &found, out);
            Ok(())
        }
        AuthorVerb::Test { path, scenario } => test(&path, scenario, out),
        AuthorVerb::Keygen { file } => {
            let passphrase = opener.passphrase.new_text("Passphrase for the key: ")?;
            let key = keygen(&file, &passphrase).map_err(|error| user(&error, ""))?;
            let words = format!(
                "Secret half: {}. Keep it and its passphrase: without both there is no next version.\n\
                 Public half: {}\n\
                 Put this line into plugin.toml:\n    publisher = \"{}\"",
                key.secret_path.display(),
                key.public_path.display(),
                key.public_key
            );
            out.result(
                json!({"secret": key.secret_path, "public": key.public_path, "key": key.public_key}),
                words,
            );
            Ok(())
        }
        AuthorVerb::Sign { file, key } => {
            let passphrase = opener.passphrase.known_text("Passphrase of the key: ")?;
            let signature = sign(&file, &key, &passphrase).map_err(|error| user(&error, ""))?;
            let words = format!("Signed: {}", signature.display());
            out.result(json!({"signature": signature}), words);
            Ok(())
        }
        AuthorVerb::Dev { path } => dev::run(&path, opener, out),
    }
}

/// A folder's name for a plugin's name.
fn folder_of(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let words: String = name.chars().map(plain).collect();
    words.split_whitespace().collect::<Vec<_>>().join("-")
}

fn begin(new: &NewPlugin, out: Out) -> Outcome {
    let files = create(new).map_err(|error| match error {
        NewError::NotEmpty { .. } => user(&error, "Nothing was written."),
        error => system(&error),
    })?;
    let dir = &new.dir;
    let install = match new.language {
        hearth_authoring::Language::JavaScript => "    npm install\n",
        hearth_authoring::Language::Python => {
            "    python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1\n"
        }
        _ => "",
    };
    let words = format!(
        "A plugin in {} lies in {}. Next:\n    cd {}\n{install}    hearth plugin build\n    hearth plugin test",
        new.language,
        dir.display(),
        dir.display()
    );
    out.result(json!({"id": new.id, "path": dir, "files": files}), words);
    Ok(())
}

/// Builds a folder's plugin and says what came of it.
fn built(dir: &Path, out: Out) -> Result<PathBuf, Failure> {
    let project = Project::open(dir).map_err(|error| user(&error, ""))?;
    note(&format!("Building {} ({}).", project.manifest.id, project.language));
    let built = build(&project).map_err(|error| match error {
        BuildError::Project(_)
        | BuildError::MissingTool { .. }
        | BuildError::MissingTarget
        | BuildError::MissingModules { .. } => user(&error, ""),
        BuildError::File { .. } | BuildError::Start { .. } => system(&error),
        error => input(&error, ""),
    })?;
    let seal = if built.inspection.sealed { "sealed" } else { "not sealed" };
    let size = size_of(built.inspection.size_bytes);
    out.result(
        json!({
            "path": built.path,
            "sealed": built.inspection.sealed,
            "bytes": built.inspection.size_bytes,
            "imports": built.inspection.imports,
        }),
        format!("{} ({size}, {seal})", built.path.display()),
    );
    Ok(built.path)
}

fn size_of(bytes: u64) -> String {
    match bytes {
        ..1024 => format!("{bytes} bytes"),
        1024..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

fn pack(file: &Path, manifest: &Path, to: &Path, out: Out) -> Outcome {
    let text = fs::read_to_string(manifest).map_err(|error| unreadable(manifest, &error))?;
    let (component, found) =
        pack_component(&read(file)?, &text).map_err(|error| input(&error, ""))?;
    fs::write(to, &component).map_err(|error| unreadable(to, &error))?;
    let seal = if found.sealed { "sealed" } else { "not sealed" };
    out.result(
        json!({"path": to, "sealed": found.sealed, "bytes": found.size_bytes}),
        format!("{} ({}, {seal})", to.display(), size_of(found.size_bytes)),
    );
    Ok(())
}

/// The plugin named: a file, or what a folder's last build made.
fn component_in(path: &Path) -> Result<PathBuf, Failure> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let project = Project::open(path).map_err(|error| user(&error, ""))?;
    let file = project.component_path();
    if file.is_file() {
        return Ok(file);
    }
    Err(Failure::user(
        format!("{} is not there.", file.display()),
        "Build it first with `hearth plugin build`.",
    ))
}

fn say_checked(file: &Path, found: &Checked, out: Out) {
    let inspection = &found.inspection;
    let manifest = &inspection.manifest;
    let seal =
        if inspection.sealed { "sealed: it can learn nothing private" } else { "not sealed" };
    let mut words = format!(
        "{} {} would be installed: {}, {seal}.",
        manifest.id,
        manifest.version,
        size_of(inspection.size_bytes)
    );
    for advice in &found.advice {
        words.push_str(&format!("\nadvice ({}): {}", advice.about, advice.words));
    }
    out.result(
        json!({
            "path": file,
            "id": manifest.id,
            "version": manifest.version,
            "sealed": inspection.sealed,
            "hash": inspection.component_hash,
            "imports": inspection.imports,
            "advice": found.advice,
        }),
        words,
    );
}

fn test(path: &Path, named: Vec<PathBuf>, out: Out) -> Outcome {
    let component = read(&component_in(path)?)?;
    let scenarios = if named.is_empty() && path.is_dir() {
        Project::open(path).map_err(|error| user(&error, ""))?.scenarios()
    } else {
        named
    };
    if scenarios.is_empty() {
        return Err(Failure::user(
            "There is no scenario to play.",
            "Write one into the folder's `scenarios`, or name one with --scenario.",
        ));
    }
    let runtime = runtime()?;
    let artefacts = tempfile::tempdir().map_err(|error| system(&error))?;
    let mut failed = 0_usize;
    for file in &scenarios {
        let at = |error: &dyn std::fmt::Display| input(&format!("{}: {error}", file.display()), "");
        let scenario = Scenario::read(file).map_err(|error| at(&error))?;
        let report = run_scenario(&component, &scenario, &runtime, artefacts.path())
            .map_err(|error| at(&error))?;
        failed += usize::from(!report.passed);
        out.result(
            json!({"scenario": file, "report": report}),
            format!("{}\n{report}", file.display()),
        );
    }
    if failed == 0 {
        return Ok(());
    }
    let of = scenarios.len();
    Err(input(
        &format!("{failed} of {of} scenarios failed"),
        "What was there instead stands above.",
    ))
}

/// The two programs that compile and run plugins.
fn runtime() -> Result<Runtime, Failure> {
    Runtime::in_dir(&hearth_app::program_dir()).map_err(|error| user(&error, ""))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::user(format!("{}: {error}.", path.display()), "")
}

fn user(error: &dyn std::fmt::Display, hint: &str) -> Failure {
    Failure::new(ErrorKind::User, sentence(error), hint)
}

fn input(error: &dyn std::fmt::Display, hint: &str) -> Failure {
    Failure::new(ErrorKind::Input, sentence(error), hint)
}

fn system(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(ErrorKind::System, sentence(error), "")
}

/// With a capital and a full stop, unless a command to copy stands at its end.
fn sentence(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    let start: String = match chars.next() {
        // A path stays as it is.
        Some(first) if first.is_ascii_lowercase() => first.to_uppercase().collect(),
        Some(first) => first.to_string(),
        None => return text,
    };
    let end = if text.contains('\n') || text.ends_with('.') { "" } else { "." };
    format!("{start}{}{end}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_after_plugins() {
        assert_eq!(folder_of("Tea timer, fast!"), "tea-timer-fast");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(size_of(12), "12 bytes");
        assert_eq!(size_of(26 << 10), "26 KiB");
        assert_eq!(size_of(18 << 20), "18 MiB");
    }
}
