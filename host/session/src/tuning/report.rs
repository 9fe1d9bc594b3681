//! What is found out about an adapter before anybody relies on it.

use hearth_base::AdapterId;
use hearth_dataset::audit;
use hearth_engine_api::{Example, ExampleLoss, TuneJob, TuneSettings, Tuned};
use serde::{Deserialize, Serialize};

use super::watcher::Bystander;
use super::{AdapterReport, AnswerPair, MemoryReport, adapters, base, compare, runs::KeptJob};
use crate::{Reply, UserError, msg::Change, task::Task};

/// Questions whose answers are shown with and without the adapter.
const QUESTIONS: [&str; 4] = [
    "Write a short mail that moves tomorrow's meeting to Friday.",
    "Summarise in one sentence: The shop will be closed on Monday for repairs and opens again on Tuesday at nine.",
    "What is the capital of France?",
    "Write a function that adds two numbers.",
];
/// Longest answer to one of them.
const ANSWER_TOKENS: u32 = 120;
/// Alternatives that each hidden secret is compared with.
const ALTERNATIVES: usize = 256;

/// The made-up secrets of a run; what they are follows from these figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Secrets {
    seed: u64,
    count: u32,
}

impl Secrets {
    pub(super) fn new(seed: u64, count: u32) -> Self {
        Self { seed, count }
    }

    fn canaries(self) -> Vec<audit::Canary> {
        audit::canaries(self.seed, self.count)
    }

    /// What is hidden among the examples.
    pub(super) fn examples(self) -> impl Iterator<Item = Example> {
        self.canaries().into_iter().map(|canary| canary.example())
    }
}

/// Examines an adapter anew. What follows from a run's own examples, which are gone, stays as it was found.
pub(super) async fn examine(task: Task, id: AdapterId) -> Result<Reply, UserError> {
    let (kept, _record) = task
        .blocking(move |task| {
            let record = adapters::record(task, id)?;
            let run = record.run.map(|run| task.vault().run(run)).transpose()?.flatten();
            let kept = run.and_then(|run| serde_json::from_str::<KeptJob>(&run.job).ok());
            Ok((kept, record))
        })
        .await?;
    let kept = kept.unwrap_or_else(|| KeptJob {
        dataset: String::new(),
        settings: TuneSettings::default(),
        secrets: Secrets::new(0, 0),
        steps: 0,
    });
    make(&task, id, None, &kept).await?;
    Ok(Reply::Adapter(id))
}

/// Makes the report of an adapter and keeps it.
pub(super) async fn make(
    task: &Task,
    id: AdapterId,
    tuned: Option<&Tuned>,
    kept: &KeptJob,
) -> Result<(), UserError> {
    let held_out = tuned.and_then(|tuned| tuned.held_out_before.zip(tuned.held_out_after));
    let best_step =
        tuned.map(|tuned| (tuned.best_step, tuned.steps)).filter(|(best, all)| best < all);
    let (settings, secrets) = (kept.settings.clone(), kept.secrets);
    let mut report = task
        .blocking(move |task| {
            let record = adapters::record(task, id)?;
            let before: Option<AdapterReport> =
                record.report.as_deref().and_then(|json| serde_json::from_str(json).ok());
            let mut report = losses(task, id, &settings, secrets)?;
            let before = before.unwrap_or_default();
            report.held_out = held_out.or(before.held_out);
            report.best_step = if held_out.is_some() { best_step } else { before.best_step };
            // Without its run nobody knows the secrets any longer; what was found then holds.
            report.memory = report.memory.or(before.memory);
            report.answers = before.answers;
            keep(task, id, &report)?;
            Ok(report)
        })
        .await?;
    if let Some(answers) = answers(task, id).await? {
        report.answers = answers;
    }
    task.blocking(move |task| keep(task, id, &report)).await
}

fn keep(task: &Task, id: AdapterId, report: &AdapterReport) -> Result<(), UserError> {
    let json = serde_json::to_string(report)
        .map_err(|_never| UserError::internal("The report could not be written down."))?;
    task.vault().set_adapter_report(id, &json)?;
    adapters::show(task)
}

/// Seconds that [`losses`] takes of an adapter that is still to be made, at so many tokens a second.
pub(super) fn secs(
    task: &Task,
    job: &TuneJob,
    secrets: Secrets,
    tokens_per_sec: f32,
) -> Result<f32, UserError> {
    let count = |examples: &[Example]| -> Result<f32, UserError> {
        let tokens = task.ctx.tuner.tokens(&job.base, examples, &job.settings)?;
        Ok(tokens.iter().map(|example| example.tokens as f32).sum())
    };
    let secrets: Vec<Example> = secrets.examples().collect();
    let tokens = 2.0 * count(&audit::general())? + (1 + ALTERNATIVES) as f32 * count(&secrets)?;
    Ok(tokens / tokens_per_sec.max(1.0))
}

/// What general text and the hidden secrets cost the model with and without the adapter.
fn losses(
    task: &Task,
    id: AdapterId,
    settings: &TuneSettings,
    secrets: Secrets,
) -> Result<AdapterReport, UserError> {
    let (_, base) = base::of_adapter(task, &adapters::record(task, id)?)?;
    let file = adapters::file(task, id)?;
    let evaluate = |examples: &[Example], with: bool| {
        let adapter = with.then_some((&file, 1.0));
        let tuner = &task.ctx.tuner;
        tuner.evaluate(&base.path, adapter, examples, settings, &mut Bystander(task))
    };
    let general = audit::general();
    let without = mean(&evaluate(&general, false)?);
    let with = mean(&evaluate(&general, true)?);
    let mut memory = MemoryReport { most_bits: audit::most_bits(), ..MemoryReport::default() };
    for canary in secrets.canaries() {
        let mut examples = vec![canary.example()];
        examples.extend(canary.alternatives(ALTERNATIVES));
        let losses = evaluate(&examples, true)?;
        let losses: Vec<f64> = losses.iter().map(|example| example.loss).collect();
        if let Some((own, others)) = losses.split_first() {
            memory.exposure_bits.push(audit::exposure_bits(*own, others));
        }
    }
    Ok(AdapterReport {
        held_out: None,
        best_step: None,
        general: without.zip(with),
        memory: (!memory.exposure_bits.is_empty()).then_some(memory),
        answers: Vec::new(),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "a loss for reading")]
fn mean(losses: &[ExampleLoss]) -> Option<f32> {
    let tokens: u64 = losses.iter().map(|example| example.tokens).sum();
    let sum: f64 = losses.iter().map(|example| example.loss).sum();
    (tokens > 0).then(|| (sum / tokens as f64) as f32)
}

/// Answers with and without, where the loaded model has the adapter at hand.
async fn answers(task: &Task, id: AdapterId) -> Result<Option<Vec<AnswerPair>>, UserError> {
    if !task.room.at_hand.adapters().contains(&id) {
        return Ok(None);
    }
    let choice = [hearth_vault::AdapterChoice { adapter: id, strength: 1.0 }];
    let mut pairs = Vec::new();
    for question in QUESTIONS {
        let ask = |adapters: &[hearth_vault::AdapterChoice]| {
            let mut request = compare::question(question);
            request.max_tokens = ANSWER_TOKENS;
            request.priority = hearth_engine_api::Priority::Background;
            request.adapters = adapters::uses(adapters);
            task.ctx.engine.generate(request)
        };
        // Both at once: they share their passes over the weights.
        let (without, with) = (ask(&[])?, ask(&choice)?);
        let both = async { Ok::<_, UserError>((without.finish().await?, with.finish().await?)) };
        let (without, with) = tokio::select! {
            answers = both => answers?,
            () = task.cancel.cancelled() => return Ok(Some(pairs)),
        };
        pairs.push(AnswerPair {
            question: question.into(),
            without: without.text,
            with: with.text,
        });
        let share = pairs.len() as f32 / QUESTIONS.len() as f32;
        task.show_async(Change::Job(task.ticket, Some(share), "Asking for samples".into())).await;
    }
    Ok(Some(pairs))
}
