//! Names that pose as others: skeletons after UTS #39, which are the same for names that look the same.

use unicode_security::{MixedScript, skeleton};

/// Whether two names or ids look so much alike that one could be taken for the other. Case, spaces and the marks
/// between words do not count.
pub fn looks_like(one: &str, other: &str) -> bool {
    // In small letters and as they stand: some look alike in one case only, as capital i and small l.
    let small = |name: &str| bones(&name.to_lowercase());
    let alike = |one: String, other: String| !one.is_empty() && one == other;
    alike(small(one), small(other)) || alike(bones(one), bones(other))
}

/// Whether all letters of a name are of one script, as a name's must be.
pub fn is_of_one_script(name: &str) -> bool {
    name.is_single_script()
}

fn bones(name: &str) -> String {
    // Skeletons hold capitals, and those have skeletons of their own in small letters: hence twice.
    let once: String = skeleton(name).flat_map(char::to_lowercase).collect();
    skeleton(&once).flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters and what they are taken for.
    const TWINS: &[(char, &str)] = &[
        ('a', "аɑαａ𝐚𝑎"),
        ('c', "сϲｃ𝐜"),
        ('d', "ԁｄ𝐝"),
        ('e', "еｅ𝐞"),
        ('g', "ɡｇ𝐠"),
        ('h', "һｈ𝐡"),
        ('i', "іｉ𝐢"),
        ('j', "јｊ𝐣"),
        ('l', "1Ӏｌ𝐥"),
        ('m', "ｍ𝐦"),
        ('n', "ｎ𝐧"),
        ('o', "оοｏ𝐨0"),
        ('p', "рρｐ𝐩"),
        ('s', "ѕｓ𝐬"),
        ('t', "ｔ𝐭"),
        ('u', "υｕ𝐮"),
        ('v', "ѵνｖ𝐯"),
        ('x', "хｘ𝐱"),
        ('y', "уｙ𝐲"),
    ];
    const NAMES: &[&str] = &[
        "Mail digest",
        "Code helper",
        "Meeting notes",
        "Semantic finder",
        "Mail triage",
        "Thread summary",
        "Daily overview",
        "Private search",
        "Writing style",
    ];

    /// Each name with one letter exchanged, and with all that can be.
    fn confusables() -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        for name in NAMES {
            for (letter, twins) in TWINS {
                for twin in twins.chars() {
                    let posing = name.replace(*letter, &twin.to_string());
                    if posing != **name {
                        pairs.push((*name, posing));
                    }
                }
            }
        }
        pairs
    }

    #[test]
    fn two_hundred_confusables_are_seen() {
        let pairs = confusables();
        assert!(pairs.len() >= 200, "{}", pairs.len());
        let missed: Vec<_> =
            pairs.iter().filter(|(name, posing)| !looks_like(name, posing)).collect();
        assert!(missed.is_empty(), "{missed:?}");
    }

    #[test]
    fn ids_and_spellings_pose_too_and_others_do_not() {
        for (one, other) in [
            ("org.example.mail-digest", "org.example.mail.digest"),
            ("org.example.mail-digest", "org.examp1e.mail-digest"),
            ("org.example.notes", "org.exarnple.notes"),
            ("Mail digest", "MAIL  DIGEST"),
            ("Mail digest", "Mail-Digest"),
            ("Illumin", "lllumin"),
        ] {
            assert!(looks_like(one, other), "{one} {other}");
        }
        for other in ["Mail digests", "Mail", "Digest mail", "", "Code helper"] {
            assert!(!looks_like("Mail digest", other), "{other}");
        }
        assert!(!looks_like("", "") && !looks_like("-", "."));
    }

    #[test]
    fn letters_of_two_scripts_in_one_name_are_seen() {
        for good in ["Mail digest", "Почта 2", "メール要約", "Zusammenfasser für Mail", "邮件"]
        {
            assert!(is_of_one_script(good), "{good}");
        }
        for bad in ["Mаil digest", "Mail дайджест", "Mail διgest"] {
            assert!(!is_of_one_script(bad), "{bad}");
        }
    }
}
