//! A model that says what the scenario tells it to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_engine_api::{FakeBackend, Prompt};

use super::{format::AnswerSpec, trace::quoted};

/// What the model has to say, and what it was asked that it has nothing to say to.
#[derive(Debug)]
pub(super) struct Script {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    answers: Vec<(AnswerSpec, u32)>,
    /// The command that runs, or the panel that was touched.
    within: String,
    unscripted: Vec<String>,
}

impl Script {
    pub(super) fn new(answers: &[AnswerSpec]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| (answer.clone(), 0)).collect();
        let state = State { answers, within: String::new(), unscripted: Vec::new() };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// A backend that answers by it.
    pub(super) fn backend(self: &Arc<Self>) -> FakeBackend {
        let script = Arc::clone(self);
        FakeBackend::new(move |prompt| script.answer(prompt))
    }

    /// From now on it is this command, or a gesture in this panel.
    pub(super) fn enter(&self, within: &str) {
        within.clone_into(&mut self.state().within);
    }

    /// Prompts since it was last asked that no answer was for.
    pub(super) fn take_unscripted(&self) -> Vec<String> {
        std::mem::take(&mut self.state().unscripted)
    }

    /// The first answer that fits and is not used up; else one that says so.
    fn answer(&self, prompt: &Prompt) -> String {
        let text = text_of(prompt);
        let mut state = self.state();
        let State { answers, within, unscripted } = &mut *state;
        let fits = |(spec, used): &&mut (AnswerSpec, u32)| {
            spec.within.as_ref().is_none_or(|name| name == within)
                && spec.times.is_none_or(|times| *used < times)
                && spec.contains.iter().all(|words| text.contains(words))
        };
        if let Some((spec, used)) = answers.iter_mut().find(fits) {
            *used += 1;
            return spec.text.clone();
        }
        unscripted.push(quoted(&text));
        "(no scripted answer)".into()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text_of(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Chat(messages) => {
            messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("\n")
        }
        Prompt::Text(text) => text.clone(),
        Prompt::Tokens(ids) => format!("{} tokens", ids.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(
        within: Option<&str>,
        contains: &[&str],
        times: Option<u32>,
        text: &str,
    ) -> AnswerSpec {
        AnswerSpec {
            within: within.map(str::to_owned),
            contains: contains.iter().map(|&words| words.to_owned()).collect(),
            times,
            text: text.to_owned(),
        }
    }

    #[test]
    fn answers_go_by_words_command_and_order() {
        let script = Script::new(&[
            answer(None, &["sea", "sky"], None, "both"),
            answer(Some("other"), &[], None, "elsewhere"),
            answer(None, &[], Some(1), "first"),
        ]);
        let ask = |words: &str| script.answer(&Prompt::Text(words.into()));
        script.enter("go");
        assert_eq!(ask("sky and sea"), "both");
        assert_eq!(ask("sea"), "first");
        assert_eq!(ask("sea"), "(no scripted answer)");
        assert_eq!(script.take_unscripted(), ["\"sea\""]);
        script.enter("other");
        assert_eq!(ask("sea"), "elsewhere");
        assert!(script.take_unscripted().is_empty());
    }
}
