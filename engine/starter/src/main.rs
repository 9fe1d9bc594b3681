//! `hearth-starter`: makes the starter model, step by step.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use hearth_engine_api::{ChatMessage, Role};
use hearth_starter::{
    Checkpoint, Format, Recipe, Score, Speaker, StarterError, Trainer, Vocabulary, checkpoint_path,
    data::{Generator, Mix, Split, Task},
    export, lead, measure, plot, read_journal,
};

/// What the mail summariser tells the model.
const SUMMARISE: &str = "You summarise e-mail for its reader. \
    Answer in one to three short lines: who wants what, and by when.";

/// File of the tokenizer in the folder.
const TOKENIZER: &str = "tokenizer.json";

/// Longest answer asked for.
const ANSWER_TOKENS: u32 = 120;

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
        /// Mails about anything, and their summaries.
        #[arg(long)]
        wild: bool,
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
    /// Prints a model's summary of a mail.
    Summarise {
        /// The model.
        #[arg(long)]
        model: PathBuf,
        /// A file that holds `From: …`, `Subject: …`, an empty line and the mail.
        mail: PathBuf,
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
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(Args { recipe, folder, step }: Args) -> Result<(), StarterError> {
    let recipe = Recipe::read(&recipe)?;
    match step {
        Step::Data { count, from, wild } => {
            print_data(&recipe, from..from + count, wild);
            Ok(())
        }
        Step::Tokenizer { examples } => make_tokenizer(&recipe, &folder, examples),
        Step::Train { threads } => {
            let mut trainer = Trainer::open(recipe, vocabulary(&folder)?, &folder, threads)?;
            println!("from step {}", trainer.steps_done());
            trainer.run(&folder, &mut |entry| println!("{entry:?}"))
        }
        Step::Export { format, to } => {
            let checkpoint = Checkpoint::read(&checkpoint_path(&folder))?;
            let bytes = export(&checkpoint, &vocabulary(&folder)?, format, &to)?;
            println!("{bytes} bytes after {} steps", checkpoint.step);
            Ok(())
        }
        Step::Sample { model, count } => print_samples(&recipe, &model, count),
        Step::Summarise { model, mail } => print_summary(&model, &mail),
        Step::Measure { model, count } => print_scores(&recipe, &model, count),
        Step::Plot { to } => {
            let entries = read_journal(&folder.join("journal.jsonl"))?;
            fs::write(&to, plot(&recipe.name, &entries)).map_err(io(&to))
        }
    }
}

fn vocabulary(folder: &Path) -> Result<Vocabulary, StarterError> {
    Vocabulary::read(&folder.join(TOKENIZER))
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StarterError + '_ {
    move |source| StarterError::Io { source, path: path.to_owned() }
}

fn print_data(recipe: &Recipe, indices: Range<u64>, wild: bool) {
    let generator = recipe.generator(Split::HeldOut);
    for index in indices {
        let example = if wild { generator.wild_example(index) } else { generator.example(index) };
        println!("##### {index} {:?}", example.task);
        for message in &example.messages {
            println!("<{:?}>\n{}", message.role, message.content);
        }
    }
}

fn make_tokenizer(recipe: &Recipe, folder: &Path, examples: u64) -> Result<(), StarterError> {
    fs::create_dir_all(folder).map_err(io(folder))?;
    // Words thrown together would only take room from those that are used.
    let tame = Mix { wild_from: u64::MAX, ..recipe.mix.clone() };
    let generator = Generator::new(recipe.seed, Split::Train, tame);
    let vocabulary = Vocabulary::train(&generator, examples, recipe.model.vocab)?;
    vocabulary.write(&folder.join(TOKENIZER))?;
    println!("{} tokens", vocabulary.size());
    let held_out = recipe.generator(Split::HeldOut);
    for task in TASKS {
        let mut lengths: Vec<usize> = (0..300)
            .map(|i| Ok(vocabulary.example(&held_out.example_of(task, i), 1.0)?.ids.len()))
            .collect::<Result<_, StarterError>>()?;
        lengths.sort_unstable();
        println!("{task:?}: median {} tokens, longest {}", lengths[150], lengths[299]);
    }
    Ok(())
}

fn print_samples(recipe: &Recipe, model: &Path, count: u64) -> Result<(), StarterError> {
    let mut speaker = Speaker::open(model)?;
    let generator = recipe.generator(Split::HeldOut);
    for index in 0..count {
        let example = generator.example(index);
        for message in example.prompt() {
            println!("<{:?}>\n{}", message.role, message.content);
        }
        println!("<Expected>\n{}", example.answer());
        println!("<Got>\n{}\n", speaker.answer(example.prompt(), ANSWER_TOKENS)?);
    }
    Ok(())
}

fn print_summary(model: &Path, mail: &Path) -> Result<(), StarterError> {
    let text = fs::read_to_string(mail).map_err(io(mail))?;
    let prompt = [ChatMessage::new(Role::System, SUMMARISE), ChatMessage::new(Role::User, text)];
    println!("{}", Speaker::open(model)?.answer(&prompt, ANSWER_TOKENS)?);
    Ok(())
}

fn print_scores(recipe: &Recipe, model: &Path, count: u64) -> Result<(), StarterError> {
    let mut speaker = Speaker::open(model)?;
    let generator = recipe.generator(Split::HeldOut);
    for task in TASKS {
        let answer = &mut |prompt: &[ChatMessage]| speaker.answer(prompt, ANSWER_TOKENS);
        println!("{task:?}: {:?}", measure(&generator, task, count, answer)?);
    }
    let mut wild = Score::default();
    for index in 0..count {
        let example = generator.wild_example(index);
        wild.count(&example, &speaker.answer(example.prompt(), ANSWER_TOKENS)?);
    }
    println!("Summary of anything: {wild:?}");
    let lead = measure(&generator, Task::Summary, count, &mut |prompt| Ok(lead(prompt)))?;
    println!("Lead of the mail: {lead:?}");
    Ok(())
}
