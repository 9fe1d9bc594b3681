//! The words of the generator: what each kind of slot may hold.

/// Kinds of slot and their alternatives, which are templates in turn.
pub(super) const RULES: &[(&str, &[&str])] = &[
    // People. A fifth of the names is coined, so that copying beats remembering.
    ("first", &["{known}", "{known}", "{known}", "{known}", "{coined}"]),
    ("last", &["{surname}", "{surname}", "{surname}", "{coined}"]),
    ("person", &["{first} {last}", "{first}", "{first}"]),
    ("known", &[
        "Ana", "Ben", "Clara", "David", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Karin", "Leo", "Marta",
        "Nadia", "Oscar", "Priya", "Quentin", "Rosa", "Samir", "Tessa", "Uwe", "Vera", "Wei", "Xenia", "Yusuf", "Zoe",
        "Anton", "Beatriz", "Chen", "Daria", "Emil", "Fiona", "Georg", "Hanna", "Igor", "Julia", "Kenji", "Lucia",
        "Miguel", "Nora", "Olga", "Pavel", "Rachel", "Stefan", "Thomas", "Ulla", "Viktor", "Wanda", "Alice", "Bruno",
        "Carmen", "Dieter", "Eva", "Felix", "Gita", "Henrik", "Irene", "Jakob", "Kofi", "Lena", "Mehmet", "Nils",
        "Omar", "Petra", "Ravi", "Sofia", "Tom", "Ursula", "Amara", "Boris", "Celia", "Dmitri", "Esther", "Frank",
        "Gloria", "Hassan", "Ivana", "James", "Kate", "Liam", "Maria", "Noah", "Olivia", "Peter", "Rita", "Sven",
        "Tariq", "Vanessa", "Walter", "Yara", "Mark", "Laura", "Simon", "Emma", "Paul", "Anna", "Michael", "Sarah",
        "Daniel", "Lisa", "John", "Mary", "Robert", "Linda", "Martin", "Susan", "Adam", "Helen", "George", "Claire",
    ]),
    ("surname", &[
        "Ruiz", "Meyer", "Okafor", "Lindgren", "Haddad", "Novak", "Tanaka", "Silva", "Kowalski", "Brandt", "Moreau",
        "Rossi", "Andersen", "Patel", "Kim", "Garcia", "Weber", "Dubois", "Ivanova", "Larsen", "Costa", "Singh", "Baker",
        "Clarke", "Fischer", "Greene", "Hughes", "Jensen", "Keller", "Lopez", "Murphy", "Nguyen", "Olsen", "Price",
        "Quinn", "Reyes", "Schmidt", "Turner", "Vogel", "Walsh", "Young", "Zhang", "Adler", "Bauer", "Cohen", "Diaz",
        "Evans", "Fontaine", "Gallo", "Hoffmann", "Ito", "Jones", "Kaya", "Lang", "Marino", "Nilsson", "Osei", "Popov",
        "Romero", "Stone", "Taylor", "Ueda", "Varga", "Wagner", "Yilmaz", "Berg", "Smith", "Brown", "Martin", "Hall",
    ]),
    ("company", &[
        "{coined} {trade}", "{coined} {trade}", "{surname} {trade}", "{surname} and {surname2}", "{coined}", "{coined}{suffix}",
    ]),
    ("trade", &[
        "Bank", "Books", "Studio", "Energy", "Travel", "Software", "Foods", "Insurance", "Logistics", "Partners",
        "Gardens", "Telecom", "Clinic", "Hotel", "Press", "Systems", "Tools", "Bikes", "Library", "Museum", "Labs",
    ]),
    ("suffix", &["soft", "tech", "mart", "ware", "line", "works", "net", "shop"]),
    ("host", &["example.com", "example.org", "example.net", "mail.example", "post.example"]),
    ("team", &["the {dept} team", "{dept}", "the {dept} office"]),
    ("dept", &["design", "sales", "support", "finance", "research", "data", "legal", "marketing", "facilities", "IT"]),
    ("role", &[
        "Project manager", "Accountant", "Head of {dept}", "Engineer", "Secretary", "Team lead", "Coordinator",
        "Designer", "Editor", "Treasurer", "Teacher", "Consultant",
    ]),
    // Time.
    ("weekday", &["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]),
    ("month", &[
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]),
    ("when", &[
        "{weekday}", "{weekday}", "{weekday} {monthday} {month}", "{weekday} {monthday} {month}", "{monthday} {month}",
        "{monthday} {month}", "{month} {monthday}", "tomorrow", "next {weekday}", "the end of [the week|the month|{month}]",
        "{weekday} at {hour}:{minute}", "{weekday} [morning|noon|evening]", "2026-0{digit}-1{digit}",
    ]),
    ("date", &[
        "{weekday}", "{weekday} {monthday} {month}", "{weekday} {monthday} {month}", "{monthday} {month}",
        "{monthday} {month}", "{month} {monthday}", "next {weekday}",
    ]),
    ("time", &["{hour}:{minute}", "{hour}:{minute}", "{hour}:00", "[8|9|10|11] am", "[1|2|3|4|5|6] pm", "noon"]),
    ("longtime", &["[two|three|four|five] [days|weeks|months]", "a week", "half a year"]),
    // Places.
    ("place", &[
        "room {digit}{digit2}", "room {number}", "[the|our] {coined} office", "the {room}", "{coined}", "the {room} in {coined} Street",
        "[the café|the bar|the hall|the park] [near|behind|in front of] the {building}", "{digit}{digit2} {coined} Street",
    ]),
    ("room", &[
        "library", "canteen", "main hall", "garden", "meeting room", "lobby", "workshop", "small kitchen", "town hall",
        "blue room", "conference room", "gym", "reading room", "lab",
    ]),
    ("building", &["station", "museum", "school", "church", "bank", "theatre", "harbour", "bridge", "market", "post office"]),
    ("city", &["Lisbon", "Oslo", "Vienna", "Prague", "Porto", "Berlin", "Dublin", "Kyoto", "Lyon", "Ghent", "{coined}", "{coined}"]),
    // Things.
    ("adj", &[
        "new", "old", "final", "first", "second", "short", "long", "quarterly", "annual", "monthly", "revised",
        "signed", "missing", "updated", "internal", "public", "detailed", "draft", "printed", "German", "English",
        "French", "original", "corrected", "shared", "preliminary", "complete", "latest",
    ]),
    ("paper", &[
        "report", "budget", "contract", "invoice", "plan", "proposal", "offer", "letter", "schedule", "agenda",
        "article", "poster", "translation", "survey", "questionnaire", "manual", "minutes", "presentation", "summary",
        "application", "guest list", "price list", "checklist", "certificate", "brochure", "floor plan", "timeline",
        "photo album", "shopping list", "recipe", "programme", "script", "spreadsheet", "cost estimate", "press release",
        "lease", "insurance form", "travel plan", "logo", "newsletter", "order form", "test results", "slides",
    ]),
    ("project", &[
        "{coined}", "project {coined}", "the {coined} project", "the {city} [workshop|office|trip|conference]",
        "the {event}", "the {adj} website", "{company}", "the {dept} team",
    ]),
    ("document", &[
        "the {adj} {paper}", "the {adj} {paper}", "the {paper}", "the {paper} for {project}", "the {paper} for {project}",
        "the {adj} {paper} for {project}", "the {paper} about {topic}",
    ]),
    ("event", &[
        "[budget|planning|weekly|monthly|kick-off|board|review|parents|project|{coined}] meeting", "[summer|birthday|farewell|office|garden] party",
        "[design|security|first aid|{coined}] workshop", "[choir|theatre] rehearsal", "[team|family|business] lunch", "book club",
        "[chess|football|tennis] [match|training]", "[job|phone] interview", "[wedding|birthday|farewell] dinner", "[school|guitar|{coined}] concert",
        "[product|software] demo", "[museum|factory] tour", "training day", "hackathon", "yearly inspection", "reading group",
    ]),
    ("topic", &[
        "the {event}", "the {adj} {paper}", "[the|our] [move to|trip to|office in] {city}", "[holiday|travel|parking|heating|printing|childcare|office] costs",
        "the {coined} [contract|account|release|server]", "[solar panels|electric cars|remote work|data protection|home cooking|bread baking|old maps|city gardens]",
        "[the broken|the new|the old] {device}", "{coined}",
    ]),
    ("device", &[
        "printer", "laptop", "coffee machine", "projector", "server", "router", "heating", "lift", "front door", "website",
        "phone", "dishwasher", "car", "bike", "camera", "database", "backup", "login page", "boiler", "scanner",
    ]),
    ("goods", &[
        "chairs", "notebooks", "lamps", "bottles of water", "sandwiches", "toner cartridges", "stamps", "envelopes",
        "tickets", "light bulbs", "coffee cups", "tomato plants", "name tags", "batteries", "desks", "cables", "apples",
    ]),
    ("thing", &[
        "{document}", "your [help|advice|patience|feedback|visit|letter|call] [with|about] {topic}", "the [flowers|lovely evening|book|good talk|quick answer|cake|photos]",
        "the [invitation|ideas] for {project}",
    ]),
    ("task", &[
        "[review|check|read|sign|print|update|finish|translate|correct|approve|file] {document}",
        "[review|check|read|sign|update|finish|approve] {document}",
        "[send|forward|give|show|return] {document} to {person}", "[send|forward|email] {document} to {team}",
        "[call|phone|visit|meet|email|remind|invite] {person} about {topic}", "[call|email|contact] {company} about {topic}",
        "[book|reserve|prepare|clean] {place} for the {event}", "book [a hotel|a flight|a train|a table|a taxi] [to|in] {city} for {person}",
        "[order|buy|bring|return|count] {small} {goods}", "[order|buy] {small} {goods} for the {event}",
        "[pay|check] invoice {number} from {company}", "[repair|test|restart|replace|clean|return] the {device}",
        "[pick up|collect] [{person}|the parcel|the keys|the children] at the {building}", "[water the plants|feed the cat|lock the door|empty the fridge] [at|in] {place}",
        "[write|prepare|design] [a|the first] {paper} about {topic}", "answer the [question|letter|message] of {person}",
        "[confirm|move|cancel] the appointment with {person}", "[choose|suggest] a [date|place|title|speaker] for the {event}",
        "[add|remove] {person} [to|from] the [guest list|mailing list|rota]", "[count|check] the [votes|figures|names] in {document}",
    ]),
    ("clause", &[
        "the {event} [was a success|is fully booked|starts at {time}|takes place in {place}|costs {amount}]",
        "{person} [has left|will join|will leave|is back in|works for] {company}", "the {device} [is broken|is repaired|works again|must be replaced|makes a strange noise]",
        "the {adj} {paper} [is ready|is late|was lost|is in the shared folder|has {small} pages]", "the price of {goods} [rises|falls] to {amount}",
        "{person} [agrees|disagrees] with {document}", "the office in {city} [opens|closes] [on {date}|in {month}]",
        "{small} people [come to|signed up for|are waiting for] the {event}", "{document} [is approved|was sent to {person}|needs more work]",
        "{person} [has found the keys|passed the exam|has a new phone number|moves to {city}|is ill]", "the deadline for {project} is {date}",
    ]),
    ("leisure", &[
        "[have|get] [dinner|lunch|breakfast|a coffee|a drink] [in {place}|together|with {person}]", "go [swimming|cycling|climbing|dancing|fishing] [with {person}|in {city}]",
        "[see|watch] [a film|the match|a play] [with {person}|together]", "visit [{person}|the museum|the zoo|the market] [together|in {city}]", "[cook|play cards|play chess|sing] [together|with {person}]",
    ]),
    ("amount", &["{number} euros", "{small} euros", "{number}.{digit}0 euros", "${number}", "£{small}.50", "{number} francs"]),
    ("theme", &[
        "[new|cheap|easy|quick|five|ten] [recipes|tools|books|games|walks|trains|gardens|museums|songs|phones]", "[travel|cooking|coding|saving|sleeping|learning] tips",
        "[open source|remote work|solar energy|city cycling|bird watching|data privacy|home repair]", "an interview with {first} {last}", "a visit to {city}",
        "the history of [bread|maps|tea|clocks|paper|chess]", "the {coined} [festival|update|prize|sale]",
    ]),
    // Sentences that carry nothing to be summarised.
    ("filler", &[
        "[I hope you are well|I hope all is well|How are you?|Hope you had a good weekend].", "Thank you for your last message.",
        "The weather here in {city} is [lovely|awful|finally better].", "It was good to see you [in {city}|last week|at the {event}].",
        "We talked about it [last week|in the corridor|over lunch], as you may remember.", "[Last week|Yesterday] I met {person} and we talked about {topic}.",
        "It has been a busy [week|month] here.", "Sorry for the [late|long|short] message.", "{person} sends [kind regards|greetings], by the way.",
        "As you know, {topic} took longer than we thought.", "There is no need to print this.", "I copied {person} on this message.",
    ]),
    ("closingline", &[
        "Let me know if anything is unclear.", "Thanks in advance!", "Many thanks for your help.", "Call me if you have questions.", "Have a nice day!",
        "Thanks a lot.", "Looking forward to hearing from you.", "See you soon!", "Please write back if that does not work.",
    ]),
    ("greeting", &["Hi", "Hello", "Dear", "Good morning", "Hey"]),
    ("closing", &["Best", "Best regards", "Kind regards", "Cheers", "Thanks", "Yours", "Regards", "Many thanks", "Greetings"]),
];
