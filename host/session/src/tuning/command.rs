//! What a shell can ask of fine-tuning.

use std::path::PathBuf;

use hearth_base::{AdapterId, ConversationId, DatasetId, MessageId, ModelId, PluginId, TuneRunId};
use hearth_dataset::Recipe;
use hearth_engine_api::{AdapterFormat, MergeFormat, TuneSettings};
use hearth_vault::{AdapterChoice, Rating};

use super::view::TuneRules;

/// Everything a user can do about datasets, runs and adapters.
#[derive(Debug)]
pub enum TuneCommand {
    // --- what is learnt ---
    /// Marks an answer of the model's; good ones can be learnt.
    RateTurn {
        /// A turn of the model's.
        turn: MessageId,
        /// The mark.
        rating: Rating,
    },
    /// Keeps a recipe under a name, as a new dataset or in place of one; answers [`crate::Reply::Dataset`].
    SaveDataset {
        /// The one to replace.
        id: Option<DatasetId>,
        /// What to call it.
        name: String,
        /// What is in it.
        recipe: Recipe,
    },
    /// Keeps a JSONL file as a dataset; answers [`crate::Reply::Dataset`].
    ImportDataset {
        /// The file.
        path: PathBuf,
        /// What to call it; by default the file's name.
        name: Option<String>,
    },
    /// Forgets a dataset; its documents and the adapters made of it stay.
    RemoveDataset(DatasetId),
    /// Makes the examples of a recipe and fills [`crate::TuningView::preview`].
    PreviewDataset {
        /// What is in it.
        recipe: Recipe,
        /// The model whose tokens are counted; `None` is the bundled one.
        base: Option<ModelId>,
    },
    /// Empties [`crate::TuningView::preview`].
    ClosePreview,
    /// Fills [`crate::TuningView::authors`], for saying who "me" is.
    SuggestAuthors,
    // --- runs ---
    /// Settings that do well, an estimate by a few real steps; fills [`crate::TuningView::estimate`].
    Estimate(RunPlan),
    /// Trains; ends when the run does, with [`crate::Reply::Tuned`] where it came to an adapter. Cancelling it pauses it.
    StartRun {
        /// What to call the adapter.
        name: String,
        /// What and how.
        plan: RunPlan,
    },
    /// Goes on with a run that was paused or interrupted; ends as `StartRun`.
    ResumeRun(TuneRunId),
    /// Pauses a run, to go on another day.
    PauseRun(TuneRunId),
    /// Stops a run if it goes on, and forgets it with its checkpoint; an adapter that came of it stays.
    RemoveRun(TuneRunId),
    /// Writes dataset and settings, in plain text, to a folder from which the same job runs on Hugging Face's peft.
    ExportJob {
        /// What and how.
        plan: RunPlan,
        /// A folder that does not exist yet or is empty.
        path: PathBuf,
    },
    // --- adapters ---
    /// Reads an adapter from a peft folder or a GGUF file; answers [`crate::Reply::Adapter`].
    ImportAdapter {
        /// Folder or file.
        path: PathBuf,
        /// What to call it; by default the file's name.
        name: Option<String>,
        /// The model it is for; `None` is the bundled one.
        base: Option<ModelId>,
        /// What it learnt from, where the user knows: a job that was exported, say. Otherwise that is unknown, and whatever
        /// the adapter has a part in is private.
        dataset: Option<DatasetId>,
    },
    /// Writes an adapter, in plain text.
    ExportAdapter {
        /// Which.
        adapter: AdapterId,
        /// As what.
        format: AdapterFormat,
        /// Where to.
        path: PathBuf,
    },
    /// Writes the base model and an adapter as one GGUF, in plain text, and adds it to the models as a private one;
    /// answers [`crate::Reply::Merged`].
    MergeAdapter {
        /// Which, and how much of it.
        choice: AdapterChoice,
        /// In which format the changed matrices are written.
        format: MergeFormat,
        /// Where to.
        path: PathBuf,
    },
    /// Renames one.
    RenameAdapter(AdapterId, String),
    /// Forgets one; its bytes are overwritten.
    RemoveAdapter(AdapterId),
    /// Examines an adapter: losses, answers with and without, forgetting, memorisation. Fills [`crate::AdapterView::report`].
    ExamineAdapter(AdapterId),
    /// Lets conversations and plugins use an adapter from now on. One whose report shows more memorisation than
    /// [`TuneRules::exposure_limit_bits`] is refused unless `anyway`.
    AcceptAdapter {
        /// Which.
        adapter: AdapterId,
        /// In spite of its report.
        anyway: bool,
    },
    /// Keeps conversations and plugins from using an adapter.
    RetireAdapter(AdapterId),
    /// Chooses the adapters a conversation's answers are made with from now on, their parts added up; `None` for a
    /// conversation is every new one.
    UseInConversation {
        /// Which conversation.
        conversation: Option<ConversationId>,
        /// Which adapters, if any.
        adapters: Vec<AdapterChoice>,
    },
    /// Chooses the adapters that a plugin gets where it asks for personal weights.
    UseInPlugin {
        /// Which plugin.
        plugin: PluginId,
        /// Which adapters, if any.
        adapters: Vec<AdapterChoice>,
    },
    /// Asks the same of the model on each side and fills [`crate::TuningView::comparison`].
    Compare {
        /// The question.
        text: String,
        /// Each side's adapters; none is the model as it is.
        sides: Vec<Vec<AdapterChoice>>,
    },
    /// Empties [`crate::TuningView::comparison`].
    CloseComparison,
    /// Sets what holds for all runs and adapters.
    SetTuneRules(TuneRules),
}

/// What is to be trained, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPlan {
    /// What is learnt.
    pub dataset: DatasetId,
    /// The model that learns; `None` is the bundled one.
    pub base: Option<ModelId>,
    /// How.
    pub settings: Settings,
}

/// How a run is set.
#[derive(Clone, Debug, PartialEq)]
pub enum Settings {
    /// By what does well with this model and data, within the budget of these settings.
    Recommended(TuneSettings),
    /// Exactly so.
    Exact(TuneSettings),
}
