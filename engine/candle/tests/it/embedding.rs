//! Sentence encoders against the same computed in NumPy (`tests/data/embedding/reference.py`), batches against single
//! texts, long texts, and folders that lie.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use hearth_engine_api::{Embedder, Embedding, LoadError, LoadOptions, Pooling, TextRole};
use hearth_engine_candle::CandleEmbedder;
use serde::Deserialize;
use serde_json::{Value, json};

const TOYS: [&str; 3] = ["toy-bert-mean", "toy-bert-cls", "toy-nomic"];

#[derive(Deserialize)]
struct Case {
    role: TextRole,
    text: String,
    ids: Vec<u32>,
    vector: Vec<f32>,
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/embedding")
}

fn load(path: &Path) -> Result<CandleEmbedder, LoadError> {
    load_with(path, &LoadOptions { threads: Some(1), ..LoadOptions::default() })
}

fn load_with(path: &Path, options: &LoadOptions) -> Result<CandleEmbedder, LoadError> {
    CandleEmbedder::load(path, options, &mut |_| ControlFlow::Continue(()))
}

fn cases(path: &Path) -> Vec<Case> {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A toy's files in a folder where they can be changed.
pub(crate) fn copy_of(toy: &str, folder: &Path) -> PathBuf {
    let (from, to) = (data().join(toy), folder.join(toy));
    fs::create_dir_all(to.join("1_Pooling")).unwrap();
    for name in [
        "1_Pooling/config.json",
        "config.json",
        "config_sentence_transformers.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "vocab.txt",
    ] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    to
}

fn one(embedder: &mut CandleEmbedder, text: &str, role: TextRole) -> Embedding {
    embedder.embed(&[text.to_owned()], role).unwrap().remove(0)
}

/// Largest difference, as a share of the longer vector's length.
fn gap(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / length(a).max(length(b))
}

fn check(embedder: &mut CandleEmbedder, cases: &[Case]) {
    for case in cases {
        let made = one(embedder, &case.text, case.role);
        let difference = gap(&made.vector, &case.vector);
        assert!(difference < 2e-6, "{:?} as {:?}: {difference}", case.text, case.role);
        assert_eq!(made.windows, 1);
        if case.role == TextRole::Plain {
            assert_eq!(made.tokens as usize + 2, case.ids.len(), "{:?}", case.text);
        }
    }
}

#[test]
fn toys_agree_with_numpy() {
    for toy in TOYS {
        let cases = cases(&data().join(toy).join("expected.json"));
        assert!(cases.len() >= 7);
        check(&mut load(&data().join(toy)).unwrap(), &cases);
    }
}

/// The published model, where its files are: `HEARTH_TEST_MINILM`, or `minilm` beside the test data.
#[test]
fn minilm_agrees_with_numpy() {
    let folder =
        std::env::var_os("HEARTH_TEST_MINILM").map_or_else(|| data().join("minilm"), PathBuf::from);
    if !folder.join("model.safetensors").is_file() {
        println!("SKIPPED minilm_agrees_with_numpy: no all-MiniLM-L6-v2 at {}", folder.display());
        return;
    }
    let cases = cases(&data().join("minilm.json"));
    let mut embedder = load(&folder).unwrap();
    check(&mut embedder, &cases);
    let texts: Vec<String> = cases.iter().map(|case| case.text.clone()).collect();
    let together = embedder.embed(&texts, TextRole::Plain).unwrap();
    for (case, made) in cases.iter().zip(&together) {
        assert!(gap(&case.vector, &made.vector) < 2e-6, "{:?}", case.text);
    }
    // As the model's own page has them.
    let dot = |a: usize, b: usize| -> f32 {
        together[a].vector.iter().zip(&together[b].vector).map(|(a, b)| a * b).sum()
    };
    for ((a, b), published) in [((0, 1), 0.6660), ((0, 2), 0.1046), ((1, 2), 0.1411)] {
        assert!((dot(a, b) - published).abs() < 1e-4, "{a} and {b}: {}", dot(a, b));
    }
}

#[test]
fn what_else_is_in_the_batch_makes_no_difference() {
    for toy in TOYS {
        let mut embedder = load(&data().join(toy)).unwrap();
        let texts: Vec<String> =
            (0..150).map(|n| format!("{} sunny weather {n}", "is the ".repeat(n % 11))).collect();
        let together = embedder.embed(&texts, TextRole::Plain).unwrap();
        assert_eq!(together.len(), texts.len());
        for (text, made) in texts.iter().zip(&together) {
            let alone = one(&mut embedder, text, TextRole::Plain);
            assert!(gap(&alone.vector, &made.vector) < 2e-6, "{toy}: {text:?}");
            assert_eq!(alone.tokens, made.tokens);
        }
        assert!(gap(&together[0].vector, &together[1].vector) > 1e-3, "{toy}: all alike");
        assert!(embedder.embed(&[], TextRole::Plain).unwrap().is_empty());
    }
}

#[test]
fn a_long_text_counts_to_its_last_word() {
    for toy in TOYS {
        let mut embedder = load(&data().join(toy)).unwrap();
        let text = "the sunny weather is so dear ".repeat(40);
        let whole = one(&mut embedder, &text, TextRole::Query);
        assert!(whole.windows > 4, "{toy}: {}", whole.windows);
        let longer = one(&mut embedder, &(text.clone() + "passage"), TextRole::Query);
        assert_eq!(longer.tokens, whole.tokens + 1);
        assert!(gap(&whole.vector, &longer.vector) > 1e-4, "{toy}: the last word is lost");
        let length = longer.vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert_eq!((length - 1.0).abs() < 1e-5, embedder.info().normalised, "{toy}: {length}");
    }
}

/// Two windows of a text of two sentences are the mean of both.
#[test]
fn windows_are_averaged() {
    let mut short = load_with(
        &data().join(TOYS[1]),
        &LoadOptions { context_tokens: Some(6), ..LoadOptions::default() },
    )
    .unwrap();
    let (a, b) = ("the weather is so", "sunny dear query .");
    let both = one(&mut short, &format!("{a} {b}"), TextRole::Plain);
    assert_eq!((both.tokens, both.windows), (8, 2));
    let halves = [a, b].map(|text| one(&mut short, text, TextRole::Plain).vector);
    let mean: Vec<f32> = halves[0].iter().zip(&halves[1]).map(|(a, b)| (a + b) / 2.0).collect();
    assert!(gap(&both.vector, &mean) < 1e-6);
}

#[test]
fn a_role_puts_its_prompt_in_front() {
    let mut embedder = load(&data().join(TOYS[0])).unwrap();
    let query = one(&mut embedder, "so sunny", TextRole::Query);
    let spelled = one(&mut embedder, "query: so sunny", TextRole::Plain);
    assert!(gap(&query.vector, &spelled.vector) < 1e-6);
    assert_eq!((query.tokens, spelled.tokens), (2, 4));
    let passage = one(&mut embedder, "so sunny", TextRole::Document);
    assert!(gap(&query.vector, &passage.vector) > 1e-3);
}

#[test]
fn the_files_say_what_the_encoder_is() {
    let options = LoadOptions::default();
    let told = |toy: &str| CandleEmbedder::inspect(&data().join(toy), &options).unwrap();
    let (info, estimate) = told(TOYS[0]);
    assert_eq!((info.name.as_str(), info.architecture.as_str()), (TOYS[0], "bert"));
    assert_eq!((info.dimensions, info.window_tokens), (16, 56));
    assert_eq!((info.pooling, info.normalised), (Pooling::Mean, true));
    assert_eq!(info.prompts["passage"], "passage: ");
    assert_eq!(estimate.weights_bytes, info.parameters * 4);
    let (info, _) = told(TOYS[1]);
    assert_eq!((info.pooling, info.normalised), (Pooling::Cls, false));
    let (info, _) = told(TOYS[2]);
    assert_eq!((info.architecture.as_str(), info.window_tokens), ("nomic_bert", 56));
    for asked in [0, 2, 57] {
        let options = LoadOptions { context_tokens: Some(asked), ..LoadOptions::default() };
        let refused = CandleEmbedder::inspect(&data().join(TOYS[0]), &options);
        assert!(matches!(refused, Err(LoadError::Unsupported { .. })), "{asked}");
    }
}

#[test]
fn a_tokenizer_json_and_a_bare_folder_do_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = copy_of(TOYS[1], folder.path());
    let text = "The weather is SO sunny [CLS] {x}";
    let expected = one(&mut load(&path).unwrap(), text, TextRole::Plain);
    let list = fs::read_to_string(path.join("vocab.txt")).unwrap();
    let vocab: serde_json::Map<String, Value> =
        list.lines().enumerate().map(|(id, token)| (token.to_owned(), id.into())).collect();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
    let added: Vec<Value> = special
        .iter()
        .map(|token| json!({"id": vocab[*token], "content": token, "special": true}))
        .collect();
    let tokenizer = json!({
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {"type": "WordPiece", "vocab": vocab, "unk_token": "[UNK]",
            "continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
    });
    fs::write(path.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::remove_file(path.join("vocab.txt")).unwrap();
    // Without the list of modules, the pooling's own file still counts.
    fs::remove_file(path.join("modules.json")).unwrap();
    let made = one(&mut load(&path.join("model.safetensors")).unwrap(), text, TextRole::Plain);
    assert_eq!(made, expected);
}

/// Changes one field of one of a toy's files, and tells how loading it fails.
fn refusal(toy: &str, file: &str, field: &str, value: Value) -> LoadError {
    let folder = tempfile::tempdir().unwrap();
    let path = copy_of(toy, folder.path());
    let mut json: Value = serde_json::from_slice(&fs::read(path.join(file)).unwrap()).unwrap();
    *json.pointer_mut(field).unwrap() = value;
    fs::write(path.join(file), json.to_string()).unwrap();
    match load(&path) {
        Err(error) => error,
        Ok(_) => panic!("{toy}: {file} with another {field} loads"),
    }
}

#[test]
fn what_is_not_supported_is_named() {
    for (toy, file, field, value, name) in [
        (TOYS[0], "config.json", "/model_type", json!("roberta"), "roberta"),
        (TOYS[0], "config.json", "/hidden_act", json!("silu"), "silu"),
        (TOYS[2], "config.json", "/activation_function", json!("gelu"), "gelu"),
        (TOYS[2], "config.json", "/rotary_emb_fraction", json!(0.5), "rotary"),
        (TOYS[2], "config.json", "/prenorm", json!(true), "norm"),
        (TOYS[0], "modules.json", "/2/type", json!("sentence_transformers.models.Dense"), "Dense"),
        (TOYS[0], "1_Pooling/config.json", "/pooling_mode_cls_token", json!(true), "cls_token and"),
    ] {
        match refusal(toy, file, field, value) {
            LoadError::Unsupported { what } => assert!(what.contains(name), "{what}"),
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[test]
fn absurd_figures_are_refused() {
    for field in [
        "/hidden_size",
        "/num_hidden_layers",
        "/num_attention_heads",
        "/intermediate_size",
        "/vocab_size",
        "/max_position_embeddings",
        "/type_vocab_size",
    ] {
        for value in [0, 3, 1 << 15, 1 << 40, u64::MAX] {
            let error = refusal(TOYS[0], "config.json", field, value.into());
            assert!(
                matches!(error, LoadError::Malformed { .. } | LoadError::Shape { .. }),
                "{field} of {value}: {error:?}"
            );
        }
    }
    for (file, field, value) in [
        ("config.json", "/layer_norm_eps", json!(-1.0)),
        ("sentence_bert_config.json", "/max_seq_length", json!(2)),
        ("modules.json", "/1/path", json!("../elsewhere")),
        ("modules.json", "/1/path", json!("/etc")),
        ("1_Pooling/config.json", "/word_embedding_dimension", json!(17)),
        ("config_sentence_transformers.json", "/default_prompt_name", json!("none such")),
        ("config_sentence_transformers.json", "/prompts/query", json!("so ".repeat(60))),
    ] {
        let error = refusal(TOYS[0], file, field, value);
        assert!(matches!(error, LoadError::Malformed { .. }), "{file} {field}: {error:?}");
    }
}

#[test]
fn loading_can_be_broken_off() {
    let mut calls = 0;
    let refused = CandleEmbedder::load(&data().join(TOYS[0]), &LoadOptions::default(), &mut |_| {
        calls += 1;
        if calls > 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(refused, Err(LoadError::Cancelled)));
}
