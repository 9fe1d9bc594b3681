use std::path::Path;

use super::*;
use crate::data::Mix;

fn recipe() -> Recipe {
    let text = r#"
        name = "tiny"
        seed = 3
        [model]
        vocab = 400
        hidden = 32
        layers = 2
        heads = 2
        kv_heads = 1
        ffn = 64
        context_tokens = 256
        [mix]
        summary = 1
        subject = 0
        triage = 1
        question = 0
        code = 0
        chat = 2
        refusal = 0
        long_percent = 0
        easy_examples = 4
        wild_from = 12
        [train]
        steps = 6
        warmup_steps = 2
        decay_steps = 4
        learning_rate = 0.01
        final_share = 0.1
        weight_decay = 0.1
        beta1 = 0.9
        beta2 = 0.95
        clip = 1.0
        prompt_weight = 0.1
        batch_examples = 4
        parts = 3
        held_out_examples = 3
        evaluate_every = 2
        checkpoint_every = 3
    "#;
    toml::from_str(text).unwrap()
}

fn vocabulary(recipe: &Recipe) -> Vocabulary {
    Vocabulary::train(&recipe.generator(Split::Train), 60, recipe.model.vocab).unwrap()
}

fn open(recipe: &Recipe, folder: &Path, threads: usize) -> Trainer {
    Trainer::open(recipe.clone(), vocabulary(recipe), folder, threads).unwrap()
}

fn weights(trainer: &Trainer) -> Vec<Vec<f32>> {
    trainer
        .vars
        .iter()
        .map(|(_, var)| var.flatten_all().unwrap().to_vec1::<f32>().unwrap())
        .collect()
}

#[test]
fn a_killed_run_goes_on_as_if_it_had_not_been() {
    let recipe = recipe();
    let whole = tempfile::tempdir().unwrap();
    let mut uninterrupted = open(&recipe, whole.path(), 1);
    uninterrupted.run(whole.path(), &mut |_| ()).unwrap();

    let cut = tempfile::tempdir().unwrap();
    let mut first = open(&recipe, cut.path(), 2);
    for _ in 0..3 {
        first.step().unwrap();
    }
    first.checkpoint().write(&checkpoint_path(cut.path())).unwrap();
    // Steps behind the checkpoint are lost with the process.
    first.step().unwrap();
    drop(first);
    let mut resumed = open(&recipe, cut.path(), 2);
    assert_eq!(resumed.steps_done(), 3);
    resumed.run(cut.path(), &mut |_| ()).unwrap();

    assert_eq!(weights(&resumed), weights(&uninterrupted));
    let last = |folder: &Path| {
        let entry = *read_journal(&folder.join("journal.jsonl")).unwrap().last().unwrap();
        (entry.step, entry.tokens, entry.held_out_loss)
    };
    assert_eq!(last(cut.path()), last(whole.path()));
}

#[test]
fn learning_lowers_the_held_out_loss() {
    let mut recipe = recipe();
    recipe.train.steps = 30;
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = open(&recipe, folder.path(), 2);
    let before = trainer.held_out_loss(4).unwrap();
    trainer.run(folder.path(), &mut |_| ()).unwrap();
    let after = trainer.held_out_loss(4).unwrap();
    assert!(after < before - 0.5, "{before} to {after}");
}

#[test]
fn another_recipe_is_refused() {
    let mut recipe = recipe();
    let folder = tempfile::tempdir().unwrap();
    open(&recipe, folder.path(), 1).checkpoint().write(&checkpoint_path(folder.path())).unwrap();
    recipe.mix = Mix { code: 5, ..recipe.mix };
    let vocabulary = vocabulary(&recipe);
    let refused = Trainer::open(recipe, vocabulary, folder.path(), 1);
    assert!(matches!(refused, Err(StarterError::OtherRecipe { field: "mix" })));
}
