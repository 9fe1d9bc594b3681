//! Vocabularies inside GGUF files: the keys under `tokenizer.ggml`.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;
use hearth_engine_api::LoadError;
use tokenizers::{
    NormalizerWrapper, PreTokenizerWrapper, models::wordpiece::WordPiece,
    normalizers::bert::BertNormalizer, pre_tokenizers::bert::BertPreTokenizer,
};

use super::{
    Algorithm, Parts, Tokenizer,
    bpe::{BpeParts, Library, split_merge},
    malformed,
    pre::Named,
    spm::{Piece, SentencePiece},
    vocab::{
        Entry, Kind, MAX_TOKENS, Spelled, Table, byte_level_bytes, byte_of_name,
        sentencepiece_bytes,
    },
};

/// A GGUF file's metadata.
pub(super) type Metadata = HashMap<String, Value>;

impl Tokenizer {
    /// Reads the vocabulary out of a GGUF file's metadata.
    ///
    /// # Errors
    /// [`LoadError::Malformed`] where the lists do not fit together, `Unsupported` where the kind of
    /// vocabulary or its word splitter is not known.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self, LoadError> {
        let model = string(metadata, "model")?.unwrap_or_default();
        let tokens = Tokens::read(metadata)?;
        let parts = match model {
            "llama" => sentencepiece(metadata, tokens)?,
            "gpt2" => byte_level(metadata, tokens)?,
            "bert" => word_piece(metadata, tokens)?,
            "" => return Err(malformed("the file names no tokenizer (tokenizer.ggml.model)")),
            other => {
                return Err(LoadError::Unsupported { what: format!("the tokenizer {other:?}") });
            }
        };
        Self::from_parts(parts)
    }
}

/// The lists every kind of vocabulary has.
struct Tokens {
    texts: Vec<String>,
    kinds: Vec<Kind>,
    unknown: Option<u32>,
}

impl Tokens {
    fn read(metadata: &Metadata) -> Result<Self, LoadError> {
        let list = array(metadata, "tokens")?
            .ok_or_else(|| malformed("the file holds no vocabulary (tokenizer.ggml.tokens)"))?;
        if list.is_empty() || list.len() > MAX_TOKENS {
            return Err(malformed(format!(
                "a vocabulary of {} tokens; 1 to {MAX_TOKENS} can be used",
                list.len()
            )));
        }
        let mut texts = Vec::with_capacity(list.len());
        let mut seen = HashMap::with_capacity(list.len());
        for (id, token) in list.iter().enumerate() {
            let Value::String(text) = token else {
                return Err(malformed(format!("token {id} is not a string")));
            };
            if !text.is_empty()
                && let Some(other) = seen.insert(text.as_str(), id)
            {
                return Err(malformed(format!("tokens {other} and {id} are both {text:?}")));
            }
            texts.push(text.clone());
        }
        let mut tokens = Self { kinds: kinds(metadata, texts.len())?, texts, unknown: None };
        tokens.unknown = tokens.id(metadata, "unknown_token_id")?;
        tokens.mark_named(metadata)?;
        Ok(tokens)
    }

    /// Files that give no kinds, or wrong ones, still name the tokens that matter.
    fn mark_named(&mut self, metadata: &Metadata) -> Result<(), LoadError> {
        for key in ["bos_token_id", "eos_token_id", "eot_token_id", "eom_token_id"] {
            if let Some(id) = self.id(metadata, key)? {
                let text = &self.texts[id as usize];
                let is_markup = text.starts_with(['<', '[']) && text.ends_with(['>', ']']);
                if is_markup && byte_of_name(text).is_none() {
                    self.kinds[id as usize] = Kind::Control;
                }
            }
        }
        Ok(())
    }

    /// Blanks in stretches of text that are one token: older files of Gemma write them as within words.
    fn mark_blanks(&mut self) {
        for (text, kind) in self.texts.iter_mut().zip(&self.kinds) {
            if *kind == Kind::UserDefined {
                *text = text.replace('\u{2581}', " ");
            }
        }
    }

    /// The token id under `key`, if the file gives one.
    fn id(&self, metadata: &Metadata, key: &str) -> Result<Option<u32>, LoadError> {
        let Some(value) = metadata.get(&format!("tokenizer.ggml.{key}")) else { return Ok(None) };
        let id = match value {
            Value::U8(n) => u32::from(*n),
            Value::U16(n) => u32::from(*n),
            Value::U32(n) => *n,
            Value::U64(n) => u32::try_from(*n).unwrap_or(u32::MAX),
            // Some converters write -1 for "none".
            Value::I32(n) if *n < 0 => return Ok(None),
            Value::I64(n) if *n < 0 => return Ok(None),
            Value::I32(n) => n.unsigned_abs(),
            Value::I64(n) => u32::try_from(*n).unwrap_or(u32::MAX),
            _ => return Err(malformed(format!("tokenizer.ggml.{key} is not a number"))),
        };
        if id == u32::MAX {
            return Ok(None);
        }
        if id as usize >= self.texts.len() {
            return Err(malformed(format!(
                "tokenizer.ggml.{key} is {id}, but the vocabulary has {} tokens",
                self.texts.len()
            )));
        }
        Ok(Some(id))
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &str, Kind)> {
        (0u32..).zip(&self.texts).zip(&self.kinds).map(|((id, text), kind)| (id, &**text, *kind))
    }

    /// The table by id, and the tokens recognised by their spelling.
    fn table(
        &self,
        bytes_of: impl Fn(&str) -> Box<[u8]>,
    ) -> Result<(Table, Vec<Spelled>), LoadError> {
        let mut table = Table::default();
        let mut spelled = Vec::new();
        for (id, text, kind) in self.iter() {
            if matches!(kind, Kind::Control | Kind::UserDefined | Kind::Unknown) {
                spelled.push(Spelled::new(id, text, kind));
            }
            let bytes = match kind {
                Kind::Normal => bytes_of(text),
                Kind::Control | Kind::UserDefined => text.as_bytes().into(),
                Kind::Byte => {
                    byte_of_name(text).map(|byte| Box::from([byte])).ok_or_else(|| {
                        malformed(format!("token {id} is marked as a byte, but is {text:?}"))
                    })?
                }
                Kind::Unknown => "\u{FFFD}".as_bytes().into(),
            };
            table.insert(id, Entry { bytes, kind })?;
        }
        Ok((table, spelled))
    }
}

fn kinds(metadata: &Metadata, count: usize) -> Result<Vec<Kind>, LoadError> {
    let Some(list) = array(metadata, "token_type")? else {
        return Ok(vec![Kind::Normal; count]);
    };
    check_length("token_type", list.len(), count)?;
    list.iter()
        .map(|value| {
            let number = match value {
                Value::I32(n) => i64::from(*n),
                Value::U32(n) => i64::from(*n),
                Value::U8(n) => i64::from(*n),
                Value::I8(n) => i64::from(*n),
                _ => {
                    return Err(malformed(
                        "tokenizer.ggml.token_type holds something else than whole numbers",
                    ));
                }
            };
            Ok(match number {
                2 => Kind::Unknown,
                3 => Kind::Control,
                4 => Kind::UserDefined,
                6 => Kind::Byte,
                // 0 is undefined, 5 is unused: such tokens are made by no special rule.
                _ => Kind::Normal,
            })
        })
        .collect()
}

fn sentencepiece(metadata: &Metadata, mut tokens: Tokens) -> Result<Parts, LoadError> {
    tokens.mark_blanks();
    let scores = array(metadata, "scores")?
        .ok_or_else(|| malformed("a SentencePiece vocabulary without tokenizer.ggml.scores"))?;
    check_length("scores", scores.len(), tokens.texts.len())?;
    let mut pieces = Vec::with_capacity(scores.len());
    for ((id, text, kind), score) in tokens.iter().zip(scores) {
        let score = match score {
            Value::F32(score) => *score,
            Value::I32(score) => *score as f32,
            _ => return Err(malformed(format!("the score of token {id} is not a number"))),
        };
        if score.is_nan() {
            return Err(malformed(format!("the score of token {id} is not a number")));
        }
        if !text.is_empty() {
            pieces.push(Piece { id, text: text.to_owned(), score, kind });
        }
    }
    let unknown =
        tokens.unknown.or_else(|| tokens.iter().find(|t| t.2 == Kind::Unknown).map(|t| t.0));
    // The unknown token steers nothing, and text may turn into it.
    if let Some(id) = unknown {
        tokens.kinds[id as usize] = Kind::Unknown;
    }
    let space_prefix = flag(metadata, "add_space_prefix")?.unwrap_or(true);
    let model = SentencePiece::new(pieces, unknown, space_prefix);
    if !model.can_spell_all() {
        return Err(malformed(
            "a SentencePiece vocabulary without byte tokens or an unknown token",
        ));
    }
    let (table, mut spelled) = tokens.table(sentencepiece_bytes)?;
    if matches!(metadata.get("general.architecture"), Some(Value::String(name)) if name == "phi3") {
        swallow_blanks_as_phi_3(&mut spelled);
    }
    parts(metadata, &tokens, Algorithm::SentencePiece(model), (table, spelled), true)
}

/// Phi-3's marks swallow the blanks behind them, its template's line ends among them. Its `tokenizer.json` says so;
/// GGUF files cannot.
fn swallow_blanks_as_phi_3(spelled: &mut [Spelled]) {
    for token in spelled {
        token.strip_right = !matches!(token.text.as_str(), "<unk>" | "<s>" | "<|endoftext|>");
    }
}

fn byte_level(metadata: &Metadata, tokens: Tokens) -> Result<Parts, LoadError> {
    let named = Named::find(string(metadata, "pre")?.unwrap_or("default"))?;
    let merges = array(metadata, "merges")?
        .ok_or_else(|| malformed("a byte-level vocabulary without tokenizer.ggml.merges"))?;
    let merges = merges
        .iter()
        .enumerate()
        .map(|(rank, merge)| match merge {
            Value::String(merge) => split_merge(rank, merge),
            _ => Err(malformed(format!("merge {rank} is not a string"))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let vocab = tokens
        .iter()
        .filter(|(_, text, kind)| {
            matches!(kind, Kind::Normal | Kind::UserDefined | Kind::Byte) && !text.is_empty()
        })
        .map(|(id, text, _)| (text.to_owned(), id))
        .collect();
    let bpe =
        BpeParts { vocab, merges, ignore_merges: named.whole_words_first, ..BpeParts::default() };
    let library = Library::new(bpe.build()?, None, Some(named.build()?))?.refusing_missing_bytes();
    let (table, spelled) = tokens.table(byte_level_bytes)?;
    let algorithm = Algorithm::Library(Box::new(library));
    parts(metadata, &tokens, algorithm, (table, spelled), named.add_bos)
}

fn word_piece(metadata: &Metadata, mut tokens: Tokens) -> Result<Parts, LoadError> {
    let unknown = tokens
        .unknown
        .ok_or_else(|| malformed("a WordPiece vocabulary without an unknown token"))?;
    tokens.kinds[unknown as usize] = Kind::Unknown;
    // The file marks starts of words with U+2581; the algorithm wants the others marked, with ##.
    let vocab = tokens
        .iter()
        .filter(|(_, text, _)| !text.is_empty())
        .map(|(id, text, kind)| {
            let text = match text.strip_prefix('\u{2581}') {
                Some(start) => start.to_owned(),
                None if kind == Kind::Normal => format!("##{text}"),
                None => text.to_owned(),
            };
            (text, id)
        })
        .filter(|(text, id)| {
            *id == unknown || tokens.kinds[*id as usize] != Kind::Control && !text.is_empty()
        })
        .collect::<HashMap<String, u32>>();
    let model = WordPiece::builder()
        .vocab(vocab.into_iter().collect::<tokenizers::models::bpe::Vocab>())
        .unk_token(tokens.texts[unknown as usize].clone())
        .build()
        .map_err(|e| malformed(format!("the WordPiece vocabulary: {e}")))?;
    let normalizer = NormalizerWrapper::BertNormalizer(BertNormalizer::default());
    let cutter = PreTokenizerWrapper::BertPreTokenizer(BertPreTokenizer);
    let library = Library::new(model, Some(normalizer), Some(cutter))?.with_space_prefix(true);
    let (table, spelled) = tokens.table(sentencepiece_bytes)?;
    parts(metadata, &tokens, Algorithm::Library(Box::new(library)), (table, spelled), true)
}

fn parts(
    metadata: &Metadata,
    tokens: &Tokens,
    algorithm: Algorithm,
    (table, spelled): (Table, Vec<Spelled>),
    add_bos: bool,
) -> Result<Parts, LoadError> {
    let mut more_ends = Vec::new();
    for key in ["eot_token_id", "eom_token_id"] {
        more_ends.extend(tokens.id(metadata, key)?);
    }
    Ok(Parts {
        algorithm,
        table,
        spelled,
        bos: tokens.id(metadata, "bos_token_id")?.or(tokens.id(metadata, "cls_token_id")?),
        eos: tokens.id(metadata, "eos_token_id")?,
        more_ends,
        add_bos: flag(metadata, "add_bos_token")?.unwrap_or(add_bos),
        chat_template: chat_template(metadata)?,
    })
}

/// The source of the chat template.
pub(crate) fn chat_template(metadata: &Metadata) -> Result<Option<String>, LoadError> {
    match metadata.get("tokenizer.chat_template") {
        None => Ok(None),
        Some(Value::String(source)) => Ok(Some(source.clone())),
        Some(_) => Err(malformed("tokenizer.chat_template is not a string")),
    }
}

fn check_length(key: &str, got: usize, expected: usize) -> Result<(), LoadError> {
    if got == expected {
        return Ok(());
    }
    Err(malformed(format!(
        "tokenizer.ggml.{key} has {got} entries for a vocabulary of {expected} tokens"
    )))
}

fn array<'m>(metadata: &'m Metadata, key: &str) -> Result<Option<&'m [Value]>, LoadError> {
    match metadata.get(&format!("tokenizer.ggml.{key}")) {
        None => Ok(None),
        Some(Value::Array(values)) => Ok(Some(values)),
        Some(_) => Err(malformed(format!("tokenizer.ggml.{key} is not a list"))),
    }
}

fn string<'m>(metadata: &'m Metadata, key: &str) -> Result<Option<&'m str>, LoadError> {
    match metadata.get(&format!("tokenizer.ggml.{key}")) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(malformed(format!("tokenizer.ggml.{key} is not a string"))),
    }
}

fn flag(metadata: &Metadata, key: &str) -> Result<Option<bool>, LoadError> {
    match metadata.get(&format!("tokenizer.ggml.{key}")) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(malformed(format!("tokenizer.ggml.{key} is not true or false"))),
    }
}
