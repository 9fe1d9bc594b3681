//! Whole mails: headers, greeting, purposes, idle sentences, quotes, signature.

use super::{
    acts::{ACTS, Act, WEIGHTS},
    grammar::{Slots, capitalised},
    rng::Rng,
    wild::WILD_ACTS,
};

/// A mail and what is true of it.
pub(super) struct Letter {
    /// The mail as a plugin hands it to the model: `From: …\nSubject: …\n\n<body>`.
    pub(super) text: String,
    /// Its body alone.
    pub(super) body: String,
    /// Full name of who wrote it.
    pub(super) sender: String,
    /// A summary of one to three lines.
    pub(super) summary: String,
    /// A good subject line.
    pub(super) heading: String,
    /// `work`, `personal`, `newsletter`, `bill` or `urgent`.
    pub(super) label: &'static str,
    /// Whether the sender waits for something.
    pub(super) wants_answer: bool,
    /// Questions and their answers.
    pub(super) questions: Vec<(String, String)>,
    /// What a good summary repeats.
    pub(super) fields: Vec<(&'static str, String)>,
}

/// How long a letter may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// One purpose and little else.
    Short,
    /// Up to two purposes among idle sentences, perhaps a quote.
    Normal,
    /// Up to three purposes, many idle sentences, quotes.
    Long,
}

impl Size {
    /// Mostly short and normal ones.
    pub(super) fn random(rng: &mut Rng, longest_percent: usize) -> Self {
        match rng.below(100) {
            roll if roll < longest_percent => Self::Long,
            roll if roll < 60 => Self::Normal,
            _ => Self::Short,
        }
    }
}

/// What sort of letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// How long.
    pub(super) size: Size,
    /// About what.
    pub(super) kind: Kind,
}

/// What a letter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One of the grammar's purposes.
    Known,
    /// Anything.
    Wild,
}

/// A random letter.
pub(super) fn letter(rng: &mut Rng, style: Style) -> Letter {
    let purposes = purposes(rng, style);
    let main = purposes[0];
    let mut people = Slots::default();
    let sender = if matches!(main.label, "newsletter" | "bill") && rng.chance(75) {
        people.expand(rng, "{company}")
    } else {
        people.expand(rng, "{first} {last}")
    };
    let name = match people.get("first") {
        Some(first) => first.to_owned(),
        None => sender.clone(),
    };
    let mut told: Vec<(Slots, String)> = Vec::new();
    for act in &purposes {
        let mut slots = Slots::default();
        slots.set("sender", sender.as_str());
        slots.set("name", name.as_str());
        if act.leads {
            let lead = slots.expand(rng, "{statement}");
            slots.set("lead", capitalised(&lead));
        }
        let template = rng.pick(act.body);
        let body = sentence(&slots.expand(rng, template));
        told.push((slots, body));
    }
    let body = compose(rng, style, main, &name, &sender, &told);
    let mut lines = Vec::new();
    let mut fields = vec![("sender", sender.clone())];
    let mut questions = vec![
        ("Who wrote this?".to_owned(), format!("This is from {sender}.")),
        ("Who is it from?".to_owned(), format!("It is from {sender}.")),
    ];
    for (index, (act, (slots, _))) in purposes.iter().zip(&mut told).enumerate() {
        let line = slots.expand(rng, if index == 0 { act.line } else { act.also });
        lines.push(format!("- {line}"));
        for slot in act.fields {
            fields.push((*slot, slots.expand(rng, &format!("{{{slot}}}"))));
        }
        for (question, answer) in act.questions {
            questions.push((slots.expand(rng, question), sentence(&slots.expand(rng, answer))));
        }
    }
    let slots = &mut told[0].0;
    let heading = capitalised(&slots.expand(rng, main.heading));
    let subject_template = rng.pick(main.subject);
    let mut subject = capitalised(&slots.expand(rng, subject_template));
    if body.contains("\n> ") && !subject.starts_with("Re:") {
        subject.insert_str(0, "Re: ");
    }
    let text = with_headers(rng, &sender, &name, &subject, &body);
    Letter {
        text,
        body,
        sender,
        summary: lines.join("\n"),
        heading,
        label: main.label,
        wants_answer: purposes.iter().any(|act| act.wants_answer),
        questions,
        fields,
    }
}

fn purposes(rng: &mut Rng, style: Style) -> Vec<&'static Act> {
    let main = match style.kind {
        Kind::Wild if rng.chance(60) => &WILD_ACTS[rng.below(WILD_ACTS.len())],
        _ => main_purpose(rng),
    };
    let more = match style.size {
        Size::Short => 0,
        Size::Normal => rng.below(2),
        Size::Long => rng.below(3),
    };
    let mut list = vec![main];
    if main.label == "newsletter" || main.leads {
        return list;
    }
    while list.len() < 1 + more {
        let other = main_purpose(rng);
        let taken = list.iter().any(|act| std::ptr::eq(*act, other));
        if !taken && !matches!(other.label, "newsletter" | "bill" | "urgent") {
            list.push(other);
        }
    }
    list
}

fn main_purpose(rng: &mut Rng) -> &'static Act {
    let mut roll = rng.below(WEIGHTS.iter().sum());
    for (act, weight) in ACTS.iter().zip(WEIGHTS) {
        match roll.checked_sub(*weight) {
            Some(left) => roll = left,
            None => return act,
        }
    }
    &ACTS[0]
}

fn compose(
    rng: &mut Rng,
    Style { size, kind }: Style,
    main: &Act,
    name: &str,
    sender: &str,
    told: &[(Slots, String)],
) -> String {
    let mut slots = Slots::default();
    let idle = match size {
        Size::Short => rng.below(2),
        Size::Normal => rng.below(4),
        Size::Long => rng.between(3, 8),
    };
    let company = main.label == "newsletter" || sender == name;
    let mut sentences: Vec<String> = told.iter().map(|(_, body)| body.clone()).collect();
    for index in 0..if company { idle / 3 } else { idle } {
        let filler = match kind {
            Kind::Wild if main.leads || rng.chance(70) => {
                sentence(&slots.expand(rng, &format!("{{wild{index}}}")))
            }
            _ => slots.expand(rng, &format!("{{filler{index}}}")),
        };
        let at = match main.leads {
            true => rng.between(1, sentences.len()),
            false => rng.below(sentences.len() + 1),
        };
        sentences.insert(at, filler);
    }
    let mut paragraphs = String::new();
    for (index, text) in sentences.iter().enumerate() {
        if index > 0 {
            paragraphs.push_str(if rng.chance(45) || text.contains('\n') { "\n\n" } else { " " });
        }
        paragraphs.push_str(text);
    }
    if rng.chance(35) {
        paragraphs.push_str("\n\n");
        paragraphs.push_str(&slots.expand(rng, "{closingline}"));
    }
    let opening = if rng.chance(85) { "{greeting} {first},\n\n" } else { "" };
    let greeting = slots.expand(rng, opening);
    let signature = signature(rng, company, name, sender);
    let quote =
        if !company && size != Size::Short && rng.chance(30) { quote(rng) } else { String::new() };
    format!("{greeting}{paragraphs}{signature}{quote}")
}

fn signature(rng: &mut Rng, company: bool, name: &str, sender: &str) -> String {
    let mut slots = Slots::default();
    slots.set("name", name);
    slots.set("sender", sender);
    let template = match (company, rng.below(10)) {
        (true, 0..4) => "",
        (true, _) => "\n\n[{closing},\n|Your ]{sender}[ team|]",
        (false, 0) => "",
        (false, 1..5) => "\n\n{closing},\n{name}",
        (false, 5..7) => "\n\n{name}",
        (false, 7) => "\n\n{closing},\n{sender}",
        (false, _) => {
            "\n\n{closing},\n{name}\n\n-- \n{sender}\n{role}, {company}\n[Tel. 0{number} {number2}|www.example.com]"
        }
    };
    slots.expand(rng, template)
}

/// An earlier mail below, which the summary must leave aside.
fn quote(rng: &mut Rng) -> String {
    let mut slots = Slots::default();
    let act = main_purpose(rng);
    let template = rng.pick(act.body);
    let said = sentence(&Slots::default().expand(rng, template));
    let frame = "\n\nOn {date}, {first} {last} wrote:\n";
    let mut text = slots.expand(rng, frame);
    for line in said.lines() {
        text.push_str("> ");
        text.push_str(line);
        text.push('\n');
    }
    text.trim_end().to_owned()
}

fn with_headers(rng: &mut Rng, sender: &str, name: &str, subject: &str, body: &str) -> String {
    let mut slots = Slots::default();
    let local: String = name.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    slots.set("local", local);
    slots.set("sender", sender);
    let form = match rng.below(10) {
        0..6 => "From: {sender}\n",
        6..9 => "From: {sender} <{local}@{host}>\n",
        _ => "From: \"{sender}\" <{local}@{host}>\n",
    };
    let mut head = slots.expand(rng, form);
    if rng.chance(12) {
        head.push_str(&slots.expand(rng, "To: {first} {last}\n"));
    }
    if rng.chance(20) {
        head.push_str(
            &slots.expand(rng, "Date: [{date}|2026-0{digit}-1{digit2} {hour}:{minute}]\n"),
        );
    }
    format!("{head}Subject: {subject}\n\n{body}")
}

/// Upper case first, also behind each full stop that a template left.
fn sentence(text: &str) -> String {
    capitalised(text.trim())
}
