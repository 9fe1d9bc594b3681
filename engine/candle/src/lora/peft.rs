//! Adapters as Hugging Face's `peft` has them: `adapter_config.json` and `adapter_model.safetensors`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::Read,
    path::Path,
    sync::Arc,
};

use half::{bf16, f16};
use hearth_engine_api::{AdapterError, AdapterFile, LoraSettings};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Adapter, HearthMeta, Layout,
    parts::{Loose, Module, RowOrder, assemble, disassemble, loose, regular},
};
use crate::models::DecoderConfig;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const MAX_CONFIG_BYTES: u64 = 1 << 20;
const MAX_WEIGHTS_BYTES: u64 = 16 << 30;
const MAX_HEADER_BYTES: u64 = 16 << 20;
/// What peft puts before a module's own name.
const PREFIX: &str = "base_model.model.";
/// What an object of ours is called in the description.
const META: &str = "hearth";

/// Keys that say nothing of how an adapter is applied, or what its tensors say by themselves.
const TOLD_ELSEWHERE: [&str; 22] = [
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    // Of use to layers of another kind than those of any model the engine runs.
    "fan_in_fan_out",
    "hearth",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_dropout",
    "lora_ga_config",
    "megatron_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
];
/// Beginnings that leave the base's matrices as they are.
const FRESH_STARTS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// `adapter_config.json`, as far as it decides anything.
#[derive(Deserialize)]
struct Config {
    peft_type: String,
    r: u32,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: Option<f32>,
    #[serde(default)]
    use_rslora: Option<bool>,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    init_lora_weights: Option<Value>,
    #[serde(default)]
    rank_pattern: Option<Map<String, Value>>,
    #[serde(default)]
    alpha_pattern: Option<Map<String, Value>>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Config {
    fn parse(text: &str) -> Result<Self, AdapterError> {
        if text.len() as u64 > MAX_CONFIG_BYTES {
            return Err(malformed(format!("{CONFIG} is larger than {MAX_CONFIG_BYTES} bytes")));
        }
        // The parser's words repeat no more of the text than a word.
        let config: Self =
            serde_json::from_str(text).map_err(|error| malformed(format!("{CONFIG}: {error}")))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), AdapterError> {
        if self.peft_type != "LORA" {
            return Err(unsupported(format!(
                "peft_type is {}, expected LORA",
                brief(&self.peft_type)
            )));
        }
        if let Some(bias) = self.bias.as_deref().filter(|bias| *bias != "none") {
            return Err(unsupported(format!("biases of its own (bias is {})", brief(bias))));
        }
        match &self.init_lora_weights {
            None | Some(Value::Null | Value::Bool(_)) => {}
            Some(Value::String(start)) if FRESH_STARTS.contains(&start.as_str()) => {}
            Some(other) => {
                let what = format!(
                    "init_lora_weights is {}, which changes the base's own matrices too; convert it \
                     to a plain adapter with peft",
                    brief(&other.to_string())
                );
                return Err(unsupported(what));
            }
        }
        let told = self.others.iter().filter(|(key, _)| !TOLD_ELSEWHERE.contains(&key.as_str()));
        for (key, value) in told {
            let is_off = match value {
                Value::Null | Value::Bool(false) | Value::Number(_) | Value::String(_) => true,
                Value::Bool(true) => false,
                Value::Array(items) => items.is_empty(),
                Value::Object(entries) => entries.is_empty(),
            };
            if !is_off {
                return Err(unsupported(format!("{} is set", brief(key))));
            }
        }
        Ok(())
    }

    fn settings(&self) -> LoraSettings {
        LoraSettings {
            rank: self.r,
            alpha: self.lora_alpha as f32,
            rslora: self.use_rslora.unwrap_or(false),
            dropout: self.lora_dropout.unwrap_or(0.0),
            targets: BTreeSet::new(),
        }
    }

    /// What a module's `B A x` is multiplied by.
    fn scale(&self, module: &str, rank: usize) -> Result<f32, AdapterError> {
        let own_rank = matching(self.rank_pattern.as_ref(), module, "rank_pattern")?;
        let expected = own_rank.map_or(f64::from(self.r), |(_, rank)| rank);
        if expected != rank as f64 {
            return Err(malformed(format!(
                "{module} has rank {rank} where {CONFIG} says {expected}"
            )));
        }
        let own_alpha = matching(self.alpha_pattern.as_ref(), module, "alpha_pattern")?;
        let alpha = own_alpha.map_or(self.lora_alpha, |(_, alpha)| alpha) as f32;
        let settings = LoraSettings { rank: rank as u32, alpha, ..self.settings() };
        Ok(settings.scale())
    }
}

/// The entry of a pattern that a module's name matches: by its last parts, as peft does, the first one first.
fn matching<'a>(
    pattern: Option<&'a Map<String, Value>>,
    module: &str,
    what: &str,
) -> Result<Option<(&'a str, f64)>, AdapterError> {
    for (key, value) in pattern.into_iter().flatten() {
        let plain = key.replace(r"\.", ".");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !plain.chars().all(is_plain) {
            return Err(unsupported(format!("{what} with the expression {}", brief(key))));
        }
        let rest = module.strip_suffix(plain.as_str());
        if rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.')) {
            let value = value.as_f64().filter(|value| value.is_finite());
            let value = value.ok_or_else(|| malformed(format!("{what} of {module}")))?;
            return Ok(Some((key, value)));
        }
    }
    Ok(None)
}

/// Which of a pair's matrices a tensor is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    A,
    B,
}

/// `base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight` is A of `q_proj` in layer 3.
fn place(name: &str, layout: &Layout) -> Result<(usize, Module, Side), AdapterError> {
    let unknown = |what: &str| unsupported(format!("{what} {}", brief(name)));
    let own = name.strip_prefix(PREFIX).ok_or_else(|| unknown("the tensor"))?;
    let (outer, within) = own.split_once("layers.").ok_or_else(|| unknown("the tensor"))?;
    let known = |part: &str| matches!(part, "" | "model" | "language_model");
    if !outer.split('.').all(known) {
        return Err(unknown("the tensor"));
    }
    let (layer, rest) = within.split_once('.').ok_or_else(|| unknown("the tensor"))?;
    let layer = layer.parse().map_err(|_no_number| unknown("the tensor"))?;
    let (path, side) = ["A", "B"]
        .into_iter()
        .zip([Side::A, Side::B])
        .find_map(|(letter, side)| {
            let rest = rest.strip_suffix(".weight")?;
            let rest = rest.strip_suffix(".default").unwrap_or(rest);
            Some((rest.strip_suffix(letter)?.strip_suffix(".lora_")?, side))
        })
        .ok_or_else(|| unknown("the tensor"))?;
    let module = Module::of(layout).iter().copied().find(|module| module.path() == path);
    Ok((layer, module.ok_or_else(|| unknown("a module this model does not have:"))?, side))
}

struct Found {
    numbers: Vec<f32>,
    shape: Vec<usize>,
}

impl Found {
    fn of(name: &str, tensor: &TensorView<'_>) -> Result<Self, AdapterError> {
        let data = tensor.data();
        let numbers = match tensor.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect(),
            Dtype::F16 => {
                data.as_chunks().0.iter().map(|&two| f16::from_le_bytes(two).to_f32()).collect()
            }
            Dtype::BF16 => {
                data.as_chunks().0.iter().map(|&two| bf16::from_le_bytes(two).to_f32()).collect()
            }
            other => {
                return Err(unsupported(format!("numbers as {other:?} in {}", brief(name))));
            }
        };
        Ok(Self { numbers, shape: tensor.shape().to_vec() })
    }
}

impl Adapter {
    /// Reads an adapter for a base model.
    ///
    /// # Errors
    /// [`AdapterError`]: damaged, of a kind with parts that could not be applied, or for another model.
    pub fn from_peft(file: &AdapterFile, config: &DecoderConfig) -> Result<Self, AdapterError> {
        let description = Config::parse(&file.config)?;
        let layout = Layout::of(config);
        let mut found: BTreeMap<(usize, Module), [Option<Found>; 2]> = BTreeMap::new();
        for (name, tensor) in tensors(&file.weights)?.iter() {
            let (layer, module, side) = place(name, &layout)?;
            let slot = &mut found.entry((layer, module)).or_default()[side as usize];
            if slot.replace(Found::of(name, &tensor)?).is_some() {
                return Err(malformed(format!("{} is there twice", brief(name))));
            }
        }
        let mut pairs = Vec::with_capacity(found.len());
        for ((layer, module), pair) in found {
            let name = format!("model.layers.{layer}.{}", module.path());
            let [Some(a), Some(b)] = pair else {
                return Err(malformed(format!("{name} has only one of A and B")));
            };
            let (a, b) = ((a.numbers, &*a.shape), (b.numbers, &*b.shape));
            let pair = loose(config, (layer, module), a, b)?;
            let scale = description.scale(&name, pair.rank)?;
            pairs.push(Loose { layer, module, pair, scale });
        }
        assemble(config, description.settings(), RowOrder::Halves, pairs)
    }

    /// The adapter as peft has it. `base_name` is what it calls the model it goes with.
    ///
    /// # Errors
    /// [`AdapterError::Malformed`] where it cannot be written down, which does not happen.
    pub fn to_peft(
        &self,
        base_name: &str,
        meta: Option<&HearthMeta>,
    ) -> Result<AdapterFile, AdapterError> {
        let pairs = disassemble(self, RowOrder::Halves);
        let config = self.description(&pairs, base_name, meta);
        let bytes = |numbers: &[f32]| -> Vec<u8> {
            numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
        };
        let mut data = BTreeMap::new();
        for Loose { layer, module, pair, .. } in &pairs {
            let name = format!("{PREFIX}model.layers.{layer}.{}.lora_", module.path());
            data.insert(format!("{name}A.weight"), (vec![pair.rank, pair.inputs], bytes(&pair.a)));
            data.insert(format!("{name}B.weight"), (vec![pair.outputs, pair.rank], bytes(&pair.b)));
        }
        let mut views = Vec::with_capacity(data.len());
        for (name, (shape, bytes)) in &data {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            views.push((name, view.map_err(|error| malformed(error.to_string()))?));
        }
        let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let weights = safetensors::serialize(views, Some(about))
            .map_err(|error| malformed(error.to_string()))?;
        Ok(AdapterFile { config, weights: weights.into() })
    }

    fn description(&self, pairs: &[Loose], base_name: &str, meta: Option<&HearthMeta>) -> String {
        let settings = &self.settings;
        let (layers, regular) = regular(pairs);
        let last = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
        let names: BTreeSet<String> = pairs
            .iter()
            .map(|Loose { layer, module, .. }| match regular {
                true => last(module.path()).to_owned(),
                false => format!("layers.{layer}.{}", module.path()),
            })
            .collect();
        let whole = layers.len() == self.layers.len() || !regular;
        // Joined projections may have a higher rank than the others.
        let (mut ranks, mut alphas) = (Map::new(), Map::new());
        for Loose { layer, module, pair, .. } in pairs {
            if pair.rank != self.rank() {
                let name = format!("layers.{layer}.{}", module.path());
                let unit = LoraSettings { alpha: 1.0, rank: pair.rank as u32, ..settings.clone() };
                alphas.insert(name.clone(), number(settings.scale() / unit.scale()));
                ranks.insert(name, pair.rank.into());
            }
        }
        let mut config = json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base_name,
            "r": settings.rank,
            "lora_alpha": number(settings.alpha),
            "lora_dropout": settings.dropout,
            "use_rslora": settings.rslora,
            "use_dora": false,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "modules_to_save": null,
            "target_modules": names,
            "layers_to_transform": if whole { Value::Null } else { json!(layers) },
            "rank_pattern": ranks,
            "alpha_pattern": alphas,
        });
        if let (Some(meta), Some(config)) = (meta, config.as_object_mut())
            && let Ok(meta) = serde_json::to_value(meta)
        {
            config.insert(META.into(), meta);
        }
        format!("{config:#}")
    }
}

/// What Hearth wrote into an adapter's description; nothing where another program made it.
pub fn hearth_meta(file: &AdapterFile) -> Option<HearthMeta> {
    #[derive(Deserialize)]
    struct Described {
        hearth: Option<HearthMeta>,
    }
    serde_json::from_str::<Described>(&file.config).ok()?.hearth
}

/// Reads both files of an adapter's folder, unchecked but for their size.
///
/// # Errors
/// [`AdapterError::Io`], `Malformed` where they are too large to be an adapter's.
pub fn read_peft(folder: &Path) -> Result<AdapterFile, AdapterError> {
    let config = read_limited(&folder.join(CONFIG), MAX_CONFIG_BYTES)?;
    let config = String::from_utf8(config)
        .map_err(|error| malformed(format!("{CONFIG}: {}", error.utf8_error())))?;
    let weights = read_limited(&folder.join(WEIGHTS), MAX_WEIGHTS_BYTES)?;
    Ok(AdapterFile { config, weights: Arc::from(weights) })
}

/// Writes both files into a folder, which is made where it is not there.
///
/// # Errors
/// [`AdapterError::Io`].
pub fn write_peft(file: &AdapterFile, folder: &Path) -> Result<(), AdapterError> {
    fs::create_dir_all(folder).map_err(|source| io_error(folder, source))?;
    for (name, bytes) in [(CONFIG, file.config.as_bytes()), (WEIGHTS, &*file.weights)] {
        super::merge::write_whole(&folder.join(name), bytes)?;
    }
    Ok(())
}

pub(super) fn read_limited(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, AdapterError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let size = file.metadata().map_err(|source| io_error(path, source))?.len();
    let mut bytes = Vec::new();
    // The file may grow while it is read.
    file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(|source| io_error(path, source))?;
    if bytes.len() as u64 > limit_bytes {
        let name = path.file_name().unwrap_or_default().display();
        return Err(malformed(format!(
            "{name} has {size} bytes; an adapter's has {limit_bytes} at most"
        )));
    }
    Ok(bytes)
}

fn tensors(weights: &[u8]) -> Result<SafeTensors<'_>, AdapterError> {
    let header_bytes = weights.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    if header_bytes > MAX_HEADER_BYTES {
        return Err(malformed(format!("{WEIGHTS} has a header of {header_bytes} bytes")));
    }
    SafeTensors::deserialize(weights).map_err(|error| malformed(format!("{WEIGHTS}: {error}")))
}

/// peft declares whole numbers, and reads others too.
fn number(value: f32) -> Value {
    // A figure such as 0.1 is to look like one.
    let short: f64 = value.to_string().parse().unwrap_or_else(|_| f64::from(value));
    if short.fract() == 0.0 && short.abs() < 1e15 { json!(short as i64) } else { json!(short) }
}

/// A name out of a file, for an error message.
fn brief(name: &str) -> String {
    const MOST_CHARS: usize = 160;
    let start: String = name.chars().take(MOST_CHARS).collect();
    let dots = if start.len() < name.len() { "…" } else { "" };
    format!("{start:?}{dots}")
}

fn malformed(reason: String) -> AdapterError {
    AdapterError::Malformed { reason }
}

fn unsupported(what: String) -> AdapterError {
    AdapterError::Unsupported { what }
}

pub(super) fn io_error(path: &Path, source: std::io::Error) -> AdapterError {
    AdapterError::Io { path: path.into(), source }
}
