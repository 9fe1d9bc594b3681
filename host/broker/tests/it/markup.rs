//! Words that would be something else than words: links, images, escape sequences, characters that turn, hide or tower.
//! Wherever a plugin's words are shown they are only words. What becomes of each is written down in `markup.txt`;
//! `HEARTH_BLESS=1` writes it anew, to be read before it is committed.

use std::{collections::BTreeSet, path::Path};

use hearth_base::{Button, Glyph, HostCall, Input, LogLevel, Node};
use hearth_broker::{PanelNode, RunEnd, escape_text, escape_words};

use crate::world::{Recipe, World};

const CARRIERS: [(&str, &str); 20] = [
    ("", ""),
    ("Pay ", " now"),
    ("(", ")"),
    ("**", "**"),
    ("<b>", "</b>"),
    ("`", "`"),
    ("\n", "\n"),
    ("\t", ""),
    ("日本", "語"),
    ("שלום ", ""),
    ("a", "b"),
    ("\"", "\""),
    ("# ", ""),
    ("> ", ""),
    ("- [ ] ", ""),
    ("Hearth: ", ""),
    ("%s %n ", ""),
    ("{{", "}}"),
    ("\\u{202e}", ""),
    ("  ", "  "),
];

const PAYLOADS: [&str; 25] = [
    "https://evil.example/?q=secret",
    "[click](https://evil.example)",
    "![](https://evil.example/p.png)",
    "<img src=x onerror=alert(1)>",
    "<a href='javascript:x'>Allow</a>",
    "data:text/html;base64,PGI+",
    "file:///etc/passwd",
    "\u{1b}[2J\u{1b}[31mred",
    "\u{1b}]8;;https://evil.example\u{7}link\u{1b}]8;;\u{7}",
    "\u{9b}31m\u{85}",
    "\u{202e}gpj.exe",
    "\u{2066}rtl\u{2069}\u{2067}x\u{2068}",
    "\u{61c}\u{200e}\u{200f}",
    "pay\u{200b}pal\u{200c}\u{200d}\u{2060}",
    "\u{feff}bom\u{ad}shy",
    "\u{e0041}\u{e0042}\u{e007f}",
    "\u{fe0f}\u{fe00}\u{180b}",
    "\u{3164}\u{115f}\u{ffa0}",
    "\0\u{1}\u{7f}",
    "\r\nX-Header: y\u{2028}\u{2029}\u{b}\u{c}",
    "z\u{310}\u{311}\u{312}\u{313}\u{314}\u{315}\u{316}\u{317}\u{318}\u{319}\u{31a}\u{31b}\u{31c}",
    "\u{20dd}\u{20e0}\u{20e3}\u{1ab0}\u{fe20}\u{483}\u{488}\u{489}\u{301}\u{301}\u{301}\u{301}",
    "ﷺ﷽𒐫𓀐꧅",
    "👩\u{200d}💻🏳\u{fe0f}\u{200d}🌈\u{1f1fa}\u{1f1f3}",
    "раураl\u{fff9}a\u{fffa}b\u{fffb}",
];

fn strings() -> Vec<String> {
    let carry =
        |payload: &'static str| CARRIERS.map(|(before, after)| format!("{before}{payload}{after}"));
    PAYLOADS.iter().flat_map(|payload| carry(payload)).collect()
}

/// Whether a terminal, a text layout or an eye would take it for something else than words.
fn is_only_words(shown: &str) -> bool {
    let mut marks = 0;
    shown.chars().all(|c| {
        marks = if ('\u{300}'..='\u{36f}').contains(&c) { marks + 1 } else { 0 };
        let steers = c.is_control()
            || matches!(
                c,
                '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                    | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
            );
        !steers && marks <= 8
    })
}

/// The same of a longer text, which keeps its lines and the joiners that scripts and emoji need.
fn is_safe_text(shown: &str) -> bool {
    shown.chars().all(|c| {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        !turns && (!c.is_control() || c == '\n' || c == '\t')
    })
}

#[test]
fn what_becomes_of_500_strings_is_written_down() {
    let strings = strings();
    assert_eq!(strings.iter().collect::<BTreeSet<_>>().len(), 500);
    let lines = strings.iter().map(|text| {
        let (words, text) = (escape_words(text), escape_text(text));
        assert!(is_only_words(&words), "{words:?}");
        assert!(is_safe_text(&text), "{text:?}");
        format!("{words}\n{}\n", text.escape_debug())
    });
    let now: String = lines.collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/markup.txt");
    if std::env::var_os("HEARTH_BLESS").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    assert!(std::fs::read_to_string(file).unwrap() == now, "it has become something else");
}

#[test]
fn a_plugins_words_are_only_words_wherever_they_are_shown() {
    let world = World::new(&Recipe::default());
    for some in strings().chunks(100) {
        let mut client = world.go();
        let nodes = some.iter().enumerate().flat_map(|(n, text)| {
            let button = Button {
                id: n.to_string(),
                label: text.clone(),
                icon: Glyph::None,
                enabled: false,
            };
            let (id, label, placeholder) = (n.to_string(), text.clone(), text.clone());
            let input = Input { id, label, placeholder, multiline: false };
            // At most so many controls a panel.
            let controls = [Node::Button(button), Node::Input(input)];
            [Node::Heading(text.clone()), Node::Label(text.clone())]
                .into_iter()
                .chain(controls.into_iter().filter(move |_| n < 30))
        });
        let nodes = nodes.collect();
        client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
        for message in some.iter().take(16) {
            let icon = Glyph::None;
            client.call(HostCall::Notify { icon, message: message.clone() }).unwrap();
        }
        for message in some {
            let percent = None;
            client.call(HostCall::Progress { percent, message: message.clone() }).unwrap();
            let level = LogLevel::Info;
            client.call(HostCall::Log { level, message: message.clone() }).unwrap();
        }
        client.finish(RunEnd::Returned(Ok(())));
        let panels = world.broker.panels();
        let shown = panels[0].nodes.iter().flat_map(|node| match node {
            PanelNode::Heading(text) | PanelNode::Label(text) => vec![text.clone()],
            PanelNode::Button(button) => vec![button.label.clone()],
            PanelNode::Input(input) => vec![input.label.clone(), input.placeholder.clone()],
            other => panic!("{other:?}"),
        });
        let heard = world.seen.now();
        let shown: Vec<String> = shown
            .chain(heard.notices.into_iter().map(|notice| notice.message))
            .chain(heard.progress.into_iter().map(|(_, message)| message))
            .chain(heard.log.into_iter().map(|(_, message)| message))
            .collect();
        assert!(shown.len() >= 500, "{}", shown.len());
        for text in shown {
            assert!(is_only_words(&text), "{text:?}");
        }
    }
}
