//! Which examples are held out: by thread and document, never by example.

use std::collections::BTreeSet;

use hearth_base::DocumentId;

/// What is held out or learnt together, drawn by the seed: a document, or a thread of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Group(u64);

/// Draws groups. What a document's group is depends on nothing but the document and the seed, so it stays when others
/// come and go.
pub(crate) struct Draw {
    key: [u8; 32],
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self { key: blake3::derive_key("hearth 2026 held-out split", &seed.to_le_bytes()) }
    }

    pub(crate) fn document(&self, id: DocumentId) -> Group {
        self.group(b'd', &id.0.to_le_bytes())
    }

    /// Mail of one subject is together, whichever of `Re:` and `Fwd:` stand before it.
    pub(crate) fn mail(&self, id: DocumentId, subject: &str) -> Group {
        let subject = bare_subject(subject).to_lowercase();
        let words = subject.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.is_empty() || words == "(no subject)" {
            self.document(id)
        } else {
            self.group(b's', words.as_bytes())
        }
    }

    pub(crate) fn conversation(&self, id: i64) -> Group {
        self.group(b'c', &id.to_le_bytes())
    }

    pub(crate) fn line(&self, text: &str) -> Group {
        self.group(b'l', text.as_bytes())
    }

    fn group(&self, kind: u8, name: &[u8]) -> Group {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[kind]).update(name);
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Group(u64::from_le_bytes(first))
    }
}

/// The groups that are held out.
pub(crate) struct Sides {
    below: u64,
    only: Option<Group>,
    spared: Option<Group>,
}

impl Sides {
    /// Every group below a share of all draws. Among few groups chance may pick none or all; then one is moved over,
    /// so that there is something on both sides where there can be.
    pub(crate) fn of(groups: &BTreeSet<Group>, share: f32) -> Self {
        let below = (f64::from(share) * 2f64.powi(64)) as u64;
        let held_out = groups.iter().filter(|group| group.0 < below).count();
        let (only, spared) = match (groups.first(), groups.last()) {
            _ if share == 0.0 || groups.len() < 2 => (None, groups.first().copied()),
            (first, _) if held_out == 0 => (first.copied(), None),
            (_, last) if held_out == groups.len() => (None, last.copied()),
            _ => (None, None),
        };
        Self { below, only, spared }
    }

    pub(crate) fn holds_out(&self, group: Group) -> bool {
        self.only == Some(group) || (group.0 < self.below && self.spared != Some(group))
    }
}

/// A subject without the marks of replies and forwards before it, in the languages that put them there.
pub(crate) fn bare_subject(subject: &str) -> &str {
    const MARKS: [&str; 16] = [
        "re", "aw", "antw", "sv", "vs", "rv", "res", "r", "fwd", "fw", "wg", "tr", "i", "enc",
        "doorst", "vb",
    ];
    let mut rest = subject.trim();
    // As in `[Fwd: Keys]`.
    if let Some(inner) = rest.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'))
        && bare_subject(inner).len() < inner.len()
    {
        rest = inner;
    }
    while let Some((mark, after)) = rest.split_once(':') {
        // As in `Re[2]:`.
        let mark = mark.split('[').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !MARKS.contains(&mark.as_str()) {
            break;
        }
        rest = after.trim_start();
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_thread_is_one_group() {
        let draw = Draw::new(7);
        let id = DocumentId;
        let first = draw.mail(id(1), "Lease of the  Hall");
        for subject in [
            "Re: lease of the hall",
            "AW: Fwd: Lease of the Hall",
            "RE[3]: Lease of the Hall",
            "[Fwd: Lease of the Hall]",
        ] {
            assert_eq!(draw.mail(id(2), subject), first, "{subject}");
        }
        assert_ne!(draw.mail(id(2), "Lease"), first);
        assert_ne!(draw.mail(id(1), "Re:"), draw.mail(id(2), "Re:"), "no subject is no thread");
        assert_ne!(Draw::new(8).mail(id(1), "Lease of the Hall"), first);
        assert_eq!(bare_subject("Note: Re: this"), "Note: Re: this");
        assert_eq!(bare_subject("re:"), "");
    }

    proptest! {
        #[test]
        fn both_sides_have_something_and_additions_move_nothing(
            seed: u64, few in 2usize..40, more in 0usize..400, share in 0.01f32..0.5,
        ) {
            let draw = Draw::new(seed);
            let groups = |n: usize| (0..n as i64).map(|n| draw.document(DocumentId(n))).collect::<BTreeSet<_>>();
            let (before, after) = (groups(few), groups(few + more));
            let sides = Sides::of(&before, share);
            let held = before.iter().filter(|g| sides.holds_out(**g)).count();
            prop_assert!(held > 0 && held < before.len());
            let later = Sides::of(&after, share);
            if sides.only.is_none() && sides.spared.is_none() {
                for group in &before {
                    prop_assert_eq!(sides.holds_out(*group), later.holds_out(*group));
                }
            }
        }

        #[test]
        fn about_the_share_is_held_out(seed: u64) {
            let draw = Draw::new(seed);
            let groups: BTreeSet<_> = (0..4000).map(|n| draw.document(DocumentId(n))).collect();
            let sides = Sides::of(&groups, 0.1);
            let held = groups.iter().filter(|g| sides.holds_out(**g)).count();
            prop_assert!((250..=550).contains(&held), "{held}");
        }
    }

    #[test]
    fn nothing_is_held_out_where_nothing_is_to_be() {
        let draw = Draw::new(1);
        let groups: BTreeSet<_> = (0..50).map(|n| draw.document(DocumentId(n))).collect();
        let sides = Sides::of(&groups, 0.0);
        assert!(!groups.iter().any(|g| sides.holds_out(*g)));
        let one = BTreeSet::from([draw.document(DocumentId(1))]);
        let sides = Sides::of(&one, 0.5);
        assert!(!one.iter().any(|g| sides.holds_out(*g)), "a single document is learnt from");
    }
}
