//! `hearth-starter`: makes the starter model, step by step.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool")]

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use hearth_engine_api::ChatMessage;
use hearth_starter::{
    Checkpoint, Format, Recipe, Speaker, StarterError, Trainer, Vocabulary, checkpoint_path,
    data::{Split, Task},
    export, lead, measure, plot, read_journal,
};

const TASKS: [Task; 7] = [
    Task::Summary,
    Task::Subject,
    Task::Triage,
    Task::Question,
    Task::Code,
    Task::Chat,
    Task::Refusal,
];

/// Makes Hearth's starter model.
#[derive(Parser)]
struct Args {
    /// The recipe.
    #[arg(long, default_value = "engine/starter/recipe.toml")]
    recipe: PathBuf,
    /// Where tokenizer, checkpoint and journal lie.
    #[arg(long, default_value = "target/starter")]
    folder: PathBuf,
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    /// Prints examples of the training text.
    Data {
        /// How many.
        #[arg(long, default_value_t = 10)]
        count: u64,
        /// The first.
        #[arg(long, default_value_t = 0)]
        from: u64,
    },
    /// Trains the tokenizer.
    Tokenizer {
        /// Examples to learn it from.
        #[arg(long, default_value_t = 30_000)]
        examples: u64,
    },
    /// Trains the model, or goes on training it.
    Train {
        /// Worker threads.
        #[arg(long, default_value_t = 2)]
        threads: usize,
    },
    /// Writes the last checkpoint as a GGUF.
    Export {
        /// How matrices are stored: f32, q8_0, q6k, q5k or q4k.
        #[arg(long, default_value = "q8_0")]
        format: Format,
        /// Where to.
        #[arg(long)]
        to: PathBuf,
    },
    /// Prints answers of a model to held-out examples, beside the expected ones.
    Sample {
        /// The model.
        #[arg(long)]
        model: PathBuf,
        /// How many.
        #[arg(long, default_value_t = 10)]
        count: u64,
    },
    /// Counts the right answers of a model to held-out examples.
    Measure {
        /// The model.
        #[arg(long)]
        model: PathBuf,
        /// How many of each kind.
        #[arg(long, default_value_t = 100)]
        count: u64,
    },
    /// Draws the loss of the last training.
    Plot {
        /// Where to.
        #[arg(long)]
        to: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), StarterError> {
    let recipe = Recipe::read(&args.recipe)?;
    let tokenizer = args.folder.join("tokenizer.json");
    match args.step {
        Step::Data { count, from } => {
            let generator = recipe.generator(Split::HeldOut);
            for index in from..from + count {
                let example = generator.example(index);
                println!("##### {index} {:?}", example.task);
                for message in &example.messages {
                    println!("<{:?}>\n{}", message.role, message.content);
                }
            }
        }
        Step::Tokenizer { examples } => {
            let generator = recipe.generator(Split::Train);
            let vocabulary = Vocabulary::train(&generator, examples, recipe.model.vocab)?;
            vocabulary.write(&tokenizer)?;
            println!("{} tokens", vocabulary.size());
            let held_out = recipe.generator(Split::HeldOut);
            for task in [Task::Summary, Task::Question, Task::Code, Task::Triage, Task::Chat] {
                let mut lengths: Vec<usize> = (0..300)
                    .map(|i| Ok(vocabulary.example(&held_out.example_of(task, i), 1.0)?.ids.len()))
                    .collect::<Result<_, StarterError>>()?;
                lengths.sort_unstable();
                println!("{task:?}: median {} tokens, longest {}", lengths[150], lengths[299]);
            }
        }
        Step::Train { threads } => {
            let vocabulary = Vocabulary::read(&tokenizer)?;
            let mut trainer = Trainer::open(recipe, vocabulary, &args.folder, threads)?;
            println!("from step {}", trainer.steps_done());
            trainer.run(&args.folder, &mut |entry| println!("{entry:?}"))?;
        }
        Step::Export { format, to } => {
            let checkpoint = Checkpoint::read(&checkpoint_path(&args.folder))?;
            let bytes = export(&checkpoint, &Vocabulary::read(&tokenizer)?, format, &to)?;
            println!("{bytes} bytes after {} steps", checkpoint.step);
        }
        Step::Sample { model, count } => {
            let mut speaker = Speaker::open(&model)?;
            let generator = recipe.generator(Split::HeldOut);
            for index in 0..count {
                let example = generator.example(index);
                for message in example.prompt() {
                    println!("<{:?}>\n{}", message.role, message.content);
                }
                println!("<Expected>\n{}", example.answer());
                println!("<Got>\n{}\n", speaker.answer(example.prompt(), 120)?);
            }
        }
        Step::Measure { model, count } => {
            let mut speaker = Speaker::open(&model)?;
            let generator = recipe.generator(Split::HeldOut);
            for task in TASKS {
                let answer = &mut |prompt: &[ChatMessage]| speaker.answer(prompt, 120);
                println!("{task:?}: {:?}", measure(&generator, task, count, answer)?);
            }
            let lead = measure(&generator, Task::Summary, count, &mut |prompt| Ok(lead(prompt)))?;
            println!("lead of the mail: {lead:?}");
        }
        Step::Plot { to } => {
            let entries = read_journal(&args.folder.join("journal.jsonl"))?;
            std::fs::write(&to, plot(&recipe.name, &entries))
                .map_err(|source| StarterError::Io { source, path: to })?;
        }
    }
    Ok(())
}
