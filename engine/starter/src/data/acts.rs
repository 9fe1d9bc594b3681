//! What a mail can be about, and what a reader needs to know of it.

/// One purpose of a mail: how it is written and how it is told.
///
/// Templates share their slots; `{sender}` is the full name, `{name}` the first name of who writes.
pub(super) struct Act {
    /// The label of a mail whose main purpose this is.
    pub(super) label: &'static str,
    /// Ways to write it.
    pub(super) body: &'static [&'static str],
    /// Ways to head it.
    pub(super) subject: &'static [&'static str],
    /// The line of a summary, with the sender's full name.
    pub(super) line: &'static str,
    /// The line where the sender has been named before.
    pub(super) also: &'static str,
    /// A good subject line.
    pub(super) heading: &'static str,
    /// Questions a reader may ask, and their answers.
    pub(super) questions: &'static [(&'static str, &'static str)],
    /// Whether the sender waits for something.
    pub(super) wants_answer: bool,
    /// Whether it stands first, before idle sentences.
    pub(super) leads: bool,
    /// Slots a good summary must repeat.
    pub(super) fields: &'static [&'static str],
}

const BY: &str = "[When is it due|What is the deadline|By when is it due]?";

/// All acts, the frequent ones more than once by [`WEIGHTS`].
pub(super) const ACTS: &[Act] = &[
    Act {
        label: "work",
        body: &[
            "[Could|Can|Would] you [please |]{task} by {when}?",
            "[Please|Could you please] {task} [by|before] {when}.",
            "I need you to {task}. [The deadline is|It must be done by] {when}.",
            "[Would it be possible to|Can I ask you to] {task}? [We need it|It is due|I need it] by {when}.",
            "We still have to {task}, and [I would like you to do it|it would be great if you did it] by {when}.",
            "[My request|One thing|A favour]: {task} [no later than|by] {when}[, please|].",
        ],
        subject: &[
            "{task}",
            "Deadline {when}",
            "Request",
            "[To do|Task]: {task}",
            "A favour",
            "Your help",
        ],
        line: "{sender} asks you to {task} by {when}.",
        also: "{name} also asks you to {task} by {when}.",
        heading: "Please {task} by {when}",
        questions: &[
            (BY, "By {when}."),
            ("What does {name} want?", "You are asked to {task} by {when}."),
            ("What do I have to do?", "You should {task} by {when}."),
        ],
        wants_answer: true,
        leads: false,
        fields: &["when", "task"],
    },
    Act {
        label: "work",
        body: &[
            "[Could|Can|Would] you [please |]{task}?",
            "Please {task}.",
            "It would help me [a lot|] if you could {task}.",
            "[There is no hurry|Whenever you have time]: please {task}.",
        ],
        subject: &["{task}", "Request", "Small request", "[Question|Help] about {topic}"],
        line: "{sender} asks you to {task}.",
        also: "{name} also asks you to {task}.",
        heading: "Please {task}",
        questions: &[
            ("What does {name} want?", "You are asked to {task}."),
            (BY, "No date is given."),
        ],
        wants_answer: true,
        leads: false,
        fields: &["task"],
    },
    Act {
        label: "urgent",
        body: &[
            "[This is urgent|Urgent]: [please |]{task} [today|now|at once|within the hour].",
            "[Please|You must] {task} [today|immediately|at once]! [It cannot wait|We have no time left].",
        ],
        subject: &["Urgent: {task}", "URGENT", "Today please", "Important!"],
        line: "{sender} urgently asks you to {task} today.",
        also: "{name} also urgently asks you to {task} today.",
        heading: "Urgent: {task}",
        questions: &[
            (BY, "Today."),
            ("What does {name} want?", "You are urgently asked to {task} today."),
        ],
        wants_answer: true,
        leads: false,
        fields: &["task"],
    },
    Act {
        label: "work",
        body: &[
            "[I would like to invite you|You are invited|I invite you] to the {event} on {date} at {time} in {place}.",
            "The {event} [takes place|will be] on {date} at {time} in {place}. [Can you come|Will you be there|I hope you can join]?",
            "[Join|Come and join] us for the {event}: {date}, {time}, {place}.",
        ],
        subject: &[
            "[Invitation|Invitation to the {event}]",
            "{event} on {date}",
            "{event}",
            "Save the date: {date}",
        ],
        line: "{sender} invites you to the {event} on {date} at {time} in {place}.",
        also: "{name} also invites you to the {event} on {date} at {time} in {place}.",
        heading: "Invitation: {event} on {date}",
        questions: &[
            ("When is the {event}?", "On {date} at {time}."),
            ("Where is the {event}?", "In {place}."),
            ("What time does it start?", "At {time}."),
        ],
        wants_answer: true,
        leads: false,
        fields: &["event", "date", "time"],
    },
    Act {
        label: "work",
        body: &[
            "[The {event}|Our {event}] [moves|has been moved] from {date} to {date2} at {time}.",
            "We [have to|must] move the {event} from {date} to {date2}. [It starts|We start] at {time}.",
            "The {event} cannot be held on {date}. The new date is {date2} at {time}.",
        ],
        subject: &["{event} moved", "New date", "New date for the {event}", "Change of plan"],
        line: "{sender} moves the {event} from {date} to {date2} at {time}.",
        also: "{name} also moves the {event} from {date} to {date2} at {time}.",
        heading: "{event} moved to {date2}",
        questions: &[
            ("What is the new date?", "On {date2} at {time}."),
            ("When was it planned before?", "On {date}."),
        ],
        wants_answer: false,
        leads: false,
        fields: &["event", "date2"],
    },
    Act {
        label: "work",
        body: &[
            "[Unfortunately|I am afraid] the {event} on {date} is cancelled.",
            "We have to cancel the {event} on {date}[, sorry|].",
        ],
        subject: &["{event} cancelled", "Cancelled", "No {event} on {date}"],
        line: "{sender} cancels the {event} on {date}.",
        also: "{name} also cancels the {event} on {date}.",
        heading: "{event} on {date} cancelled",
        questions: &[("What is cancelled?", "The {event} on {date}.")],
        wants_answer: false,
        leads: false,
        fields: &["event", "date"],
    },
    Act {
        label: "bill",
        body: &[
            "[Please find attached|Attached is] invoice {number} for {amount}. [It is due on|Please pay it by|The amount is due on] {date}.",
            "[Your|The] invoice {number} over {amount} is [ready|still open]. Please pay [it |]by {date}.",
        ],
        subject: &["Invoice {number}", "[Your|New] invoice", "Payment due {date}"],
        line: "{sender} sends invoice {number} for {amount}, due on {date}.",
        also: "{name} also sends invoice {number} for {amount}, due on {date}.",
        heading: "Invoice {number}: {amount} due on {date}",
        questions: &[
            ("How much is it?", "It is {amount}."),
            ("How much do I have to pay?", "It is {amount}."),
            (BY, "On {date}."),
            ("What is the invoice number?", "It is {number}."),
        ],
        wants_answer: false,
        leads: false,
        fields: &["number", "amount", "date"],
    },
    Act {
        label: "work",
        body: &[
            "Do you know [whether|if] {clause}?",
            "[Can|Could] you tell me whether {clause}?",
            "I was wondering whether {clause}. [Do you know|Any idea]?",
        ],
        subject: &["Question", "[A quick|A short] question", "Do you know?"],
        line: "{sender} asks whether {clause}.",
        also: "{name} also asks whether {clause}.",
        heading: "Question: is it true that {clause}?",
        questions: &[("What does {name} want to know?", "The question is whether {clause}.")],
        wants_answer: true,
        leads: false,
        fields: &["clause"],
    },
    Act {
        label: "work",
        body: &[
            "[Just to let you know|For your information|A short note]: {clause}.",
            "I [wanted to tell you|am writing to say|just heard] that {clause}.",
            "[Good news|News]: {clause}!",
        ],
        subject: &["News", "For your information", "[Short|Quick] update", "Update on {project}"],
        line: "{sender} tells you that {clause}.",
        also: "{name} also tells you that {clause}.",
        heading: "For your information: {clause}",
        questions: &[
            ("What is the news?", "The mail says that {clause}."),
            ("Do I have to do something?", "No, it is for your information."),
        ],
        wants_answer: false,
        leads: false,
        fields: &["clause"],
    },
    Act {
        label: "personal",
        body: &[
            "[Thank you|Thanks|Many thanks] [so much |]for {thing}!",
            "I [just |]wanted to thank you for {thing}.",
        ],
        subject: &["Thank you", "Thanks!", "Thank you for {thing}"],
        line: "{sender} thanks you for {thing}.",
        also: "{name} also thanks you for {thing}.",
        heading: "Thank you for {thing}",
        questions: &[
            ("Do I have to do something?", "No, {name} only says thank you."),
            ("Why does {name} write?", "To thank you for {thing}."),
        ],
        wants_answer: false,
        leads: false,
        fields: &["thing"],
    },
    Act {
        label: "personal",
        body: &[
            "Are you free on {date}? [I would love to|Shall we|We could] {leisure}[ at {time}|, perhaps at {time}].",
            "[Would you like to|Do you want to] {leisure} on {date} at {time}?",
        ],
        subject: &["{date}?", "Plans", "Are you free?", "Long time no see"],
        line: "{sender} asks whether you want to {leisure} on {date} at {time}.",
        also: "{name} also asks whether you want to {leisure} on {date} at {time}.",
        heading: "{leisure} on {date}?",
        questions: &[
            ("When does {name} want to meet?", "On {date} at {time}."),
            ("What does {name} suggest?", "To {leisure} on {date} at {time}."),
        ],
        wants_answer: true,
        leads: false,
        fields: &["date", "time"],
    },
    Act {
        label: "work",
        body: &[
            "[Please remember|Do not forget|Remember] to {task} by {when}.",
            "[A short|A friendly|This is a] reminder: [please |]{task} by {when}.",
            "You promised to {task} by {when}. [How is it going|Is it done]?",
        ],
        subject: &["Reminder", "[Reminder|Do not forget]: {task}", "Reminder: {when}"],
        line: "{sender} reminds you to {task} by {when}.",
        also: "{name} also reminds you to {task} by {when}.",
        heading: "Reminder: {task} by {when}",
        questions: &[(BY, "By {when}."), ("What must I not forget?", "To {task} by {when}.")],
        wants_answer: false,
        leads: false,
        fields: &["when", "task"],
    },
    Act {
        label: "work",
        body: &[
            "I [am|will be] away from {date} to {date2}. [In that time|Meanwhile] {person} [stands in for me|takes over|will help you].",
            "From {date} to {date2} I am on [holiday|leave]; please [turn|write] to {person}.",
        ],
        subject: &["Out of office", "Away", "[Holiday|Absence]"],
        line: "{sender} is away from {date} to {date2}; {person} stands in.",
        also: "{name} is away from {date} to {date2}; {person} stands in.",
        heading: "Away from {date} to {date2}",
        questions: &[
            ("Who stands in for {name}?", "It is {person}."),
            ("When is {name} back?", "After {date2}."),
        ],
        wants_answer: false,
        leads: false,
        fields: &["date", "date2", "person"],
    },
    Act {
        label: "work",
        body: &[
            "[Attached is|Please find attached|I am sending you|Here is] {document}[, as promised|, as discussed|].",
            "{document} is attached.",
        ],
        subject: &["{paper}", "Attached", "As promised", "{document}"],
        line: "{sender} sends you {document}.",
        also: "{name} also sends you {document}.",
        heading: "Attached: {document}",
        questions: &[
            ("What is attached?", "It is {document}."),
            ("What does {name} send?", "It is {document}."),
        ],
        wants_answer: false,
        leads: false,
        fields: &["document"],
    },
    Act {
        label: "urgent",
        body: &[
            "[There is a problem|We have a problem|Bad news]: {clause}. [Please|Can you] call {person} [today|at once|now]!",
            "[Help|Alarm]! {clause}. {person} needs [you|your answer] [today|now].",
        ],
        subject: &["Problem", "URGENT problem", "Help needed", "Please call"],
        line: "{sender} reports that {clause} and that {person} needs you today.",
        also: "{name} also reports that {clause} and that {person} needs you today.",
        heading: "Urgent: {clause}",
        questions: &[
            ("What is the problem?", "The problem is that {clause}."),
            ("Whom should I call?", "Please call {person}."),
        ],
        wants_answer: true,
        leads: false,
        fields: &["clause", "person"],
    },
    Act {
        label: "work",
        body: &[
            "[I am happy with|I approve|I agree with] {document}[. Go ahead|].",
            "{document} is fine [with|by] me. [You can|Please] go ahead.",
        ],
        subject: &["Approved", "Agreed", "Yes"],
        line: "{sender} agrees with {document}.",
        also: "{name} also agrees with {document}.",
        heading: "Agreed: {document}",
        questions: &[("Does {name} agree?", "Yes, {name} agrees with {document}.")],
        wants_answer: false,
        leads: false,
        fields: &["document"],
    },
    Act {
        label: "personal",
        body: &[
            "[Sorry|I am afraid|Unfortunately] I cannot come to the {event} on {date}.",
            "I will miss the {event} on {date}, [sorry|I am on a trip|I have to work].",
        ],
        subject: &["Cannot come", "{event}", "Sorry", "Re: {event}"],
        line: "{sender} cannot come to the {event} on {date}.",
        also: "{name} also cannot come to the {event} on {date}.",
        heading: "Cannot come to the {event} on {date}",
        questions: &[("Does {name} come?", "No, {name} cannot come to the {event} on {date}.")],
        wants_answer: false,
        leads: false,
        fields: &["event", "date"],
    },
    Act {
        label: "work",
        body: &[
            "[I would like to introduce|Meet|Let me introduce] {first} {last} [of|from] {company}, who [works on|asked about|can help with] {topic}.",
        ],
        subject: &["Introduction", "Meet {first}", "{first} {last}"],
        line: "{sender} introduces {first} {last} of {company}, about {topic}.",
        also: "{name} also introduces {first} {last} of {company}, about {topic}.",
        heading: "Introduction: {first} {last} of {company}",
        questions: &[
            ("Who is introduced?", "It is {first} {last} of {company}."),
            ("Where does {first} work?", "At {company}."),
        ],
        wants_answer: false,
        leads: false,
        fields: &["first", "company"],
    },
    Act {
        label: "bill",
        body: &[
            "Your order {number} of {small} {goods} [has been sent|is on its way]. [It arrives|You will get it|Delivery is] on {date}.",
            "[We have shipped|Good news! We have sent] order {number} ({small} {goods}). It arrives on {date}.",
        ],
        subject: &["Order {number}", "Your order", "Delivery on {date}"],
        line: "{sender} says that order {number} ({small} {goods}) arrives on {date}.",
        also: "Order {number} ({small} {goods}) arrives on {date}.",
        heading: "Order {number} arrives on {date}",
        questions: &[
            ("When does it arrive?", "On {date}."),
            ("What did I order?", "You ordered {small} {goods}."),
            ("What is the order number?", "It is {number}."),
        ],
        wants_answer: false,
        leads: false,
        fields: &["number", "date"],
    },
    Act {
        label: "newsletter",
        body: &[
            "[In this issue|This week|This month]: {theme}, {theme2} and {theme3}.\n\n[Read more|Read it] on our website. [To unsubscribe, click here|Unsubscribe at any time].",
            "[Welcome to our newsletter|News from us]!\n\n- {theme}\n- {theme2}\n- {theme3}\n\n[You get this mail because you subscribed|Unsubscribe here].",
        ],
        subject: &["[Newsletter|News] {month}", "{theme}", "{theme} and more", "Our newsletter"],
        line: "Newsletter of {sender} about {theme}, {theme2} and {theme3}.",
        also: "Also in the newsletter: {theme}, {theme2} and {theme3}.",
        heading: "Newsletter: {theme} and more",
        questions: &[
            ("What is it about?", "It is a newsletter about {theme}, {theme2} and {theme3}."),
            ("Do I have to do something?", "No, it is a newsletter."),
        ],
        wants_answer: false,
        leads: false,
        fields: &["theme", "theme2"],
    },
];

/// How often each of [`ACTS`] is the main purpose, out of their sum.
pub(super) const WEIGHTS: &[usize] =
    &[16, 7, 5, 10, 6, 3, 5, 5, 7, 4, 6, 7, 4, 5, 4, 3, 4, 3, 4, 6];
