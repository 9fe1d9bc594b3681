//! Model files made to do harm: they are refused, or taken and worked off within bounds of memory and of steps.
//!
//! What the bytes are fed to is shared with the fuzzer's programs in `fuzz/`. A watchdog ends the whole where
//! something takes minutes; the bounds that are asserted count bytes and steps, never time.

use std::{
    fs,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::mpsc,
    time::Duration,
};

use candle_core::{DType, quantized::GgmlDType};
use hearth_engine_api::{Embedder, LoadOptions, TextRole};
use hearth_engine_candle::{
    CandleEmbedder,
    models::DecoderConfig,
    template::{ChatTemplate, TemplateError},
    tokenizer::{Special, Tokenizer},
};
use jiff::civil::date;
use serde_json::{Value, json};

use crate::{
    corrupt::Numbers,
    data::test_data,
    embedding::copy_of,
    toy::{Toy, config},
};

#[path = "../../../../fuzz/src/entries.rs"]
mod entries;

/// Far beyond what any of these tests takes.
const WATCHDOG: Duration = Duration::from_secs(900);
/// Memory that reading may take: so many times the file, and this. A JSON text of `0,0,0,...` makes sixteen bytes of each.
const TIMES: u64 = 64;
const AND_BYTES: u64 = 8 << 20;
/// A template pays for what it makes out of a budget of its own.
const TEMPLATE_BYTES: u64 = 320 << 20;

/// Runs `read` on `data`; says whether it was taken for sound. Fails on a panic, and where too much memory was taken.
fn measured(name: &str, data: &[u8], and_bytes: u64, read: impl FnOnce(&[u8]) -> bool) -> bool {
    let (done, watch) = mpsc::channel::<()>();
    let title = name.to_owned();
    let watchdog = std::thread::spawn(move || {
        if watch.recv_timeout(WATCHDOG) == Err(mpsc::RecvTimeoutError::Timeout) {
            println!("{title} does not come to an end");
            std::process::abort();
        }
    });
    let mut result = None;
    let used = allocation_counter::measure(|| {
        result = Some(catch_unwind(AssertUnwindSafe(|| read(data))));
    });
    drop(done);
    watchdog.join().unwrap();
    let most = TIMES * data.len() as u64 + and_bytes;
    assert!(used.bytes_max <= most, "{name}: {} bytes for {}", used.bytes_max, data.len());
    match result.unwrap() {
        Ok(sound) => sound,
        Err(_) => {
            let head = String::from_utf8_lossy(&data[..data.len().min(600)]).into_owned();
            panic!("{name} panics on {} bytes: {head}", data.len());
        }
    }
}

/// Figures that lie at the edges of something.
const EXTREMES: [u64; 10] =
    [0, 1, 0x7F, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 32, 1 << 62, i64::MAX as u64, u64::MAX];

/// `data` with a few things changed, which are drawn from `numbers`.
fn mutated(data: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut made = data.to_vec();
    for _ in 0..=numbers.below(4) {
        if made.is_empty() {
            break;
        }
        let at = numbers.below(made.len());
        match numbers.below(8) {
            0 => made[at] ^= 1 << numbers.below(8),
            1 => made[at] = numbers.below(256) as u8,
            2 => made.truncate(at),
            3 => {
                let figure = EXTREMES[numbers.below(EXTREMES.len())].to_le_bytes();
                let end = (at + 8).min(made.len());
                made[at..end].copy_from_slice(&figure[..end - at]);
            }
            4 => {
                // A number in a text becomes another.
                let is_digit = |at: &usize| made[*at].is_ascii_digit();
                let Some(start) = (at..made.len()).find(is_digit) else { continue };
                let len = made[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let figure = EXTREMES[numbers.below(EXTREMES.len())].to_string();
                made.splice(start..start + len, figure.into_bytes());
            }
            5 => {
                let end = (at + numbers.below(200)).min(made.len());
                let piece = made[at..end].to_vec();
                made.splice(at..at, piece);
            }
            6 => {
                let end = (at + numbers.below(40)).min(made.len());
                made.drain(at..end);
            }
            _ => {
                let from = numbers.below(data.len());
                let end = (from + numbers.below(100)).min(data.len());
                made.splice(at..at, data[from..end].iter().copied());
            }
        }
    }
    made
}

/// Feeds `rounds` variations of `seed` to `read`. The seed itself must be sound.
fn vary(
    name: &str,
    seed: &[u8],
    rounds: usize,
    and_bytes: u64,
    mut read: impl FnMut(&[u8]) -> bool,
) {
    assert!(measured(name, seed, and_bytes, &mut read), "{name}: the seed is refused");
    let times = times();
    let mut numbers = Numbers::new(seed.len() as u64 + times as u64);
    let mut refused = 0;
    for _ in 0..rounds * times {
        refused += usize::from(!measured(name, &mutated(seed, &mut numbers), and_bytes, &mut read));
    }
    assert!(refused > 0, "{name}: every one of {rounds} variations is taken for sound");
    println!("{name}: {} variations, {refused} of them refused", rounds * times);
}

/// How many times longer than usual to go on, for those who want to fuzz without a fuzzer's build.
fn times() -> usize {
    std::env::var("HEARTH_FUZZ_TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

fn word_piece() -> Value {
    let tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "qu", "##ick", "a", "##a", "1", "!"];
    let vocab: serde_json::Map<String, Value> =
        tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id.into())).collect();
    json!({
        "added_tokens": [{"id": 3, "content": "[SEP]", "special": true}],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {"type": "WordPiece", "vocab": vocab, "unk_token": "[UNK]",
            "continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
    })
}

fn bpe() -> Value {
    let mut vocab = serde_json::Map::new();
    for id in 0..256usize {
        vocab.insert(format!("<0x{id:02X}>"), id.into());
    }
    for (id, token) in ["<unk>", "<|im_end|>", "▁", "a", "aa", "▁a", "1"].into_iter().enumerate()
    {
        vocab.insert(token.into(), (256 + id).into());
    }
    json!({
        "added_tokens": [{"id": 257, "content": "<|im_end|>", "special": true}],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}|\s+(?!\S)|\s+"}, "behavior": "Isolated",
                "invert": false},
        ]},
        "decoder": {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        "model": {"type": "BPE", "vocab": vocab, "merges": ["a a", ["▁", "a"]], "unk_token": "<unk>",
            "byte_fallback": true},
    })
}

/// The same with something else in it.
fn with(mut file: Value, pointer: &str, part: Value) -> String {
    *file.pointer_mut(pointer).unwrap() = part;
    file.to_string()
}

fn tokenizer(name: &str, file: &str) -> bool {
    measured(name, file.as_bytes(), AND_BYTES, entries::tokenizer_json)
}

#[test]
fn headers_with_anything_changed_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::new(DecoderConfig { layers: 1, ..config() });
    let path = folder.path().join("toy.gguf");
    toy.write_gguf(&path, GgmlDType::Q4_0, &[]);
    let gguf = fs::read(&path).unwrap();
    vary("a GGUF header", &gguf, 3000, AND_BYTES, entries::gguf_header);
    let path = toy.write_folder(folder.path(), DType::F16).join("model.safetensors");
    let tensors = fs::read(path).unwrap();
    vary("a safetensors header", &tensors, 3000, AND_BYTES, entries::safetensors_header);
}

#[test]
fn whole_models_with_anything_changed_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.gguf");
    Toy::new(DecoderConfig { layers: 1, ..config() }).write_gguf(&path, GgmlDType::Q4_0, &[]);
    let gguf = fs::read(&path).unwrap();
    let scratch = folder.path().join("scratch.gguf");
    let read = |data: &[u8]| entries::gguf_model(data, &scratch);
    vary("a GGUF", &gguf, 500, 2 * AND_BYTES, read);
}

#[test]
fn adapters_with_anything_changed_do_no_harm() {
    let adapter = entries::small_adapter().unwrap();
    let file = adapter.to_peft("base", None).unwrap();
    vary(
        "an adapter's description",
        file.config.as_bytes(),
        1500,
        AND_BYTES,
        entries::adapter_config,
    );
    vary("an adapter's tensors", &file.weights, 3000, AND_BYTES, entries::adapter_weights);
    let gguf = adapter.to_gguf(None).unwrap();
    vary("an adapter in a GGUF", &gguf, 3000, AND_BYTES, entries::adapter_gguf);
}

#[test]
fn vocabularies_with_anything_changed_do_no_harm() {
    for (name, seed) in [("WordPiece", word_piece()), ("BPE", bpe())] {
        vary(name, seed.to_string().as_bytes(), 1500, AND_BYTES, entries::tokenizer_json);
    }
}

#[test]
fn templates_with_anything_changed_do_no_harm() {
    let seeds = [
        "{%- for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message.content | trim }}\
         {{- '<|im_end|>\\n' }}{%- endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
        "{% set ns = namespace(x=0) %}{% macro m(n) %}{{ n }}{% if n < 3 %}{{ m(n + 1) }}{% endif %}{% endmacro %}\
         {% for i in range(10) %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ m(0) }}{{ tools | tojson(indent=2) }}\
         {{ messages[0].content.split(' ') | join('-') }}{{ 'a{}b'.format(3) }}{{ strftime_now('%d %b %Y') }}",
    ];
    for seed in seeds {
        vary("a template", seed.as_bytes(), 600, TEMPLATE_BYTES, entries::chat_template);
    }
}

/// Files people use, where they are.
#[test]
fn published_files_with_anything_changed_do_no_harm() {
    const TEST: &str = "published_files_with_anything_changed_do_no_harm";
    const LARGEST_BYTES: u64 = 3 << 20;
    let of = |folder: &Path, suffix: &str| -> Vec<std::path::PathBuf> {
        let mut paths: Vec<_> = walk(folder)
            .into_iter()
            .filter(|path| path.to_string_lossy().ends_with(suffix))
            .filter(|path| path.metadata().is_ok_and(|data| data.len() <= LARGEST_BYTES))
            .collect();
        paths.sort();
        paths
    };
    if let Some(folder) = test_data(TEST, "chat-templates") {
        for path in of(&folder, ".jinja") {
            let seed = fs::read(&path).unwrap();
            let mut numbers = Numbers::new(1);
            for _ in 0..60 {
                let made = mutated(&seed, &mut numbers);
                measured("a template", &made, TEMPLATE_BYTES, entries::chat_template);
            }
        }
    }
    if let Some(folder) = test_data(TEST, "tokenizers") {
        for path in of(&folder, "tokenizer.json") {
            let seed = fs::read(&path).unwrap();
            let name = path.display().to_string();
            assert!(measured(&name, &seed, 4 * AND_BYTES, entries::tokenizer_json), "{name}");
            let mut numbers = Numbers::new(2);
            for _ in 0..4 {
                let made = mutated(&seed, &mut numbers);
                measured(&name, &made, 4 * AND_BYTES, entries::tokenizer_json);
            }
        }
    }
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// A sentence encoder's folder, one of its files changed at a time.
#[test]
fn encoders_with_anything_changed_do_no_harm() {
    for toy in ["toy-bert-mean", "toy-nomic"] {
        let folder = tempfile::tempdir().unwrap();
        let path = copy_of(toy, folder.path());
        for file in [
            "1_Pooling/config.json",
            "config.json",
            "config_sentence_transformers.json",
            "modules.json",
            "sentence_bert_config.json",
            "vocab.txt",
        ] {
            let seed = fs::read(path.join(file)).unwrap();
            let read = |data: &[u8]| {
                fs::write(path.join(file), data).unwrap();
                let options = LoadOptions { threads: Some(1), ..LoadOptions::default() };
                let mut go_on = |_share: f32| ControlFlow::Continue(());
                let Ok(mut encoder) = CandleEmbedder::load(&path, &options, &mut go_on) else {
                    return false;
                };
                let texts = ["the weather is so sunny".to_owned(), "a".repeat(300)];
                encoder.embed(&texts, TextRole::Query).is_ok()
            };
            vary(&format!("{toy}: {file}"), &seed, 150, 2 * AND_BYTES, read);
            fs::write(path.join(file), seed).unwrap();
        }
    }
}

#[test]
fn an_id_far_off_makes_no_table_of_holes() {
    let far = json!([{"id": 4_000_000, "content": "[FAR]", "special": true}]);
    assert!(!tokenizer("an id far off", &with(word_piece(), "/added_tokens", far)));
    let near = json!([{"id": 40_000, "content": "[NEAR]", "special": true}]);
    assert!(tokenizer("an id not so far off", &with(word_piece(), "/added_tokens", near)));
}

#[test]
fn nested_json_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [100usize, 127, 10_000, 1_000_000] {
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            tokenizer("nested JSON", &nested);
            let file = word_piece().to_string();
            let inside = file.replacen("{\"type\":\"BertPreTokenizer\"}", &nested, 1);
            assert_ne!(file, inside);
            assert!(!tokenizer("a nested part", &inside), "{depth}");
        }
    }
}

#[test]
fn sequences_within_sequences_end() {
    for (part, list) in [("/normalizer", "normalizers"), ("/pre_tokenizer", "pretokenizers")] {
        for leaf in [json!({"type": "Lowercase"}), json!({"type": "Digits"}), json!({"type": 3})] {
            let mut nested = leaf;
            for _ in 0..60 {
                nested = json!({"type": "Sequence", (list): [nested]});
            }
            tokenizer("a nested sequence", &with(bpe(), part, nested));
        }
        let many = vec![json!({"type": "Lowercase"}); 10_000];
        let wide = json!({"type": "Sequence", (list): many});
        assert!(!tokenizer("a long sequence", &with(bpe(), part, wide)));
    }
}

#[test]
fn patterns_that_search_without_end_are_refused() {
    for pattern in [
        "(a+)+$",
        "(a|a)*b",
        "(a|aa)+$",
        "(?:a?a?)*(?!a)",
        r"((\p{L}{1,32}){1,32}){1,32}",
        r"\p{L}{100000}",
        r"(a*)\1\1b",
        "(",
        "[",
        "a{1",
        "(?<n>a)",
        "\\",
    ] {
        let split = json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated",
            "invert": false});
        tokenizer(pattern, &with(bpe(), "/pre_tokenizer", split));
        let replace = json!({"type": "Replace", "pattern": {"Regex": pattern}, "content": "x"});
        tokenizer(pattern, &with(bpe(), "/normalizer", replace));
    }
    let long: String = (0..700).map(|_| r"\p{L}{32}(?!b)").collect();
    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    assert!(!tokenizer("a long pattern", &with(bpe(), "/pre_tokenizer", split(&long))));
}

/// Where a search is given up, the text is cut otherwise, but none of it is lost.
#[test]
fn a_search_given_up_loses_no_text() {
    let split = json!({"type": "Split", "pattern": {"Regex": "a*a*a*a*a*a*a*a*(?=c)"},
        "behavior": "Isolated", "invert": false});
    let file = with(bpe(), "/pre_tokenizer", split);
    let read = |data: &[u8]| {
        let Ok(tokenizer) = Tokenizer::from_json_slice(data) else { return false };
        let text = "a".repeat(2000) + "1";
        let ids = tokenizer.encode(&text, Special::Literal).unwrap();
        assert_eq!(tokenizer.decode(&ids), text);
        true
    };
    assert!(measured("a costly pattern", file.as_bytes(), AND_BYTES, read));
}

#[test]
fn normalisers_that_make_much_of_little_are_refused() {
    let replace =
        |from: Value, to: &str| json!({"type": "Replace", "pattern": from, "content": to});
    let double = replace(json!({"String": "a"}), "aa");
    for normalizer in [
        replace(json!({"String": "a"}), &"b".repeat(1 << 16)),
        replace(json!({"Regex": ""}), &"b".repeat(1 << 10)),
        replace(json!({"String": ""}), "b"),
        json!({"type": "Sequence", "normalizers": vec![double; 40]}),
        json!({"type": "Prepend", "prepend": "b".repeat(1 << 16)}),
        json!({"type": "Precompiled", "precompiled_charsmap": "AAAAgAAAAAAAAA=="}),
        json!({"type": "NoSuch"}),
        json!({}),
    ] {
        let file = with(bpe(), "/normalizer", normalizer);
        assert!(!tokenizer("a normaliser", &file), "{}", &file[..300]);
    }
    let none = json!({"type": "FixedLength", "length": 0});
    assert!(!tokenizer("pieces of no length", &with(bpe(), "/pre_tokenizer", none)));
}

#[test]
fn long_special_tokens_take_no_more_than_their_share() {
    for (count, len) in [(50usize, 5000usize), (1250, 200), (50, 80), (2, 2 << 20)] {
        let mut numbers = Numbers::new(7);
        let tokens: Vec<Value> = (0..count)
            .map(|n| {
                let letters = (0..len).map(|_| char::from(b' ' + numbers.below(94) as u8));
                json!({"id": 20 + n, "content": letters.collect::<String>(), "special": true})
            })
            .collect();
        let sound = tokenizer("long tokens", &with(word_piece(), "/added_tokens", tokens.into()));
        assert_eq!(sound, count * len <= 250_000, "{count} of {len}");
    }
}

#[test]
fn long_words_are_not_looked_up_letter_by_letter() {
    let file = with(word_piece(), "/model/max_input_chars_per_word", (1u64 << 40).into());
    assert!(!tokenizer("words without end", &file));
}

/// Renders with no variables but a list of words.
fn rendered(name: &str, source: &str) -> Result<usize, TemplateError> {
    let mut result = None;
    measured(name, source.as_bytes(), TEMPLATE_BYTES, |_| {
        let template = ChatTemplate::new(source);
        let context = json!({"words": ["a", "b"]});
        let now = date(2024, 7, 26).at(12, 0, 0, 0);
        result = Some(template.and_then(|t| t.render_here(context, now)).map(|text| text.len()));
        true
    });
    result.unwrap()
}

#[test]
fn templates_without_end_are_stopped() {
    let big = "{% set big = 'x' * 1000000 %}";
    for source in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ 'x' * 100000000000 }}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(v=[1]) %}{% for i in range(60) %}{% set ns.v = [ns.v, ns.v] %}{% endfor %}{{ ns.v }}",
        "{% set ns = namespace(v=[1]) %}{% for i in range(60) %}{% set ns.v = [ns.v, ns.v] %}{% endfor %}{{ ns.v | tojson }}",
        "{% set ns = namespace(v=[]) %}{% for i in range(60) %}{% set ns.v = [ns.v, ns.v] %}{% endfor %}\
         {{ ''.join(ns.v) }}",
        &format!("{big}{{{{ range(100000) | list | tojson(separators=[big, ':']) }}}}"),
        &format!("{big}{{{{ big.join(range(100000)) }}}}"),
        &format!("{big}{{{{ big.replace('', big) }}}}"),
        &format!("{big}{{{{ big.replace('x', big) }}}}"),
        &format!("{big}{{{{ big | replace('x', big) }}}}"),
        &format!("{big}{{{{ ('{{0}}' * 100000).format(big) }}}}"),
        "{{ '{:>99999999999999}'.format('x') }}",
        "{{ '%99999999999d' | format(3) }}",
        "{{ '%.99999999999f' | format(0.3) }}",
        "{{ range(99999999999) | list }}",
        "{{ [1] * 99999999999 }}",
    ] {
        let result = rendered(source, source);
        assert!(result.is_err(), "{source}: {result:?}");
    }
    // These may be understood in a harmless way.
    for source in [
        "{{ [1, 2] | tojson(indent=99999999999) }}",
        "{{ strftime_now('%99999999999Y') }}",
        "{{ words | batch(99999999999) }}",
        "{{ words | slice(99999999999) }}",
        "{{ 'a' | center(99999999999) }}",
        "{{ 9 ** 99999999999 }}",
    ] {
        rendered(source, source).ok();
    }
}

#[test]
fn templates_without_bottom_are_refused() {
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{'a':", "}"), ("-", ""), ("not ", ""), ("words[", "]")]
    {
        let source = format!("{{{{ {}1{} }}}}", open.repeat(100_000), close.repeat(100_000));
        assert!(rendered(open, &source).is_err(), "{open}");
    }
    for (open, close) in
        [("{% if true %}", "{% endif %}"), ("{% for a in words %}", "{% endfor %}")]
    {
        rendered(open, &(open.repeat(20_000) + &close.repeat(20_000))).unwrap_err();
    }
    for many in ["-", "not ", "(", "[", "1+", "1 if 1 else "] {
        rendered(many, &format!("{{{{ {}1 }}}}", many.repeat(140))).ok();
        rendered(many, &format!("{{{{ {}1 }}}}", many.repeat(490))).ok();
        rendered(many, &format!("{{{{ {}1 }}}}", many.repeat(990))).ok();
    }
    rendered("filters", &format!("{{{{ 1{} }}}}", "|string".repeat(100_000))).ok();
    rendered("sums", &format!("{{{{ 1{} }}}}", "+1".repeat(100_000))).ok();
}
