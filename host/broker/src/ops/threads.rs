//! Documents by conversation.

use std::{collections::BTreeMap, sync::Arc};

use hearth_base::{DocumentId, Label};
use hearth_vault::Vault;

use super::documents::{Listing, all_of_slot};
use crate::{
    permit::{Operation, Permit},
    policy::Access,
    values::Fault,
};

/// What is put before the title of an answer, or of what is passed on, in the languages whose programs do so.
const PREFIXES: [&str; 14] =
    ["re", "fw", "fwd", "aw", "wg", "antw", "sv", "vs", "vb", "tr", "rv", "res", "enc", "odp"];

/// The documents of a slot in one conversation with a document of this title.
pub(crate) struct ListThread {
    pub(crate) slot: String,
    pub(crate) title: Arc<str>,
    pub(crate) limit: u16,
}

impl Operation for ListThread {
    fn access(&self) -> Access<'_> {
        Access::Slot(&self.slot)
    }
    fn line(&self) -> Option<String> {
        Some(format!("listed a conversation of slot {}", self.slot))
    }
}

/// The conversations of a slot.
pub(crate) struct ListThreads {
    pub(crate) slot: String,
    pub(crate) limit: u16,
}

impl Operation for ListThreads {
    fn access(&self) -> Access<'_> {
        Access::Slot(&self.slot)
    }
    fn line(&self) -> Option<String> {
        Some(format!("listed the conversations of slot {}", self.slot))
    }
}

/// What a slot gave, and all that it was put together from.
pub(crate) struct Threads {
    /// The one with the newest document first; in each the oldest first.
    pub(crate) threads: Vec<Vec<DocumentId>>,
    pub(crate) whole: Label,
}

/// Lists one conversation.
pub(crate) fn thread(vault: &Vault, permit: Permit<ListThread>) -> Result<Listing, Fault> {
    let (ListThread { slot, title, limit }, scope) = permit.redeem();
    let subject = subject(&title);
    let (heads, whole) = all_of_slot(vault, &scope, &slot)?;
    let documents = heads
        .into_iter()
        .rev()
        .filter(|head| !subject.is_empty() && self::subject(&head.title) == subject)
        .map(|head| head.id)
        .take(limit.into())
        .collect();
    Ok(Listing { documents, whole })
}

/// Lists all conversations.
pub(crate) fn threads(vault: &Vault, permit: Permit<ListThreads>) -> Result<Threads, Fault> {
    let (ListThreads { slot, limit }, scope) = permit.redeem();
    let (heads, whole) = all_of_slot(vault, &scope, &slot)?;
    let mut by_subject: BTreeMap<String, Vec<(usize, DocumentId)>> = BTreeMap::new();
    // The newest first.
    for (place, head) in heads.iter().enumerate() {
        let subject = match subject(&head.title) {
            // What has no title is a conversation by itself; no subject has a line break.
            untitled if untitled.is_empty() => format!("\n{place}"),
            subject => subject,
        };
        by_subject.entry(subject).or_default().push((place, head.id));
    }
    let mut threads: Vec<_> = by_subject.into_values().collect();
    threads.sort_by_key(|thread| thread.first().map(|(place, _)| *place));
    let ids = |thread: Vec<_>| thread.into_iter().rev().map(|(_, id)| id).collect();
    Ok(Threads { threads: threads.into_iter().take(limit.into()).map(ids).collect(), whole })
}

/// What the conversation is called: the title without what answering put before it, in lower case.
fn subject(title: &str) -> String {
    let mut rest = title;
    while let Some(shorter) = without_prefix(rest) {
        rest = shorter;
    }
    rest.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

fn without_prefix(title: &str) -> Option<&str> {
    let (before, after) = title.split_once(':')?;
    // Some count: `Re[2]:`.
    let word = before.split(['[', '(']).next().unwrap_or_default().trim();
    PREFIXES.iter().any(|prefix| prefix.eq_ignore_ascii_case(word)).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_what_is_passed_on_belong_to_the_conversation() {
        for title in ["Rims", "re: Rims", "Fwd: RE: rims", "AW:Rims ", "Re[2]:  Rims"] {
            assert_eq!(subject(title), "rims", "{title}");
        }
        for title in ["Rims: an offer", "Regarding: Rims", "Rims re: price"] {
            assert_ne!(subject(title), "rims", "{title}");
        }
        assert_eq!(subject("Re: "), "");
    }
}
