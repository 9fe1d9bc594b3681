//! What the window remembers of the training pages.

use std::collections::BTreeSet;

use crate::types::{
    AdapterChoice, AdapterId, DatasetId, DocumentKind, FolderId, ModelId, Recipe, Template,
    TuneRules, View,
};

/// A part of the training page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TuningTab {
    /// What was trained.
    #[default]
    Adapters,
    /// A new run, and those there are.
    Train,
    /// What is learnt.
    Data,
}

/// The training page.
#[derive(Default)]
pub(crate) struct TuningState {
    pub(crate) tab: TuningTab,
    pub(crate) draft: Option<DatasetDraft>,
    pub(crate) plan: PlanDraft,
    /// The run whose plot is open; the one that goes on if none.
    pub(crate) run: Option<hearth_session::TuneRunId>,
    pub(crate) open: Option<AdapterId>,
    pub(crate) remove: Option<AdapterId>,
    pub(crate) rename: Option<(AdapterId, String)>,
    /// The run that is to be forgotten, once that is confirmed.
    pub(crate) forget: Option<hearth_session::TuneRunId>,
    /// The form of a new run is open though there are runs.
    pub(crate) planning: bool,
    /// The rules while one of them is being dragged.
    pub(crate) rules: Option<TuneRules>,
    pub(crate) compare: CompareDraft,
    pub(crate) import_path: String,
    pub(crate) adapter_path: String,
    pub(crate) export: Option<(AdapterId, String)>,
}

/// A recipe that is being written.
pub(crate) struct DatasetDraft {
    pub(crate) id: Option<DatasetId>,
    pub(crate) name: String,
    pub(crate) kind: DraftTemplate,
    pub(crate) me: String,
    /// Whether it was asked who wrote most.
    pub(crate) authors_asked: bool,
    pub(crate) folders: BTreeSet<FolderId>,
    pub(crate) kinds: BTreeSet<DocumentKind>,
    pub(crate) author: String,
    pub(crate) text: String,
    pub(crate) since: String,
    pub(crate) until: String,
    /// What the form does not show stays as it was.
    pub(crate) rest: Recipe,
}

/// How documents become examples, without their details.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DraftTemplate {
    #[default]
    WriteLikeMe,
    AnswerFromNotes,
    SummariseLikeThis,
    CompleteCode,
    Plain,
    Imported,
}

impl DraftTemplate {
    pub(crate) fn of(template: &Template) -> Self {
        match template {
            Template::WriteLikeMe { .. } => Self::WriteLikeMe,
            Template::AnswerFromNotes => Self::AnswerFromNotes,
            Template::SummariseLikeThis => Self::SummariseLikeThis,
            Template::CompleteCode => Self::CompleteCode,
            Template::Plain => Self::Plain,
            Template::Imported { .. } => Self::Imported,
        }
    }
}

/// A run that is being planned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlanDraft {
    pub(crate) name: String,
    pub(crate) dataset: Option<DatasetId>,
    /// The model that learns, `Some(None)` being the bundled one; the loaded one unless another is chosen.
    pub(crate) base: Option<Option<ModelId>>,
    pub(crate) minutes: f32,
    pub(crate) exact: bool,
    pub(crate) rank: u32,
    pub(crate) learning_rate: f32,
    pub(crate) sequence_tokens: u32,
    pub(crate) export_path: String,
}

impl PlanDraft {
    /// The model that learns; `None` is the bundled one.
    pub(crate) fn base(&self, view: &View) -> Option<ModelId> {
        let loaded = || view.models.loaded.as_ref().and_then(|loaded| loaded.id);
        self.base.unwrap_or_else(loaded)
    }
}

impl Default for PlanDraft {
    fn default() -> Self {
        Self {
            name: String::new(),
            dataset: None,
            base: None,
            minutes: 20.0,
            exact: false,
            rank: 16,
            learning_rate: 2e-4,
            sequence_tokens: 512,
            export_path: String::new(),
        }
    }
}

/// A comparison that is being written.
#[derive(Default)]
pub(crate) struct CompareDraft {
    pub(crate) text: String,
    pub(crate) adapters: Vec<AdapterChoice>,
}
