//! Interface `host`: the frozen world, answered here, and what the guest tells of itself.

use hearth_base::{HostCall, LogLevel};

use crate::{
    bindings::{host, types},
    context::Context,
};

impl host::Host for Context {
    fn info(&mut self) -> wasmtime::Result<host::InvocationInfo> {
        let info = &self.info;
        let today =
            types::Date { year: info.today.year, month: info.today.month, day: info.today.day };
        let locale = info.locale.clone();
        Ok(host::InvocationInfo { today, seed: info.seed, locale, api: info.api })
    }

    fn log(&mut self, level: host::Level, message: String) -> wasmtime::Result<()> {
        // A line over the cap is dropped by the host; the guest is not told.
        self.ask_unit(HostCall::Log { level: level.into(), message })?.ok();
        Ok(())
    }

    fn progress(&mut self, percent: Option<u8>, message: String) -> wasmtime::Result<()> {
        self.ask_unit(HostCall::Progress { percent, message })?.ok();
        Ok(())
    }
}

impl From<host::Level> for LogLevel {
    fn from(level: host::Level) -> Self {
        match level {
            host::Level::Debug => Self::Debug,
            host::Level::Info => Self::Info,
            host::Level::Warn => Self::Warn,
            host::Level::Error => Self::Error,
        }
    }
}
