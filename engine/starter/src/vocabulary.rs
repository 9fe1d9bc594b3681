//! The tokenizer: byte-level BPE, and conversations as token ids.

use std::{collections::BTreeMap, path::Path};

use hearth_engine_api::{ChatMessage, Role};
use tokenizers::{
    AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer, TokenizerImpl,
    models::{
        ModelWrapper,
        bpe::{BPE, BpeTrainer},
    },
    pre_tokenizers::{
        byte_level::ByteLevel,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

use crate::{
    data::{Example, Generator},
    error::{StarterError, tokenizer as failed},
};

/// Id of the token that pads; it is never said.
pub const END_OF_TEXT: u32 = 0;
/// Id of the token before each turn.
pub const TURN_START: u32 = 1;
/// Id of the token behind each turn, which ends an answer.
pub const TURN_END: u32 = 2;

/// The special tokens by id.
pub const SPECIAL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/// Name of the word splitter in GGUF files.
pub const SPLITTER: &str = "qwen2";

/// The splitter's pattern. Each digit stands alone, so that numbers are copied digit by digit.
const PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How turns are laid out, in Jinja.
pub const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// A trained tokenizer.
pub struct Vocabulary {
    tokenizer: Tokenizer,
}

/// A conversation as the trainer sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tokens {
    /// Token ids.
    pub ids: Vec<u32>,
    /// For each id, its weight in the loss as the one to be foretold.
    pub weights: Vec<f32>,
}

impl Vocabulary {
    /// Trains a vocabulary of `size` tokens on the first `examples` of `generator`.
    ///
    /// # Errors
    /// Where the library fails.
    pub fn train(generator: &Generator, examples: u64, size: usize) -> Result<Self, StarterError> {
        let pattern = SplitPattern::Regex(PATTERN.to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(failed)?;
        let cutters = Sequence::new(vec![
            PreTokenizerWrapper::Split(split),
            PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, false)),
        ]);
        let mut tokenizer = Tokenizer::new(BPE::default());
        tokenizer.with_pre_tokenizer(Some(cutters));
        tokenizer.with_decoder(Some(ByteLevel::new(false, false, false)));
        let special = SPECIAL.iter().map(|text| AddedToken::from(*text, true)).collect();
        let trainer = BpeTrainer::builder()
            .vocab_size(size)
            .min_frequency(2)
            .show_progress(false)
            .special_tokens(special)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        let texts = (0..examples).flat_map(|index| {
            generator.example(index).messages.into_iter().map(|message| message.content)
        });
        let mut trainer = tokenizers::models::TrainerWrapper::BpeTrainer(trainer);
        let model: &mut TokenizerImpl<ModelWrapper, _, _, _, _> = &mut tokenizer;
        model.train(&mut trainer, texts).map_err(failed)?;
        Ok(Self { tokenizer })
    }

    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// Where the file is absent or damaged.
    pub fn read(path: &Path) -> Result<Self, StarterError> {
        Tokenizer::from_file(path).map(|tokenizer| Self { tokenizer }).map_err(failed)
    }

    /// Writes a `tokenizer.json`.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), StarterError> {
        self.tokenizer.save(path, false).map(|_saved| ()).map_err(failed)
    }

    /// Number of tokens.
    pub fn size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Ids of plain text; control tokens in it are not recognised.
    ///
    /// # Errors
    /// Where the library fails.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, StarterError> {
        // The library knows special tokens by their spelling alone, so text must not hold it.
        let plain = SPECIAL.iter().fold(text.to_owned(), |text, special| {
            text.replace(special, &special.replace('|', " "))
        });
        Ok(self.tokenizer.encode_fast(plain, false).map_err(failed)?.get_ids().to_vec())
    }

    /// A conversation up to the assistant's cue.
    ///
    /// # Errors
    /// Where the library fails.
    pub fn prompt(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, StarterError> {
        let mut tokens = Tokens { ids: Vec::new(), weights: Vec::new() };
        for message in messages {
            self.turn(&mut tokens, message, 0.0)?;
        }
        tokens.ids.push(TURN_START);
        tokens.ids.extend(self.encode("assistant\n")?);
        Ok(tokens.ids)
    }

    /// A whole example; tokens of answers weigh 1, the others `prompt_weight`.
    ///
    /// # Errors
    /// Where the library fails.
    pub fn example(&self, example: &Example, prompt_weight: f32) -> Result<Tokens, StarterError> {
        let mut tokens = Tokens { ids: Vec::new(), weights: Vec::new() };
        for message in &example.messages {
            self.turn(&mut tokens, message, prompt_weight)?;
        }
        // The line break behind the last turn is never asked for.
        tokens.ids.pop();
        tokens.weights.pop();
        Ok(tokens)
    }

    fn turn(
        &self,
        tokens: &mut Tokens,
        message: &ChatMessage,
        prompt_weight: f32,
    ) -> Result<(), StarterError> {
        let (role, content_weight) = match message.role {
            Role::System => ("system\n", prompt_weight),
            Role::User => ("user\n", prompt_weight),
            Role::Assistant => ("assistant\n", 1.0),
        };
        let mut push = |ids: &[u32], weight: f32| {
            tokens.ids.extend_from_slice(ids);
            tokens.weights.resize(tokens.ids.len(), weight);
        };
        push(&[TURN_START], 0.0);
        push(&self.encode(role)?, 0.0);
        push(&self.encode(&message.content)?, content_weight);
        push(&[TURN_END], content_weight);
        push(&self.encode("\n")?, 0.0);
        Ok(())
    }

    /// Tokens by id, and the merges in order, as GGUF files hold them.
    ///
    /// # Errors
    /// Where the model is no BPE.
    pub fn parts(&self) -> Result<(Vec<String>, Vec<String>), StarterError> {
        let text = self.tokenizer.to_string(false).map_err(failed)?;
        let file: TokenizerFile = serde_json::from_str(&text).map_err(failed)?;
        let mut tokens = vec![String::new(); self.size()];
        for (token, id) in file.model.vocab {
            if let Some(slot) = tokens.get_mut(id) {
                *slot = token;
            }
        }
        let merges = file.model.merges.into_iter().map(|(left, right)| left + " " + &right);
        Ok((tokens, merges.collect()))
    }
}

/// The part of `tokenizer.json` that goes into a GGUF.
#[derive(serde::Deserialize)]
struct TokenizerFile {
    model: BpeFile,
}

#[derive(serde::Deserialize)]
struct BpeFile {
    vocab: BTreeMap<String, usize>,
    merges: Vec<(String, String)>,
}
