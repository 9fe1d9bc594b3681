//! Interface `settings`.

use hearth_base::{Answer, HostCall, SettingValue};

use crate::{bindings::settings, context::Context};

impl settings::Host for Context {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<settings::Setting>> {
        let setting = self.ask(HostCall::SettingGet(key), |answer| match answer {
            Answer::Setting(setting) => Some(setting.map(Into::into)),
            _ => None,
        })?;
        // The function has no error: a setting that cannot be had is not there.
        Ok(setting.unwrap_or(None))
    }
}

impl From<SettingValue> for settings::Setting {
    fn from(value: SettingValue) -> Self {
        match value {
            SettingValue::Flag(on) => Self::Flag(on),
            SettingValue::Number(number) => Self::Number(number),
            SettingValue::Text(text) => Self::Text(text),
            SettingValue::Choice(index) => Self::Choice(index),
        }
    }
}
