//! Checkpoints and adapters on disk: a kill at any moment, and what a deletion leaves.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use hearth_base::{Label, TuneRunId};
use hearth_vault::{NewAdapter, NewTuneRun, RunState, Vault, VaultDir};

use crate::canary::{CHILD, child};
use crate::{QUICK, passphrase};

/// Several pieces, the last of them not whole, and not the same number each time.
fn bytes_of(step: u32) -> Vec<u8> {
    vec![step as u8; ((2 + step as usize % 3) << 20) + 77]
}

fn begin(vault: &Vault) -> TuneRunId {
    let new = NewTuneRun {
        name: "Mine",
        dataset: None,
        base_name: "starter",
        base_path: Path::new("/models/starter.gguf"),
        job: "{}",
        examples: b"examples",
        label: Label::public(),
        learnt_from: Vec::new(),
    };
    vault.start_run(&new).unwrap()
}

#[test]
fn a_kill_at_any_moment_leaves_one_checkpoint_whole() {
    for kept in [1, 2, 5, 6] {
        let temp = tempfile::tempdir().unwrap();
        let mut child = child("tuning::child_keeps_checkpoints", temp.path());
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let wanted = format!("kept {kept}");
        assert!(stdout.lines().any(|line| line.unwrap().ends_with(&wanted)));
        // It is in the middle of another, or between two.
        child.kill().unwrap();
        child.wait().unwrap();
        let vault = VaultDir::new(temp.path().join("vault")).unlock(&passphrase("p")).unwrap();
        assert_eq!(vault.settle_runs().unwrap(), 1);
        let run = vault.runs().unwrap().remove(0);
        assert_eq!(run.state, RunState::Paused);
        let checkpoint = vault.checkpoint(run.id).unwrap().unwrap();
        assert!(checkpoint.step >= kept, "what was told of is there");
        assert!(checkpoint.bytes == bytes_of(checkpoint.step), "and it is whole");
        assert_eq!(vault.run_examples(run.id).unwrap().as_deref(), Some(&b"examples"[..]));
    }
}

/// Not a test by itself: another test starts it in a process of its own.
#[test]
fn child_keeps_checkpoints() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let vault_dir = VaultDir::new(Path::new(&directory).join("vault"));
    let vault = vault_dir.create_with_work_factor(&passphrase("p"), QUICK).unwrap();
    let run = begin(&vault);
    let mut stdout = std::io::stdout();
    for step in 1..200 {
        vault.put_checkpoint(run, step, &bytes_of(step)).unwrap();
        writeln!(stdout, "kept {step}").unwrap();
        stdout.flush().unwrap();
    }
    // Only if the parent forgets to end it.
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn checkpoints_replaced_and_adapters_deleted_do_not_pile_up() {
    let temp = tempfile::tempdir().unwrap();
    let vault_dir = VaultDir::new(temp.path().join("vault"));
    let vault = vault_dir.create_with_work_factor(&passphrase("p"), QUICK).unwrap();
    let run = begin(&vault);
    let size = |vault: Vault| {
        vault.lock();
        let bytes = std::fs::metadata(vault_dir.path().join("hearth.db")).unwrap().len();
        (bytes, vault_dir.unlock(&passphrase("p")).unwrap())
    };
    vault.put_checkpoint(run, 1, &bytes_of(2)).unwrap();
    let (once, vault) = size(vault);
    for step in 2..6 {
        vault.put_checkpoint(run, step, &bytes_of(2)).unwrap();
    }
    let (often, vault) = size(vault);
    assert_eq!(once, often, "it is overwritten where it lies");
    vault.set_run_state(run, RunState::Finished, None).unwrap();
    let new = NewAdapter {
        name: "Mine",
        base_name: "",
        base_hash: "",
        template_hash: "",
        config: "{}",
        weights: &bytes_of(1),
        label: Label::public(),
        learnt_from: Vec::new(),
        report: None,
        run: Some(run),
    };
    let adapter = vault.add_adapter(&new).unwrap();
    vault.remove_adapter(adapter).unwrap();
    vault.add_adapter(&new).unwrap();
    let (after, _vault) = size(vault);
    assert_eq!(after, often, "what a deletion frees is used again");
}
