//! Short functions in four languages, and what they do.
//!
//! `@f`, `@a`, `@b`, `@n` stand for names in code and explanation alike; braces belong to the languages.

use super::{
    example::{Example, Task},
    grammar::{Slots, make},
    office::HEARTH,
    rng::Rng,
};

/// One idea, as code in several languages, and the explanation they share.
struct Idea {
    verbs: &'static [&'static str],
    rust: &'static [&'static str],
    python: &'static [&'static str],
    javascript: &'static [&'static str],
    shell: &'static [&'static str],
    explanation: &'static str,
}

const IDEAS: &[Idea] = &[
    Idea {
        verbs: &["sum", "total", "add_up"],
        rust: &[
            "fn @f(@a: &[i64]) -> i64 {\n    @a.iter().sum()\n}",
            "fn @f(@a: &[f64]) -> f64 {\n    let mut total = 0.0;\n    for @b in @a {\n        total += @b;\n    }\n    total\n}",
        ],
        python: &[
            "def @f(@a):\n    return sum(@a)",
            "def @f(@a):\n    total = 0\n    for @b in @a:\n        total += @b\n    return total",
        ],
        javascript: &[
            "function @f(@a) {\n  return @a.reduce((x, y) => x + y, 0);\n}",
            "const @f = (@a) => {\n  let total = 0;\n  for (const @b of @a) total += @b;\n  return total;\n};",
        ],
        shell: &[
            "@f() {\n  total=0\n  for @b in \"$@\"; do\n    total=$((total + @b))\n  done\n  echo \"$total\"\n}",
        ],
        explanation: "`@f` adds up all @a and returns the total.",
    },
    Idea {
        verbs: &["largest", "max", "highest"],
        rust: &["fn @f(@a: &[i32]) -> Option<i32> {\n    @a.iter().copied().max()\n}"],
        python: &[
            "def @f(@a):\n    return max(@a)",
            "def @f(@a):\n    best = @a[0]\n    for @b in @a:\n        if @b > best:\n            best = @b\n    return best",
        ],
        javascript: &["function @f(@a) {\n  return Math.max(...@a);\n}"],
        shell: &["@f() {\n  printf '%s\\n' \"$@\" | sort -n | tail -n 1\n}"],
        explanation: "`@f` returns the largest of the @a.",
    },
    Idea {
        verbs: &["smallest", "min", "lowest"],
        rust: &["fn @f(@a: &[i32]) -> Option<i32> {\n    @a.iter().copied().min()\n}"],
        python: &[
            "def @f(@a):\n    return min(@a)",
            "def @f(@a):\n    best = @a[0]\n    for @b in @a:\n        if @b < best:\n            best = @b\n    return best",
        ],
        javascript: &["function @f(@a) {\n  return Math.min(...@a);\n}"],
        shell: &["@f() {\n  printf '%s\\n' \"$@\" | sort -n | head -n 1\n}"],
        explanation: "`@f` returns the smallest of the @a.",
    },
    Idea {
        verbs: &["average", "mean"],
        rust: &["fn @f(@a: &[f64]) -> f64 {\n    @a.iter().sum::<f64>() / @a.len() as f64\n}"],
        python: &["def @f(@a):\n    return sum(@a) / len(@a)"],
        javascript: &[
            "function @f(@a) {\n  const total = @a.reduce((x, y) => x + y, 0);\n  return total / @a.length;\n}",
        ],
        shell: &[],
        explanation: "`@f` returns the average of the @a: their sum divided by their number.",
    },
    Idea {
        verbs: &["above", "filter", "keep_above"],
        rust: &[
            "fn @f(@a: &[i32]) -> Vec<i32> {\n    @a.iter().copied().filter(|&@b| @b > @n).collect()\n}",
        ],
        python: &[
            "def @f(@a):\n    return [@b for @b in @a if @b > @n]",
            "def @f(@a):\n    result = []\n    for @b in @a:\n        if @b > @n:\n            result.append(@b)\n    return result",
        ],
        javascript: &["function @f(@a) {\n  return @a.filter((@b) => @b > @n);\n}"],
        shell: &[
            "@f() {\n  for @b in \"$@\"; do\n    [ \"$@b\" -gt @n ] && echo \"$@b\"\n  done\n}",
        ],
        explanation: "`@f` keeps the @a that are greater than @n and drops the others.",
    },
    Idea {
        verbs: &["count", "how_many"],
        rust: &["fn @f(@a: &[i32]) -> usize {\n    @a.iter().filter(|&&@b| @b < @n).count()\n}"],
        python: &[
            "def @f(@a):\n    return len([@b for @b in @a if @b < @n])",
            "def @f(@a):\n    count = 0\n    for @b in @a:\n        if @b < @n:\n            count += 1\n    return count",
        ],
        javascript: &["function @f(@a) {\n  return @a.filter((@b) => @b < @n).length;\n}"],
        shell: &[],
        explanation: "`@f` counts how many of the @a are smaller than @n.",
    },
    Idea {
        verbs: &["double", "scale", "multiply"],
        rust: &["fn @f(@a: &[i32]) -> Vec<i32> {\n    @a.iter().map(|@b| @b * @n).collect()\n}"],
        python: &["def @f(@a):\n    return [@b * @n for @b in @a]"],
        javascript: &["const @f = (@a) => @a.map((@b) => @b * @n);"],
        shell: &[],
        explanation: "`@f` multiplies each of the @a by @n and returns the results as a list.",
    },
    Idea {
        verbs: &["reverse", "backwards"],
        rust: &["fn @f(@b: &str) -> String {\n    @b.chars().rev().collect()\n}"],
        python: &["def @f(@b):\n    return @b[::-1]"],
        javascript: &["function @f(@b) {\n  return @b.split('').reverse().join('');\n}"],
        shell: &["@f() {\n  echo \"$1\" | rev\n}"],
        explanation: "`@f` returns the text backwards, last letter first.",
    },
    Idea {
        verbs: &["is_even", "even"],
        rust: &["fn @f(@b: u32) -> bool {\n    @b % 2 == 0\n}"],
        python: &["def @f(@b):\n    return @b % 2 == 0"],
        javascript: &["function @f(@b) {\n  return @b % 2 === 0;\n}"],
        shell: &["@f() {\n  [ $(($1 % 2)) -eq 0 ]\n}"],
        explanation: "`@f` tells whether a number is even, that is, divisible by two.",
    },
    Idea {
        verbs: &["factorial", "fact"],
        rust: &[
            "fn @f(@b: u64) -> u64 {\n    (1..=@b).product()\n}",
            "fn @f(@b: u64) -> u64 {\n    if @b <= 1 { 1 } else { @b * @f(@b - 1) }\n}",
        ],
        python: &["def @f(@b):\n    if @b <= 1:\n        return 1\n    return @b * @f(@b - 1)"],
        javascript: &["function @f(@b) {\n  return @b <= 1 ? 1 : @b * @f(@b - 1);\n}"],
        shell: &[],
        explanation: "`@f` computes the factorial of @b: the product of all numbers from 1 to @b.",
    },
    Idea {
        verbs: &["fibonacci", "fib"],
        rust: &[
            "fn @f(@b: u32) -> u64 {\n    let (mut x, mut y) = (0, 1);\n    for _ in 0..@b {\n        (x, y) = (y, x + y);\n    }\n    x\n}",
        ],
        python: &[
            "def @f(@b):\n    x, y = 0, 1\n    for _ in range(@b):\n        x, y = y, x + y\n    return x",
        ],
        javascript: &[
            "function @f(@b) {\n  let [x, y] = [0, 1];\n  for (let i = 0; i < @b; i++) [x, y] = [y, x + y];\n  return x;\n}",
        ],
        shell: &[],
        explanation: "`@f` computes the Fibonacci number at place @b, in which each number is the sum of the two before it.",
    },
    Idea {
        verbs: &["read_lines", "load", "lines_of"],
        rust: &[
            "fn @f(path: &Path) -> io::Result<Vec<String>> {\n    let text = fs::read_to_string(path)?;\n    Ok(text.lines().map(String::from).collect())\n}",
        ],
        python: &[
            "def @f(path):\n    with open(path) as file:\n        return file.read().splitlines()",
        ],
        javascript: &[
            "function @f(path) {\n  return fs.readFileSync(path, 'utf8').split('\\n');\n}",
        ],
        shell: &["@f() {\n  while read -r line; do\n    echo \"$line\"\n  done < \"$1\"\n}"],
        explanation: "`@f` reads the file at the given path and returns its lines.",
    },
    Idea {
        verbs: &["count_words", "word_count"],
        rust: &["fn @f(@b: &str) -> usize {\n    @b.split_whitespace().count()\n}"],
        python: &["def @f(@b):\n    return len(@b.split())"],
        javascript: &["const @f = (@b) => @b.trim().split(/\\s+/).length;"],
        shell: &["@f() {\n  wc -w < \"$1\"\n}"],
        explanation: "`@f` counts the words, which are separated by white space.",
    },
    Idea {
        verbs: &["greet", "welcome", "hello"],
        rust: &["fn @f(@b: &str) {\n    println!(\"Hello, {@b}!\");\n}"],
        python: &["def @f(@b):\n    print(f\"Hello, {@b}!\")"],
        javascript: &["function @f(@b) {\n  console.log(`Hello, ${@b}!`);\n}"],
        shell: &["@f() {\n  echo \"Hello, $1!\"\n}"],
        explanation: "`@f` prints a greeting with the given name.",
    },
    Idea {
        verbs: &["clamp", "limit"],
        rust: &[
            "fn @f(@b: i32) -> i32 {\n    @b.clamp(0, @n)\n}",
            "fn @f(@b: i32) -> i32 {\n    if @b < 0 {\n        0\n    } else if @b > @n {\n        @n\n    } else {\n        @b\n    }\n}",
        ],
        python: &["def @f(@b):\n    return max(0, min(@b, @n))"],
        javascript: &["function @f(@b) {\n  return Math.max(0, Math.min(@b, @n));\n}"],
        shell: &[],
        explanation: "`@f` limits @b to the range from 0 to @n.",
    },
    Idea {
        verbs: &["find", "index_of", "position"],
        rust: &[
            "fn @f(@a: &[String], @b: &str) -> Option<usize> {\n    @a.iter().position(|x| x == @b)\n}",
        ],
        python: &[
            "def @f(@a, @b):\n    for index, x in enumerate(@a):\n        if x == @b:\n            return index\n    return None",
        ],
        javascript: &["function @f(@a, @b) {\n  return @a.indexOf(@b);\n}"],
        shell: &[],
        explanation: "`@f` looks for @b among the @a and returns its position.",
    },
    Idea {
        verbs: &["contains", "has", "includes"],
        rust: &["fn @f(@a: &[String], @b: &str) -> bool {\n    @a.iter().any(|x| x == @b)\n}"],
        python: &["def @f(@a, @b):\n    return @b in @a"],
        javascript: &["const @f = (@a, @b) => @a.includes(@b);"],
        shell: &["@f() {\n  grep -q \"$1\" @a.txt\n}"],
        explanation: "`@f` tells whether the @a contain the one that is asked for.",
    },
    Idea {
        verbs: &["sorted", "sort", "order"],
        rust: &["fn @f(mut @a: Vec<String>) -> Vec<String> {\n    @a.sort();\n    @a\n}"],
        python: &["def @f(@a):\n    return sorted(@a)"],
        javascript: &["function @f(@a) {\n  return [...@a].sort();\n}"],
        shell: &["@f() {\n  sort @a.txt\n}"],
        explanation: "`@f` returns the @a in ascending order.",
    },
    Idea {
        verbs: &["unique", "dedup", "distinct"],
        rust: &["fn @f(@a: Vec<String>) -> BTreeSet<String> {\n    @a.into_iter().collect()\n}"],
        python: &["def @f(@a):\n    return list(set(@a))"],
        javascript: &["const @f = (@a) => [...new Set(@a)];"],
        shell: &["@f() {\n  sort -u @a.txt\n}"],
        explanation: "`@f` removes duplicates, so that each of the @a appears only once.",
    },
    Idea {
        verbs: &["join", "list_text"],
        rust: &["fn @f(@a: &[String]) -> String {\n    @a.join(\", \")\n}"],
        python: &["def @f(@a):\n    return \", \".join(@a)"],
        javascript: &["function @f(@a) {\n  return @a.join(', ');\n}"],
        shell: &["@f() {\n  paste -sd, @a.txt\n}"],
        explanation: "`@f` joins the @a into one text, separated by commas.",
    },
    Idea {
        verbs: &["retry", "try_again"],
        rust: &[
            "fn @f(run: impl Fn() -> bool) -> bool {\n    for _ in 0..@n {\n        if run() {\n            return true;\n        }\n    }\n    false\n}",
        ],
        python: &[
            "def @f(run):\n    for _ in range(@n):\n        if run():\n            return True\n    return False",
        ],
        javascript: &[
            "function @f(run) {\n  for (let i = 0; i < @n; i++) {\n    if (run()) return true;\n  }\n  return false;\n}",
        ],
        shell: &["@f() {\n  for i in $(seq @n); do\n    \"$@\" && return 0\n  done\n  return 1\n}"],
        explanation: "`@f` tries to run something up to @n times and stops at the first success.",
    },
    Idea {
        verbs: &["backup", "archive", "save"],
        rust: &[],
        python: &["def @f(folder):\n    shutil.make_archive(folder, 'zip', folder)"],
        javascript: &[],
        shell: &["@f() {\n  tar -czf @a.tar.gz \"$1\"\n}", "tar -czf @a.tar.gz @a/"],
        explanation: "It packs a folder into a compressed archive.",
    },
    Idea {
        verbs: &["clean", "remove_old"],
        rust: &[],
        python: &[],
        javascript: &[],
        shell: &[
            "find @a -name '*.tmp' -mtime +@n -delete",
            "@f() {\n  find @a -mtime +@n -delete\n}",
        ],
        explanation: "It deletes files in @a that are older than @n days.",
    },
    Idea {
        verbs: &["grouped", "group_by", "tally"],
        rust: &[
            "fn @f(@a: &[String]) -> HashMap<String, usize> {\n    let mut counts = HashMap::new();\n    for @b in @a {\n        *counts.entry(@b.clone()).or_insert(0) += 1;\n    }\n    counts\n}",
        ],
        python: &[
            "def @f(@a):\n    counts = {}\n    for @b in @a:\n        counts[@b] = counts.get(@b, 0) + 1\n    return counts",
        ],
        javascript: &[
            "function @f(@a) {\n  const counts = {};\n  for (const @b of @a) counts[@b] = (counts[@b] || 0) + 1;\n  return counts;\n}",
        ],
        shell: &["@f() {\n  sort @a.txt | uniq -c\n}"],
        explanation: "`@f` counts how often each of the @a occurs.",
    },
];

/// Plural and singular of what the functions work on.
const NOUNS: &[(&str, &str)] = &[
    ("numbers", "number"),
    ("values", "value"),
    ("prices", "price"),
    ("items", "item"),
    ("scores", "score"),
    ("names", "name"),
    ("orders", "order"),
    ("users", "user"),
    ("words", "word"),
    ("points", "point"),
    ("sizes", "size"),
    ("ages", "age"),
    ("weights", "weight"),
    ("entries", "entry"),
    ("rows", "row"),
    ("costs", "cost"),
    ("files", "file"),
    ("tags", "tag"),
    ("amounts", "amount"),
    ("lengths", "length"),
    ("messages", "message"),
    ("tokens", "token"),
    ("nodes", "node"),
    ("keys", "key"),
];

const ASKS: &[&str] = &[
    "Explain this code.",
    "Explain this code.",
    "Explain this code.",
    "What does this [code|function] do?",
    "Explain this function.",
    "[Please explain|Explain] this [snippet|script|function] [to me|briefly|].",
];

const SYSTEMS: &[&str] = &[
    "You explain source code to a programmer.",
    "You explain source code to a programmer.",
    "You explain source code to a programmer.",
    "You explain [code|source code|programs]. Be brief.",
    HEARTH,
    "",
];

/// A short function and what it does.
pub(super) fn explain(rng: &mut Rng) -> Example {
    let (code, explanation) = loop {
        let idea = &IDEAS[rng.below(IDEAS.len())];
        let (language, versions) = match rng.below(4) {
            0 => ("rust", idea.rust),
            1 => ("python", idea.python),
            2 => ("javascript", idea.javascript),
            _ => ("sh", idea.shell),
        };
        if versions.is_empty() {
            continue;
        }
        let names = names(rng, idea, language);
        let template = rng.pick(versions);
        let code = names(template);
        let fenced = if rng.chance(25) { format!("```{language}\n{code}\n```") } else { code };
        break (fenced, names(idea.explanation));
    };
    let ask = Slots::default().expand_one(rng, ASKS);
    let system = Slots::default().expand_one(rng, SYSTEMS);
    let user = match rng.below(10) {
        0..8 => format!("{ask}\n\n{code}"),
        8 if system.starts_with("You explain") => code,
        8 => format!("{ask}\n\n{code}"),
        _ => format!("{code}\n\n{ask}"),
    };
    Example::single(Task::Code, &system, user, explanation)
}

/// Draws the names of one function; what comes back writes them into a template.
fn names(rng: &mut Rng, idea: &Idea, language: &str) -> impl Fn(&str) -> String + use<> {
    let (plural, singular) = NOUNS[rng.below(NOUNS.len())];
    let verb = rng.pick(idea.verbs);
    let coined = make(rng, "coined").to_lowercase();
    let mut function = match rng.below(5) {
        0 => format!("{verb}_{plural}"),
        1 => format!("{verb}_{coined}"),
        2 => format!("{verb}_{singular}"),
        3 => verb.to_owned(),
        _ => coined,
    };
    if language == "javascript" {
        function = camel(&function);
    }
    let number = rng.between(2, 100).to_string();
    move |template: &str| {
        template
            .replace("$@b", &format!("${singular}"))
            .replace("@f", &function)
            .replace("@a", plural)
            .replace("@b", singular)
            .replace("@n", &number)
    }
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + &super::grammar::capitalised(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_placeholder_is_left() {
        for index in 0..2000 {
            let example = explain(&mut Rng::new(3, 0, index));
            for message in &example.messages {
                for placeholder in ["@f", "@a", "@b", "@n"] {
                    assert!(!message.content.contains(placeholder), "{}", message.content);
                }
            }
        }
    }
}
