//! Invented people who write mail, each in a manner of their own: for tests and for measuring what "write like me"
//! learns. And lines of one character out of a play, as real writing.
//!
//! All of it follows from a seed. The subjects are the same for all authors, so what tells them apart is how they write.

mod grammar;

use hearth_engine_api::{ChatMessage, Example, Role};

use grammar::Rng;

/// Somebody who writes mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Author {
    /// Lower case, few words, no greeting, dashes.
    Clipped,
    /// Long, courteous, old-fashioned.
    Courteous,
    /// Exclamation marks, nicknames, a postscript.
    Cheerful,
}

impl Author {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Clipped, Self::Courteous, Self::Cheerful];

    /// Their name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clipped => "Ines Kade",
            Self::Courteous => "Aurelius Thornbury",
            Self::Cheerful => "Poppy Lindgren",
        }
    }

    /// Their address.
    pub const fn address(self) -> &'static str {
        match self {
            Self::Clipped => "kade@works.example.com",
            Self::Courteous => "a.thornbury@chambers.example.org",
            Self::Cheerful => "poppy@sunnyside.example.net",
        }
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its number in the mailbox.
    pub number: u32,
    /// Who wrote it.
    pub author: Author,
    /// To whom, as `Name <address>`.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// The message that it answers.
    pub reply_to: Option<u32>,
    /// Its own words.
    pub own: String,
    /// All of it, with the quote and the signature that programs put below.
    pub body: String,
}

/// A mailbox: `count` mails an author, about a third of them answers to one of the others.
pub fn mailbox(seed: u64, count: u32) -> Vec<Mail> {
    let mut rng = Rng::new(seed);
    let mut mails: Vec<Mail> = Vec::new();
    for _ in 0..count {
        for author in Author::ALL {
            let number = mails.len() as u32;
            let answered = mails
                .iter()
                .rev()
                .take(9)
                .find(|mail| mail.author != author && mail.reply_to.is_none())
                .filter(|_| rng.below(3) == 0)
                .cloned();
            mails.push(match answered {
                Some(original) => reply(&mut rng, number, author, &original),
                None => fresh(&mut rng, number, author),
            });
        }
    }
    mails
}

fn fresh(rng: &mut Rng, number: u32, author: Author) -> Mail {
    let topic = grammar::topic(rng);
    let (name, address) = grammar::recipient(rng);
    let own = grammar::text(rng, author, name, &topic, false);
    Mail {
        number,
        author,
        to: format!("{name} <{address}>"),
        subject: topic.subject(number),
        reply_to: None,
        body: with_signature(author, &own),
        own,
    }
}

fn reply(rng: &mut Rng, number: u32, author: Author, original: &Mail) -> Mail {
    let topic = grammar::topic(rng);
    let name = original.author.name();
    let first_name = name.split(' ').next().unwrap_or(name);
    let own = grammar::text(rng, author, first_name, &topic, true);
    let mut body = with_signature(author, &own);
    let (name, address) = (original.author.name(), original.author.address());
    body.push_str(&format!("\nOn day {} {name} <{address}> wrote:\n", original.number));
    for line in original.own.lines() {
        body.push_str(&format!("> {line}\n"));
    }
    Mail {
        number,
        author,
        to: format!("{name} <{address}>"),
        subject: format!("Re: {}", original.subject),
        reply_to: Some(original.number),
        own,
        body,
    }
}

fn with_signature(author: Author, own: &str) -> String {
    format!("{own}\n\n-- \n{}\n{}\n", author.name(), author.address())
}

/// Mails as one mbox file.
pub fn mbox(mails: &[Mail]) -> String {
    let mut text = String::new();
    for mail in mails {
        let (name, address) = (mail.author.name(), mail.author.address());
        let (day, hour) = (1 + mail.number / 24 % 28, mail.number % 24);
        let (month, year) =
            (["Jan", "Feb", "Mar"][(mail.number / 672 % 3) as usize], 2024 + mail.number / 2016);
        let mut head = format!(
            "From {address} Mon {month} {day:2} {hour:02}:00:00 {year}\nFrom: {name} <{address}>\nTo: {}\nSubject: {}\n\
             Date: {day} {month} {year} {hour:02}:00:00 +0000\nMessage-ID: <{}@invented.example.com>\n",
            mail.to, mail.subject, mail.number
        );
        if let Some(original) = mail.reply_to {
            head.push_str(&format!("In-Reply-To: <{original}@invented.example.com>\n"));
        }
        let body = mail.body.replace("\nFrom ", "\n>From ");
        text.push_str(&format!("{head}\n{body}\n"));
    }
    text
}

/// One character's lines out of a play in which a line with a name and a colon goes before each speech: asked by the
/// speech before (or by the play's beginning), the character speaks. To be written with [`crate::jsonl::write`].
pub fn speeches(play: &str, character: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut before: Option<String> = None;
    for speech in play.split("\n\n") {
        let Some((speaker, words)) = speech.trim().split_once(":\n") else { continue };
        if speaker == character {
            let question = before.take().unwrap_or_else(|| "Speak.".to_owned());
            examples.push(Example::Chat(vec![
                ChatMessage::new(Role::User, question),
                ChatMessage::new(Role::Assistant, words.trim()),
            ]));
        }
        before = Some(words.trim().to_owned());
    }
    examples
}
