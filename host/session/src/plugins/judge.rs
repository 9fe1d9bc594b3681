//! Whether a component may be installed, and what becomes of what is there: rules over plain facts. Nothing here reads or
//! writes; the same facts give the same verdict when a plugin is looked at and when it is installed.

use hearth_base::{Manifest, PluginId};
use hearth_vault::{Binding, PluginRecord, PublisherRecord};
use hearth_wasm::{Inspection, PublisherKey, Signed, looks_like};

use super::changes::{PluginChange, Version, between};
use crate::UserError;

/// The publisher of what came with Hearth. No minisign key is written like it.
pub(crate) const HEARTH: &str = "hearth";

/// Who made a component, and how that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SignatureView {
    /// It came with Hearth.
    Bundled,
    /// Nobody vouches for it.
    #[default]
    Unsigned,
    /// It is signed, and the signature is good.
    Signed {
        /// The publisher's key.
        key: String,
        /// The key's id, as `minisign` shows it.
        key_id: String,
        /// Six groups of four characters for people to compare.
        fingerprint: String,
        /// The bytes that the fingerprint begins with; a picture may be drawn from them.
        picture: [u8; 32],
        /// What the publisher signed beside the file, safe to show.
        trusted_comment: String,
        /// What is known of the key.
        standing: KeyStanding,
    },
}

/// What is known of a publisher's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyStanding {
    /// Never seen before: compare the fingerprint with the publisher's.
    New,
    /// It signed another plugin that is or was installed.
    Known,
    /// This plugin is bound to it.
    Pinned,
    /// It has taken the place of the key this plugin was bound to, by a statement of that key.
    Rotated,
    /// This plugin is bound to another key.
    Other,
}

/// An installed plugin that a name or id could be taken for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LookAlike {
    /// The installed one.
    pub plugin: PluginId,
    /// Its name, safe to show.
    pub name: String,
    /// It is of another publisher, so that this one would be refused.
    pub refused: bool,
}

/// Something that a version without a seal kept between runs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StoredEntry {
    /// Its key, safe to show.
    pub key: String,
    /// Its length.
    pub bytes: usize,
    /// Its beginning, safe to show.
    pub preview: String,
}

/// What installing a component would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum InstallVerdict {
    /// It is new, or takes over nothing from the one it replaces.
    #[default]
    Install,
    /// It is installed already.
    Same,
    /// It takes the place of the installed version.
    Update,
    /// It asks for more, so it is put aside until the user accepts it.
    Waits,
    /// It is not installed.
    Refused(UserError),
}

/// What is known of a component from its signature and what is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Judgement {
    /// Who made it.
    pub signature: SignatureView,
    /// Installed plugins that it could be taken for.
    pub lookalikes: Vec<LookAlike>,
    /// In what it differs from the installed version.
    pub changes: Vec<PluginChange>,
    /// What the installed version, which is not sealed, has stored, where this one is sealed and would read it.
    pub stored: Vec<StoredEntry>,
    /// What installing it would do.
    pub verdict: InstallVerdict,
}

impl Judgement {
    /// Whether it asks for something that the user was not asked about.
    pub(crate) fn is_wider(&self) -> bool {
        self.changes.iter().any(|change| change.wider)
    }
}

/// The component in question.
pub(crate) struct Candidate<'a> {
    pub(crate) found: &'a Inspection,
    pub(crate) signed: Option<&'a Signed>,
    pub(crate) bundled: bool,
}

/// What is known of its name, its publisher and its neighbours.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) binding: Option<Binding>,
    pub(crate) installed: Option<Installed>,
    pub(crate) publishers: Vec<PublisherRecord>,
    /// Other plugins.
    pub(crate) others: Vec<Neighbour>,
    pub(crate) developer_mode: bool,
}

/// The version that is installed.
pub(crate) struct Installed {
    pub(crate) record: PluginRecord,
    /// `None` where this Hearth cannot read it.
    pub(crate) manifest: Option<Manifest>,
    pub(crate) publisher: String,
    pub(crate) former_hash: Option<String>,
    /// What it has stored.
    pub(crate) stored: Vec<StoredEntry>,
}

/// Another installed plugin.
pub(crate) struct Neighbour {
    pub(crate) id: PluginId,
    pub(crate) name: String,
    pub(crate) publisher: String,
}

impl Candidate<'_> {
    /// The key it is signed with; empty where it is unsigned.
    pub(crate) fn publisher(&self) -> &str {
        match (self.bundled, self.signed) {
            (true, _) => HEARTH,
            (false, Some(signed)) => signed.publisher.as_str(),
            (false, None) => "",
        }
    }

    fn hash(&self) -> &str {
        &self.found.component_hash
    }
}

/// Judges a component.
pub(crate) fn judge(candidate: &Candidate<'_>, known: &Known) -> Judgement {
    let lookalikes = lookalikes(candidate, known);
    let changes = changes(candidate, known);
    let stored = match &known.installed {
        Some(installed) if candidate.found.sealed && !installed.record.sealed => {
            installed.stored.clone()
        }
        _ => Vec::new(),
    };
    let mut judgement = Judgement {
        signature: signature(candidate, known),
        lookalikes,
        changes,
        stored,
        verdict: InstallVerdict::Install,
    };
    judgement.verdict = match refusal(candidate, known, &judgement) {
        Some(error) => InstallVerdict::Refused(error),
        None => verdict(candidate, known, &judgement),
    };
    judgement
}

/// Whether what is there is the same publisher's, as far as that can be known.
pub(crate) fn same_owner(candidate: &Candidate<'_>, known: &Known) -> bool {
    let Some(installed) = &known.installed else { return false };
    if installed.record.bundled != candidate.bundled {
        return false;
    }
    let bound = known.binding.as_ref().map(|binding| binding.publisher.as_str());
    // After a key has handed over, the binding names the new one.
    installed.publisher == candidate.publisher()
        || (!candidate.publisher().is_empty()
            && bound == Some(candidate.publisher())
            && follows(&known.publishers, &installed.publisher, candidate.publisher()))
}

/// The binding once a component is installed.
pub(crate) fn binding_after(candidate: &Candidate<'_>, known: &Known) -> Binding {
    let version = candidate.found.manifest.version.clone();
    let new = Binding {
        publisher: candidate.publisher().to_owned(),
        highest_version: version,
        highest_hash: candidate.hash().to_owned(),
    };
    match &known.binding {
        Some(bound)
            if bound.publisher == new.publisher
                && numbers(&bound.highest_version) > numbers(&new.highest_version) =>
        {
            bound.clone()
        }
        _ => new,
    }
}

fn verdict(candidate: &Candidate<'_>, known: &Known, judgement: &Judgement) -> InstallVerdict {
    let Some(installed) = &known.installed else { return InstallVerdict::Install };
    if installed.record.component_hash == candidate.hash() {
        InstallVerdict::Same
    } else if !same_owner(candidate, known) {
        InstallVerdict::Install
    } else if !candidate.bundled
        && !candidate.publisher().is_empty()
        && (judgement.is_wider() || !judgement.stored.is_empty())
    {
        InstallVerdict::Waits
    } else {
        InstallVerdict::Update
    }
}

/// Why a component is not installed, if so.
fn refusal(candidate: &Candidate<'_>, known: &Known, judgement: &Judgement) -> Option<UserError> {
    if candidate.bundled {
        return None;
    }
    unsigned(candidate, known)
        .or_else(|| handed_over(candidate, known))
        .or_else(|| other_key(candidate, known))
        .or_else(|| older(candidate, known))
        .or_else(|| posing(candidate, judgement))
}

fn unsigned(candidate: &Candidate<'_>, known: &Known) -> Option<UserError> {
    (candidate.publisher().is_empty() && !known.developer_mode).then(|| {
        UserError::user(
            format!("{} is not signed: nobody vouches for it.", candidate.found.manifest.id),
            "Get a signed version. To try plugins of your own, switch developer mode on \
             (`hearth plugin developer on`).",
        )
    })
}

fn handed_over(candidate: &Candidate<'_>, known: &Known) -> Option<UserError> {
    let key = candidate.publisher();
    let gone = known.publishers.iter().any(|p| p.key == key && p.replaced_by.is_some());
    gone.then(|| {
        UserError::user(
            format!(
                "{} is signed with a key that has handed over to another.",
                candidate.found.manifest.id
            ),
            "Get a version that is signed with the new key.",
        )
    })
}

/// What was once signed stays with its key, in developer mode too.
fn other_key(candidate: &Candidate<'_>, known: &Known) -> Option<UserError> {
    let bound = known.binding.as_ref().map(|binding| binding.publisher.as_str())?;
    let id = &candidate.found.manifest.id;
    if bound.is_empty() || bound == candidate.publisher() {
        return None;
    }
    let whose = match (bound, PublisherKey::parse(bound, "publisher")) {
        (HEARTH, _) => "Hearth itself".to_owned(),
        (_, Ok(key)) => format!("the key {}", key.fingerprint()),
        (_, Err(_)) => "another key".to_owned(),
    };
    let how = match candidate.publisher() {
        "" => "is not signed",
        _ => "is signed with another key",
    };
    Some(UserError::user(
        format!("{id} belongs to {whose}, and this file {how}."),
        "If its publisher has changed keys, they have a statement signed with the old one: see \
         `hearth plugin trust`. Otherwise do not use this file.",
    ))
}

/// Versions only go up, so that nobody is talked back into one with a known hole.
fn older(candidate: &Candidate<'_>, known: &Known) -> Option<UserError> {
    let bound = known.binding.as_ref()?;
    let same = |hash: &str| hash == candidate.hash();
    let there = known.installed.as_ref().is_some_and(|i| same(&i.record.component_hash));
    let unsigned = bound.publisher.is_empty();
    if there || unsigned {
        return None;
    }
    let manifest = &candidate.found.manifest;
    let (id, version, highest) = (&manifest.id, &manifest.version, &bound.highest_version);
    match manifest.version_numbers().cmp(&numbers(highest)) {
        std::cmp::Ordering::Greater => None,
        std::cmp::Ordering::Equal if same(&bound.highest_hash) => None,
        std::cmp::Ordering::Equal => Some(UserError::user(
            format!("This is another version {version} of {id} than the one you had."),
            "Two files of one version are a sign of tampering. Wait for a higher version, or ask its \
             publisher.",
        )),
        std::cmp::Ordering::Less => {
            let former = known.installed.as_ref().and_then(|i| i.former_hash.as_deref());
            let hint = if former.is_some_and(same) {
                format!("Go back to it with `hearth plugin rollback {id}`.")
            } else {
                "Hearth does not go back to versions that may have known faults.".to_owned()
            };
            Some(UserError::user(
                format!("Version {version} of {id} is older than {highest}, which you had."),
                hint,
            ))
        }
    }
}

fn posing(candidate: &Candidate<'_>, judgement: &Judgement) -> Option<UserError> {
    let posed = judgement.lookalikes.iter().find(|lookalike| lookalike.refused)?;
    let id = &candidate.found.manifest.id;
    Some(UserError::user(
        format!("{id} could be taken for {} ({}), of another publisher.", posed.name, posed.plugin),
        "If you want this one, remove the other first.",
    ))
}

fn signature(candidate: &Candidate<'_>, known: &Known) -> SignatureView {
    match candidate.signed {
        _ if candidate.bundled => SignatureView::Bundled,
        None => SignatureView::Unsigned,
        Some(signed) => SignatureView::signed(signed, standing(candidate, known)),
    }
}

impl SignatureView {
    pub(crate) fn signed(signed: &Signed, standing: KeyStanding) -> Self {
        let key = &signed.publisher;
        Self::Signed {
            key: key.as_str().to_owned(),
            key_id: key.id(),
            fingerprint: key.fingerprint(),
            picture: key.fingerprint_bytes(),
            trusted_comment: signed.trusted_comment.clone(),
            standing,
        }
    }

    /// How the publisher of an installed plugin is shown.
    pub(crate) fn of_installed(publisher: &str, bundled: bool) -> Self {
        match PublisherKey::parse(publisher, "publisher") {
            _ if bundled => Self::Bundled,
            Ok(publisher) => {
                let signed = Signed { publisher, trusted_comment: String::new() };
                Self::signed(&signed, KeyStanding::Pinned)
            }
            Err(_) => Self::Unsigned,
        }
    }
}

fn standing(candidate: &Candidate<'_>, known: &Known) -> KeyStanding {
    let key = candidate.publisher();
    let bound = known.binding.as_ref().map(|binding| binding.publisher.as_str());
    let installed = known.installed.as_ref().map(|installed| installed.publisher.as_str());
    match bound {
        Some(bound) if bound == key && installed.is_some_and(|installed| installed != key) => {
            KeyStanding::Rotated
        }
        Some(bound) if bound == key => KeyStanding::Pinned,
        Some(bound) if !bound.is_empty() => KeyStanding::Other,
        _ if known.publishers.iter().any(|publisher| publisher.key == key) => KeyStanding::Known,
        _ => KeyStanding::New,
    }
}

fn changes(candidate: &Candidate<'_>, known: &Known) -> Vec<PluginChange> {
    let Some(installed) = &known.installed else { return Vec::new() };
    let new = Version { manifest: &candidate.found.manifest, sealed: candidate.found.sealed };
    match &installed.manifest {
        Some(manifest) => between(Version { manifest, sealed: installed.record.sealed }, new),
        None => vec![PluginChange {
            what: "The installed version cannot be read, so nothing is known of what changes."
                .into(),
            wider: true,
        }],
    }
}

fn lookalikes(candidate: &Candidate<'_>, known: &Known) -> Vec<LookAlike> {
    let manifest = &candidate.found.manifest;
    let alike = |other: &&Neighbour| {
        other.id != manifest.id
            && (looks_like(other.id.as_str(), manifest.id.as_str())
                || looks_like(&other.name, &manifest.name))
    };
    known
        .others
        .iter()
        .filter(alike)
        .map(|other| LookAlike {
            plugin: other.id.clone(),
            name: hearth_broker::escape_words(&other.name),
            refused: other.publisher != candidate.publisher(),
        })
        .collect()
}

/// Whether a key has taken the place of another, over however many between them.
fn follows(publishers: &[PublisherRecord], old: &str, new: &str) -> bool {
    let mut key = old;
    for _ in 0..publishers.len() {
        let next = publishers.iter().find(|p| p.key == key).and_then(|p| p.replaced_by.as_deref());
        match next {
            Some(next) if next == new => return true,
            Some(next) => key = next,
            None => return false,
        }
    }
    false
}

fn numbers(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests;
