//! Interface `declassify`: passed on like any other; the host refuses it.

use hearth_base::{Answer, HostCall};
use wasmtime::component::Resource;

use crate::{
    bindings::{Choice, Text, declassify},
    context::{Context, Told, handle},
};

// The host refuses all of these for now; the runner decides nothing.
impl declassify::Host for Context {
    fn reveal_choice(&mut self, choice: Resource<Choice>) -> Told<u32> {
        self.ask_told(HostCall::RevealChoice(handle(&choice)), number)
    }

    fn reveal_text(&mut self, text: Resource<Text>, purpose: String) -> Told<String> {
        let call = HostCall::RevealText { text: handle(&text), purpose };
        self.ask_told(call, |answer| match answer {
            Answer::Text(text) => Some(text),
            _ => None,
        })
    }

    fn remaining(&mut self) -> wasmtime::Result<u32> {
        Ok(self.ask(HostCall::Remaining, number)?.unwrap_or(0))
    }
}

fn number(answer: Answer) -> Option<u32> {
    match answer {
        Answer::Number(number) => Some(number),
        _ => None,
    }
}
