//! Leaks planted on purpose, in tests of this crate alone: the two-vault harness must find each of them. None of this is
//! there in any other build.

use std::sync::{Arc, PoisonError};

use hearth_base::{Answer, GuestError, Handle, HostCall, HostReply, Quota, Weights};
use hearth_vault::{DocumentQuery, Page};

use crate::{
    Client,
    inner::{Inner, MODEL_SLOTS},
    limits::call_bytes,
    scope::Scope,
    values::Node,
};

/// A leak, by the channel it is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leak {
    /// Documents longer than the model's context are an error.
    Length,
    /// An error where a slot has fewer documents than asked for.
    Count,
    /// A choice that has not been made yet is another error than one that has.
    Timing,
    /// A plugin is refused while the engine works for another.
    Contention,
    /// A run that is killed leaves its storage if its values had been made by then.
    Deadline,
    /// A call over a collection is charged by what the documents hold.
    Quota,
    /// Why a value could not be made, to who wants to keep it.
    ErrorMessage,
    /// The words of a public completion differ with private work beside it.
    Batching,
    /// A public completion is answered with the user's own adapter.
    Adapter,
    /// A grant is looked at when a promise is made, not when it is kept.
    Revocation,
    /// Handles are numbered by the documents there are.
    Handles,
    /// What a panel will show counts against the bytes of the call that shows it.
    Bytes,
}

pub(crate) const LEAKS: [Leak; 12] = [
    Leak::Length,
    Leak::Count,
    Leak::Timing,
    Leak::Contention,
    Leak::Deadline,
    Leak::Quota,
    Leak::ErrorMessage,
    Leak::Batching,
    Leak::Adapter,
    Leak::Revocation,
    Leak::Handles,
    Leak::Bytes,
];

fn planted(inner: &Inner) -> Option<Leak> {
    *inner.planted.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a leaking broker answers instead, if it does; or does before it answers.
pub(crate) fn tell(client: &mut Client, call: &HostCall) -> Option<HostReply> {
    let leak = planted(&client.inner)?;
    let is_busy = client.inner.model_slots.available_permits() < MODEL_SLOTS as usize;
    match (leak, call) {
        (Leak::Length, HostCall::GenerateEach { .. } | HostCall::Reduce { .. }) => {
            let context = client.inner.model()?.context_tokens;
            let too_long = granted_chars(client) > u64::from(context) * 4;
            too_long.then(|| Err(GuestError::Invalid("longer than the context".into())))
        }
        (Leak::Count, HostCall::Granted { limit, .. }) => {
            let too_few = granted(client).total < u64::from(*limit);
            too_few.then(|| Err(GuestError::Invalid("fewer documents than asked for".into())))
        }
        (Leak::Timing, HostCall::RevealChoice(choice)) => {
            let is_made = node(client, *choice)?.outcome.get().is_some();
            (!is_made).then_some(Err(GuestError::Unsupported))
        }
        (Leak::Contention, HostCall::CompletionStart { .. }) => {
            let others = client.inner.views().iter().any(|v| v.key.plugin != client.scope.plugin);
            (is_busy && others).then_some(Err(GuestError::OverQuota(Quota::Calls)))
        }
        (Leak::Quota, HostCall::GenerateEach { .. }) => {
            client.meter.tokens += granted_chars(client);
            None
        }
        (Leak::ErrorMessage, HostCall::Keep { value, .. }) => {
            let fault = node(client, *value)?.outcome.get()?.value.as_ref().err()?.to_string();
            Some(Err(GuestError::Invalid(fault)))
        }
        (Leak::Batching, HostCall::CompletionNext(_)) if is_busy => {
            Some(client.answer(call.clone()).map(|answer| match answer {
                Answer::Token(Some(token)) => Answer::Token(Some(token.to_uppercase())),
                other => other,
            }))
        }
        (Leak::Adapter, HostCall::CompletionNext(_)) => {
            let adapters = client.scope.adapters(Weights::Personal);
            Some(client.answer(call.clone()).map(|answer| match answer {
                Answer::Token(Some(token)) => {
                    Answer::Token(Some(format!("{token} {}", adapters.len())))
                }
                other => other,
            }))
        }
        (Leak::Handles, HostCall::Granted { .. }) => {
            client.next_handle += u32::try_from(granted(client).total).unwrap();
            None
        }
        (Leak::Bytes, HostCall::PanelShow { .. }) => {
            let bytes = call_bytes(call) as u64 + granted_chars(client);
            (bytes > client.inner.limits.call_bytes as u64)
                .then_some(Err(GuestError::OverQuota(Quota::Bytes)))
        }
        _ => None,
    }
}

/// Whether the storage of a run that ended abnormally stays all the same.
pub(crate) fn outlives(inner: &Inner, scope: &Arc<Scope>) -> bool {
    let shows_it_all = |view: &crate::PanelView| {
        view.run == scope.run && !format!("{view:?}").contains("Waiting") && !view.nodes.is_empty()
    };
    planted(inner) == Some(Leak::Deadline) && inner.views().iter().any(shows_it_all)
}

/// Whether a permit is given without a look at the grant.
pub(crate) fn is_blind(inner: &Inner) -> bool {
    planted(inner) == Some(Leak::Revocation)
}

fn node(client: &Client, handle: Handle) -> Option<Arc<Node>> {
    client.value(handle).ok()
}

fn granted(client: &Client) -> Page {
    let folders = client.scope.grant.slots.values().flatten().copied().collect();
    let query = DocumentQuery { folders: Some(folders), limit: 1000, ..Default::default() };
    client.inner.vault().unwrap().documents(&query).unwrap()
}

fn granted_chars(client: &Client) -> u64 {
    granted(client).heads.iter().map(|head| head.body_chars).sum()
}
