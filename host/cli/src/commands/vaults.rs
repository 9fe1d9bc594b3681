//! `hearth vault`.

use hearth_session::{Command, VaultState};
use serde_json::json;

use crate::{
    args::VaultVerb,
    passphrase::Source,
    render::Out,
    shell::{Failure, Opener, Outcome},
};

pub(crate) fn run(verb: VaultVerb, opener: &Opener, out: Out) -> Outcome {
    match verb {
        VaultVerb::Create => create(opener, out),
        VaultVerb::Status => status(opener, out),
        VaultVerb::Passwd { new_passphrase_file, new_passphrase_fd } => {
            let new = Source { file: new_passphrase_file, fd: new_passphrase_fd };
            passwd(opener, &new, out)
        }
    }
}

fn create(opener: &Opener, out: Out) -> Outcome {
    let shell = opener.locked()?;
    let view = shell.view();
    if view.vault != VaultState::Absent {
        // Before a passphrase is asked for.
        return Err(Failure::user(
            format!("There is a vault already at {}.", view.vault_path.display()),
            "Use it, or name another directory with --vault.",
        ));
    }
    let passphrase = opener.passphrase.new_one("New passphrase: ")?;
    shell.run(Command::CreateVault(passphrase))?;
    let path = &view.vault_path;
    out.result(
        json!({"created": path}),
        format!(
            "Made a vault at {}.\nThere is no way to open it without the passphrase: keep it safe.",
            path.display()
        ),
    );
    Ok(())
}

fn status(opener: &Opener, out: Out) -> Outcome {
    let view = opener.locked()?.view();
    let (state, words) = match view.vault {
        VaultState::Absent => ("absent", "there is no vault"),
        _ => ("locked", "there is a vault"),
    };
    let path = &view.vault_path;
    out.result(json!({"path": path, "state": state}), format!("{}: {words}", path.display()));
    Ok(())
}

fn passwd(opener: &Opener, new: &Source, out: Out) -> Outcome {
    let shell = opener.locked()?;
    let old = opener.passphrase.known("Passphrase: ")?;
    shell.run(Command::Unlock(old.clone()))?;
    let new = new.new_one("New passphrase: ")?;
    shell.run(Command::ChangePassphrase { old, new })?;
    out.result(json!({"changed": true}), "Changed the passphrase. Documents stay as they are.");
    Ok(())
}
