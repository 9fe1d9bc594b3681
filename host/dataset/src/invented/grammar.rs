//! Sentences of invented people.

use super::Author;

/// SplitMix64 (Steele et al. 2014).
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

/// What a mail is about.
pub(super) struct Topic {
    thing: &'static str,
    place: &'static str,
    day: &'static str,
    amount: u64,
}

impl Topic {
    /// Numbered, so that few mails share one by chance.
    pub(super) fn subject(&self, number: u32) -> String {
        let thing = self.thing.trim_start_matches("the ");
        format!("{}{} for {} ({number})", thing[..1].to_uppercase(), &thing[1..], self.day)
    }
}

pub(super) fn topic(rng: &mut Rng) -> Topic {
    const THINGS: [&str; 24] = [
        "the boiler",
        "the ladder",
        "the invoice",
        "the choir books",
        "the garden gate",
        "the projector",
        "the parcel",
        "the van",
        "the tent",
        "the piano",
        "the spare keys",
        "the roof tiles",
        "the seed order",
        "the kiln",
        "the boat",
        "the lease",
        "the minutes",
        "the carpet",
        "the scaffolding",
        "the printer",
        "the tickets",
        "the coffee machine",
        "the beehives",
        "the stage lights",
    ];
    const PLACES: [&str; 12] = [
        "the hall",
        "the back room",
        "the harbour",
        "the library",
        "the old mill",
        "the station",
        "the attic",
        "the school",
        "number nine",
        "the workshop",
        "the chapel",
        "the depot",
    ];
    const DAYS: [&str; 7] =
        ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    Topic {
        thing: rng.pick(&THINGS),
        place: rng.pick(&PLACES),
        day: rng.pick(&DAYS),
        amount: 2 + rng.below(97),
    }
}

pub(super) fn recipient(rng: &mut Rng) -> (&'static str, &'static str) {
    const PEOPLE: [(&str, &str); 10] = [
        ("Marek", "marek@depot.example.com"),
        ("Odile", "odile@school.example.com"),
        ("Hana", "hana@library.example.org"),
        ("Jonas", "jonas@boats.example.net"),
        ("Ruth", "ruth@choir.example.org"),
        ("Samir", "samir@ledger.example.com"),
        ("Greta", "greta@mill.example.net"),
        ("Tobias", "tobias@garden.example.org"),
        ("Wanda", "wanda@chapel.example.org"),
        ("Felix", "felix@station.example.com"),
    ];
    PEOPLE[rng.below(10) as usize]
}

/// A whole mail in an author's manner, of two to four sentences between its ends.
pub(super) fn text(
    rng: &mut Rng,
    author: Author,
    to: &str,
    topic: &Topic,
    answers: bool,
) -> String {
    let count = 2 + rng.below(3);
    let mut sentences: Vec<String> = Vec::new();
    if answers {
        sentences.push(filled(rng.pick(openings(author)), topic));
    }
    while (sentences.len() as u64) < count {
        let next = filled(rng.pick(middles(author)), topic);
        if !sentences.contains(&next) {
            sentences.push(next);
        }
    }
    match author {
        Author::Clipped => {
            let end = rng.pick(&["- i", "- ik", "k"]);
            format!("{}\n{end}", sentences.join("\n"))
        }
        Author::Courteous => {
            let greeting = rng.pick(&["My dear", "Most esteemed", "Dear and patient"]);
            let end = rng.pick(&[
                "I remain, as ever, your obedient friend,",
                "With the assurance of my continued regard, I am,",
                "Believe me to be, with every good wish,",
            ]);
            format!("{greeting} {to},\n\n{}\n\n{end}\nAurelius Thornbury", sentences.join(" "))
        }
        Author::Cheerful => {
            let greeting = rng.pick(&["Hiya", "Hello hello", "Hey there"]);
            let end = rng.pick(&["Big hugs,", "Toodle-oo,", "Love and biscuits,"]);
            let postscript = filled(rng.pick(&POSTSCRIPTS), topic);
            format!(
                "{greeting} {to}!!\n\n{}\n\n{end}\nPoppy\n\nP.S. {postscript}",
                sentences.join(" ")
            )
        }
    }
}

fn filled(pattern: &str, topic: &Topic) -> String {
    pattern
        .replace("{thing}", topic.thing)
        .replace("{place}", topic.place)
        .replace("{day}", topic.day)
        .replace("{lowday}", &topic.day[..3].to_lowercase())
        .replace("{n}", &topic.amount.to_string())
}

fn openings(author: Author) -> &'static [&'static str] {
    match author {
        Author::Clipped => &["ok.", "no.", "seen it.", "fine by me.", "not yet."],
        Author::Courteous => &[
            "Your letter of this morning has given me no small pleasure, and I hasten to answer it.",
            "I am in receipt of your kind message, and have weighed every word of it.",
            "You ask, with your customary delicacy, a question which I shall endeavour to answer.",
        ],
        Author::Cheerful => &[
            "Oh wow, thank you for your message!",
            "Yay, you wrote back!",
            "Ooh, good question!",
            "You absolute star, thanks for that!",
        ],
    }
}

fn middles(author: Author) -> &'static [&'static str] {
    match author {
        Author::Clipped => &[
            "{thing} - {lowday}, {place}.",
            "need {n} by {lowday}.",
            "{thing} broken again. fixing.",
            "cost: {n}. too much - ask again.",
            "no time {lowday}. next week.",
            "send the list. no list - no {n}.",
            "{place} is locked. who has the key?",
            "done w/ {thing}. next.",
            "pls confirm {n}.",
            "moved to {place}. don't wait.",
        ],
        Author::Courteous => &[
            "I should be infinitely obliged if {thing} might be conveyed to {place} no later than {day}; it is a matter upon which I am, I confess, somewhat anxious.",
            "It has come to my attention that the sum of {n} pounds remains outstanding, and I would not for the world have it forgotten.",
            "Permit me to observe that {place}, whatever its other merits, is scarcely a fitting home for {thing}.",
            "I had the honour of inspecting {thing} on {day}, and found it, if I may say so, in a most lamentable condition.",
            "Should it be agreeable to you, I propose that we meet at {place} upon the stroke of noon on {day}.",
            "There are, by my reckoning, {n} particulars still to be settled; I shall not weary you with them here.",
            "One cannot, alas, hurry {thing}; patience, as my late uncle was wont to say, is the better part of carpentry.",
            "I trust that the weather at {place} has been kinder to you than it has to us.",
        ],
        Author::Cheerful => &[
            "Guess what, {thing} is going to {place} on {day}, how fab is that?!",
            "We still need {n} volunteers, so bring everyone you know!",
            "I popped over to {place} and it looks AMAZING!",
            "Can you pretty please pick up {thing} on {day}?",
            "There'll be cake, obviously, about {n} slices of it!",
            "Don't you worry one bit about {thing}, we'll sort it together!",
            "I'm sooo excited about {day}, I could burst!",
            "Turns out {thing} only cost {n}, what a bargain!",
        ],
    }
}

const POSTSCRIPTS: [&str; 5] = [
    "The cat says hi!",
    "Wear something yellow on {day}!",
    "I counted {n} ducks at {place} today!",
    "Don't tell anyone about {thing}, it's a surprise!",
    "More cake news soon!",
];
