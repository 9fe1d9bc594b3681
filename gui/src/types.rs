//! The session's vocabulary, gathered in one place.

pub(crate) use hearth_session::{
    AdapterChoice, AdapterFormat, AdapterId, AdapterReport, AdapterView, Answering, Budget,
    Button as PanelButton, Capability, ChatTurn, Command, ComparisonSide, ConversationId,
    ConversationView, DatasetId, DatasetView, Document, DocumentHead, DocumentId, DocumentKind,
    DocumentQuery, Event, Focus, Folder, FolderId, Glyph, Grant, ImportEntry, ImportState,
    Input as PanelInput, JobView, KvFormat, LoadOptions, Manifest, MemoryEstimate, MemoryReport,
    MessageId, ModelId, ModelInfo, Notice, NoticeKind, Order, PanelKey, PanelNode, PanelView,
    Passphrase, PickView, PluginCommand, PluginId, PluginInspection, PluginView, PreviewView,
    Rating, Recipe, Reply, RunId, RunPlan, RunState, RunView, SettingKind, SettingSpec,
    SettingValue, Settings, SlotKind, SourceFilter, Speaker, Template, Ticket, TuneCommand,
    TuneEstimate, TuneRules, TuneSettings, UserError, ValueState, ValueView, VaultState, View,
    Wait,
};
