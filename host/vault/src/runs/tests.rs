use std::path::Path;

use hearth_base::{DocumentId, ExampleTextId, Origin, PluginId, Source};

use super::*;
use crate::NewSaved;

pub(crate) fn document(vault: &Vault, body: &str) -> DocumentId {
    let plugin = PluginId::new("org.example.digest").unwrap();
    let new = NewSaved { plugin, title: "T".into(), body: body.into(), label: Label::public() };
    vault.save_document(&new).unwrap()
}

pub(crate) fn label_of(documents: &[DocumentId]) -> Label {
    let sources = documents.iter().map(|id| Source::Document(*id)).chain([Source::UserInput]);
    Label { sources: sources.collect(), origins: [Origin::External].into() }
}

pub(crate) fn begin(vault: &Vault, label: Label, learnt_from: Vec<LearntFrom>) -> TuneRunId {
    let new = NewTuneRun {
        name: "Mine",
        dataset: None,
        base_name: "starter",
        base_path: Path::new("/models/starter.gguf"),
        job: "{}",
        examples: b"the examples",
        label,
        learnt_from,
    };
    vault.start_run(&new).unwrap()
}

fn step(n: u32, loss: f32) -> TuneStep {
    TuneStep {
        step: n,
        loss,
        held_out_loss: n.is_multiple_of(2).then_some(loss + 0.5),
        learning_rate: 2e-4,
        gradient_norm: 1.5,
        tokens: u64::from(n) * 1024,
        tokens_per_sec: 800.0,
        secs: 1.25 * n as f32,
    }
}

#[test]
fn a_run_is_kept_with_what_it_needs_to_go_on() {
    let vault = Vault::in_memory().unwrap();
    let seen = document(&vault, "x");
    let label = label_of(&[seen]);
    let run = begin(&vault, label.clone(), vec![]);
    assert_eq!(vault.run_examples(run).unwrap().as_deref(), Some(&b"the examples"[..]));
    assert_eq!(vault.run_label(run).unwrap(), label);
    assert_eq!(vault.checkpoint(run).unwrap(), None);
    vault.put_checkpoint(run, 10, &[1; 3 << 20]).unwrap();
    vault.put_checkpoint(run, 20, &[2; 1 << 20]).unwrap();
    let kept = vault.checkpoint(run).unwrap().unwrap();
    assert!(kept.step == 20 && kept.bytes == [2; 1 << 20]);
    vault.set_run_job(run, "{\"steps\":5}").unwrap();

    assert_eq!(vault.settle_runs().unwrap(), 1);
    let record = vault.run(run).unwrap().unwrap();
    assert_eq!((record.state, record.checkpoint_step), (RunState::Paused, Some(20)));
    assert_eq!((record.job.as_str(), record.sources), ("{\"steps\":5}", 1));
    assert!(record.has_examples && record.ended_secs.is_none());
    vault.set_run_state(run, RunState::Running, None).unwrap();
    vault.set_run_state(run, RunState::Failed, Some("out of memory")).unwrap();
    let record = &vault.runs().unwrap()[0];
    assert_eq!((record.state, record.error.as_deref()), (RunState::Failed, Some("out of memory")));
    assert!(!record.has_examples && record.checkpoint_step.is_none());
    assert!(record.ended_secs.is_some());
    assert_eq!(blobs_left(&vault), 0, "a run that is over keeps no copy of the examples");
}

#[test]
fn steps_done_again_take_the_place_of_the_former() {
    let vault = Vault::in_memory().unwrap();
    let run = begin(&vault, Label::public(), vec![]);
    vault.add_steps(run, &[step(1, 3.0), step(2, 2.5), step(3, 2.0)]).unwrap();
    vault.add_steps(run, &[step(3, 1.75), step(4, 1.5)]).unwrap();
    let losses: Vec<_> = vault.steps(run).unwrap().iter().map(|s| (s.step, s.loss)).collect();
    assert_eq!(losses, [(1, 3.0), (2, 2.5), (3, 1.75), (4, 1.5)]);
    assert_eq!(vault.steps(run).unwrap()[3], step(4, 1.5));
    vault.remove_run(run).unwrap();
    assert!(vault.steps(run).unwrap().is_empty());
    assert_eq!(vault.add_steps(run, &[step(1, 1.0)]), Err(NO_RUN));
}

#[test]
fn a_deleted_source_goes_from_a_run_under_way() {
    let vault = Vault::in_memory().unwrap();
    let (seen, other) = (document(&vault, "seen"), document(&vault, "other"));
    let run = begin(&vault, label_of(&[seen]), vec![]);
    vault.put_checkpoint(run, 1, b"state").unwrap();
    vault.delete_document(other).unwrap();
    assert!(vault.run_examples(run).unwrap().is_some());
    vault.delete_document(seen).unwrap();
    assert_eq!(vault.run_examples(run).unwrap(), None);
    assert_eq!(vault.checkpoint(run).unwrap(), None);
    assert_eq!(vault.run(run).unwrap().unwrap().sources_gone, 1);
    assert_eq!(blobs_left(&vault), 0);
    assert!(vault.run_label(run).unwrap().documents().eq([seen]), "the label stays");
}

#[test]
fn a_checkpoint_that_cannot_be_written_whole_leaves_the_former() {
    let vault = Vault::in_memory().unwrap();
    let run = begin(&vault, Label::public(), vec![]);
    vault.put_checkpoint(run, 1, &[1; (2 << 20) + 5]).unwrap();
    // The last piece of the second is refused.
    vault
        .write("test", |t| {
            t.execute_batch(
                "CREATE TRIGGER refuse BEFORE INSERT ON blob_chunks WHEN new.position = 3
                 BEGIN SELECT RAISE(ABORT, 'no'); END",
            )
        })
        .unwrap();
    assert!(vault.put_checkpoint(run, 2, &[2; 4 << 20]).is_err());
    let kept = vault.checkpoint(run).unwrap().unwrap();
    assert!(kept.step == 1 && kept.bytes == [1; (2 << 20) + 5]);
}

#[test]
fn what_is_not_there_is_an_error() {
    let vault = Vault::in_memory().unwrap();
    let gone = TuneRunId(9);
    assert_eq!(vault.put_checkpoint(gone, 1, b"x"), Err(NO_RUN));
    assert_eq!(vault.set_run_state(gone, RunState::Paused, None), Err(NO_RUN));
    assert_eq!(vault.set_run_job(gone, "{}"), Err(NO_RUN));
    assert_eq!(vault.run_examples(gone), Err(NO_RUN));
    assert_eq!(vault.run_label(gone), Err(NO_RUN));
    assert_eq!(vault.run(gone).unwrap(), None);
    let missing = vault.example_text(ExampleTextId(9));
    assert_eq!(missing, Err(StoreError::NotFound { what: "file of examples" }));
}

#[test]
fn recipes_and_files_of_examples_are_kept() {
    let vault = Vault::in_memory().unwrap();
    let dataset = vault.add_dataset("Mails", "{\"a\":1}").unwrap();
    vault.update_dataset(dataset, "My mails", "{\"a\":2}").unwrap();
    let record = vault.dataset(dataset).unwrap().unwrap();
    assert_eq!((record.name.as_str(), record.recipe.as_str()), ("My mails", "{\"a\":2}"));
    let text = vault.add_example_text("lines.jsonl", "{}\nü").unwrap();
    assert_eq!(vault.example_text(text).unwrap(), "{}\nü");
    assert_eq!(vault.example_texts().unwrap()[0].bytes, 5);
    let run = begin(&vault, Label::public(), vec![LearntFrom::Examples(text)]);
    vault.remove_dataset(dataset).unwrap();
    vault.remove_example_text(text).unwrap();
    assert!(vault.datasets().unwrap().is_empty() && vault.example_texts().unwrap().is_empty());
    let sources = vault.run_sources(run).unwrap();
    assert_eq!(sources, [(LearntFrom::Examples(text), SourceChange::Gone)]);
    assert_eq!(blobs_left(&vault), 0);
}

pub(crate) fn blobs_left(vault: &Vault) -> i64 {
    vault
        .read("test", |c| {
            c.query_row(
                "SELECT (SELECT count(*) FROM blobs) + (SELECT count(*) FROM blob_chunks)",
                [],
                |row| row.get(0),
            )
        })
        .unwrap()
}
