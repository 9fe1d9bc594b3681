//! Files that are cut short, damaged or lie: a typed error or a sound load, never a panic, and no memory
//! set aside for what is not there.

use std::{fs, ops::ControlFlow, path::Path};

use candle_core::{DType, quantized::GgmlDType};
use hearth_engine_api::{Backend, GenerateRequest, LoadError, LoadOptions, Prompt};
use hearth_engine_candle::{CandleBackend, Checkpoint, inspect::probe, models::DecoderConfig};

use crate::toy::{Toy, config};

fn small() -> Toy {
    Toy::new(DecoderConfig { layers: 1, ..config() })
}

/// A reproducible stream of numbers.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Reads the headers, and checks that no more memory is taken than the file's size accounts for.
fn open(path: &Path) -> Result<Checkpoint, LoadError> {
    const TIMES: u64 = 16;
    const AND_BYTES: u64 = 2 << 20;
    let file_bytes = path.metadata().map_or(0, |metadata| metadata.len());
    let mut result = None;
    let used = allocation_counter::measure(|| result = Some(Checkpoint::open(path)));
    assert!(
        used.bytes_max <= TIMES * file_bytes + AND_BYTES,
        "{} bytes taken for a file of {file_bytes}",
        used.bytes_max
    );
    result.unwrap()
}

/// Loads and runs what there is; says whether that worked. Errors are fine, panics are not.
fn loads_and_runs(path: &Path) -> bool {
    if open(path).is_err() {
        return false;
    }
    let options = LoadOptions { context_tokens: None, threads: Some(1), ..LoadOptions::default() };
    let loaded = CandleBackend.load(path, &options, &mut |_| ControlFlow::Continue(()));
    let Ok(mut model) = loaded else { return false };
    let mut request = GenerateRequest::new(Prompt::Tokens(vec![1, 5, 9]));
    request.max_tokens = 2;
    model.generate(&request, &mut |_| ControlFlow::Continue(())).is_ok()
}

#[test]
fn a_gguf_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.gguf");
    small().write_gguf(&path, GgmlDType::F32, &[]);
    assert!(loads_and_runs(&path));
    let bytes = fs::read(&path).unwrap();
    for length in (0..bytes.len() - 64).step_by(64) {
        fs::write(&path, &bytes[..length]).unwrap();
        let refused = open(&path);
        assert!(matches!(refused, Err(LoadError::Malformed { .. })), "{length}: {refused:?}");
    }
}

#[test]
fn a_safetensors_file_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = small().write_folder(folder.path(), DType::F16).join("model.safetensors");
    assert!(open(&path).is_ok());
    let bytes = fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(64) {
        fs::write(&path, &bytes[..length]).unwrap();
        let refused = open(&path);
        assert!(matches!(refused, Err(LoadError::Malformed { .. })), "{length}: {refused:?}");
    }
}

#[test]
fn flipped_bytes_in_a_gguf_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.gguf");
    small().write_gguf(&path, GgmlDType::Q4_0, &[]);
    let bytes = fs::read(&path).unwrap();
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    let mut sound = 0;
    for _ in 0..600 {
        let mut damaged = bytes.clone();
        for _ in 0..=numbers.below(3) {
            // Most of them in the header, which is where it matters.
            let reach = if numbers.below(8) == 0 { bytes.len() } else { bytes.len() / 3 };
            damaged[numbers.below(reach)] = numbers.below(256) as u8;
        }
        fs::write(&path, &damaged).unwrap();
        sound += usize::from(loads_and_runs(&path));
    }
    assert!((1..600).contains(&sound), "{sound} of 600 loaded: the test touches the wrong bytes");
}

#[test]
fn flipped_bytes_in_a_safetensors_file_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = small().write_folder(folder.path(), DType::F16).join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let header = 8 + usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let mut sound = 0;
    for _ in 0..600 {
        let mut damaged = bytes.clone();
        let reach = if numbers.below(8) == 0 { bytes.len() } else { header };
        damaged[numbers.below(reach)] = numbers.below(256) as u8;
        fs::write(&path, &damaged).unwrap();
        let sized = open(&path).is_ok();
        sound += usize::from(sized && probe(&path, &[1, 5, 9], 2, None).is_ok());
    }
    assert!((1..600).contains(&sound), "{sound} of 600 loaded: the test touches the wrong bytes");
}

#[test]
fn absurd_safetensors_headers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = small().write_folder(folder.path(), DType::F32).join("model.safetensors");
    let tensor = |shape: &str, offsets: &str| {
        format!(r#"{{"t":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let max = u64::MAX;
    let mut files: Vec<Vec<u8>> = [
        tensor(&format!("[{max}]"), "[0,4]"),
        tensor(&format!("[{max},{max}]"), "[0,4]"),
        tensor("[1]", &format!("[0,{max}]")),
        tensor("[1]", &format!("[{max},4]")),
        tensor("[1]", "[4,0]"),
        tensor("[2]", "[0,4]"),
        tensor("[-1]", "[0,4]"),
        "[".repeat(100_000),
        "{}".into(),
        String::new(),
    ]
    .into_iter()
    .map(|header| {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.extend([0; 4]);
        file
    })
    .collect();
    files.extend([max, 1 << 62, 1 << 33, 100].map(|length| length.to_le_bytes().to_vec()));
    for file in files {
        fs::write(&path, &file).unwrap();
        let refused = open(&path);
        assert!(matches!(refused, Err(LoadError::Malformed { .. })), "{refused:?}");
    }
}

#[test]
fn absurd_figures_in_a_config_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let toy = small();
    let path = toy.write_folder(folder.path(), DType::F32);
    for field in [
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "intermediate_size",
        "vocab_size",
        "max_position_embeddings",
    ] {
        for value in [0, 1, 3, 1 << 15, 1 << 40, u64::MAX] {
            let mut json = toy.config_json();
            if json[field] == value {
                continue;
            }
            json[field] = value.into();
            fs::write(path.join("config.json"), json.to_string()).unwrap();
            let result = probe(&path, &[1, 5, 9], 2, None);
            // A context of another length is no contradiction.
            let harmless = field == "max_position_embeddings" && value == 1 << 15;
            assert_eq!(result.is_ok(), harmless, "{field} of {value}: {result:?}");
        }
    }
}

#[test]
fn what_is_no_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    for content in [&b""[..], b"GG", b"GGUF", b"GGML1234567890", &[0xFF; 4096]] {
        fs::write(&path, content).unwrap();
        assert!(matches!(open(&path), Err(LoadError::Malformed { .. })));
    }
    let absent = open(&folder.path().join("absent.gguf"));
    assert!(matches!(absent, Err(LoadError::Io { .. })));
    let empty = open(folder.path());
    assert!(matches!(empty, Err(LoadError::Io { .. })));
}

/// A file that is one long list of bytes, each of which would become a whole value.
#[test]
fn metadata_does_not_unfold_to_many_times_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.gguf");
    let count = 3u64 << 20;
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    for number in [0, 1, 3] {
        bytes.extend(u64::to_le_bytes(number));
    }
    bytes.extend(b"key");
    for number in [9u32, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(count.to_le_bytes());
    bytes.resize(bytes.len() + count as usize, 0);
    fs::write(&path, &bytes).unwrap();
    let refused = open(&path);
    assert!(matches!(&refused, Err(LoadError::Malformed { reason }) if reason.contains("unfold")));
}
