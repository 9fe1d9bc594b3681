//! Prompts: filling them in, fitting them into the model's context, and getting an answer.

use std::sync::Arc;

use hearth_base::{Field, MessageRole, Weights};
use hearth_engine_api::{CacheScope, ChatMessage, Prompt, Role, StopReason};

use super::{Fault, Kind, Node, Outcome, Settings, promise::Making};
use crate::{
    inner::ModelSlot,
    ops::model::{self, Ask, Measure, Split},
};

/// A prompt as the plugin gave it.
pub(crate) struct Template(pub(crate) Vec<Turn>);

/// A message of it.
pub(crate) struct Turn {
    pub(crate) role: MessageRole,
    pub(crate) pieces: Vec<Piece>,
}

/// A piece of a message.
pub(crate) enum Piece {
    Literal(Arc<str>),
    Value(Arc<Node>),
    Item(Option<Field>),
}

impl Template {
    /// The values it holds.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.0.iter().flat_map(|turn| &turn.pieces).filter_map(|piece| match piece {
            Piece::Value(node) => Some(node),
            Piece::Literal(_) | Piece::Item(_) => None,
        })
    }

    /// Bytes of the plugin's own words in it.
    pub(crate) fn literal_bytes(&self) -> usize {
        let pieces = self.0.iter().flat_map(|turn| &turn.pieces);
        pieces.map(|piece| if let Piece::Literal(text) = piece { text.len() } else { 0 }).sum()
    }

    /// The plugin's own words in it.
    fn literals(&self) -> String {
        let words = self.0.iter().flat_map(|turn| &turn.pieces).filter_map(|piece| match piece {
            Piece::Literal(text) => Some(text.as_ref()),
            Piece::Value(_) | Piece::Item(_) => None,
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Fields of the element at hand that it names, in order, each once.
    fn fields(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        for piece in self.0.iter().flat_map(|turn| &turn.pieces) {
            if let Piece::Item(field) = piece {
                let field = field.unwrap_or(Field::Body);
                if !fields.contains(&field) {
                    fields.push(field);
                }
            }
        }
        fields
    }
}

/// A prompt filled in.
struct Filled(Vec<(Role, Vec<Text>)>);

struct Text {
    text: Arc<str>,
    /// The plugin's own words: never taken apart.
    literal: bool,
}

/// Place of a text in a filled prompt: message and piece.
type Place = (usize, usize);

impl Filled {
    fn chat(&self) -> Vec<ChatMessage> {
        let join =
            |pieces: &[Text]| pieces.iter().map(|piece| piece.text.as_ref()).collect::<String>();
        self.0.iter().map(|(role, pieces)| ChatMessage::new(*role, join(pieces))).collect()
    }

    /// The plugin's own words in it.
    fn own_words(&self) -> Vec<ChatMessage> {
        let messages = self.0.iter().map(|(role, pieces)| {
            let own = pieces.iter().filter(|piece| piece.literal);
            ChatMessage::new(*role, own.map(|piece| piece.text.as_ref()).collect::<String>())
        });
        messages.collect()
    }

    /// The same with another text at one place.
    fn chat_with(&self, place: Place, text: &str) -> Vec<ChatMessage> {
        let messages = self.0.iter().enumerate().map(|(m, (role, pieces))| {
            let texts = pieces
                .iter()
                .enumerate()
                .map(|(p, piece)| if (m, p) == place { text } else { piece.text.as_ref() });
            ChatMessage::new(*role, texts.collect::<String>())
        });
        messages.collect()
    }

    fn put(&mut self, (message, piece): Place, text: Arc<str>) {
        if let Some(piece) = self.0.get_mut(message).and_then(|(_, pieces)| pieces.get_mut(piece)) {
            piece.text = text;
        }
    }

    /// The longest text that may be taken apart.
    fn longest(&self) -> Option<(Place, Arc<str>)> {
        let places = self.0.iter().enumerate().flat_map(|(m, (_, pieces))| {
            pieces.iter().enumerate().map(move |(p, piece)| ((m, p), piece))
        });
        places
            .filter(|(_, piece)| !piece.literal && !piece.text.is_empty())
            .max_by_key(|(_, piece)| piece.text.len())
            .map(|(place, piece)| (place, Arc::clone(&piece.text)))
    }
}

/// Tokens left free for what joining two texts may add.
const SLACK_TOKENS: u32 = 8;
/// A piece with room for fewer tokens than this is not worth reading.
const LEAST_ROOM_TOKENS: u32 = 16;
/// Levels of a tree of answers. Each at least halves the number of texts, so this is never reached by honest sizes.
const MOST_LEVELS: usize = 24;
/// Answers about parts of a text, for a decision about all of it, may be so long.
const CONDENSED_TOKENS: u32 = 160;
/// Between texts that are read together.
const SEPARATOR: &str = "\n\n";

impl Making<'_> {
    /// The model's answer to a prompt. Where the prompt is longer than the context, its longest value is read in
    /// pieces, each answered by itself, and the answers are then read in its place.
    pub(super) async fn generate(
        &mut self,
        template: &Template,
        item: Option<&Arc<Node>>,
        settings: &Settings,
    ) -> Result<String, Fault> {
        self.learn_from(settings.weights);
        let item = self.gather(template, item).await;
        let slot = self.inner.model_slot(bytes_of(template, item.as_deref())).await?;
        let filled = self.fill(template, item.as_deref())?;
        if self.fits(&slot, &filled, (settings.max_tokens, settings.weights)).await? {
            return self.ask_shown(&slot, (filled.chat(), filled.own_words()), settings).await;
        }
        let (place, text) = filled.longest().ok_or(Fault::TooLong)?;
        self.flow.note_in_pieces();
        self.tree(&slot, &filled, place, vec![text], settings).await
    }

    /// A template as a text, without the model.
    pub(super) async fn filled(
        &mut self,
        template: &Template,
        item: &Arc<Node>,
    ) -> Result<String, Fault> {
        let item = self.gather(template, Some(item)).await;
        let slot = self.inner.model_slot(bytes_of(template, item.as_deref())).await?;
        let filled = self.fill(template, item.as_deref())?;
        drop(slot);
        let texts = filled.0.iter().flat_map(|(_, texts)| texts);
        Ok(texts.map(|text| text.text.as_ref()).collect())
    }

    /// One answer for many texts: as many as fit are read together, then their answers, until one is left.
    pub(super) async fn reduce(
        &mut self,
        template: &Template,
        items: &[Arc<Node>],
        settings: &Settings,
    ) -> Result<String, Fault> {
        self.learn_from(settings.weights);
        self.gather(template, None).await;
        let place = self.hole(template).ok_or(Fault::Mismatch)?;
        let fields = template.fields();
        let outcomes = self.all(items).await;
        let bytes = outcomes.iter().map(|outcome| outcome.bytes()).sum::<usize>();
        let slot = self.inner.model_slot(bytes_of(template, None).saturating_add(bytes)).await?;
        let filled = self.fill(template, None)?;
        let mut texts = Vec::new();
        let mut sum = Sum::new(self.inner.limits.value_bytes);
        for outcome in outcomes {
            match self.element_text(&outcome, &fields) {
                Ok(text) => {
                    sum.add(text.len())?;
                    texts.push(text);
                }
                Err(fault) if fault.is_final() => return Err(fault),
                Err(_) => self.flow.note_left_out(),
            }
        }
        if texts.is_empty() {
            return Err(Fault::Nothing);
        }
        self.show_words();
        self.tree(&slot, &filled, place, texts, settings).await
    }

    /// Which of the outcomes the model chooses. A prompt that is too long is condensed first.
    pub(super) async fn decide(
        &mut self,
        template: &Template,
        item: Option<&Arc<Node>>,
        outcomes: &[String],
    ) -> Result<usize, Fault> {
        let item = self.gather(template, item).await;
        let slot = self.inner.model_slot(bytes_of(template, item.as_deref())).await?;
        let mut filled = self.fill(template, item.as_deref())?;
        // A token is at least a byte of an outcome.
        let longest = outcomes.iter().map(String::len).max().unwrap_or(0);
        let max_tokens = u32::try_from(longest).unwrap_or(u32::MAX).saturating_add(1);
        if !self.fits(&slot, &filled, (max_tokens, Weights::Base)).await? {
            let (place, text) = filled.longest().ok_or(Fault::TooLong)?;
            self.flow.note_in_pieces();
            let condensed = self.condense(&slot, template, text).await?;
            filled.put(place, condensed.into());
        }
        let (style, weights) = (hearth_base::Style::Exact, Weights::Base);
        let settings = Settings { max_tokens, style, stop: Vec::new(), weights };
        let prompt = (filled.chat(), filled.own_words());
        let ask = self.ask_of(prompt, &settings, Some(outcomes.to_vec()));
        let answer = self.ask(&slot, ask, |_| {}).await?.text;
        outcomes.iter().position(|outcome| *outcome == answer).ok_or(Fault::NoOutcome)
    }

    /// What of a long text bears on the question, in a few sentences.
    async fn condense(
        &mut self,
        slot: &ModelSlot,
        question: &Template,
        text: Arc<str>,
    ) -> Result<String, Fault> {
        let asked = format!(
            "Sum up the text in a few sentences. Keep whatever bears on this: {}\n\n",
            question.literals()
        );
        let pieces = vec![
            Text { text: asked.into(), literal: true },
            Text { text: Arc::clone(&text), literal: false },
        ];
        let filled = Filled(vec![(Role::User, pieces)]);
        let (style, weights) = (hearth_base::Style::Exact, Weights::Base);
        let settings = Settings { max_tokens: CONDENSED_TOKENS, style, stop: Vec::new(), weights };
        self.tree(slot, &filled, (0, 1), vec![text], &settings).await
    }

    async fn tree(
        &mut self,
        slot: &ModelSlot,
        filled: &Filled,
        place: Place,
        mut texts: Vec<Arc<str>>,
        settings: &Settings,
    ) -> Result<String, Fault> {
        let context = self.inner.model().ok_or(Fault::NoModel)?.context_tokens;
        let frame = filled.chat_with(place, "");
        let frame = self.measure(slot, Prompt::Chat(frame), settings.weights).await?;
        let taken = frame.saturating_add(settings.max_tokens).saturating_add(SLACK_TOKENS);
        let room = context.saturating_sub(taken);
        if room < LEAST_ROOM_TOKENS {
            return Err(Fault::TooLong);
        }
        // Two answers and what joins them must fit into the next level, or the tree would never close.
        let part =
            Settings { max_tokens: settings.max_tokens.min(room / 3).max(1), ..settings.clone() };
        for level in 0..MOST_LEVELS {
            let groups = self.pack(slot, &texts, (room, settings.weights)).await?;
            if let [only] = groups.as_slice() {
                let prompt = (filled.chat_with(place, only), filled.own_words());
                return self.ask_shown(slot, prompt, settings).await;
            }
            if level > 0 && groups.len() >= texts.len() {
                return Err(Fault::TooLong);
            }
            self.flow.note_in_pieces();
            let mut answers = Vec::with_capacity(groups.len());
            for group in &groups {
                let prompt = (filled.chat_with(place, group), filled.own_words());
                let ask = self.ask_of(prompt, &part, None);
                answers.push(self.ask(slot, ask, |_| {}).await?.text.into());
            }
            texts = answers;
        }
        Err(Fault::TooLong)
    }

    /// Puts texts together as far as `room_tokens` goes, cutting those that are longer by themselves.
    async fn pack(
        &mut self,
        slot: &ModelSlot,
        texts: &[Arc<str>],
        (room_tokens, weights): (u32, Weights),
    ) -> Result<Vec<String>, Fault> {
        let mut groups: Vec<String> = Vec::new();
        let mut left = 0;
        for text in texts {
            let length = self.measure(slot, Prompt::Text(text.to_string()), weights).await?;
            let pieces = if length > room_tokens {
                self.split(slot, Arc::clone(text), room_tokens).await?
            } else {
                vec![text.to_string()]
            };
            let whole = pieces.len() == 1;
            for piece in pieces {
                match groups.last_mut() {
                    Some(group) if whole && length + SLACK_TOKENS <= left => {
                        group.push_str(SEPARATOR);
                        group.push_str(&piece);
                        left -= length + SLACK_TOKENS;
                    }
                    _ => {
                        groups.push(piece);
                        // The last piece of a cut text is not measured again: nothing is put behind it.
                        left = if whole { room_tokens - length } else { 0 };
                    }
                }
            }
        }
        Ok(groups)
    }

    /// Has all that goes into a prompt made, without copying any of it yet, and gives the element at hand.
    async fn gather(&self, template: &Template, item: Option<&Arc<Node>>) -> Option<Arc<Outcome>> {
        for node in template.values() {
            node.resolve(self.inner).await;
        }
        match item {
            Some(item) => Some(item.resolve(self.inner).await),
            None => None,
        }
    }

    /// Fills a prompt in, once everything for it is there. Only under a slot, since documents are copied for it, and so
    /// are labels.
    fn fill(&mut self, template: &Template, item: Option<&Outcome>) -> Result<Filled, Fault> {
        self.flow.join_label(&self.node.scope.literal());
        if let Some(item) = item {
            self.flow.join(&item.flow);
        }
        let mut sum = Sum::new(self.inner.limits.value_bytes);
        let mut messages = Vec::with_capacity(template.0.len());
        for turn in &template.0 {
            let mut texts = Vec::with_capacity(turn.pieces.len());
            for piece in &turn.pieces {
                let text = match (piece, item) {
                    (Piece::Literal(text), _) => Arc::clone(text),
                    (Piece::Value(node), _) => {
                        let outcome = node.outcome.get().ok_or(Fault::Mismatch)?;
                        self.flow.join(&outcome.flow);
                        outcome.text()?
                    }
                    (Piece::Item(field), Some(item)) => item.field(field.unwrap_or(Field::Body))?,
                    (Piece::Item(_), None) => "".into(),
                };
                // Every piece counts, however often it is the same text: they are about to be put in a row.
                sum.add(text.len())?;
                texts.push(Text { text, literal: matches!(piece, Piece::Literal(_)) });
            }
            messages.push((engine_role(turn.role), texts));
        }
        self.show_words();
        Ok(Filled(messages))
    }

    /// Where the first hole of a prompt is.
    fn hole(&self, template: &Template) -> Option<Place> {
        template.0.iter().enumerate().find_map(|(m, turn)| {
            let piece = turn.pieces.iter().position(|piece| matches!(piece, Piece::Item(_)))?;
            Some((m, piece))
        })
    }

    fn element_text(&mut self, outcome: &Outcome, fields: &[Field]) -> Result<Arc<str>, Fault> {
        self.flow.join(&outcome.flow);
        match fields {
            [field] => outcome.field(*field),
            _ => {
                let texts: Result<Vec<Arc<str>>, Fault> =
                    fields.iter().map(|field| outcome.field(*field)).collect();
                Ok(texts?.join("\n").into())
            }
        }
    }

    async fn fits(
        &mut self,
        slot: &ModelSlot,
        filled: &Filled,
        (max_tokens, weights): (u32, Weights),
    ) -> Result<bool, Fault> {
        let context = self.inner.model().ok_or(Fault::NoModel)?.context_tokens;
        let prompt = self.measure(slot, Prompt::Chat(filled.chat()), weights).await?;
        Ok(prompt.saturating_add(max_tokens) <= context)
    }

    /// What such weights have learnt is part of whatever they have a part in, be it a failure.
    fn learn_from(&mut self, weights: Weights) {
        let learnt = self.node.scope.learnt(weights);
        self.flow.join_label(&learnt);
    }

    /// Asks, showing the answer as it comes.
    async fn ask_shown(
        &mut self,
        slot: &ModelSlot,
        prompt: (Vec<ChatMessage>, Vec<ChatMessage>),
        settings: &Settings,
    ) -> Result<String, Fault> {
        self.show_words();
        let ask = self.ask_of(prompt, settings, None);
        let (node, inner) = (self.node, self.inner);
        let answered = self
            .ask(slot, ask, |text| {
                node.partial(|partial| partial.text.push_str(text));
                inner.panels_changed();
            })
            .await?;
        if answered.stop == StopReason::MaxTokens || answered.stop == StopReason::ContextFull {
            self.flow.note_ends_early();
        }
        Ok(answered.text)
    }

    /// Of the prompt, which comes with the plugin's own words in it, the engine may keep what these begin with.
    fn ask_of(
        &self,
        (messages, own_words): (Vec<ChatMessage>, Vec<ChatMessage>),
        settings: &Settings,
        outcomes: Option<Vec<String>>,
    ) -> Ask {
        Ask {
            messages,
            max_tokens: settings.max_tokens,
            style: settings.style,
            // No two answers of a run share their draws.
            seed: self.node.scope.seed.wrapping_add(self.node.id),
            stop: settings.stop.clone(),
            outcomes,
            weights: settings.weights,
            cache: CacheScope::SharedHead {
                key: self.node.scope.own_words(settings.weights),
                head: Box::new(Prompt::Chat(own_words)),
            },
        }
    }

    async fn ask(
        &mut self,
        slot: &ModelSlot,
        ask: Ask,
        on_text: impl FnMut(&str) + Send,
    ) -> Result<model::Answered, Fault> {
        self.learn_from(ask.weights);
        let permit = self.inner.permitted(&self.node.scope, ask, |_, permit| Ok(permit)).await?;
        let answered = model::ask(self.inner, slot, permit, on_text).await?;
        self.flow.join_label(&answered.weights);
        Ok(answered)
    }

    /// Length of a prompt in tokens. One that is too long to be read is longer than any context.
    async fn measure(
        &mut self,
        slot: &ModelSlot,
        prompt: Prompt,
        weights: Weights,
    ) -> Result<u32, Fault> {
        let bytes = match &prompt {
            Prompt::Chat(messages) => messages.iter().map(|message| message.content.len()).sum(),
            Prompt::Text(text) => text.len(),
            Prompt::Tokens(ids) => size_of_val(ids.as_slice()),
        };
        if bytes > self.inner.limits.model_bytes {
            return Ok(u32::MAX);
        }
        let operation = Measure(prompt, weights);
        let permit =
            self.inner.permitted(&self.node.scope, operation, |_, permit| Ok(permit)).await?;
        model::measure(self.inner, slot, permit).await
    }

    pub(super) async fn split(
        &mut self,
        slot: &ModelSlot,
        text: Arc<str>,
        max_tokens: u32,
    ) -> Result<Vec<String>, Fault> {
        let operation = Split { text, max_tokens, most_pieces: self.inner.limits.collection_items };
        let permit =
            self.inner.permitted(&self.node.scope, operation, |_, permit| Ok(permit)).await?;
        model::split(self.inner, slot, permit).await
    }
}

/// Bytes of all that may go into a prompt, once it is there.
fn bytes_of(template: &Template, item: Option<&Outcome>) -> usize {
    let values = template.values().filter_map(|node| node.outcome.get());
    let values = values.map(AsRef::as_ref).chain(item).map(Outcome::bytes);
    values.fold(template.literal_bytes(), usize::saturating_add)
}

/// Bytes of texts that will stand in a row.
struct Sum {
    bytes: usize,
    limit_bytes: usize,
}

impl Sum {
    fn new(limit_bytes: usize) -> Self {
        Self { bytes: 0, limit_bytes }
    }

    fn add(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        let limit_bytes = self.limit_bytes;
        if self.bytes > limit_bytes { Err(Fault::TooLarge { limit_bytes }) } else { Ok(()) }
    }
}

/// Whether a collection of this kind can fill this hole: only documents have fields.
pub(crate) fn suits(kind: Kind, field: Option<Field>) -> bool {
    match kind {
        Kind::Documents => true,
        Kind::Texts => field.is_none(),
        _ => false,
    }
}

/// The engine's name for a role.
pub(crate) fn engine_role(role: MessageRole) -> Role {
    match role {
        MessageRole::System => Role::System,
        MessageRole::User => Role::User,
        MessageRole::Assistant => Role::Assistant,
    }
}
