//! Where plugins come from, and what may take their place: `hearth plugin update`, `accept`, `decline`, `rollback`, `developer`,
//! `trust`, and the words about signatures.

use std::path::PathBuf;

use hearth_session::{
    Command, InstallVerdict, KeyStanding, PluginChange, PluginId, PluginInspection, ProvenanceView,
    Reply, RotationView, SignatureView, StoredEntry, UpdateOffer,
};
use serde_json::json;

use crate::{
    args::{PluginVerb, Switch},
    render::{Out, note},
    shell::{Failure, Outcome, Shell},
};

pub(super) fn run(verb: PluginVerb, shell: &Shell, out: Out) -> Outcome {
    match verb {
        PluginVerb::Update { plugin: Some(plugin), .. } => {
            update(shell, &shell.plugin(&plugin)?.id, out)?;
        }
        PluginVerb::Update { plugin: None, check } => update_all(shell, check, out)?,
        PluginVerb::Accept { plugin, keep_storage } => accept(shell, &plugin, keep_storage, out)?,
        PluginVerb::Decline { plugin } => {
            let id = shell.plugin(&plugin)?.id;
            shell.run(Command::DeclineUpdate(id.clone()))?;
            out.result(json!({"declined": id}), format!("{id} stays as it is."));
        }
        PluginVerb::Rollback { plugin } => {
            let id = shell.plugin(&plugin)?.id;
            shell.run(Command::RollBackPlugin(id.clone()))?;
            let version = version(shell, &id)?;
            out.result(
                json!({"rolled_back": id, "version": version}),
                format!(
                    "{id} is version {version} again, with what it was allowed and had stored."
                ),
            );
        }
        PluginVerb::Developer { state } => {
            let on = state == Switch::On;
            shell.run(Command::SetDeveloperMode(on))?;
            let words = if on {
                "Plugins that nobody has signed can be installed and run. Switch this off when you no longer write plugins."
            } else {
                "Plugins that nobody has signed can neither be installed nor run."
            };
            out.result(json!({"developer_mode": on}), words);
        }
        PluginVerb::Trust { file, .. } => {
            let command = Command::TrustRotation { path: file, expected_new: None };
            if let Reply::Rotation(rotation) = shell.run(command)? {
                let words =
                    format!("{}\nFrom now on the new key counts.", rotation_words(&rotation));
                out.result(&rotation, words);
            }
        }
        _ => {}
    }
    Ok(())
}

/// `hearth plugin trust --check`.
pub(super) fn show_rotation(shell: &Shell, file: PathBuf, out: Out) -> Outcome {
    if let Reply::Rotation(rotation) = shell.run(Command::InspectRotation(file))? {
        out.result(&rotation, rotation_words(&rotation));
    }
    Ok(())
}

fn update(shell: &Shell, id: &PluginId, out: Out) -> Outcome {
    let before = version(shell, id)?;
    match shell.run(Command::UpdatePlugin(id.clone()))? {
        Reply::UpdateWaits(_) => out.result(
            json!({"waits": id}),
            format!(
                "A newer version of {id} asks for more, so it waits: see `hearth plugin list`, then `hearth plugin \
                 accept {id}`."
            ),
        ),
        _ => {
            let after = version(shell, id)?;
            let words = if after == before {
                format!("{id} is version {after} already.")
            } else {
                format!("{id} is version {after} now, before {before}.")
            };
            out.result(json!({"updated": id, "version": after, "before": before}), words);
        }
    }
    Ok(())
}

/// Updates what is to be had and has been for a day.
fn update_all(shell: &Shell, check: bool, out: Out) -> Outcome {
    let Reply::Updates(offers) = shell.run(Command::CheckPluginUpdates)? else { return Ok(()) };
    if offers.is_empty() {
        out.text("No plugin has another version.");
    }
    let mut failed = 0;
    for offer in offers {
        let UpdateOffer { plugin, installed, offered, .. } = &offer;
        let words = match (&offer.error, offered, offer.held_until_secs) {
            (Some(error), ..) => format!("{plugin} cannot be asked about: {error}"),
            (None, Some(version), None) => format!("{plugin} {installed}: {version} is to be had"),
            (None, Some(version), Some(_)) => format!(
                "{plugin} {installed}: {version} is to be had since less than a day; take it now with `hearth plugin \
                 update {plugin}`"
            ),
            (None, None, _) => continue,
        };
        failed += usize::from(offer.error.is_some());
        let take = !check && offer.error.is_none() && offer.held_until_secs.is_none();
        out.result(&offer, words);
        if take && let Err(error) = update(shell, plugin, out) {
            failed += 1;
            note(&error.0.message);
        }
    }
    if failed > 0 {
        return Err(Failure::user(format!("{failed} plugins could not be updated."), ""));
    }
    Ok(())
}

fn accept(shell: &Shell, plugin: &str, keep_storage: bool, out: Out) -> Outcome {
    let plugin = shell.plugin(plugin)?;
    let Some(waiting) = plugin.provenance.waiting else {
        return Err(Failure::user(
            format!("No version of {} waits.", plugin.id),
            "See `hearth plugin list`.",
        ));
    };
    let id = plugin.id;
    let changes = change_words(&waiting.changes);
    shell.run(Command::AcceptUpdate { plugin: id.clone(), keep_storage })?;
    let stored = match (waiting.stored.is_empty(), keep_storage) {
        (true, _) => "",
        (false, true) => "\nIt may read what the version before had stored.",
        (false, false) => "\nWhat the version before had stored is gone.",
    };
    let version = version(shell, &id)?;
    out.result(
        json!({"accepted": id, "version": version}),
        format!(
            "{changes}\n{id} is version {version} now. What you had allowed it stays; for what is new, see \
             `hearth plugin grant {id}`.{stored}"
        ),
    );
    Ok(())
}

fn version(shell: &Shell, id: &PluginId) -> Result<String, Failure> {
    Ok(shell.plugin(id.as_str())?.manifest.version.clone())
}

/// What is known of a component beside its own claims.
pub(super) fn judgement_words(found: &PluginInspection) -> String {
    let judgement = &found.judgement;
    let mut words = format!("Signature:\n  {}", signature_words(&judgement.signature));
    for alike in &judgement.lookalikes {
        words.push_str(&format!(
            "\n  LOOKS LIKE {} ({}), which is installed",
            alike.name, alike.plugin
        ));
    }
    if let Some(version) = &found.replaces {
        words.push_str(&format!("\nAgainst the installed version {version}:\n"));
        words.push_str(&change_words(&judgement.changes));
    }
    words.push_str(&stored_words(&judgement.stored));
    if let InstallVerdict::Refused(error) = &judgement.verdict {
        words.push_str(&format!("\nIt would not be installed: {error}"));
    }
    words
}

/// Lines about an installed plugin.
pub(super) fn plugin_words(provenance: &ProvenanceView) -> String {
    let mut words = format!("\n  from    {}", signature_words(&provenance.signature));
    if !provenance.origin.is_empty() {
        words.push_str(&format!("\n          {}", provenance.origin));
    }
    if let Some(former) = &provenance.former {
        words.push_str(&format!("\n  before  version {former}, to which `rollback` goes back"));
    }
    if let Some(waiting) = &provenance.waiting {
        words.push_str(&format!("\n  WAITING version {}:\n", waiting.version));
        words.push_str(&change_words(&waiting.changes));
        words.push_str(&stored_words(&waiting.stored));
    }
    words
}

pub(super) fn json(provenance: &ProvenanceView) -> serde_json::Value {
    let waiting = provenance.waiting.as_ref().map(|waiting| {
        json!({
            "version": waiting.version, "sealed": waiting.sealed, "changes": waiting.changes,
            "stored": waiting.stored,
        })
    });
    json!({
        "signature": provenance.signature, "origin": provenance.origin,
        "former": provenance.former, "waiting": waiting,
    })
}

fn signature_words(signature: &SignatureView) -> String {
    match signature {
        SignatureView::Bundled => "Hearth itself".to_owned(),
        SignatureView::Unsigned => "UNSIGNED: nobody vouches for it".to_owned(),
        SignatureView::Signed { key_id, fingerprint, standing, trusted_comment, .. } => {
            let standing = match standing {
                KeyStanding::New => {
                    "never seen before: compare it with what the publisher tells you"
                }
                KeyStanding::Known => "it signed other plugins of yours",
                KeyStanding::Pinned => "this plugin is bound to it",
                KeyStanding::Rotated => "it took the place of the key this plugin was bound to",
                KeyStanding::Other => "NOT the key this plugin is bound to",
            };
            let comment = if trusted_comment.is_empty() {
                String::new()
            } else {
                format!("; signed as {trusted_comment}")
            };
            format!("{fingerprint} (key {key_id}; {standing}{comment})")
        }
    }
}

fn change_words(changes: &[PluginChange]) -> String {
    if changes.is_empty() {
        return "  it asks for nothing else".to_owned();
    }
    let line = |change: &PluginChange| {
        let mark = if change.wider { "MORE " } else { "     " };
        format!("  {mark}{}", change.what)
    };
    changes.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn stored_words(stored: &[StoredEntry]) -> String {
    if stored.is_empty() {
        return String::new();
    }
    let mut words = "\nThe installed version, which is not sealed, has stored the following. This one reads it only \
                     with `accept --keep-storage`:"
        .to_owned();
    for entry in stored {
        words.push_str(&format!("\n  {} ({} bytes): {}", entry.key, entry.bytes, entry.preview));
    }
    words
}

fn rotation_words(rotation: &RotationView) -> String {
    format!(
        "The holder of\n  {}\nhands over to\n  {}\nfor all their plugins. Compare both with what the publisher says \
         elsewhere.",
        rotation.old_fingerprint, rotation.new_fingerprint
    )
}
