//! The user's list of topics.

/// Two to twelve different topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topics(Vec<String>);

/// Each is a heading of the panel.
const MOST: usize = 12;
/// Each is an answer of the model.
const MOST_CHARS: usize = 40;

impl Topics {
    /// Reads the setting.
    ///
    /// # Errors
    /// Words for the user.
    pub(crate) fn parse(setting: &str) -> Result<Self, String> {
        let mut topics: Vec<String> = Vec::new();
        for topic in setting.split(',').map(str::trim).filter(|topic| !topic.is_empty()) {
            let topic = topic.to_lowercase();
            if topic.chars().count() > MOST_CHARS {
                return Err(format!("a topic has at most {MOST_CHARS} characters"));
            }
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
        if !(2..=MOST).contains(&topics.len()) {
            let words = "its setting `topics` needs 2 to 12 topics with commas between them";
            return Err(words.into());
        }
        Ok(Self(topics))
    }

    /// As one says them: `a, b or c`.
    pub(crate) fn listed(&self) -> String {
        match self.0.as_slice() {
            [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
            all => all.concat(),
        }
    }

    /// In the user's order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// A topic as a heading.
pub(crate) fn title(topic: &str) -> String {
    let mut chars = topic.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_with_commas_is_read() {
        let topics = Topics::parse(" Work,family ,, work, Über uns").unwrap();
        assert_eq!(topics.names().collect::<Vec<_>>(), ["work", "family", "über uns"]);
        assert_eq!(topics.listed(), "work, family or über uns");
        assert_eq!(title("über uns"), "Über uns");
    }

    #[test]
    fn too_few_too_many_and_too_long_are_told() {
        let many: Vec<String> = (0..13).map(|n| n.to_string()).collect();
        for bad in ["", "work", "work, Work", &many.join(",")] {
            assert!(Topics::parse(bad).unwrap_err().contains("2 to 12"), "{bad}");
        }
        assert!(Topics::parse(&format!("a, {}", "x".repeat(41))).unwrap_err().contains("40"));
    }

    #[test]
    fn the_manifests_default_is_a_list() {
        let manifest = include_str!("../plugin.toml");
        let line = manifest.lines().find(|line| line.contains("key = \"topics\"")).unwrap();
        let default = line.split("default = \"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(Topics::parse(default).unwrap().names().count(), 5);
    }
}
