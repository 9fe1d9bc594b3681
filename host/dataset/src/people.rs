//! Who wrote, and to whom.

/// A sender or recipient, as a message names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Person<'a> {
    /// Empty where the message gives only an address.
    pub(crate) name: &'a str,
    /// Empty where the message gives only a name.
    pub(crate) address: &'a str,
}

impl<'a> Person<'a> {
    /// Reads `Name <address>`, `address` or `Name`.
    pub(crate) fn parse(text: &'a str) -> Self {
        let text = text.trim();
        match (text.rfind('<'), text.ends_with('>')) {
            (Some(at), true) => {
                let name = text[..at].trim().trim_matches('"').trim();
                Self { name, address: &text[at + 1..text.len() - 1] }
            }
            _ if text.contains('@') => Self { name: "", address: text },
            _ => Self { name: text, address: "" },
        }
    }

    /// Each of a list. Commas within quotes or angle brackets part nobody.
    pub(crate) fn parse_list(text: &'a str) -> Vec<Self> {
        let (mut people, mut start, mut quoted, mut bracket) = (Vec::new(), 0, false, false);
        for (at, c) in text.char_indices() {
            match c {
                '"' => quoted = !quoted,
                '<' => bracket = true,
                '>' => bracket = false,
                ',' if !quoted && !bracket => {
                    people.push(&text[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        people.push(&text[start..]);
        people.into_iter().filter(|one| !one.trim().is_empty()).map(Self::parse).collect()
    }

    /// What to call them.
    pub(crate) fn called(&self) -> &'a str {
        if self.name.is_empty() { self.address } else { self.name }
    }

    /// Whether one of these names or addresses is theirs.
    pub(crate) fn is_one_of(&self, names: &[String]) -> bool {
        names.iter().any(|wanted| {
            let wanted = Person::parse(wanted);
            let same = |a: &str, b: &str| !a.is_empty() && folded(a) == folded(b);
            if wanted.address.is_empty() {
                same(wanted.name, self.name)
            } else {
                same(wanted.address, self.address)
            }
        })
    }
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Several people in words.
pub(crate) fn called(people: &[Person<'_>]) -> String {
    match people {
        [] => String::new(),
        [one] => one.called().to_owned(),
        [one, other] => format!("{} and {}", one.called(), other.called()),
        [one, others @ ..] => format!("{} and {} others", one.called(), others.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_read_as_messages_name_them() {
        let list = "\"Doe, Jane\" <jane@example.com>, bob@example.com, Ann";
        let people = Person::parse_list(list);
        let called: Vec<_> = people.iter().map(Person::called).collect();
        assert_eq!(called, ["Doe, Jane", "bob@example.com", "Ann"]);
        assert_eq!(super::called(&people), "Doe, Jane and 2 others");
        assert_eq!(super::called(&people[1..]), "bob@example.com and Ann");
        assert!(Person::parse_list(" ").is_empty());
        assert_eq!(Person::parse("a > b"), Person { name: "a > b", address: "" });
    }

    #[test]
    fn a_person_is_known_by_an_address_or_by_the_whole_name() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let jane = Person::parse("Jane  Doe <Jane@Example.com>");
        assert!(jane.is_one_of(&names(&["bob", "jane@example.COM"])));
        assert!(jane.is_one_of(&names(&["jane doe"])));
        assert!(jane.is_one_of(&names(&["J. <jane@example.com>"])));
        for other in ["jane", "doe", "jane@example.org", "", "Jane Doe <other@example.com>"] {
            assert!(!jane.is_one_of(&names(&[other])), "{other}");
        }
        assert!(!Person::parse("").is_one_of(&names(&["", " "])));
    }
}
