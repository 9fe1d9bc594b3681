//! What a run may use. Everything is counted in public amounts, so that running out tells a plugin nothing.

use hearth_base::{GuestError, HostCall, Message, ModelOptions, Node, Part, Quota, Schema};

use crate::escape_words;

/// Limits of one run, and of what it leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls a run.
    pub calls: u32,
    /// Model tokens a run: asked for, plus those of its own words (four bytes each).
    pub tokens: u64,
    /// Charged for a model call besides its tokens.
    pub flat_tokens: u64,
    /// A call over a collection is charged as so many calls, whatever the collection holds.
    pub each_factor: u64,
    /// Handles alive at once.
    pub handles: usize,
    /// Bytes of one call, all strings together.
    pub call_bytes: usize,
    /// Bytes of one literal text.
    pub literal_bytes: usize,
    /// Bytes of all literal texts of a run together.
    pub literals_bytes: usize,
    /// Parts of a `concat`, a collection, a prompt message; messages of a prompt.
    pub list_items: usize,
    /// Elements a collection may be asked for.
    pub collection_items: u16,
    /// Stop strings of a model call.
    pub stop_strings: usize,
    /// How deep values may be built upon values.
    pub value_depth: u16,
    /// Nodes of a panel.
    pub panel_nodes: usize,
    /// Bytes of one string of a panel, notice, progress or log line.
    pub panel_string_bytes: usize,
    /// Rows and columns inside one another.
    pub panel_depth: usize,
    /// Buttons, fields and lists to pick from of a panel.
    pub panel_controls: usize,
    /// The same, without greyed buttons, of a panel that shows values: which one is used after seeing them tells the
    /// plugin something.
    pub panel_controls_beside_values: usize,
    /// Panels shown in a run, repetitions included.
    pub panel_shows: u32,
    /// Notices a run.
    pub notices: u32,
    /// Log lines a run; more are dropped, and the last line says so.
    pub log_lines: u32,
    /// Saves a run.
    pub saves: u32,
    /// Names a plugin may keep values under.
    pub kept_names: usize,
    /// Bytes of a storage key or a kept name.
    pub name_bytes: usize,
    /// Bytes the user may enter in a field.
    pub entered_bytes: usize,
    /// Bytes of a value. A larger one is a fault the user sees.
    pub value_bytes: usize,
    /// Bytes of all values of a run together. One more is a fault the user sees.
    pub run_bytes: usize,
    /// Bytes of a text that the model reads, or that is cut by its tokens. A longer one is a fault the user sees.
    pub model_bytes: usize,
    /// Tokens that the pieces of a text may be asked to have, at the least.
    pub least_piece_tokens: u16,
    /// Rows of the audit trail a run. One more says that the rest is not listed.
    pub audit_rows: u32,
    /// Fuel of a run.
    pub fuel: u64,
}

impl Limits {
    /// Words of a plugin, or of who may be one, as long as may be shown: escaped, and visibly cut.
    pub(crate) fn own_words(&self, words: &str) -> String {
        let end = words.floor_char_boundary(self.panel_string_bytes);
        let cut = if end < words.len() { " … (cut)" } else { "" };
        format!("{}{cut}", escape_words(&words[..end]))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 20_000,
            tokens: 1_000_000,
            flat_tokens: 16,
            each_factor: 16,
            handles: 4096,
            call_bytes: 1 << 20,
            literal_bytes: 64 << 10,
            literals_bytes: 16 << 20,
            list_items: 256,
            collection_items: 4096,
            stop_strings: 4,
            value_depth: 128,
            panel_nodes: 512,
            panel_string_bytes: 4 << 10,
            panel_depth: 8,
            panel_controls: 64,
            panel_controls_beside_values: 8,
            panel_shows: 256,
            notices: 16,
            log_lines: 256,
            saves: 256,
            kept_names: 64,
            name_bytes: 64,
            entered_bytes: 64 << 10,
            value_bytes: 16 << 20,
            run_bytes: 256 << 20,
            model_bytes: 4 << 20,
            least_piece_tokens: 16,
            audit_rows: 4096,
            fuel: 500_000_000,
        }
    }
}

/// What a run has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    pub(crate) calls: u32,
    pub(crate) tokens: u64,
    pub(crate) literals_bytes: usize,
    pub(crate) panel_shows: u32,
    pub(crate) notices: u32,
    pub(crate) log_lines: u32,
    pub(crate) saves: u32,
}

impl Meter {
    /// Counts a call and weighs it.
    pub(crate) fn call(&mut self, limits: &Limits, call: &HostCall) -> Result<(), GuestError> {
        count(&mut self.calls, limits.calls, Quota::Calls)?;
        if call_bytes(call) > limits.call_bytes {
            return Err(GuestError::OverQuota(Quota::Bytes));
        }
        Ok(())
    }

    /// Charges a model call by what was asked for and what the plugin itself said.
    pub(crate) fn model(
        &mut self,
        limits: &Limits,
        literal_bytes: usize,
        max_tokens: u64,
        each: bool,
    ) -> Result<(), GuestError> {
        let once = max_tokens + literal_bytes.div_ceil(4) as u64 + limits.flat_tokens;
        let charge = if each { once * limits.each_factor } else { once };
        if self.tokens + charge > limits.tokens {
            return Err(GuestError::OverQuota(Quota::Tokens));
        }
        self.tokens += charge;
        Ok(())
    }
}

/// Counts one up, unless the limit is reached.
pub(crate) fn count(used: &mut u32, limit: u32, quota: Quota) -> Result<(), GuestError> {
    if *used >= limit {
        return Err(GuestError::OverQuota(quota));
    }
    *used += 1;
    Ok(())
}

/// A list or a string in a call costs at least this, so that many empty ones weigh something.
const ENTRY_BYTES: usize = 8;

/// What a call weighs.
pub(crate) fn call_bytes(call: &HostCall) -> usize {
    match call {
        HostCall::TextLiteral(text)
        | HostCall::StorageGet(text)
        | HostCall::StorageDelete(text)
        | HostCall::SettingGet(text)
        | HostCall::CollectionJoin { separator: text, .. }
        | HostCall::CollectionZip { separator: text, .. }
        | HostCall::Thread { slot: text, .. }
        | HostCall::Threads { slot: text, .. }
        | HostCall::Keep { name: text, .. }
        | HostCall::Kept { name: text }
        | HostCall::Granted { slot: text, .. }
        | HostCall::Pick { purpose: text, .. }
        | HostCall::Search { slot: text, .. }
        | HostCall::RevealText { purpose: text, .. }
        | HostCall::Notify { message: text, .. }
        | HostCall::Log { message: text, .. }
        | HostCall::Progress { message: text, .. } => text.len(),
        HostCall::TextConcat(list)
        | HostCall::CollectionOf(list)
        | HostCall::ChoiceSelect { options: list, .. } => list.len() * ENTRY_BYTES,
        HostCall::Generate { prompt, options }
        | HostCall::GenerateEach { prompt, options, .. }
        | HostCall::Reduce { prompt, options, .. }
        | HostCall::CompletionStart { prompt, options } => {
            prompt_bytes(prompt) + options_bytes(options)
        }
        HostCall::FillEach { parts, .. } => parts_bytes(parts),
        HostCall::Decide { prompt, answer } | HostCall::DecideEach { prompt, answer, .. } => {
            prompt_bytes(prompt) + schema_bytes(answer)
        }
        HostCall::PanelShow { panel, nodes } => {
            panel.len() + nodes.iter().map(node_bytes).sum::<usize>()
        }
        HostCall::StorageSet { key, value } => key.len() + value.len(),
        HostCall::TextChunk { .. }
        | HostCall::CollectionTake { .. }
        | HostCall::CollectionCount { .. }
        | HostCall::Drop(_)
        | HostCall::DocumentGet { .. }
        | HostCall::Save { .. }
        | HostCall::SaveEach { .. }
        | HostCall::CompletionNext(_)
        | HostCall::RevealChoice(_)
        | HostCall::Remaining
        | HostCall::StorageKeys => 0,
    }
}

fn prompt_bytes(prompt: &[Message]) -> usize {
    prompt.iter().map(|message| ENTRY_BYTES + parts_bytes(&message.parts)).sum()
}

fn parts_bytes(parts: &[Part]) -> usize {
    let part_bytes = |part: &Part| match part {
        Part::Literal(text) => ENTRY_BYTES + text.len(),
        Part::Value(_) | Part::Item(_) => ENTRY_BYTES,
    };
    parts.iter().map(part_bytes).sum()
}

fn strings_bytes(strings: &[String]) -> usize {
    strings.iter().map(|s| ENTRY_BYTES + s.len()).sum()
}

fn options_bytes(options: &ModelOptions) -> usize {
    strings_bytes(&options.stop)
}

fn schema_bytes(schema: &Schema) -> usize {
    match schema {
        Schema::OneOf(options) => strings_bytes(options),
        Schema::Boolean | Schema::Range(..) => 0,
    }
}

fn node_bytes(node: &Node) -> usize {
    ENTRY_BYTES
        + match node {
            Node::Heading(text) | Node::Label(text) | Node::Picker(text, _) => text.len(),
            Node::Button(button) => button.id.len() + button.label.len(),
            Node::Input(input) => input.id.len() + input.label.len() + input.placeholder.len(),
            Node::Divider
            | Node::Value(_)
            | Node::Items(_)
            | Node::Progress(_)
            | Node::Row
            | Node::Column
            | Node::End => 0,
        }
}
