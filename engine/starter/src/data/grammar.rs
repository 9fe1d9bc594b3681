//! Text from templates: alternatives in `[a|b]`, slots in `{kind}`.

use std::collections::BTreeMap;

use super::{rng::Rng, wild::WILD_RULES, words::RULES};

/// The values that slots of one text have taken, so that body and summary speak of the same thing.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    values: BTreeMap<String, String>,
}

impl Slots {
    /// Fixes the value of a slot.
    pub(super) fn set(&mut self, slot: &str, value: impl Into<String>) {
        self.values.insert(slot.to_owned(), value.into());
    }

    /// The value of a slot that has one.
    pub(super) fn get(&self, slot: &str) -> Option<&str> {
        self.values.get(slot).map(String::as_str)
    }

    /// Writes one of `templates` out.
    pub(super) fn expand_one(&mut self, rng: &mut Rng, templates: &[&str]) -> String {
        let template = rng.pick(templates);
        self.expand(rng, template)
    }

    /// Writes `template` out. A slot met for the first time takes a fresh value; digits at the end
    /// of its name tell slots of one kind apart: `{person}` and `{person2}`.
    pub(super) fn expand(&mut self, rng: &mut Rng, template: &str) -> String {
        let chosen = choose(rng, template);
        let mut text = String::with_capacity(chosen.len() * 2);
        let mut rest = chosen.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((slot, tail)) = after.split_once('}') else {
                rest = after;
                break;
            };
            let value = match self.values.get(slot) {
                Some(known) => known.clone(),
                None => {
                    let fresh = make(rng, slot.trim_end_matches(|c: char| c.is_ascii_digit()));
                    self.values.insert(slot.to_owned(), fresh.clone());
                    fresh
                }
            };
            text.push_str(&value);
            rest = tail;
        }
        text.push_str(rest);
        text
    }
}

/// A fresh value of a kind.
pub(super) fn make(rng: &mut Rng, kind: &str) -> String {
    match kind {
        "digit" => rng.between(1, 9).to_string(),
        "small" => rng.between(2, 30).to_string(),
        "number" => rng.between(100, 9999).to_string(),
        "monthday" => rng.between(1, 30).to_string(),
        "minute" => format!("{:02}", rng.below(12) * 5),
        "hour" => rng.between(8, 19).to_string(),
        "coined" => coined(rng),
        _ => match RULES.iter().chain(WILD_RULES).find(|(name, _)| *name == kind) {
            // Slots inside a rule are its own: they are never shared with the text around it.
            Some((_, alternatives)) => {
                let template = rng.pick(alternatives);
                Slots::default().expand(rng, template)
            }
            None => kind.to_owned(),
        },
    }
}

/// A name nobody bears, so that names must be copied and cannot be learnt by heart.
fn coined(rng: &mut Rng) -> String {
    const STARTS: &[&str] = &[
        "b", "br", "c", "d", "dr", "f", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "r",
        "s", "st", "t", "tr", "v", "w", "z", "th", "sh",
    ];
    const VOWELS: &[&str] = &["a", "e", "i", "o", "u", "ai", "ea", "io", "ou", "y"];
    const ENDS: &[&str] = &["", "", "n", "l", "r", "s", "m", "k", "nd", "rt", "x", "ck", "ss"];
    let mut name = String::new();
    for _ in 0..rng.between(2, 5) / 2 {
        name.push_str(rng.pick(STARTS));
        name.push_str(rng.pick(VOWELS));
        name.push_str(rng.pick(ENDS));
    }
    if name.len() < 3 {
        name.push_str("na");
    }
    capitalised(&name)
}

/// `text` with its first letter in upper case.
pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Resolves `[a|b|c]`, innermost first.
fn choose(rng: &mut Rng, template: &str) -> String {
    let mut text = template.to_owned();
    while let Some(close) = text.find(']') {
        let Some(open) = text[..close].rfind('[') else { break };
        let options: Vec<&str> = text[open + 1..close].split('|').collect();
        let picked = rng.pick(&options).to_owned();
        text.replace_range(open..=close, &picked);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_keep_their_value() {
        let mut rng = Rng::new(1, 0, 0);
        let mut slots = Slots::default();
        let text = slots.expand(&mut rng, "[a|b] {first} {first} {first2}");
        let words: Vec<&str> = text.split(' ').collect();
        assert_eq!(words[1], words[2]);
        assert_eq!(slots.get("first"), Some(words[1]));
    }

    #[test]
    fn every_rule_expands_without_leftovers() {
        for (kind, alternatives) in RULES.iter().chain(WILD_RULES) {
            for (index, template) in alternatives.iter().enumerate() {
                let mut rng = Rng::new(7, 0, index as u64);
                let text = Slots::default().expand(&mut rng, template);
                assert!(
                    !text.contains(['[', ']', '{', '}']) && !text.is_empty(),
                    "{kind}: {template} gave {text}"
                );
            }
            // A misspelt slot would come out as its own name.
            let known = |slot: &str| {
                RULES.iter().chain(WILD_RULES).any(|(name, _)| *name == slot)
                    || ["digit", "small", "number", "monthday", "minute", "hour", "coined"]
                        .contains(&slot)
            };
            for template in *alternatives {
                for part in template.split('{').skip(1) {
                    let slot = part.split('}').next().unwrap_or_default();
                    assert!(
                        known(slot.trim_end_matches(|c: char| c.is_ascii_digit())),
                        "{kind}: no rule for {slot}"
                    );
                }
            }
        }
    }
}
