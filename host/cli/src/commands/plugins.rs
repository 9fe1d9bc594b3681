//! `hearth plugin`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use hearth_session::{
    Capability, Command, DocumentId, FolderId, Manifest, PluginInspection, PluginView, Reply,
    SettingKind, SettingSpec, SettingValue,
};
use serde_json::json;

use super::{
    life,
    panels::{self, RunWishes},
    provenance, reveals, trial,
};
use crate::{
    args::{LifeVerb, PluginVerb},
    render::Out,
    shell::{Failure, Opener, Outcome, Shell},
};

pub(crate) fn run(verb: PluginVerb, opener: &Opener, out: Out) -> Outcome {
    match verb {
        PluginVerb::Inspect { file } => {
            let shell = opener.locked()?;
            if let Reply::Inspection(found) = shell.run(Command::InspectPlugin(file))? {
                out.result(&found, inspection_words(&found));
            }
            Ok(())
        }
        PluginVerb::Trust { file, check: true } => {
            provenance::show_rotation(&opener.locked()?, file, out)
        }
        PluginVerb::Life(LifeVerb::Try { plugin, command, input, data })
            if std::path::Path::new(&plugin).exists() =>
        {
            trial::file(plugin.into(), command, input, data, out)
        }
        verb => installed(verb, &opener.unlocked()?, out),
    }
}

fn installed(verb: PluginVerb, shell: &Shell, out: Out) -> Outcome {
    match verb {
        // Neither needs a vault.
        PluginVerb::Inspect { .. } | PluginVerb::Author(_) => {}
        PluginVerb::List => {
            for plugin in shell.view().plugins.iter() {
                out.result(plugin_json(plugin), plugin_words(plugin));
            }
        }
        PluginVerb::Install { file, hash } => install(shell, file, hash, out)?,
        verb @ (PluginVerb::Update { .. }
        | PluginVerb::Accept { .. }
        | PluginVerb::Decline { .. }
        | PluginVerb::Rollback { .. }
        | PluginVerb::Developer { .. }
        | PluginVerb::Trust { .. }) => provenance::run(verb, shell, out)?,
        PluginVerb::Uninstall { plugin, keep_saved } => {
            let id = shell.plugin(&plugin)?.id;
            shell.run(Command::UninstallPlugin { plugin: id.clone(), keep_saved })?;
            out.result(json!({"uninstalled": id}), format!("Removed {id}."));
        }
        PluginVerb::Grant { plugin, allow, slot, bits } => {
            grant(shell, &plugin, &allow, (&slot, bits), out)?;
        }
        PluginVerb::Revoke { plugin } => {
            let id = shell.plugin(&plugin)?.id;
            shell.run(Command::RevokePlugin(id.clone()))?;
            out.result(json!({"revoked": id}), format!("{id} may do nothing from now on."));
        }
        PluginVerb::Resume { plugin } => {
            let id = shell.plugin(&plugin)?.id;
            shell.run(Command::ResumePlugin(id.clone()))?;
            out.result(json!({"resumed": id}), format!("{id} may run again."));
        }
        PluginVerb::Run { plugin, command, document, input, pick, save, reveal } => {
            let plugin = shell.plugin(&plugin)?;
            let command = Command::RunPlugin {
                plugin: plugin.id.clone(),
                command: command_id(&plugin.manifest, command)?,
                focus: document.map(DocumentId),
                input,
            };
            let pick = pick.into_iter().map(DocumentId).collect();
            let wishes = RunWishes { pick, save, reveal };
            panels::run(shell, &plugin.id, command, &wishes, out)?;
        }
        PluginVerb::Gestures { plugin } => reveals::allow_gestures(shell, &plugin, out)?,
        PluginVerb::Settings { plugin, set } => settings(shell, &plugin, &set, out)?,
        PluginVerb::Life(verb) => life::run(verb, shell, out)?,
    }
    Ok(())
}

/// Installs exactly what was looked at, and says what that is.
fn install(shell: &Shell, path: PathBuf, hash: Option<String>, out: Out) -> Outcome {
    let Reply::Inspection(found) = shell.run(Command::InspectPlugin(path.clone()))? else {
        return Ok(());
    };
    let expected_hash = Some(hash.unwrap_or_else(|| found.component_hash.clone()));
    let words = inspection_words(&found);
    match shell.run(Command::InstallPlugin { path, expected_hash })? {
        Reply::Installed(id) => {
            let granted = shell.plugin(id.as_str())?.grant.is_some();
            let what = if granted {
                format!("Installed {id}. What you allowed it stays.")
            } else {
                format!("Installed {id}. It may do nothing until `hearth plugin grant {id}`.")
            };
            out.result(json!({"installed": id, "inspection": found}), format!("{words}\n{what}"));
        }
        Reply::UpdateWaits(id) => out.result(
            json!({"waits": id, "inspection": found}),
            format!(
                "{words}\nThis version asks for more, so it waits and the one before goes on.\n\
                 Take it with `hearth plugin accept {id}`, or leave it with `hearth plugin decline {id}`."
            ),
        ),
        _ => {}
    }
    Ok(())
}

fn grant(
    shell: &Shell,
    plugin: &str,
    allow: &[Capability],
    (slots, bits): (&[String], u32),
    out: Out,
) -> Outcome {
    let plugin = shell.plugin(plugin)?;
    let mut behind: BTreeMap<String, BTreeSet<FolderId>> = BTreeMap::new();
    for pair in slots {
        let Some((slot, folder)) = pair.split_once('=') else {
            return Err(Failure::user(
                format!("`{pair}` is not SLOT=FOLDER."),
                "As in inbox=Inbox.",
            ));
        };
        behind.entry(slot.to_owned()).or_default().insert(shell.folder(folder)?);
    }
    let capabilities = if allow.is_empty() {
        plugin.manifest.requested()
    } else {
        allow.iter().copied().collect()
    };
    let id = plugin.id;
    let command = Command::GrantPlugin {
        plugin: id.clone(),
        capabilities: capabilities.clone(),
        slots: behind,
        choice_bits_per_day: bits,
    };
    shell.run(command)?;
    let words = power_words(&capabilities);
    out.result(
        json!({"granted": id, "capabilities": capabilities}),
        format!("{id} may from now on: {words}."),
    );
    Ok(())
}

/// The command meant; the only one where none is named.
pub(super) fn command_id(manifest: &Manifest, wanted: Option<String>) -> Result<String, Failure> {
    let known = || manifest.commands.iter().map(|c| c.id.clone()).collect::<Vec<_>>().join(", ");
    match (wanted, manifest.commands.as_slice()) {
        (Some(id), commands) if commands.iter().any(|command| command.id == id) => Ok(id),
        (Some(id), _) => Err(Failure::user(
            format!("{} has no command `{id}`.", manifest.name),
            format!("It has: {}.", known()),
        )),
        (None, [only]) => Ok(only.id.clone()),
        (None, _) => Err(Failure::user(
            format!("{} has several commands.", manifest.name),
            format!("Name one of: {}.", known()),
        )),
    }
}

fn settings(shell: &Shell, plugin: &str, set: &[String], out: Out) -> Outcome {
    let plugin = shell.plugin(plugin)?;
    for pair in set {
        let Some((key, text)) = pair.split_once('=') else {
            return Err(Failure::user(format!("`{pair}` is not KEY=VALUE."), "As in lines=7."));
        };
        let value = setting_value(&plugin, key, text)?;
        let command =
            Command::SetPluginSetting { plugin: plugin.id.clone(), key: key.to_owned(), value };
        shell.run(command)?;
    }
    let plugin = shell.plugin(plugin.id.as_str())?;
    for spec in &plugin.manifest.settings {
        let Some(value) = plugin.settings.get(&spec.key) else { continue };
        let words = value_words(spec, value);
        let title = if spec.title.is_empty() { &spec.key } else { &spec.title };
        out.result(
            json!({"key": spec.key, "title": title, "value": value_json(spec, value)}),
            format!("{} = {words}  ({title})", spec.key),
        );
    }
    Ok(())
}

fn setting_value(plugin: &PluginView, key: &str, text: &str) -> Result<SettingValue, Failure> {
    let Some(spec) = plugin.manifest.settings.iter().find(|spec| spec.key == key) else {
        return Err(Failure::user(format!("{} has no setting `{key}`.", plugin.id), ""));
    };
    let wrong = |what: String| Failure::user(format!("`{text}` is not {what}."), "");
    Ok(match &spec.kind {
        SettingKind::Flag { .. } => match text {
            "on" | "true" => SettingValue::Flag(true),
            "off" | "false" => SettingValue::Flag(false),
            _ => return Err(wrong("on or off".into())),
        },
        SettingKind::Number { min, max, .. } => SettingValue::Number(
            text.parse()
                .map_err(|_not_a_number| wrong(format!("a whole number from {min} to {max}")))?,
        ),
        SettingKind::Text { .. } => SettingValue::Text(text.to_owned()),
        SettingKind::Choice { options, .. } => {
            let index = options.iter().position(|option| option == text);
            let index = index.and_then(|index| u32::try_from(index).ok());
            SettingValue::Choice(
                index.ok_or_else(|| wrong(format!("one of {}", options.join(", "))))?,
            )
        }
    })
}

fn value_words(spec: &SettingSpec, value: &SettingValue) -> String {
    match (value, &spec.kind) {
        (SettingValue::Flag(on), _) => (if *on { "on" } else { "off" }).to_owned(),
        (SettingValue::Number(number), _) => number.to_string(),
        (SettingValue::Text(text), _) => text.clone(),
        (SettingValue::Choice(index), SettingKind::Choice { options, .. }) => {
            options.get(*index as usize).cloned().unwrap_or_else(|| index.to_string())
        }
        (SettingValue::Choice(index), _) => index.to_string(),
    }
}

fn value_json(spec: &SettingSpec, value: &SettingValue) -> serde_json::Value {
    match value {
        SettingValue::Flag(on) => json!(on),
        SettingValue::Number(number) => json!(number),
        _ => json!(value_words(spec, value)),
    }
}

fn plugin_json(plugin: &PluginView) -> serde_json::Value {
    json!({
        "id": plugin.id, "manifest": *plugin.manifest, "sealed": plugin.sealed,
        "bundled": plugin.bundled, "grant": plugin.grant, "suspended": plugin.suspended,
        "provenance": provenance::json(&plugin.provenance),
        "standing": reveals::standing_json(&plugin.standing),
    })
}

fn plugin_words(plugin: &PluginView) -> String {
    let manifest = &plugin.manifest;
    let mut words = format!("{}  {} {}", plugin.id, manifest.name, manifest.version);
    if plugin.sealed {
        words.push_str("  [sealed: it cannot learn private text]");
    }
    words.push_str(&format!("\n  {}", manifest.description));
    words.push_str(&provenance::plugin_words(&plugin.provenance));
    for command in &manifest.commands {
        words.push_str(&format!("\n  runs    {}: {}", command.id, command.title));
    }
    for slot in &manifest.slots {
        words.push_str(&format!("\n  asks    slot {}: {}", slot.id, slot.why));
    }
    let granted = plugin.grant.as_ref().map_or("nothing yet".to_owned(), |grant| {
        let slots: Vec<String> = grant
            .slots
            .iter()
            .map(|(slot, folders)| {
                let folders: Vec<String> = folders.iter().map(ToString::to_string).collect();
                format!("; {slot} is folder {}", folders.join(", "))
            })
            .collect();
        format!("{}{}", power_words(&grant.capabilities), slots.concat())
    });
    words.push_str(&format!("\n  granted {granted}"));
    if !plugin.sealed {
        let bits = plugin.grant.as_ref().map_or(0, |grant| grant.choice_bits_per_day);
        let standing = reveals::standing_words(plugin);
        words.push_str(&format!("\n  may learn {bits} bits of choices a day: {standing}"));
    }
    if let Some(why) = &plugin.suspended {
        words.push_str(&format!("\n  SUSPENDED: {why}"));
    }
    words
}

fn inspection_words(found: &PluginInspection) -> String {
    let manifest = &found.manifest;
    let list = |words: Vec<String>| {
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    };
    let slots = manifest.slots.iter().map(|s| format!("{} ({})", s.id, s.why)).collect();
    let commands = manifest.commands.iter().map(|c| format!("{} ({})", c.id, c.title)).collect();
    let sealed = if found.sealed {
        "sealed: it imports nothing through which private text could reach it"
    } else {
        "NOT sealed: it can ask to learn private text"
    };
    let judgement = provenance::judgement_words(found);
    format!(
        "The plugin claims:\n  {} {} ({})\n  {}\n  runs: {}\n  asks for: {}\n  slots: {}\nRead off the binary:\n  {sealed}\n  \
         imports: {}\n  {} bytes, BLAKE3 {}\n{judgement}",
        manifest.name,
        manifest.version,
        manifest.id,
        manifest.description,
        list(commands),
        power_words(&manifest.requested()),
        list(slots),
        list(found.imports.clone()),
        found.size_bytes,
        found.component_hash,
    )
}

fn power_words(powers: &BTreeSet<Capability>) -> String {
    let words: Vec<&str> = powers
        .iter()
        .map(|power| match power {
            Capability::Model => "run the model",
            Capability::PersonalModel => "run your own model",
            Capability::DocumentsRead => "hold documents of its slots",
            Capability::DocumentsSearch => "search its slots",
            Capability::DocumentsSave => "save results",
            Capability::Panel => "show panels",
            Capability::Storage => "keep a little state",
            Capability::RevealChoice => "learn choices",
            Capability::RevealText => "learn texts you approve",
        })
        .collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}
