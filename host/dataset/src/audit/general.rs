//! Text that everybody knows and nobody in particular wrote.

use hearth_engine_api::Example;

use super::chat;

/// Questions and what anybody would answer.
const CHATS: [(&str, &str); 14] = [
    ("What is the capital of France?", "The capital of France is Paris."),
    (
        "How many days are there in a leap year?",
        "A leap year has 366 days; the extra one is 29 February.",
    ),
    (
        "Why is the sky blue?",
        "Air scatters short waves of light more strongly than long ones, so blue light reaches our eyes from every direction of the sky.",
    ),
    (
        "What does a thermostat do?",
        "It measures the temperature of a room and switches the heating on or off to keep it near the value that was set.",
    ),
    ("Translate \"good morning\" into Spanish.", "\"Good morning\" is \"buenos días\" in Spanish."),
    (
        "Which is heavier, a kilogram of iron or a kilogram of feathers?",
        "Neither: both weigh a kilogram.",
    ),
    (
        "How do I boil an egg?",
        "Put the egg into boiling water. After six minutes the yolk is soft, after ten it is hard. Cool it in cold water, then peel it.",
    ),
    ("What is seven times eight?", "Seven times eight is fifty-six."),
    (
        "Name the planets of the solar system.",
        "Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus and Neptune.",
    ),
    (
        "What is a library in programming?",
        "A library is code that others have written and that a program can use, such as functions to read files or to draw on the screen.",
    ),
    (
        "Should I water my plants every day?",
        "Most house plants want water once or twice a week. Feel the soil: if it is dry to the depth of a finger, water them.",
    ),
    ("What is the past tense of \"go\"?", "The past tense of \"go\" is \"went\"."),
    (
        "How does a bicycle stay upright?",
        "The rider steers a little towards the side to which it falls, which brings the wheels back under the rider; at speed the front wheel does part of that by itself.",
    ),
    (
        "Write one sentence about the sea.",
        "The sea was calm that morning, and the boats lay still in the harbour.",
    ),
];

/// Prose and code.
const TEXTS: [&str; 8] = [
    "Bread is made of flour, water, salt and yeast. The dough is kneaded until it is smooth, left to rise until it is \
     twice as large, shaped into a loaf and baked in a hot oven. The crust turns brown because sugars and proteins near \
     the surface react in the heat.",
    "The train left the station at eight and was full by the second stop. People read, slept or looked out of the \
     window at the fields, where the first tractors were already at work. At the border nobody checked the tickets.",
    "Water expands when it freezes. That is why ice floats, why pipes burst in winter, and why lakes freeze from the \
     top: the warmest water, at four degrees, sinks to the bottom, and fish live there until spring.",
    "A good report says first what was done and what came of it, then how it was found out, and last what is still \
     open. Whoever reads only the first lines should know what matters.",
    "fn largest(numbers: &[i32]) -> Option<i32> {\n    let mut best = None;\n    for &number in numbers {\n        if \
     best.is_none_or(|known| number > known) {\n            best = Some(number);\n        }\n    }\n    best\n}\n",
    "def read_lines(path):\n    with open(path, encoding=\"utf-8\") as file:\n        return [line.rstrip(\"\\n\") for \
     line in file]\n\n\ndef count_words(lines):\n    counts = {}\n    for line in lines:\n        for word in \
     line.split():\n            counts[word] = counts.get(word, 0) + 1\n    return counts\n",
    "To list the files of a folder in a shell, type ls. To see hidden files too, type ls -a. To change to another \
     folder, type cd and its name; cd without a name goes home. To copy a file, type cp, the file, and where to.",
    "Most birds that breed in the north fly south in autumn. They find their way by the sun, the stars and the \
     magnetic field of the earth, and young birds that have never made the journey set out in the right direction.",
];

/// General text: short conversations, prose and code, of our own making.
pub fn general() -> Vec<Example> {
    let chats = CHATS.iter().map(|(question, answer)| chat(question, answer));
    chats.chain(TEXTS.iter().map(|text| Example::Text((*text).into()))).collect()
}
