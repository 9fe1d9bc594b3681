//! Settings of the manifest, by their type.

pub use crate::wit::hearth::plugin::settings::{Setting, get};

/// A `number` setting. The host keeps it within the manifest's range; `otherwise` stands in where there is no such
/// number setting.
pub fn number(key: &str, otherwise: u16) -> u16 {
    number_in(get(key), otherwise)
}

/// A `flag` setting; off where there is none.
pub fn flag(key: &str) -> bool {
    matches!(get(key), Some(Setting::Flag(true)))
}

/// A `text` setting; empty where there is none.
pub fn text(key: &str) -> String {
    match get(key) {
        Some(Setting::Text(text)) => text,
        _ => String::new(),
    }
}

/// What stands at the place of a `choice` setting, of the same list that the manifest's `options` are.
pub fn choice<T: Copy>(key: &str, options: &[T]) -> Option<T> {
    choice_in(get(key), options)
}

fn number_in(setting: Option<Setting>, otherwise: u16) -> u16 {
    match setting {
        Some(Setting::Number(number)) => u16::try_from(number).unwrap_or(otherwise),
        _ => otherwise,
    }
}

fn choice_in<T: Copy>(setting: Option<Setting>, options: &[T]) -> Option<T> {
    match setting {
        Some(Setting::Choice(place)) => options.get(place as usize).copied(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_something_to_fall_back_on() {
        assert_eq!(number_in(Some(Setting::Number(25)), 10), 25);
        assert_eq!(number_in(Some(Setting::Number(-3)), 10), 10);
        assert_eq!(number_in(None, 10), 10);
        assert_eq!(choice_in(Some(Setting::Choice(1)), &["a", "b"]), Some("b"));
        assert_eq!(choice_in(Some(Setting::Choice(7)), &["a", "b"]), None);
        assert_eq!(choice_in(None, &["a"]), None);
    }
}
