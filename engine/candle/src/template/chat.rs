//! A conversation as token ids, with the messages kept apart from the template that frames them.
//!
//! A message may spell `<|im_end|>`; it must not end a turn by that. So the template never gets to see
//! such spellings: every character that occurs in the spelling of a control token or tag is replaced in
//! the messages by a stand-in of its own, taken from a private-use area and found nowhere in messages or
//! template. Whatever the template does with a message (trim it, cut it, repeat it), a stand-in in the
//! rendering is a character of a message, and a control token found in the rendering consists of
//! characters the template has put. Runs with stand-ins are then turned back and encoded as literal text,
//! the rest with control tokens parsed, and words are formed across the borders as in any text.
//!
//! What a template pays for this: it sees messages as opaque. It can trim them (blanks have no
//! stand-ins), but not look for markup in them or change their case.
//!
//! Some templates (Gemma 2, Mistral 7B) know no system message and refuse. Such a conversation is laid out once more
//! with that message at the head of the first of the user's, which is what the newer ones of the same makers do.

use std::collections::{BTreeSet, HashMap};

use hearth_engine_api::{ChatMessage, EngineError, Role};
use jiff::civil::DateTime;
use minijinja::{Value, context, value::Serde};

use super::{ChatTemplate, TemplateError};
use crate::tokenizer::{Span, Special, Tokenizer};

/// Marks of reasoning, which templates take out of earlier answers.
const REASONING: [&str; 2] = ["<think>", "</think>"];
/// Where stand-ins are taken from: the private-use plane 16.
const STAND_INS: std::ops::RangeInclusive<u32> = 0x10_0000..=0x10_FFFD;

impl ChatTemplate {
    /// The token ids of a conversation, ending with the cue for the assistant's answer.
    ///
    /// Control tokens occur exactly where the template puts them, whatever the messages spell. A token
    /// that begins a text stands at the front once, where the model wants it.
    ///
    /// # Errors
    /// [`EngineError::Template`] where the template refuses or fails, `Invalid` where the vocabulary
    /// cannot spell a message.
    pub fn encode_chat(
        &self,
        tokenizer: &Tokenizer,
        messages: &[ChatMessage],
        now: DateTime,
    ) -> Result<Vec<u32>, EngineError> {
        let layout = Layout::new(self, tokenizer, messages, now)?;
        layout.ids(&layout.text(messages.len(), true)?)
    }

    /// The conversation as text, with stand-ins in it.
    fn lay_out(
        &self,
        tokenizer: &Tokenizer,
        messages: &[Masked],
        cue: bool,
        now: DateTime,
    ) -> Result<String, TemplateError> {
        let spelling = |id: Option<u32>| id.and_then(|id| tokenizer.special_text(id)).unwrap_or("");
        let messages: Vec<Value> = messages
            .iter()
            .map(|Masked { role, content }| context! { role => Serde(role), content })
            .collect();
        let context = context! {
            messages,
            add_generation_prompt => cue,
            bos_token => spelling(tokenizer.bos()),
            eos_token => spelling(tokenizer.eos()),
        };
        // Most templates are written for tools that say `none` here, some for tools that say nothing.
        let nothing = context! { tools => (), documents => (), ..context.clone() };
        match self.render(nothing, now) {
            Err(error @ TemplateError::Broken { .. }) => {
                self.render(context, now).map_err(|_second| error)
            }
            rendered => rendered,
        }
    }
}

/// A conversation that a template lays out as far as is asked for.
pub(crate) struct Layout<'a> {
    template: &'a ChatTemplate,
    tokenizer: &'a Tokenizer,
    stand_ins: StandIns,
    messages: Vec<Masked>,
    now: DateTime,
}

impl<'a> Layout<'a> {
    pub(crate) fn new(
        template: &'a ChatTemplate,
        tokenizer: &'a Tokenizer,
        messages: &[ChatMessage],
        now: DateTime,
    ) -> Result<Self, EngineError> {
        let stand_ins = StandIns::choose(tokenizer, messages, template.source())?;
        let masked = |message: &ChatMessage| Masked {
            role: message.role,
            content: stand_ins.mask(message, tokenizer),
        };
        let messages = messages.iter().map(masked).collect();
        Ok(Self { template, tokenizer, stand_ins, messages, now })
    }

    /// The first `count` messages as text with stand-ins in it, ending with the cue for an answer if asked for.
    pub(crate) fn text(&self, count: usize, cue: bool) -> Result<String, TemplateError> {
        let messages = &self.messages[..count];
        match self.template.lay_out(self.tokenizer, messages, cue, self.now) {
            Err(refusal @ TemplateError::Refused { .. }) => match without_system(messages) {
                Some(folded) => self
                    .template
                    .lay_out(self.tokenizer, &folded, cue, self.now)
                    .map_err(|_second| refusal),
                None => Err(refusal),
            },
            text => text,
        }
    }

    /// A text of [`Layout::text`] cut into what messages and what the template have put.
    pub(crate) fn runs(&self, text: &str) -> Vec<(String, Special)> {
        self.stand_ins.unmask(text)
    }

    /// The ids of a text of [`Layout::text`].
    pub(crate) fn ids(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let runs = self.runs(text);
        let spans: Vec<Span<'_>> =
            runs.iter().map(|(text, special)| Span { text, special: *special }).collect();
        let mut ids = self.tokenizer.encode_spans(&spans)?;
        if let Some(bos) = self.tokenizer.bos()
            && self.tokenizer.add_bos()
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
        }
        Ok(ids)
    }
}

/// A message as the template sees it.
#[derive(Clone)]
struct Masked {
    role: Role,
    content: String,
}

/// The messages with a system message at their head put before the user's that follows.
fn without_system(messages: &[Masked]) -> Option<Vec<Masked>> {
    let [system, user, rest @ ..] = messages else { return None };
    if (system.role, user.role) != (Role::System, Role::User) {
        return None;
    }
    let content = format!("{}\n\n{}", system.content.trim(), user.content);
    let first = Masked { role: Role::User, content };
    Some([first].into_iter().chain(rest.iter().cloned()).collect())
}

/// Stand-ins for the characters of markup, and the way back.
struct StandIns {
    of: HashMap<char, char>,
    back: HashMap<char, char>,
}

impl StandIns {
    fn choose(
        tokenizer: &Tokenizer,
        messages: &[ChatMessage],
        template: &str,
    ) -> Result<Self, EngineError> {
        let taken: BTreeSet<char> = messages
            .iter()
            .map(|message| message.content.as_str())
            .chain([template])
            .flat_map(str::chars)
            .filter(|c| STAND_INS.contains(&u32::from(*c)))
            .collect();
        let mut free = STAND_INS.filter_map(char::from_u32).filter(|c| !taken.contains(c));
        let mut of = HashMap::new();
        for c in tokenizer.markup_chars() {
            let stand_in = free.next().ok_or_else(|| EngineError::Invalid {
                reason: "the messages use up every private-use character".into(),
            })?;
            of.insert(*c, stand_in);
        }
        let back = of.iter().map(|(c, stand_in)| (*stand_in, *c)).collect();
        Ok(Self { of, back })
    }

    fn mask(&self, message: &ChatMessage, tokenizer: &Tokenizer) -> String {
        let content = message.content.as_str();
        if message.role != Role::Assistant {
            return self.mask_text(content);
        }
        // Reasoning marks in the model's own words stay visible to the template, which leaves out what
        // they enclose; unless the vocabulary counts them among the control tokens.
        let is_control =
            |mark: &str| tokenizer.token_to_id(mark).is_some_and(|id| tokenizer.is_special(id));
        let marks: Vec<&str> = REASONING.into_iter().filter(|mark| !is_control(mark)).collect();
        let mut masked = String::with_capacity(content.len() * 2);
        let mut done = 0;
        for (start, _) in content.match_indices('<') {
            if let Some(mark) = marks.iter().find(|mark| content[start..].starts_with(**mark)) {
                masked.push_str(&self.mask_text(&content[done..start]));
                masked.push_str(mark);
                done = start + mark.len();
            }
        }
        masked + &self.mask_text(&content[done..])
    }

    fn mask_text(&self, text: &str) -> String {
        text.chars().map(|c| self.of.get(&c).copied().unwrap_or(c)).collect()
    }

    /// Cuts a rendering into runs with and without stand-ins, and turns the former back.
    fn unmask(&self, rendered: &str) -> Vec<(String, Special)> {
        let mut runs: Vec<(String, Special)> = Vec::new();
        for c in rendered.chars() {
            let (c, special) = match self.back.get(&c) {
                Some(original) => (*original, Special::Literal),
                None => (c, Special::Parse),
            };
            match runs.last_mut() {
                Some((run, kind)) if *kind == special => run.push(c),
                _ => runs.push((c.into(), special)),
            }
        }
        runs
    }
}
