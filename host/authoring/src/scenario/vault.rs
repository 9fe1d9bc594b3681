//! Fills a vault in memory. Documents come in through the same door as a user's: files that are imported.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    ops::ControlFlow,
    path::Path,
    time::{Duration, SystemTime},
};

use hearth_base::{
    DocumentId, FolderId, Grant, Manifest, SettingKind, SettingSpec, SettingValue, SlotKind,
};
use hearth_vault::{DocumentQuery, ImportState, PluginRecord, Vault};
use hearth_wasm::Inspection;

use super::{
    TestError,
    format::{DocumentSpec, Kind, Placed, Scenario},
};

/// A vault as the scenario has it.
pub(super) struct Filled {
    pub(super) vault: Vault,
    pub(super) documents: BTreeMap<String, DocumentId>,
    pub(super) grant: Grant,
}

/// A vault with the scenario's documents, the plugin installed and granted, its settings set.
pub(super) fn fill(scenario: &Scenario, found: &Inspection) -> Result<Filled, TestError> {
    let vault = Vault::in_memory()?;
    let mut documents = BTreeMap::new();
    let mut kinds: BTreeMap<FolderId, BTreeSet<Kind>> = BTreeMap::new();
    let room = tempfile::tempdir()?;
    for (index, spec) in scenario.documents.iter().enumerate() {
        let dir = room.path().join(index.to_string());
        fs::create_dir(&dir)?;
        let (document, folder) = import(&vault, &dir, spec)?;
        documents.insert(spec.it.id.clone(), document);
        kinds.entry(folder).or_default().insert(spec.it.kind);
    }
    install(&vault, found)?;
    let grant = grant_of(scenario, &found.manifest, &vault, &kinds)?;
    vault.set_grant(&found.manifest.id, &grant)?;
    for (key, value) in &scenario.settings {
        let spec = found.manifest.settings.iter().find(|spec| spec.key == *key);
        let value = spec.and_then(|spec| setting_of(spec, value)).ok_or_else(|| {
            wrong(format!("the manifest has no setting `{key}` that takes this value"))
        })?;
        vault.set_setting(&found.manifest.id, key, &value)?;
    }
    Ok(Filled { vault, documents, grant })
}

/// What is wrong with the scenario as a whole.
fn wrong(reason: String) -> TestError {
    TestError::Scenario { line: 1, reason }
}

fn import(
    vault: &Vault,
    dir: &Path,
    spec: &Placed<DocumentSpec>,
) -> Result<(DocumentId, FolderId), TestError> {
    let refuse = |reason: String| TestError::Scenario { line: spec.line, reason };
    let Placed { it, .. } = spec;
    let noon = noon(it);
    let path = match it.kind {
        Kind::Mail => dir.join("message.eml"),
        Kind::Note | Kind::Code => dir.join(&it.title),
    };
    let content = if it.kind == Kind::Mail { mail(it, noon) } else { it.body.clone() };
    fs::write(&path, content)?;
    File::options().write(true).open(&path)?.set_modified(SystemTime::UNIX_EPOCH + noon)?;
    let folder = it.folder.as_deref().unwrap_or(match it.kind {
        Kind::Mail => "Mail",
        Kind::Note => "Notes",
        Kind::Code => "Code",
    });
    let mut trouble = None;
    let report = vault.import(&path, Some(folder), &mut |progress| {
        if progress.entry.state != ImportState::Done {
            trouble.clone_from(&progress.entry.reason);
        }
        ControlFlow::Continue(())
    })?;
    let folder = match (report.done, report.folder) {
        (1, Some(folder)) => folder,
        _ => {
            let why = trouble.unwrap_or_else(|| "it is not one document".into());
            return Err(refuse(format!("document `{}` is not taken: {why}", it.id)));
        }
    };
    let query =
        DocumentQuery { folders: Some(vec![folder]), limit: u32::MAX, ..Default::default() };
    let newest = vault.documents(&query)?.heads.into_iter().max_by_key(|head| head.id);
    let head = newest.ok_or_else(|| refuse(format!("document `{}` is not there", it.id)))?;
    let kind = match head.kind {
        hearth_vault::DocumentKind::Mail => Kind::Mail,
        hearth_vault::DocumentKind::Code => Kind::Code,
        _ => Kind::Note,
    };
    if kind != it.kind {
        let reason = format!(
            "document `{}` is taken for another kind: end its title as such files end",
            it.id
        );
        return Err(refuse(reason));
    }
    Ok((head.id, folder))
}

/// The document's day at noon, as the time since 1970.
fn noon(spec: &DocumentSpec) -> Duration {
    let day = spec.date.and_then(|day| day.date).map_or((2026, 1, 1), |date| {
        (i16::try_from(date.year).unwrap_or(2026), date.month, date.day)
    });
    let date =
        jiff::civil::Date::new(day.0, day.1.cast_signed(), day.2.cast_signed()).unwrap_or_default();
    let zoned = date.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC);
    let secs = zoned.map_or(0, |noon| noon.timestamp().as_second());
    Duration::from_secs(u64::try_from(secs).unwrap_or(0))
}

fn mail(spec: &DocumentSpec, noon: Duration) -> String {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let secs = i64::try_from(noon.as_secs()).unwrap_or(0);
    let date = jiff::Timestamp::from_second(secs).unwrap_or_default();
    format!(
        "Message-ID: <{}@scenario.example>\r\nFrom: {}\r\nTo: you@example.org\r\nSubject: {}\r\nDate: {}\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}",
        spec.id.replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
        one_line(&spec.author),
        one_line(&spec.title),
        date.strftime("%a, %d %b %Y %H:%M:%S +0000"),
        spec.body
    )
}

fn install(vault: &Vault, found: &Inspection) -> Result<(), TestError> {
    let manifest = toml::to_string(&found.manifest).map_err(|error| wrong(error.to_string()))?;
    vault.put_plugin(&PluginRecord {
        id: found.manifest.id.clone(),
        version: found.manifest.version.clone(),
        manifest,
        component_hash: found.component_hash.clone(),
        sealed: found.sealed,
        bundled: false,
        enabled: true,
        suspended: None,
        installed_secs: 0,
    })?;
    Ok(())
}

fn grant_of(
    scenario: &Scenario,
    manifest: &Manifest,
    vault: &Vault,
    kinds: &BTreeMap<FolderId, BTreeSet<Kind>>,
) -> Result<Grant, TestError> {
    let spec = scenario.grant.clone().unwrap_or_default();
    let folders = vault.folders()?;
    let mut slots = BTreeMap::new();
    for slot in &manifest.slots {
        let behind = match spec.slots.get(&slot.id) {
            Some(names) => {
                let mut behind = BTreeSet::new();
                for name in names {
                    let known = folders.iter().find(|folder| folder.name == *name);
                    let known =
                        known.ok_or_else(|| wrong(format!("no document is in folder `{name}`")))?;
                    behind.insert(known.id);
                }
                behind
            }
            None => kinds
                .iter()
                .filter(|(_, held)| fits(slot.kind, held))
                .map(|(folder, _)| *folder)
                .collect(),
        };
        slots.insert(slot.id.clone(), behind);
    }
    if let Some(stray) = spec.slots.keys().find(|name| !slots.contains_key(*name)) {
        return Err(wrong(format!("the manifest has no slot `{stray}`")));
    }
    let capabilities = spec.capabilities.unwrap_or_else(|| manifest.requested());
    Ok(Grant { capabilities, slots, choice_bits_per_day: spec.bits, epoch: 0 })
}

fn fits(slot: SlotKind, held: &BTreeSet<Kind>) -> bool {
    match slot {
        SlotKind::Any => true,
        SlotKind::Mail => held.contains(&Kind::Mail),
        SlotKind::Note => held.contains(&Kind::Note),
        SlotKind::Code => held.contains(&Kind::Code),
    }
}

fn setting_of(spec: &SettingSpec, value: &toml::Value) -> Option<SettingValue> {
    match (&spec.kind, value) {
        (SettingKind::Flag { .. }, toml::Value::Boolean(on)) => Some(SettingValue::Flag(*on)),
        (SettingKind::Number { min, max, .. }, toml::Value::Integer(number)) => {
            let number = i32::try_from(*number).ok()?;
            (min..=max).contains(&&number).then_some(SettingValue::Number(number))
        }
        (SettingKind::Text { .. }, toml::Value::String(text)) => {
            Some(SettingValue::Text(text.clone()))
        }
        (SettingKind::Choice { options, .. }, toml::Value::String(option)) => {
            let index = options.iter().position(|known| known == option)?;
            Some(SettingValue::Choice(u32::try_from(index).ok()?))
        }
        _ => None,
    }
}
