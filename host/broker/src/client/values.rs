//! Calls that build values from values.

use hearth_base::{GuestError, Handle, HostReply, Quota};

use super::{Client, invalid, wrong_kind};
use crate::values::{Flow, Kind, Op};

/// A choice has at most 64 outcomes.
const MOST_COUNTED: u8 = 63;

impl Client {
    pub(super) fn literal(&mut self, text: String) -> HostReply {
        let limits = self.inner.limits;
        let all_bytes = self.meter.literals_bytes + text.len();
        if text.len() > limits.literal_bytes || all_bytes > limits.literals_bytes {
            return Err(GuestError::OverQuota(Quota::Bytes));
        }
        self.meter.literals_bytes = all_bytes;
        let flow = Flow::of(self.scope.literal());
        self.make(Kind::Text, Op::Given(text.into(), flow))
    }

    pub(super) fn concat(&mut self, parts: &[Handle]) -> HostReply {
        let parts = self.texts(parts)?;
        self.make(Kind::Text, Op::Concat(parts))
    }

    pub(super) fn chunk(&mut self, text: Handle, max_tokens: u16) -> HostReply {
        let text = self.text(text)?;
        let least = self.inner.limits.least_piece_tokens;
        if max_tokens < least {
            return Err(invalid(&format!("a piece may have at least {least} tokens")));
        }
        self.make(Kind::Texts, Op::Chunk { text, max_tokens })
    }

    pub(super) fn collection_of(&mut self, parts: &[Handle]) -> HostReply {
        let parts = self.texts(parts)?;
        self.make(Kind::Texts, Op::Of(parts))
    }

    pub(super) fn take(&mut self, collection: Handle, count: u16) -> HostReply {
        let collection = self.collection(collection)?;
        self.make(collection.kind, Op::Take { collection, count })
    }

    pub(super) fn join(&mut self, collection: Handle, separator: String) -> HostReply {
        let collection = self.collection(collection)?;
        if separator.len() > self.inner.limits.panel_string_bytes {
            return Err(GuestError::OverQuota(Quota::Bytes));
        }
        let separator = separator.into();
        self.make(Kind::Text, Op::Join { collection, separator })
    }

    pub(super) fn zip(&mut self, left: Handle, right: Handle, separator: String) -> HostReply {
        let (left, right) = (self.collection(left)?, self.collection(right)?);
        if separator.len() > self.inner.limits.panel_string_bytes {
            return Err(GuestError::OverQuota(Quota::Bytes));
        }
        self.make(Kind::Texts, Op::Zip { left, right, separator: separator.into() })
    }

    pub(super) fn count(&mut self, collection: Handle, up_to: u8) -> HostReply {
        let collection = self.collection(collection)?;
        if !(1..=MOST_COUNTED).contains(&up_to) {
            return Err(invalid(&format!("what is counted goes up to 1 to {MOST_COUNTED}")));
        }
        let up_to = usize::from(up_to);
        self.make(Kind::Choice { outcomes: up_to + 1 }, Op::Count { collection, up_to })
    }

    pub(super) fn select(&mut self, choice: Handle, options: &[Handle]) -> HostReply {
        let choice = self.value(choice)?;
        let Kind::Choice { outcomes } = choice.kind else { return Err(wrong_kind("a choice")) };
        let options = self.texts(options)?;
        if options.len() != outcomes {
            return Err(GuestError::Invalid(format!("as many options as outcomes: {outcomes}")));
        }
        self.make(Kind::Text, Op::Select { choice, options })
    }
}
