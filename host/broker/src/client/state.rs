//! Calls about what outlives a run: storage and kept values.

use hearth_base::{Answer, GuestError, Handle, HostReply, Quota};

use super::{Client, invalid};
use crate::{
    policy::Access,
    values::{Kind, Op},
};

impl Client {
    pub(super) fn storage_get(&mut self, key: &str) -> HostReply {
        self.allow(Access::Storage)?;
        Ok(Answer::Bytes(self.storage.get(key).cloned()))
    }

    pub(super) fn storage_set(&mut self, key: String, value: Vec<u8>) -> HostReply {
        self.allow(Access::Storage)?;
        self.check_name(&key)?;
        let others = self.storage.iter().filter(|(other, _)| **other != key);
        let used: usize = others.map(|(key, value)| key.len() + value.len()).sum();
        let limit = usize::from(self.scope.manifest.capabilities.storage_kib) << 10;
        if used + key.len() + value.len() > limit {
            return Err(GuestError::OverQuota(Quota::Storage));
        }
        self.storage.insert(key, value);
        self.storage_changed = true;
        Ok(Answer::Unit)
    }

    pub(super) fn storage_delete(&mut self, key: &str) -> HostReply {
        self.allow(Access::Storage)?;
        self.storage_changed |= self.storage.remove(key).is_some();
        Ok(Answer::Unit)
    }

    pub(super) fn storage_keys(&mut self) -> HostReply {
        self.allow(Access::Storage)?;
        Ok(Answer::Keys(self.storage.keys().cloned().collect()))
    }

    pub(super) fn keep(&mut self, name: String, value: Handle) -> HostReply {
        let value = self.text(value)?;
        self.check_name(&name)?;
        if !self.kept_names.contains(&name) && self.kept_names.len() >= self.inner.limits.kept_names
        {
            return Err(GuestError::OverQuota(Quota::Storage));
        }
        self.kept_names.insert(name.clone());
        self.kept.insert(name, value);
        Ok(Answer::Unit)
    }

    /// Some exactly when this plugin kept something under the name: its own calls decide, not what became of them.
    pub(super) fn kept_value(&mut self, name: &str) -> HostReply {
        if !self.kept_names.contains(name) {
            return Ok(Answer::MaybeHandle(None));
        }
        let node = self.kept.get(name).cloned().unwrap_or_else(|| {
            // Whether it has reached the vault yet must not be felt, so either way it is the same kind of node.
            let work = self.inner.work();
            let pending = work.get(&self.scope.plugin).and_then(|w| w.kept.get(name).cloned());
            drop(work);
            let op = Op::Kept { name: name.to_owned(), pending };
            self.inner.node(&self.scope, Kind::Text, op)
        });
        self.hold(node).map(|handle| Answer::MaybeHandle(Some(handle)))
    }

    fn check_name(&self, name: &str) -> Result<(), GuestError> {
        let limit = self.inner.limits.name_bytes;
        if name.is_empty() || name.len() > limit {
            return Err(invalid(&format!("a name has 1 to {limit} bytes")));
        }
        Ok(())
    }
}
