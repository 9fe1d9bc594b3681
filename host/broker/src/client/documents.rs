//! Calls about documents.

use std::sync::Arc;

use hearth_base::{Answer, Field, GuestError, Handle, HostReply, Quota, Sort};

use super::{Client, SaveOrder, wrong_kind};
use crate::{
    limits::count,
    policy::Access,
    values::{Kind, Op},
};

impl Client {
    pub(super) fn document_get(&mut self, document: Handle, field: Field) -> HostReply {
        let document = self.value(document)?;
        if document.kind != Kind::Document {
            return Err(wrong_kind("a document"));
        }
        self.make(Kind::Text, Op::Field { document, field })
    }

    pub(super) fn granted(&mut self, slot: String, order: Sort, limit: u16) -> HostReply {
        self.allow(Access::Slot(&slot))?;
        self.check_limit(limit)?;
        self.make(Kind::Documents, Op::Granted { slot, order, limit })
    }

    pub(super) fn pick(&mut self, purpose: String, limit: u16) -> HostReply {
        self.allow(Access::Pick)?;
        self.check_limit(limit)?;
        if purpose.len() > self.inner.limits.panel_string_bytes {
            return Err(GuestError::OverQuota(Quota::Bytes));
        }
        self.make(Kind::Documents, Op::Pick { purpose, limit })
    }

    pub(super) fn search(&mut self, slot: String, query: Handle, limit: u16) -> HostReply {
        self.allow(Access::SearchSlot(&slot))?;
        let query = self.text(query)?;
        self.check_limit(limit)?;
        self.make(Kind::Documents, Op::Search { slot, query, limit })
    }

    pub(super) fn thread(&mut self, document: Handle, slot: String, limit: u16) -> HostReply {
        self.allow(Access::Slot(&slot))?;
        self.check_limit(limit)?;
        let document = self.value(document)?;
        if document.kind != Kind::Document {
            return Err(wrong_kind("a document"));
        }
        self.make(Kind::Documents, Op::Thread { document, slot, limit })
    }

    /// Titles and texts.
    pub(super) fn threads(&mut self, slot: String, limit: u16) -> HostReply {
        self.allow(Access::Slot(&slot))?;
        self.check_limit(limit)?;
        let free = self.inner.limits.handles.saturating_sub(self.held.len());
        if free < 2 {
            return Err(GuestError::OverQuota(Quota::Handles));
        }
        let parted = self.inner.node(&self.scope, Kind::Parted, Op::Threads { slot, limit });
        let handles: Result<Vec<Handle>, GuestError> = (0..2)
            .map(|index| {
                let op = Op::Outcome { parted: Arc::clone(&parted), index };
                self.hold(self.inner.node(&self.scope, Kind::Texts, op))
            })
            .collect();
        handles.map(Answer::Handles)
    }

    pub(super) fn save(&mut self, title: Handle, body: Handle) -> HostReply {
        self.allow(Access::Save)?;
        let order = SaveOrder::One { title: self.text(title)?, body: self.text(body)? };
        self.order(order)
    }

    pub(super) fn save_each(&mut self, titles: Handle, bodies: Handle) -> HostReply {
        self.allow(Access::Save)?;
        let order =
            SaveOrder::Each { titles: self.collection(titles)?, bodies: self.collection(bodies)? };
        self.order(order)
    }

    fn order(&mut self, order: SaveOrder) -> HostReply {
        count(&mut self.meter.saves, self.inner.limits.saves, Quota::Items)?;
        self.saves.push(order);
        Ok(Answer::Unit)
    }

    fn check_limit(&self, limit: u16) -> Result<(), GuestError> {
        if limit > self.inner.limits.collection_items {
            return Err(GuestError::OverQuota(Quota::Items));
        }
        Ok(())
    }
}
