//! What keeping to a schema costs: time to take in a vocabulary, to compile schemas, and for each token.
//!
//! `cargo run --release -p hearth-engine-candle --example constraints -- <vocabulary.gguf> <folder of schemas> [tokens]`
//!
//! The vocabulary has to be byte-level BPE; with a number of tokens it is made larger by joining tokens. The folder
//! holds `.jsonl` files of `{"schema": …, "tests": [{"valid": …, "data": …}]}`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for the command line")]

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::BufReader,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use candle_core::quantized::gguf_file::{Content, Value};
use hearth_engine_candle::{
    constrain::{Grammar, Grammars, Next},
    tokenizer::Tokenizer,
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (vocabulary, folder) = (arguments.next().unwrap(), arguments.next().unwrap());
    let mut metadata = metadata(Path::new(&vocabulary));
    if let Some(tokens) = arguments.next() {
        enlarge(&mut metadata, tokens.parse().unwrap());
    }
    let tokenizer = Arc::new(Tokenizer::from_gguf(&metadata).unwrap());
    let grammars = Grammars::new(Arc::clone(&tokenizer));
    let start = Instant::now();
    grammars.json_schema("{}").unwrap();
    println!("{} tokens, taken in within {:?}", tokenizer.vocab_size(), start.elapsed());
    let mut times = Times::default();
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for path in files {
        for line in fs::read_to_string(path).unwrap().lines() {
            times.case(&grammars, &serde_json::from_str(line).unwrap());
        }
    }
    times.print();
}

fn metadata(path: &Path) -> HashMap<String, Value> {
    Content::read(&mut BufReader::new(File::open(path).unwrap())).unwrap().metadata
}

/// Joins tokens to longer ones until there are `wanted`.
fn enlarge(metadata: &mut HashMap<String, Value>, wanted: usize) {
    let strings = |value: &Value| -> Vec<String> {
        value.to_vec().unwrap().iter().map(|v| v.to_string().unwrap().clone()).collect()
    };
    let mut tokens = strings(&metadata["tokenizer.ggml.tokens"]);
    let mut merges = strings(&metadata["tokenizer.ggml.merges"]);
    let mut seen: HashSet<String> = tokens.iter().cloned().collect();
    let short: Vec<String> = tokens.iter().filter(|t| (2..8).contains(&t.len())).cloned().collect();
    let mut number = 0_usize;
    while tokens.len() < wanted {
        number =
            number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let left = &short[(number >> 33) % short.len()];
        let right = &short[(number >> 12) % short.len()];
        let joined = format!("{left}{right}");
        if !right.starts_with('Ġ') && seen.insert(joined.clone()) {
            merges.push(format!("{left} {right}"));
            tokens.push(joined);
        }
    }
    let list = |texts: Vec<String>| Value::Array(texts.into_iter().map(Value::String).collect());
    if let Some(Value::Array(kinds)) = metadata.get_mut("tokenizer.ggml.token_type") {
        kinds.resize(tokens.len(), Value::I32(1));
    }
    metadata.insert("tokenizer.ggml.tokens".into(), list(tokens));
    metadata.insert("tokenizer.ggml.merges".into(), list(merges));
}

#[derive(Default)]
struct Times {
    compile: Vec<Duration>,
    /// For each token that is drawn: asking what may come, and telling what came.
    token: Vec<Duration>,
    forced_tokens: usize,
    forced: usize,
    blocked: usize,
    answers: usize,
    refused: usize,
}

impl Times {
    fn case(&mut self, grammars: &Grammars, case: &serde_json::Value) {
        let schema = case["schema"].to_string();
        for test in case["tests"].as_array().unwrap().iter().filter(|test| test["valid"] == true) {
            let start = Instant::now();
            let Ok(mut grammar) = grammars.json_schema(&schema) else {
                self.refused += 1;
                return;
            };
            self.compile.push(start.elapsed());
            self.answers += 1;
            self.walk(grammars.tokenizer(), &mut grammar, &test["data"].to_string());
        }
    }

    /// Says `text`, in the tokens the tokenizer spells it in from where something was forced.
    fn walk(&mut self, tokenizer: &Tokenizer, grammar: &mut Grammar, text: &str) {
        let mut rest = text;
        loop {
            let start = Instant::now();
            let next = grammar.allowed().unwrap();
            let asked = start.elapsed();
            let id = match next {
                Next::Done => return,
                Next::Forced(ids) => {
                    self.forced += 1;
                    self.forced_tokens += ids.len();
                    let spelled = tokenizer.decode(&ids);
                    let Some(after) = rest.strip_prefix(&spelled) else { break };
                    ids.iter().for_each(|id| grammar.accept(*id).unwrap());
                    rest = after;
                    continue;
                }
                Next::OneOf { words, may_end } => {
                    if rest.is_empty() && may_end {
                        return;
                    }
                    let Some(id) = tokenizer.encode_within(rest).unwrap().first().copied() else {
                        break;
                    };
                    if words[id as usize / 32] >> (id % 32) & 1 == 0 {
                        break;
                    }
                    id
                }
            };
            let start = Instant::now();
            grammar.accept(id).unwrap();
            self.token.push(asked + start.elapsed());
            match std::str::from_utf8(tokenizer.token_bytes(id).unwrap()) {
                Ok(text) => rest = rest.strip_prefix(text).unwrap(),
                // Half a character: what follows is another matter.
                Err(_) => return,
            }
        }
        self.blocked += 1;
    }

    fn print(mut self) {
        let line = |what: &str, times: &mut Vec<Duration>| {
            times.sort_unstable();
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
            let mean = times.iter().sum::<Duration>() / times.len() as u32;
            println!(
                "{what}: {} times, mean {mean:?}, p50 {:?}, p99 {:?}, most {:?}",
                times.len(),
                at(0.5),
                at(0.99),
                at(1.0)
            );
        };
        println!(
            "{} answers, {} blocked, {} schemas refused",
            self.answers, self.blocked, self.refused
        );
        line("schema", &mut self.compile);
        line("token ", &mut self.token);
        println!("{} tokens forced in {} turns", self.forced_tokens, self.forced);
    }
}
