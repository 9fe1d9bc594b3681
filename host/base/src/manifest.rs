//! The manifest a plugin carries in its `hearth:manifest` custom section: TOML, at most 16 KiB.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Capability, Grant, PluginId};

/// Name of the component's custom section that holds the manifest.
pub const MANIFEST_SECTION: &str = "hearth:manifest";
/// Longest manifest.
pub const MAX_MANIFEST_BYTES: usize = 16 << 10;
/// Interface lines this host runs.
const SUPPORTED_API: &str = "0.1";

/// What a plugin says of itself. All of it is the publisher's claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Reverse-DNS id.
    pub id: PluginId,
    /// Name for people, at most 40 characters.
    pub name: String,
    /// One line on what it does, at most 200 characters.
    #[serde(default)]
    pub description: String,
    /// Version, `MAJOR.MINOR.PATCH`.
    pub version: String,
    /// The publisher's minisign key; empty for an unsigned plugin.
    #[serde(default)]
    pub publisher: String,
    /// Interface line, `0.1`.
    pub api: String,
    /// What the user can start.
    #[serde(default)]
    pub commands: Vec<Command>,
    /// Panels it may show.
    #[serde(default)]
    pub panels: Vec<Panel>,
    /// Commands that the user may switch on to be run by themselves.
    #[serde(default)]
    pub schedules: Vec<Schedule>,
    /// Sets of documents it asks for.
    #[serde(default)]
    pub slots: Vec<Slot>,
    /// Settings the host draws and keeps for it.
    #[serde(default)]
    pub settings: Vec<SettingSpec>,
    /// Powers it asks for.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// What it would learn. Absent or zero for a sealed plugin.
    #[serde(default)]
    pub declassify: Declassify,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The plugin's own name for it.
    pub id: String,
    /// What the user reads.
    pub title: String,
    /// Whether it works on the document in focus.
    #[serde(default)]
    pub focus: Focus,
    /// Kind of document it is offered for; it may be run on others too.
    #[serde(default)]
    pub kind: SlotKind,
    /// What the user is asked for before it runs, such as "What to look for"; nothing if empty.
    #[serde(default)]
    pub input: String,
    /// What it does, in words for the model: with these, the chat may call it where the user allows that.
    #[serde(default)]
    pub tool: String,
}

/// A command that the user may switch on to be run by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The plugin's own name for it.
    pub id: String,
    /// The command; one that needs neither a document nor input.
    pub command: String,
    /// How often.
    pub every: Every,
}

/// How often a schedule comes due. The host chooses the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Every {
    /// Each day, when the vault is first open after six in the morning.
    Morning,
    /// Each day, when the vault is first open after six in the evening.
    Evening,
    /// Once in seven days.
    Week,
}

/// What a command works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Focus {
    /// Its slots alone.
    #[default]
    None,
    /// The document the user chose.
    Document,
}

/// A panel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// The plugin's own name for it.
    pub id: String,
    /// What the user reads.
    pub title: String,
}

/// A set of documents the plugin asks for; the user chooses the folders behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// The plugin's own name for it.
    pub id: String,
    /// Kind of documents.
    pub kind: SlotKind,
    /// The plugin's reason.
    pub why: String,
}

/// Kind of documents in a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "kinds of documents")]
pub enum SlotKind {
    Mail,
    Note,
    Code,
    #[default]
    Any,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingSpec {
    /// The plugin's own name for it.
    pub key: String,
    /// What the user reads; the key if empty.
    #[serde(default)]
    pub title: String,
    /// Its type, range and default.
    #[serde(flatten)]
    pub kind: SettingKind,
}

/// Type, range and default of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "ranges and defaults")]
pub enum SettingKind {
    Flag { default: bool },
    Number { min: i32, max: i32, default: i32 },
    Text { default: String },
    Choice { options: Vec<String>, default: u32 },
}

/// Powers asked for. Panels and settings need no power; slots ask for documents by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Capabilities {
    /// Run the model.
    pub model: bool,
    /// Run the fine-tuned model.
    pub personal_model: bool,
    /// Let the user pick documents.
    pub pick: bool,
    /// Search inside granted slots.
    pub search: bool,
    /// Save results.
    pub save: bool,
    /// Storage in KiB, at most 64.
    pub storage_kib: u16,
}

/// What the plugin would learn of private values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Declassify {
    /// Bits of choices a day.
    pub choice_bits_per_day: u32,
    /// Texts, each approved by the user.
    pub text: bool,
}

/// Why a manifest was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Over 16 KiB.
    #[error("the manifest is {got_bytes} bytes; at most {limit_bytes} are allowed")]
    TooLong {
        /// Its length.
        got_bytes: usize,
        /// Longest allowed.
        limit_bytes: usize,
    },
    /// Not UTF-8, not TOML, unknown or missing fields.
    #[error("the manifest cannot be read: {reason}")]
    Malformed {
        /// The parser's words.
        reason: String,
    },
    /// A field with a value that is not allowed.
    #[error("manifest field `{field}`: {reason}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] names the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLong {
                got_bytes: bytes.len(),
                limit_bytes: MAX_MANIFEST_BYTES,
            });
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| ManifestError::Malformed { reason: error.to_string() })?;
        let manifest: Self = toml::from_str(text)
            .map_err(|error| ManifestError::Malformed { reason: error.message().to_owned() })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The powers this manifest asks the user for.
    pub fn requested(&self) -> BTreeSet<Capability> {
        let mut powers = BTreeSet::from([Capability::Panel]);
        let c = &self.capabilities;
        let d = &self.declassify;
        for (asked, power) in [
            (c.model, Capability::Model),
            (c.personal_model, Capability::PersonalModel),
            (
                c.pick
                    || !self.slots.is_empty()
                    || self.commands.iter().any(|c| c.focus == Focus::Document),
                Capability::DocumentsRead,
            ),
            (c.search, Capability::DocumentsSearch),
            (c.save, Capability::DocumentsSave),
            (c.storage_kib > 0, Capability::Storage),
            (d.choice_bits_per_day > 0, Capability::RevealChoice),
            (d.text, Capability::RevealText),
        ] {
            if asked {
                powers.insert(power);
            }
        }
        powers
    }

    /// Its version as three numbers, which compare as versions do.
    pub fn version_numbers(&self) -> [u32; 3] {
        // A manifest that was read has three.
        let mut numbers = self.version.split('.').map(|number| number.parse().unwrap_or(0));
        std::array::from_fn(|_| numbers.next().unwrap_or(0))
    }

    /// What is left of a grant under this manifest: nothing that it does not ask for.
    pub fn cut(&self, grant: &Grant, former: &Self) -> Grant {
        let asked = self.requested();
        let same_slot = |id: &str| {
            let kind = |m: &Self| m.slots.iter().find(|s| s.id == id).map(|s| s.kind);
            kind(self).is_some() && kind(self) == kind(former)
        };
        Grant {
            capabilities: grant.capabilities.intersection(&asked).copied().collect(),
            slots: grant
                .slots
                .iter()
                .filter(|(id, _)| same_slot(id))
                .map(|(id, folders)| (id.clone(), folders.clone()))
                .collect(),
            choice_bits_per_day: grant.choice_bits_per_day.min(self.declassify.choice_bits_per_day),
            epoch: grant.epoch,
        }
    }

    /// Whether it asks to learn nothing.
    pub fn claims_sealed(&self) -> bool {
        self.declassify == Declassify::default()
    }

    fn check(&self) -> Result<(), ManifestError> {
        let field =
            |field, reason: &str| Err(ManifestError::Field { field, reason: reason.into() });
        if self.api != SUPPORTED_API {
            return field("api", "this version of Hearth runs plugins of interface 0.1");
        }
        check_words("name", &self.name, 1, 40)?;
        check_words("description", &self.description, 0, 200)?;
        check_words("publisher", &self.publisher, 0, 80)?;
        let numbers: Vec<Option<u32>> = self.version.split('.').map(|n| n.parse().ok()).collect();
        if numbers.len() != 3 || numbers.contains(&None) || self.version.contains('+') {
            return field("version", "use three numbers, as in 1.0.0");
        }
        if self.capabilities.storage_kib > 64 {
            return field("capabilities.storage-kib", "at most 64");
        }
        check_list("commands", self.commands.iter().map(|c| c.id.as_str()), 32)?;
        check_list("panels", self.panels.iter().map(|p| p.id.as_str()), 8)?;
        check_list("schedules", self.schedules.iter().map(|s| s.id.as_str()), 4)?;
        check_list("slots", self.slots.iter().map(|s| s.id.as_str()), 8)?;
        check_list("settings", self.settings.iter().map(|s| s.key.as_str()), 32)?;
        for command in &self.commands {
            check_words("commands.title", &command.title, 1, 60)?;
            check_words("commands.input", &command.input, 0, 60)?;
            check_words("commands.tool", &command.tool, 0, 200)?;
        }
        for schedule in &self.schedules {
            self.check_schedule(schedule)?;
        }
        for panel in &self.panels {
            check_words("panels.title", &panel.title, 1, 60)?;
        }
        for slot in &self.slots {
            check_words("slots.why", &slot.why, 1, 120)?;
        }
        for setting in &self.settings {
            check_setting(setting)?;
        }
        Ok(())
    }

    /// A schedule has nobody to ask.
    fn check_schedule(&self, schedule: &Schedule) -> Result<(), ManifestError> {
        let command = self.commands.iter().find(|command| command.id == schedule.command);
        if command.is_some_and(|c| c.focus == Focus::None && c.input.is_empty()) {
            return Ok(());
        }
        let id = &schedule.id;
        Err(ManifestError::Field {
            field: "schedules.command",
            reason: format!("`{id}` needs a command without `focus` and `input`"),
        })
    }
}

fn check_setting(setting: &SettingSpec) -> Result<(), ManifestError> {
    check_words("settings.title", &setting.title, 0, 60)?;
    let bad = match &setting.kind {
        SettingKind::Flag { .. } => false,
        SettingKind::Number { min, max, default } => !(*min..=*max).contains(default),
        SettingKind::Text { default } => default.len() > 1024,
        SettingKind::Choice { options, default } => {
            options.len() > 64 || *default as usize >= options.len()
        }
    };
    if bad {
        return Err(ManifestError::Field {
            field: "settings.default",
            reason: format!("`{}` has a default outside its range", setting.key),
        });
    }
    Ok(())
}

/// Lists are short and their ids unique, plain and short.
fn check_list<'a>(
    field: &'static str,
    ids: impl Iterator<Item = &'a str>,
    limit: usize,
) -> Result<(), ManifestError> {
    let refuse = |reason: String| Err(ManifestError::Field { field, reason });
    let mut seen = BTreeSet::new();
    for id in ids {
        let plain = !id.is_empty()
            && id.len() <= 40
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !plain {
            return refuse("an id is lower-case letters, digits and `-`, at most 40".into());
        }
        if !seen.insert(id) {
            return refuse(format!("`{id}` appears twice"));
        }
    }
    if seen.len() > limit {
        return refuse(format!("at most {limit} entries"));
    }
    Ok(())
}

/// A text people read: no control or invisible direction characters, and not too long.
fn check_words(
    field: &'static str,
    text: &str,
    min_chars: usize,
    max_chars: usize,
) -> Result<(), ManifestError> {
    let chars = text.chars().count();
    if !(min_chars..=max_chars).contains(&chars) {
        let reason = format!("{chars} characters; {min_chars} to {max_chars} are allowed");
        return Err(ManifestError::Field { field, reason });
    }
    let invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if text.chars().any(invisible) {
        let reason = "control and invisible characters are not allowed".into();
        return Err(ManifestError::Field { field, reason });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        id = "org.example.mail-digest"
        name = "Mail digest"
        version = "1.2.0"
        api = "0.1"
        commands = [{ id = "digest", title = "Digest today's mail" }]
        schedules = [{ id = "daily", command = "digest", every = "morning" }]
        panels   = [{ id = "digest", title = "Mail digest" }]
        slots    = [{ id = "inbox", kind = "mail", why = "to summarise it" }]
        settings = [{ key = "lines", kind = "number", min = 1, max = 20, default = 5 }]
        capabilities = { model = true, save = false, storage-kib = 64 }
    "#;

    #[test]
    fn a_sound_manifest_parses() {
        let manifest = Manifest::parse(GOOD.as_bytes()).unwrap();
        assert!(manifest.claims_sealed());
        assert_eq!(
            manifest.requested(),
            BTreeSet::from([
                Capability::Model,
                Capability::DocumentsRead,
                Capability::Panel,
                Capability::Storage
            ])
        );
        assert_eq!(manifest.settings[0].kind, SettingKind::Number { min: 1, max: 20, default: 5 });
    }

    #[test]
    fn versions_compare_by_number() {
        let version = |v: &str| {
            Manifest::parse(GOOD.replace("1.2.0", v).as_bytes()).unwrap().version_numbers()
        };
        assert_eq!(version("1.2.0"), [1, 2, 0]);
        assert!(version("1.10.0") > version("1.9.9") && version("2.0.0") > version("1.99.99"));
        assert_eq!(version("1.02.0"), version("1.2.0"));
    }

    #[test]
    fn a_grant_is_cut_to_what_is_asked_for() {
        let former = Manifest::parse(GOOD.as_bytes()).unwrap();
        let folders = BTreeSet::from([crate::FolderId(1)]);
        let grant = Grant {
            capabilities: former.requested(),
            slots: [("inbox".to_owned(), folders)].into(),
            choice_bits_per_day: 0,
            epoch: 4,
        };
        assert_eq!(former.cut(&grant, &former), grant);
        let narrower =
            GOOD.replace("model = true, ", "").replace("kind = \"mail\"", "kind = \"any\"");
        let narrower = Manifest::parse(narrower.as_bytes()).unwrap();
        let cut = narrower.cut(&grant, &former);
        assert!(!cut.allows(Capability::Model) && cut.allows(Capability::Storage));
        assert!(cut.slots.is_empty(), "the same folders under another kind are another slot");
        let wider = GOOD.replace("save = false", "save = true, search = true");
        let wider = Manifest::parse(wider.as_bytes()).unwrap();
        assert_eq!(wider.cut(&grant, &former), grant, "a wider manifest widens no grant");
    }

    #[test]
    fn each_absurdity_is_named() {
        for (from, to, field) in [
            ("\"0.1\"", "\"9.9\"", "api"),
            ("1.2.0", "1.2", "version"),
            ("1.2.0", "1.2.-1", "version"),
            ("Mail digest\"\n", "\u{202e}tsegid\"\n", "name"),
            ("storage-kib = 64", "storage-kib = 65", "capabilities.storage-kib"),
            ("command = \"digest\"", "command = \"other\"", "schedules.command"),
            ("Digest today's mail\"", "Digest\", input = \"What\"", "schedules.command"),
            ("Digest today's mail\"", "Digest\", focus = \"document\"", "schedules.command"),
            ("default = 5", "default = 50", "settings.default"),
            ("default = 5", "default = 0", "settings.default"),
            ("id = \"inbox\"", "id = \"../x\"", "slots"),
        ] {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD, "{from}");
            match Manifest::parse(text.as_bytes()) {
                Err(ManifestError::Field { field: got, .. }) => assert_eq!(got, field),
                other => panic!("{from} -> {to}: {other:?}"),
            }
        }
        for (from, to) in [
            ("api =", "surprise ="),
            ("org.example.mail-digest", "../../etc"),
            ("model = true", "network = true"),
            ("max = 20", "max = 20, step = 2"),
        ] {
            let text = GOOD.replace(from, to);
            assert!(
                matches!(Manifest::parse(text.as_bytes()), Err(ManifestError::Malformed { .. })),
                "{to}"
            );
        }
        assert!(matches!(
            Manifest::parse(&[b' '; MAX_MANIFEST_BYTES + 1]),
            Err(ManifestError::TooLong { .. })
        ));
        assert!(Manifest::parse(&[0xff, 0xfe]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_manifest_or_an_error(text in ".{0,400}") {
            Manifest::parse(text.as_bytes()).ok();
        }
    }
}
