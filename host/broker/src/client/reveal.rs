//! The gate as a guest meets it: hidden choices at a price, texts that the user lets go, and what is left.
//!
//! Both wait for the value, and both are answered on a grid of time, so that how long it took tells nothing finer.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hearth_base::{Answer, GuestError, Handle, HostReply, Label, Quota};
use hearth_gate::{GateEvent, Presented, TextAttempt, Told, choice_millibits};
use tokio::time::Instant;

use super::{Client, wrong_kind};
use crate::{
    RevealQuestion, escape_words,
    inner::Inner,
    ops::gate::{
        self, AnswerText, BeginText, Begun, PayChoice, PresentText, Remaining, TellChoice,
    },
    outside::sources_of,
    permit::{Operation, Permit},
    policy::Access,
    scope::Scope,
    values::{Fault, Kind, Node, NodeId, Outcome, Value},
};

/// Answers come at multiples of this after the run began.
const GRID: Duration = Duration::from_millis(250);

/// What this run was told. Asking again is answered alike, free of charge.
#[derive(Default)]
pub(super) struct Revealed {
    choices: BTreeMap<NodeId, u32>,
    /// `None` for a text that was refused.
    texts: BTreeMap<NodeId, Option<Arc<str>>>,
}

impl Client {
    pub(super) fn reveal_choice(&mut self, choice: Handle) -> HostReply {
        let node = self.value(choice)?;
        let Kind::Choice { outcomes } = node.kind else { return Err(wrong_kind("a choice")) };
        self.allow(Access::RevealChoice)?;
        if let Some(told) = self.revealed.choices.get(&node.id) {
            return Ok(Answer::Number(*told));
        }
        let outcomes = u32::try_from(outcomes).unwrap_or(u32::MAX);
        let Some(price_millibits) = self.charged(PayChoice { outcomes }, gate::pay_choice)? else {
            let price_millibits = choice_millibits(outcomes);
            self.record_gate(GateEvent::ChoiceOverQuota { outcomes, price_millibits });
            return Err(GuestError::OverQuota(Quota::Bits));
        };
        let (inner, scope, began) = (Arc::clone(&self.inner), Arc::clone(&self.scope), self.began);
        let told = self.attend(async move {
            let (outcome, label) = looked_at(&node, &inner).await?;
            let index = match &outcome.value {
                Ok(Value::Index(index)) => u32::try_from(*index).ok(),
                _ => None,
            };
            let operation = TellChoice { label, price_millibits, made: index.is_some() };
            let told = inner.permitted(&scope, operation, gate::tell_choice).await?;
            on_the_grid(began).await;
            Ok((node.id, if told == Told::Outcome { index } else { None }))
        });
        let (node, told) = told?;
        let told = told.unwrap_or(outcomes);
        self.revealed.choices.insert(node, told);
        Ok(Answer::Number(told))
    }

    pub(super) fn reveal_text(&mut self, text: Handle, purpose: &str) -> HostReply {
        let node = self.text(text)?;
        self.allow(Access::RevealText)?;
        if purpose.len() > self.inner.limits.panel_string_bytes {
            return Err(GuestError::OverQuota(Quota::Bytes));
        }
        if let Some(told) = self.revealed.texts.get(&node.id) {
            return given(told.clone());
        }
        let within_the_hour = self.inner.texts_within_the_hour(&self.scope.plugin);
        let attempt = TextAttempt { gestured: self.scope.in_panel, within_the_hour };
        let set_aside = match self.charged(BeginText(attempt), gate::begin_text)? {
            Begun::GoesOn(set_aside) => set_aside,
            Begun::Refused => {
                self.revealed.texts.insert(node.id, None);
                return Err(GuestError::Refused);
            }
            Begun::OverQuota => {
                self.record_gate(GateEvent::TextOverQuota);
                return Err(GuestError::OverQuota(Quota::Bits));
            }
        };
        self.inner.note_text(&self.scope.plugin);
        let (inner, scope, began) = (Arc::clone(&self.inner), Arc::clone(&self.scope), self.began);
        let purpose = escape_words(purpose);
        let told = self.attend(async move {
            let (outcome, label) = looked_at(&node, &inner).await?;
            let text = outcome.text().ok();
            let bytes = text.as_ref().map(|text| text.len());
            let operation = PresentText { label: label.clone(), bytes };
            let (verdict, of_sources) =
                inner.permitted(&scope, operation, gate::present_text).await?;
            let shown = text.filter(|_| verdict == Presented::Ask);
            let told = match shown {
                Some(text) => {
                    let question = question(&inner, &scope, (&outcome, label), purpose, &text);
                    let question = question.await?;
                    let hash = question.hash.clone();
                    let allowed = inner.asker.reveal(question).await;
                    let set_aside = [set_aside, of_sources].concat();
                    let operation = AnswerText { allowed, bytes: text.len(), hash, set_aside };
                    inner.permitted(&scope, operation, gate::answer_text).await?;
                    allowed.then_some(text)
                }
                None => None,
            };
            on_the_grid(began).await;
            Ok((node.id, told))
        });
        let (node, told) = told?;
        self.revealed.texts.insert(node, told.clone());
        given(told)
    }

    pub(super) fn remaining(&mut self) -> HostReply {
        // It has no error to fail with; the run ends all the same.
        Ok(Answer::Number(self.charged(Remaining, gate::remaining).unwrap_or(0)))
    }

    /// Writes down an attempt that came to nothing for want of bits.
    fn record_gate(&mut self, event: GateEvent) {
        self.record_refused(event.to_string());
    }

    /// Does something with accounts at once, under a permit. A vault that fails ends the run: that it did may come of
    /// private work beside.
    fn charged<O: Operation, T>(
        &mut self,
        operation: O,
        f: impl FnOnce(&hearth_vault::Vault, Permit<O>) -> Result<T, Fault>,
    ) -> Result<T, GuestError> {
        let vault = self.inner.vault().ok_or(Fault::Locked);
        let done = vault.and_then(|vault| {
            let permit = Permit::mint(&vault, &self.scope, operation)?;
            f(&vault, permit)
        });
        done.map_err(|fault| self.breaks(&fault))
    }

    /// Waits for work of this run, which ends when the run is stopped. Any fault of it ends the run.
    fn attend<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, GuestError> {
        let task = self.inner.runtime.spawn(work);
        let abort = task.abort_handle();
        if let Some(of_plugin) = self.inner.work().get_mut(&self.scope.plugin) {
            of_plugin.tasks.retain(|task| !task.is_finished());
            of_plugin.tasks.push(abort.clone());
        }
        // Where it was stopped before the task was listed.
        if self.scope.is_stopped() {
            abort.abort();
        }
        let done = self.inner.runtime.block_on(task).unwrap_or(Err(Fault::Stopped));
        done.map_err(|fault| self.breaks(&fault))
    }

    fn breaks(&mut self, fault: &Fault) -> GuestError {
        self.broken = Some(fault.to_string());
        GuestError::Refused
    }
}

fn given(told: Option<Arc<str>>) -> HostReply {
    told.map(|text| Answer::Text(text.to_string())).ok_or(GuestError::Refused)
}

/// The value, and the label of all that what is known of it depends on.
async fn looked_at(node: &Arc<Node>, inner: &Arc<Inner>) -> Result<(Arc<Outcome>, Label), Fault> {
    let outcome = node.resolve(inner).await;
    match &outcome.value {
        // Such a fault has no label of its own: it may come of whatever else the run has made.
        Err(fault) if fault.is_final() => Err(fault.clone()),
        _ => {
            let label = outcome.flow.label();
            Ok((outcome, label))
        }
    }
}

/// Waits for the next moment at which an answer may go out.
async fn on_the_grid(began: Instant) {
    let steps = began.elapsed().as_millis() / GRID.as_millis() + 1;
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    tokio::time::sleep_until(began + GRID.saturating_mul(steps)).await;
}

/// What the user is asked: exactly the text that goes out.
async fn question(
    inner: &Arc<Inner>,
    scope: &Arc<Scope>,
    (outcome, label): (&Outcome, Label),
    purpose: String,
    text: &Arc<str>,
) -> Result<RevealQuestion, Fault> {
    let made_of = outcome.flow.made_of();
    let (sources, more_sources) =
        inner.with_vault(move |vault| sources_of(vault, &label, &made_of)).await?;
    Ok(RevealQuestion {
        plugin: scope.plugin.clone(),
        plugin_name: scope.name.clone(),
        purpose,
        text: Arc::clone(text),
        hash: blake3::hash(text.as_bytes()).to_hex().to_string(),
        made_from: outcome.words.to_string(),
        sources,
        more_sources,
    })
}
