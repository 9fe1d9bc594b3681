//! How much of JSON Schema answers can be held to: the official suite, and schemas in use.
//!
//! Prints a table by group. What is not held to exactly must stand in [`known::KNOWN`], word for word.

mod known;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use hearth_engine_candle::constrain::{Grammar, GrammarError, Grammars};
use serde_json::Value;

use crate::{
    constraints::{Chance, Made, byte_tokenizer, random_answer, walk},
    data::test_data,
};

/// Editions in the official suite, and what their schemas begin with.
const EDITIONS: [(&str, &str); 2] = [
    ("draft2020-12", "https://json-schema.org/draft/2020-12/schema"),
    ("draft7", "http://json-schema.org/draft-07/schema#"),
];

#[derive(Default)]
struct Counts {
    schemas: usize,
    refused_schemas: usize,
    accepted: usize,
    rejected: usize,
    refused: usize,
    wrong: usize,
    /// Answers made up under the schema that it then accepted.
    made: usize,
}

struct Report {
    grammars: Grammars,
    groups: BTreeMap<String, Counts>,
    /// Refused schemas by what they were refused for.
    reasons: BTreeMap<String, usize>,
    wrong: BTreeSet<(&'static str, String)>,
}

/// A schema with instances.
struct Case<'a> {
    group: &'a str,
    name: &'a str,
    schema: &'a Value,
    tests: &'a [Value],
}

impl Report {
    fn new() -> Self {
        Self {
            grammars: Grammars::new(byte_tokenizer()),
            groups: BTreeMap::new(),
            reasons: BTreeMap::new(),
            wrong: BTreeSet::new(),
        }
    }

    fn case(&mut self, case: &Case<'_>) {
        let counts = self.groups.entry(case.group.to_owned()).or_default();
        counts.schemas += 1;
        let text = case.schema.to_string();
        let grammar = match self.grammars.json_schema(&text) {
            Ok(grammar) => grammar,
            Err(error) => {
                let reason = match error {
                    GrammarError::Keyword { keyword, .. } => keyword,
                    other => other.to_string(),
                };
                *self.reasons.entry(reason).or_default() += 1;
                counts.refused_schemas += 1;
                counts.refused += case.tests.len();
                return;
            }
        };
        let group = case.group.split_once('/').map_or(case.group, |(_edition, group)| group);
        for test in case.tests {
            let valid = test["valid"].as_bool().unwrap();
            let data = test["data"].to_string();
            let mut grammar = grammar.clone();
            let ids: Vec<u32> = data.bytes().map(|byte| 3 + u32::from(byte)).collect();
            let accepted = walk(self.grammars.tokenizer(), &mut grammar, &ids);
            match (valid, accepted) {
                (true, true) => counts.accepted += 1,
                (false, false) => counts.rejected += 1,
                _ => {
                    counts.wrong += 1;
                    let kind = if accepted { "wide" } else { "narrow" };
                    let what = test["description"].as_str().unwrap();
                    self.wrong.insert((kind, format!("{group} | {} | {what}", case.name)));
                }
            }
        }
        self.make_up(case, &grammar, group);
    }

    /// Makes up an answer by chance, and asks another library whether the schema accepts it.
    fn make_up(&mut self, case: &Case<'_>, grammar: &Grammar, group: &str) {
        let mut options = jsonschema::options();
        options = options.should_validate_formats(true);
        let Ok(validator) = options.build(case.schema) else { return };
        for seed in 0..2 {
            let mut grammar = grammar.clone();
            let made = random_answer(self.grammars.tokenizer(), &mut grammar, Chance(seed), 400);
            let counts = self.groups.entry(case.group.to_owned()).or_default();
            match made {
                Made::TooLong => {}
                Made::Lost(text) => {
                    self.wrong.insert(("lost", format!("{group} | {} | {text}", case.name)));
                }
                // The other library rounds numbers of more digits.
                Made::Answer(answer) if has_digits(&answer, 19) => {}
                Made::Answer(answer) => {
                    let value = serde_json::from_str(&answer).unwrap();
                    if validator.is_valid(&value) {
                        counts.made += 1;
                    } else {
                        self.wrong.insert(("made", format!("{group} | {} | {answer}", case.name)));
                    }
                }
            }
        }
    }

    fn print(&self) {
        println!(
            "{:42} {:>7} {:>8} {:>9} {:>9} {:>8} {:>6} {:>8}",
            "group", "schemas", "refused", "accepted", "rejected", "untested", "wrong", "made up"
        );
        let line = |group: &str, c: &Counts| {
            println!(
                "{group:42} {:7} {:8} {:9} {:9} {:8} {:6} {:8}",
                c.schemas, c.refused_schemas, c.accepted, c.rejected, c.refused, c.wrong, c.made
            );
        };
        let mut all = Counts::default();
        for (group, counts) in &self.groups {
            line(group, counts);
            all.schemas += counts.schemas;
            all.refused_schemas += counts.refused_schemas;
            all.accepted += counts.accepted;
            all.rejected += counts.rejected;
            all.refused += counts.refused;
            all.wrong += counts.wrong;
            all.made += counts.made;
        }
        line("all", &all);
        println!("refused for: {:?}", self.reasons);
    }
}

/// Whether there are as many digits in a row.
fn has_digits(text: &str, count: usize) -> bool {
    text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() >= count)
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    files
}

fn official_suite(report: &mut Report, folder: &Path) {
    for (edition, uri) in EDITIONS {
        for part in ["", "optional", "optional/format"] {
            for path in json_files(&folder.join(edition).join(part)) {
                let group = path.strip_prefix(folder).unwrap().with_extension("");
                let cases: Vec<Value> =
                    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
                for mut case in cases {
                    if let Value::Object(map) = &mut case["schema"] {
                        map.entry("$schema").or_insert_with(|| Value::from(uri));
                    }
                    report.case(&Case {
                        group: group.to_str().unwrap(),
                        name: case["description"].as_str().unwrap(),
                        schema: &case["schema"],
                        tests: case["tests"].as_array().unwrap(),
                    });
                }
            }
        }
    }
}

fn schemas_in_use(report: &mut Report, folder: &Path) {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for path in files {
        for line in fs::read_to_string(&path).unwrap().lines() {
            let mut case: Value = serde_json::from_str(line).unwrap();
            without_marks(&mut case["schema"]);
            report.case(&Case {
                group: path.file_stem().unwrap().to_str().unwrap(),
                name: case["file"].as_str().unwrap(),
                schema: &case["schema"],
                tests: case["tests"].as_array().map_or(&[], Vec::as_slice),
            });
        }
    }
}

/// The collection marks with `_` what it took out of a schema.
fn without_marks(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| key != "_format" && key != "_uniqueItems");
            map.values_mut().for_each(without_marks);
        }
        Value::Array(list) => list.iter_mut().for_each(without_marks),
        _ => {}
    }
}

#[test]
fn schemas_are_held_to_exactly_but_for_what_is_known() {
    let test = "schemas_are_held_to_exactly_but_for_what_is_known";
    let Some(folder) = test_data(test, "json-schema") else { return };
    let mut report = Report::new();
    official_suite(&mut report, &folder.join("JSON-Schema-Test-Suite/tests"));
    schemas_in_use(&mut report, &folder.join("maskbench"));
    report.print();
    let known: BTreeSet<(&str, String)> =
        known::KNOWN.iter().map(|(kind, what, _why)| (*kind, (*what).to_owned())).collect();
    let new: Vec<_> = report.wrong.difference(&known).collect();
    let gone: Vec<_> = known.difference(&report.wrong).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "not in the table: {new:#?}\nno longer so: {gone:#?}"
    );
    assert!(known::KNOWN.iter().all(|(kind, ..)| *kind == "narrow"), "too much is accepted");
    let held: usize = report.groups.values().map(|c| c.accepted + c.rejected).sum();
    assert!(held > 4_000, "only {held} instances");
}
