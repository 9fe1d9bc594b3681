//! Leaks planted on purpose, in tests of this crate alone: the two-vault harness must find each of them.

use std::sync::{Arc, PoisonError};

use hearth_base::GuestError;
use hearth_vault::DocumentQuery;

use crate::{inner::Inner, limits::Meter, scope::Scope};

/// A leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leak {
    /// An error where a slot has fewer documents than asked for.
    ShortSlot,
    /// A call over a collection is charged by what the documents hold.
    PrivateCharge,
}

fn is_planted(inner: &Inner, leak: Leak) -> bool {
    *inner.planted.lock().unwrap_or_else(PoisonError::into_inner) == Some(leak)
}

pub(crate) fn short_slot(
    inner: &Arc<Inner>,
    scope: &Scope,
    slot: &str,
    limit: u16,
) -> Result<(), GuestError> {
    if !is_planted(inner, Leak::ShortSlot) {
        return Ok(());
    }
    let folders = scope.grant.slots[slot].iter().copied().collect();
    let query = DocumentQuery { folders: Some(folders), limit: 1, ..Default::default() };
    let total = inner.vault().unwrap().documents(&query).unwrap().total;
    if total < u64::from(limit) {
        return Err(GuestError::Invalid("fewer documents than asked for".into()));
    }
    Ok(())
}

pub(crate) fn private_charge(inner: &Arc<Inner>, scope: &Scope, meter: &mut Meter, each: bool) {
    if !each || !is_planted(inner, Leak::PrivateCharge) {
        return;
    }
    let folders = scope.grant.slots.values().flatten().copied().collect();
    let query = DocumentQuery { folders: Some(folders), limit: 1000, ..Default::default() };
    let heads = inner.vault().unwrap().documents(&query).unwrap().heads;
    meter.tokens += heads.iter().map(|head| head.body_chars).sum::<u64>();
}
