//! The session's vocabulary, gathered in one place.

pub(crate) use hearth_session::{
    ActivityView, AdapterChoice, AdapterFormat, AdapterId, AdapterReport, AdapterView, Answering,
    AuditRow, Budget, Button as PanelButton, CallState, Capability, ChatTurn, Command,
    ComparisonSide, ConversationId, ConversationView, DatasetId, DatasetView, Document,
    DocumentHead, DocumentId, DocumentKind, DocumentQuery, Event, Every, Focus, Folder, FolderId,
    Glyph, Grant, ImportEntry, ImportState, Input as PanelInput, InstallVerdict, JobView,
    Judgement, KeyStanding, KvFormat, LoadOptions, LookAlike, Manifest, MemoryEstimate,
    MemoryReport, MessageId, ModelId, ModelInfo, Notice, NoticeKind, Order, PanelKey, PanelNode,
    PanelView, Passphrase, PickView, PluginChange, PluginCommand, PluginId, PluginInspection,
    PluginSum, PluginUsage, PluginView, PreviewView, Rating, Recipe, Reply, RevealSource,
    RevealView, RunId, RunPlan, RunState, RunView, SettingKind, SettingSpec, SettingValue,
    Settings, SignatureView, SlotKind, SourceFilter, Speaker, StoredEntry, Template, Ticket,
    ToolCall, ToolCallView, ToolMode, TrialView, TryWhat, TuneCommand, TuneEstimate, TuneRules,
    TuneSettings, UserError, ValueState, ValueView, VaultState, View, Wait, WaitingView,
};
