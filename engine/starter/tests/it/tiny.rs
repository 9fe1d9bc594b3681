//! A tiny model, trained for a few steps, exported and loaded back.

use std::{collections::HashMap, fs, ops::ControlFlow, path::Path};

use candle_core::{Device, Tensor};
use hearth_engine_api::{ChatMessage, Role};
use hearth_engine_candle::{Checkpoint as ModelFile, models::Decoder, tokenizer::Special};
use hearth_starter::{
    Checkpoint, Format, Recipe, Speaker, Trainer, Vocabulary, checkpoint_path, data::Split, export,
};

const RECIPE: &str = r#"
name = "tiny"
seed = 5
[model]
vocab = 512
hidden = 256
layers = 2
heads = 4
kv_heads = 2
ffn = 256
context_tokens = 512
[mix]
summary = 1
subject = 0
triage = 1
question = 0
code = 0
chat = 1
refusal = 0
long_percent = 0
easy_examples = 100
wild_from = 100
[train]
steps = 2
warmup_steps = 1
decay_steps = 1
learning_rate = 0.002
final_share = 0.5
weight_decay = 0.1
beta1 = 0.9
beta2 = 0.95
clip = 1.0
prompt_weight = 0.1
batch_examples = 2
parts = 1
held_out_examples = 1
evaluate_every = 2
checkpoint_every = 2
"#;

struct Trained {
    folder: tempfile::TempDir,
    recipe: Recipe,
    checkpoint: Checkpoint,
    vocabulary: Vocabulary,
}

fn trained() -> Trained {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipe.toml");
    fs::write(&path, RECIPE).unwrap();
    let recipe = Recipe::read(&path).unwrap();
    let vocabulary =
        || Vocabulary::train(&recipe.generator(Split::Train), 80, recipe.model.vocab).unwrap();
    let mut trainer = Trainer::open(recipe.clone(), vocabulary(), folder.path(), 1).unwrap();
    trainer.run(folder.path(), &mut |_| ()).unwrap();
    let checkpoint = Checkpoint::read(&checkpoint_path(folder.path())).unwrap();
    let vocabulary = vocabulary();
    Trained { folder, recipe, checkpoint, vocabulary }
}

impl Trained {
    fn export(&self, format: Format) -> std::path::PathBuf {
        let path = self.folder.path().join("model.gguf");
        export(&self.checkpoint, &self.vocabulary, format, &path).unwrap();
        path
    }

    fn original(&self) -> Decoder {
        let config = self.recipe.decoder();
        let mut weights: HashMap<String, Tensor> =
            self.checkpoint.weights(&config).unwrap().into_iter().collect();
        Decoder::new(config, &mut weights).unwrap()
    }
}

fn load(path: &Path) -> Decoder {
    let file = ModelFile::open(path).unwrap();
    file.decoder(&mut |_| ControlFlow::Continue(())).unwrap()
}

/// Mean of the absolute differences between two decoders' logits, over their mean size.
fn relative_gap(one: &Decoder, other: &Decoder, ids: &[u32]) -> f32 {
    let ids = Tensor::from_slice(ids, (1, ids.len()), &Device::Cpu).unwrap();
    let (one, other) = (one.forward(&ids).unwrap(), other.forward(&ids).unwrap());
    let mean = |x: Tensor| x.abs().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap();
    mean((&one - other).unwrap()) / mean(one)
}

#[test]
fn the_exported_model_has_the_logits_of_the_trained_one() {
    let trained = trained();
    let original = trained.original();
    let ids: Vec<u32> = (3..60).collect();
    for (format, limit) in [
        (Format::F32, 1e-6),
        (Format::Q8_0, 0.02),
        (Format::Q6K, 0.05),
        (Format::Q5K, 0.1),
        (Format::Q4K, 0.2),
    ] {
        let gap = relative_gap(&original, &load(&trained.export(format)), &ids);
        assert!(gap < limit, "{format:?}: {gap}");
        // A format that changed nothing would not have been applied.
        assert!(format == Format::F32 || gap > 1e-5, "{format:?}: {gap}");
    }
}

#[test]
fn the_engine_reads_prompts_as_the_trainer_wrote_them() {
    let trained = trained();
    let path = trained.export(Format::Q8_0);
    let tokenizer = ModelFile::open(&path).unwrap().tokenizer().unwrap();
    let generator = trained.recipe.generator(Split::HeldOut);
    for index in 0..30 {
        for message in generator.example(index).messages {
            let ours = trained.vocabulary.encode(&message.content).unwrap();
            assert_eq!(tokenizer.encode(&message.content, Special::Plain).unwrap(), ours);
        }
    }
    let messages = [ChatMessage::new(Role::User, "Hello, Hearth!")];
    let prompt = trained.vocabulary.prompt(&messages).unwrap();
    let rendered = "<|im_start|>user\nHello, Hearth!<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(tokenizer.encode(rendered, Special::Parse).unwrap(), prompt);
    Speaker::open(&path).unwrap().answer(&messages, 3).unwrap();
}
