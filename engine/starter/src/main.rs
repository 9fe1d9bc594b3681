//! `hearth-starter`: makes the starter model, step by step.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool")]

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use hearth_starter::{
    Recipe, StarterError, Trainer, Vocabulary,
    data::{Split, Task},
};

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
    }
    Ok(())
}
