//! The session's vocabulary, gathered in one place.

pub(crate) use hearth_session::{
    Answering, Button as PanelButton, Capability, ChatTurn, Command, ConversationView, Document,
    DocumentHead, DocumentId, DocumentKind, DocumentQuery, Event, Focus, Folder, FolderId, Glyph,
    ImportEntry, ImportState, Input as PanelInput, JobView, KvFormat, LoadOptions, Manifest,
    MemoryEstimate, MessageId, ModelId, ModelInfo, Notice, NoticeKind, Order, PanelKey, PanelNode,
    PanelView, Passphrase, PickView, PluginId, PluginInspection, PluginView, Reply, RunId,
    SettingKind, SettingSpec, SettingValue, SlotKind, Speaker, Ticket, UserError, ValueState,
    ValueView, VaultState, View,
};
