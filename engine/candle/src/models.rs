//! The decoder and its description.
//!
//! [`Decoder`] runs Llama, Mistral, Qwen2, Qwen3, Phi-3, Gemma 2 and Gemma 3 alike; what differs between them is data
//! in a [`DecoderConfig`].
//!
//! # Training on it
//! [`Decoder::forward`] takes the differentiable route throughout, so a trainer that owns the weights as
//! [`candle_core::Var`]s gets gradients for all of them:
//!
//! ```
//! use std::collections::HashMap;
//!
//! use candle_core::{DType, Device, Tensor, Var};
//! use hearth_engine_candle::models::{Decoder, DecoderConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = DecoderConfig { layers: 1, ..DecoderConfig::llama(32, 8, 2, 16, 64) };
//! let mut vars = HashMap::new();
//! for (name, shape) in config.parameters() {
//!     // Norms start at one, the rest at small random values.
//!     let start = if name.ends_with("norm.weight") {
//!         Tensor::ones(shape, DType::F32, &Device::Cpu)?
//!     } else {
//!         Tensor::randn(0f32, 0.02, shape, &Device::Cpu)?
//!     };
//!     vars.insert(name, Var::from_tensor(&start)?);
//! }
//! // Clones of a variable's tensor share its storage: an optimiser step on the variables is seen by the decoder.
//! let mut weights: HashMap<String, Tensor> =
//!     vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
//! let decoder = Decoder::new(config, &mut weights)?;
//!
//! let ids = Tensor::new(&[[1u32, 2, 3]], &Device::Cpu)?;
//! let targets = Tensor::new(&[2u32, 3, 4], &Device::Cpu)?;
//! let logits = decoder.forward(&ids)?.flatten_to(1)?; // (batch * seq, vocab)
//! let loss = candle_nn::loss::cross_entropy(&logits, &targets)?;
//! let gradients = loss.backward()?;
//! assert!(vars.values().all(|var| gradients.get(var).is_some()));
//! # Ok(())
//! # }
//! ```
//!
//! The names are those of Hugging Face checkpoints, so that a safetensors file of the variables loads as a model
//! (with `config.json` beside it; a tied head is not stored).

mod config;
mod decoder;
mod differentiable;
mod kv_cache;
mod layers;
mod pass;
mod rope;

pub use config::{Activation, Architecture, DecoderConfig, LocalLayers, RopeLayout, RopeScaling};
pub use decoder::{Decoder, Positions};
pub use kv_cache::KvCache;
pub use layers::Route;

pub(crate) use config::malformed;
pub(crate) use rope::Rope;
