//! Interface `storage`.

use hearth_base::{Answer, HostCall};

use crate::{
    bindings::storage,
    context::{Context, Told},
};

impl storage::Host for Context {
    fn get(&mut self, key: String) -> Told<Option<Vec<u8>>> {
        self.ask_told(HostCall::StorageGet(key), |answer| match answer {
            Answer::Bytes(bytes) => Some(bytes),
            _ => None,
        })
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Told<()> {
        self.ask_unit(HostCall::StorageSet { key, value })
    }

    fn delete(&mut self, key: String) -> Told<()> {
        self.ask_unit(HostCall::StorageDelete(key))
    }

    fn keys(&mut self) -> Told<Vec<String>> {
        self.ask_told(HostCall::StorageKeys, |answer| match answer {
            Answer::Keys(keys) => Some(keys),
            _ => None,
        })
    }
}
