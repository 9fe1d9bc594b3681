//! The session's vocabulary, gathered in one place.

pub(crate) use hearth_session::{
    AdapterChoice, AdapterId, AdapterReport, AdapterView, Answering, Budget, Button as PanelButton,
    Capability, ChatTurn, Command, ConversationView, DatasetId, DatasetView, Document,
    DocumentHead, DocumentId, DocumentKind, DocumentQuery, Event, Focus, Folder, FolderId, Glyph,
    ImportEntry, ImportState, Input as PanelInput, JobView, KvFormat, LoadOptions, Manifest,
    MemoryEstimate, MessageId, ModelId, ModelInfo, ModelView, Notice, NoticeKind, Order, PanelKey,
    PanelNode, PanelView, Passphrase, PickView, PluginId, PluginInspection, PluginView,
    PreviewView, Rating, Recipe, Reply, RunId, RunPlan, RunState, RunView, SettingKind,
    SettingSpec, SettingValue, Settings, SlotKind, SourceFilter, Speaker, Template, Ticket,
    TuneCommand, TuneEstimate, TuneRules, TuneSettings, UserError, ValueState, ValueView,
    VaultState, View, Wait,
};
