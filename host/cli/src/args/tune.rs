//! What can be asked about datasets, training runs and adapters.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use hearth_session::{AdapterFormat, MergeFormat, Target};

#[derive(Subcommand)]
pub(crate) enum DatasetVerb {
    /// List datasets.
    List,
    /// Keep a dataset: documents of the vault, and how they become examples.
    New(DatasetArgs),
    /// Keep a JSONL file as a dataset: lines of {"messages": …}, {"prompt", "completion"} or {"text"}.
    Import {
        /// The file.
        path: PathBuf,
        /// What to call it.
        #[arg(long)]
        name: Option<String>,
    },
    /// Show what a dataset comes to: counts, what is left out and why, some examples with what is learnt marked.
    Show {
        /// Its name or number.
        dataset: String,
        /// The model whose tokens are counted: a number, or `starter`.
        #[arg(long, default_value = "starter")]
        base: String,
        /// Examples to show.
        #[arg(long, default_value_t = 3)]
        samples: usize,
    },
    /// Forget a dataset; its documents stay.
    Remove {
        /// Its name or number.
        dataset: String,
    },
}

#[derive(ClapArgs)]
pub(crate) struct DatasetArgs {
    /// What to call it.
    pub(crate) name: String,
    /// How documents become examples.
    #[arg(long, value_enum)]
    pub(crate) template: TemplateKind,
    /// Only this folder, by name or number; may be repeated.
    #[arg(long)]
    pub(crate) folder: Vec<String>,
    /// Only this kind; may be repeated.
    #[arg(long)]
    pub(crate) kind: Vec<super::Kind>,
    /// Your names and addresses as they stand in the sender of your mail; may be repeated.
    #[arg(long, required_if_eq("template", "write-like-me"))]
    pub(crate) me: Vec<String>,
    /// Only documents by these people; may be repeated.
    #[arg(long)]
    pub(crate) author: Vec<String>,
    /// Only documents with these words.
    #[arg(long, default_value = "")]
    pub(crate) text: String,
    /// Only from this day on, such as 2025-01-31.
    #[arg(long)]
    pub(crate) since: Option<jiff::civil::Date>,
    /// Only before this day.
    #[arg(long)]
    pub(crate) until: Option<jiff::civil::Date>,
    /// Add a document by its number, whoever made it; may be repeated.
    #[arg(long, value_name = "ID")]
    pub(crate) add: Vec<i64>,
    /// Leave out a document by its number; may be repeated.
    #[arg(long, value_name = "ID")]
    pub(crate) without: Vec<i64>,
    /// Which conversations are learnt from.
    #[arg(long, value_enum, default_value = "none")]
    pub(crate) chats: Chats,
    /// Share of documents that is held out, to see how well it goes.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) held_out: f32,
}

/// How documents become examples.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TemplateKind {
    /// Mail and notes in your own manner.
    WriteLikeMe,
    /// Questions about what your notes say.
    AnswerFromNotes,
    /// Texts and their summaries.
    SummariseLikeThis,
    /// Source files, block by block.
    CompleteCode,
    /// Texts as they are.
    Plain,
}

/// Conversations that are learnt from.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Chats {
    /// None.
    None,
    /// Those with an answer you found good.
    Rated,
    /// All.
    All,
}

#[derive(Subcommand)]
pub(crate) enum TuneVerb {
    /// Train an adapter; Ctrl-C pauses the run.
    Start {
        /// What to call the adapter.
        name: String,
        #[command(flatten)]
        plan: PlanArgs,
        /// Accept the adapter if its report is within the limits.
        #[arg(long)]
        accept: bool,
    },
    /// Say what training would take, measured by a few steps of it.
    Estimate {
        #[command(flatten)]
        plan: PlanArgs,
    },
    /// List runs.
    List,
    /// Show a run's losses.
    Show {
        /// Its number.
        run: i64,
    },
    /// Go on with a run that was paused or interrupted.
    Resume {
        /// Its number.
        run: i64,
    },
    /// Forget a run with its checkpoint; an adapter that came of it stays.
    Remove {
        /// Its number.
        run: i64,
    },
    /// Write dataset and settings, in plain text, to a folder from which the same job runs on Hugging Face's peft.
    Export {
        #[command(flatten)]
        plan: PlanArgs,
        /// A folder that does not exist yet or is empty.
        #[arg(long)]
        to: PathBuf,
    },
    /// Show or change what holds for all runs.
    Rules {
        /// Go on while the machine runs on its battery.
        #[arg(long)]
        on_battery: Option<bool>,
        /// Wait while the processor is hotter than this, in degrees Celsius; 0 is never.
        #[arg(long)]
        hottest: Option<f32>,
        /// Made-up secrets hidden among the examples, to find out how firmly a run remembers.
        #[arg(long)]
        canaries: Option<u32>,
        /// Bits of exposure beyond which an adapter is not accepted.
        #[arg(long)]
        exposure_limit: Option<f32>,
    },
}

#[derive(ClapArgs)]
pub(crate) struct PlanArgs {
    /// The dataset, by name or number.
    #[arg(long)]
    pub(crate) dataset: String,
    /// The model that learns: a number, or `starter`.
    #[arg(long, default_value = "starter")]
    pub(crate) base: String,
    /// About so long.
    #[arg(long, conflicts_with_all = ["epochs", "steps"])]
    pub(crate) minutes: Option<f32>,
    /// Each example so often.
    #[arg(long, conflicts_with = "steps")]
    pub(crate) epochs: Option<f32>,
    /// So many steps.
    #[arg(long)]
    pub(crate) steps: Option<u32>,
    /// Rank of the adapter; settings that are not given are chosen by model and data.
    #[arg(long)]
    pub(crate) rank: Option<u32>,
    /// Scale: the adapter's part counts alpha / rank.
    #[arg(long)]
    pub(crate) alpha: Option<f32>,
    /// Scale by the root of the rank instead.
    #[arg(long)]
    pub(crate) rslora: bool,
    /// Share of inputs left out in training.
    #[arg(long)]
    pub(crate) dropout: Option<f32>,
    /// Where the adapter stands, such as q_proj,v_proj.
    #[arg(long, value_delimiter = ',', value_parser = target)]
    pub(crate) targets: Vec<Target>,
    /// Highest step size.
    #[arg(long)]
    pub(crate) learning_rate: Option<f32>,
    /// Most tokens of a sample.
    #[arg(long)]
    pub(crate) sequence: Option<u32>,
    /// Tokens read at once.
    #[arg(long)]
    pub(crate) batch: Option<u32>,
    /// Threads that compute.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// For shuffles and first values.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

fn target(name: &str) -> Result<Target, String> {
    let found = Target::ALL.into_iter().find(|target| target.name() == name);
    found.ok_or_else(|| {
        let names = Target::ALL.map(Target::name).join(", ");
        format!("expected one of {names}")
    })
}

#[derive(Subcommand)]
pub(crate) enum AdapterVerb {
    /// List adapters.
    List,
    /// Show what was found out about an adapter.
    Show {
        /// Its name or number.
        adapter: String,
    },
    /// Examine an adapter: losses, forgetting, memorisation, answers with and without.
    Examine {
        /// Its name or number.
        adapter: String,
    },
    /// Let conversations and plugins use an adapter.
    Accept {
        /// Its name or number.
        adapter: String,
        /// Even if it remembers more than the limit allows.
        #[arg(long)]
        anyway: bool,
    },
    /// Keep conversations and plugins from using an adapter.
    Retire {
        /// Its name or number.
        adapter: String,
    },
    /// Choose the adapters that new conversations, one conversation or a plugin use; none takes them away.
    Use {
        /// NAME or NAME:STRENGTH; may be repeated, their parts are added up.
        adapter: Vec<String>,
        /// Only in this conversation.
        #[arg(long, value_name = "ID", conflicts_with = "plugin")]
        conversation: Option<i64>,
        /// In this plugin.
        #[arg(long)]
        plugin: Option<String>,
    },
    /// Ask the same with and without adapters, side by side.
    Compare {
        /// NAME or NAME:STRENGTH; each is a side of its own beside the model as it is.
        #[arg(long, required = true)]
        adapter: Vec<String>,
        /// The question.
        #[arg(required = true)]
        question: Vec<String>,
    },
    /// Give an adapter another name.
    Rename {
        /// Its name or number.
        adapter: String,
        /// The new name.
        name: String,
    },
    /// Forget an adapter; its bytes are overwritten.
    Remove {
        /// Its name or number.
        adapter: String,
    },
    /// Read an adapter from a peft folder or a GGUF file.
    Import {
        /// Folder or file.
        path: PathBuf,
        /// What to call it.
        #[arg(long)]
        name: Option<String>,
        /// The model it is for: a number, or `starter`.
        #[arg(long, default_value = "starter")]
        base: String,
        /// The dataset it learnt from elsewhere, by name or number; without, whatever it has a part in is private.
        #[arg(long)]
        dataset: Option<String>,
    },
    /// Write an adapter, in plain text.
    Export {
        /// Its name or number.
        adapter: String,
        /// Where to.
        #[arg(long)]
        to: PathBuf,
        /// As what.
        #[arg(long, value_enum, default_value = "peft")]
        format: FormatKind,
    },
    /// Write the base model and an adapter as one GGUF, in plain text, and add it as a private model.
    Merge {
        /// NAME or NAME:STRENGTH.
        adapter: String,
        /// Where to.
        #[arg(long)]
        to: PathBuf,
        /// The format of the matrices that are changed.
        #[arg(long, value_enum, default_value_t = MergeKind::Fine)]
        format: MergeKind,
    },
}

/// In which format a merged model has what was changed.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum MergeKind {
    /// 8 bits a number where the model has fewer: fewer would take much of what the adapter gives.
    Fine,
    /// As the model has it: the smallest file.
    Same,
    /// 8 bits a number.
    #[value(name = "q8_0")]
    Q8,
    /// 16 bits a number.
    F16,
}

impl From<MergeKind> for MergeFormat {
    fn from(kind: MergeKind) -> Self {
        match kind {
            MergeKind::Fine => Self::Fine,
            MergeKind::Same => Self::Same,
            MergeKind::Q8 => Self::Q8,
            MergeKind::F16 => Self::F16,
        }
    }
}

/// Files that adapters travel as.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum FormatKind {
    /// A folder as Hugging Face's peft writes it.
    Peft,
    /// One file as llama.cpp reads it.
    Gguf,
}

impl From<FormatKind> for AdapterFormat {
    fn from(kind: FormatKind) -> Self {
        match kind {
            FormatKind::Peft => Self::Peft,
            FormatKind::Gguf => Self::Gguf,
        }
    }
}
