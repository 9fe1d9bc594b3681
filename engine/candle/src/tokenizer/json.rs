//! Vocabularies in Hugging Face's `tokenizer.json`, with what the files beside it add.

mod beside;
mod bounds;
#[cfg(test)]
mod tests;
mod vocab_txt;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use hearth_engine_api::LoadError;
use serde::Deserialize;
use serde_json::Value;
use tokenizers::{
    ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, models::wordpiece::WordPiece,
};

use beside::{SideFiles, read_limited};
use bounds::{check_cutter, check_normalizer};

use super::{
    Algorithm, Parts, Tokenizer,
    bpe::{BpeParts, Library, split_merge},
    malformed,
    vocab::{Entry, Kind, Spelled, Table, byte_level_bytes, byte_of_name, sentencepiece_bytes},
};

/// The largest vocabularies in use take about a tenth of this.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// Longest word that is looked up piece by piece, which takes its length squared. BERT's tools have 100.
const MAX_WORD_CHARS: usize = 256;
/// Ids may leave holes, but not so many that the table is mostly holes.
const SPARE_IDS: usize = 1 << 16;

/// The source of the chat template that lies beside a `tokenizer.json`.
pub(crate) fn chat_template(path: &Path) -> Result<Option<String>, LoadError> {
    SideFiles::beside(path).map(|side| side.chat_template)
}

impl Tokenizer {
    /// Reads a `tokenizer.json`. Where `tokenizer_config.json`, `generation_config.json`, `config.json`
    /// or `chat_template.jinja` lie beside it, they say what begins and ends a text. Added tokens are
    /// looked for in the text as it is given, before the file's normaliser sees it.
    ///
    /// # Errors
    /// [`LoadError::Io`] where the file cannot be read, `Malformed` where its parts do not fit together,
    /// `Unsupported` for vocabularies other than BPE and WordPiece.
    pub fn from_json_file(path: &Path) -> Result<Self, LoadError> {
        let bytes = read_limited(path, MAX_FILE_BYTES)?;
        Self::from_json(&bytes, SideFiles::beside(path)?)
    }

    /// Reads the contents of a `tokenizer.json` that has no files beside it.
    ///
    /// # Errors
    /// As [`Tokenizer::from_json_file`].
    pub fn from_json_slice(bytes: &[u8]) -> Result<Self, LoadError> {
        Self::from_json(bytes, SideFiles::default())
    }

    fn from_json(bytes: &[u8], side: SideFiles) -> Result<Self, LoadError> {
        let file: File = serde_json::from_slice(bytes)
            .map_err(|e| malformed(format!("not a tokenizer.json: {e}")))?;
        Self::from_parts(file.into_parts(side)?)
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
    decoder: Option<Value>,
    model: Value,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
struct BpeFile {
    vocab: HashMap<String, u32>,
    merges: Vec<MergeFile>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
}

impl BpeFile {
    /// Checks what the library would pass over; returns the id of the unknown token, if there is one.
    fn check(&self, byte_level: bool) -> Result<Option<u32>, LoadError> {
        let affix = |affix: &Option<String>| affix.as_ref().is_some_and(|text| !text.is_empty());
        if affix(&self.continuing_subword_prefix) || affix(&self.end_of_word_suffix) {
            return Err(LoadError::Unsupported {
                what: "a BPE vocabulary with word prefixes or suffixes".into(),
            });
        }
        let bytes = self.vocab.keys().filter(|text| byte_of_name(text).is_some()).count();
        let spells_all = byte_level || self.byte_fallback && bytes == 256;
        let Some(text) = &self.unk_token else {
            return if spells_all {
                Ok(None)
            } else {
                Err(malformed("the vocabulary has neither byte tokens nor an unknown token"))
            };
        };
        let id = self.vocab.get(text).copied();
        id.map(Some).ok_or_else(|| {
            malformed(format!("the unknown token {text:?} is not in the vocabulary"))
        })
    }

    /// The merges that neither take nor make a control token, a byte token or the unknown token.
    fn merges_without(&self, control: &HashSet<&str>) -> Result<Vec<(String, String)>, LoadError> {
        let barred = |text: &str| {
            control.contains(text)
                || self.unk_token.as_deref() == Some(text)
                || self.byte_fallback && byte_of_name(text).is_some()
        };
        let mut merges = Vec::with_capacity(self.merges.len());
        for (rank, merge) in self.merges.iter().enumerate() {
            let (left, right) = match merge {
                MergeFile::Joined(merge) => split_merge(rank, merge)?,
                MergeFile::Pair(left, right) => (left.clone(), right.clone()),
            };
            if !barred(&left) && !barred(&right) && !barred(&format!("{left}{right}")) {
                merges.push((left, right));
            }
        }
        Ok(merges)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum MergeFile {
    Joined(String),
    Pair(String, String),
}

#[derive(Deserialize)]
struct WordPieceFile {
    vocab: HashMap<String, u32>,
    unk_token: String,
    continuing_subword_prefix: String,
    max_input_chars_per_word: usize,
}

/// How the spelling of a token in the vocabulary relates to text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    ByteLevel,
    SentencePiece,
    WordPiece,
}

impl Alphabet {
    fn entry(self, token: &str) -> Entry {
        let bytes = match self {
            Self::ByteLevel => byte_level_bytes(token),
            Self::SentencePiece => match byte_of_name(token) {
                Some(byte) => return Entry { bytes: Box::from([byte]), kind: Kind::Byte },
                None => sentencepiece_bytes(token),
            },
            Self::WordPiece => match token.strip_prefix("##") {
                Some(inner) => inner.as_bytes().into(),
                None => format!(" {token}").into_bytes().into(),
            },
        };
        Entry { bytes, kind: Kind::Normal }
    }
}

/// A model built from its part of the file, with what the table needs to know of it.
struct Built {
    model: ModelWrapper,
    /// All tokens of the model, control tokens among them.
    vocab: HashMap<String, u32>,
    unknown: Option<u32>,
    alphabet: Alphabet,
}

impl File {
    fn into_parts(self, side: SideFiles) -> Result<Parts, LoadError> {
        let kind = self.model.get("type").and_then(Value::as_str).map(str::to_owned);
        let Built { model, vocab, unknown, alphabet } = match kind.as_deref() {
            // Old files leave the type out; merges give BPE away.
            Some("BPE") => self.bpe()?,
            None if self.model.get("merges").is_some() => self.bpe()?,
            Some("WordPiece") => self.word_piece()?,
            other => {
                return Err(LoadError::Unsupported {
                    what: format!("a tokenizer.json of kind {}", other.unwrap_or("unknown")),
                });
            }
        };
        let (table, spelled) = self.table(vocab, unknown, alphabet)?;
        let algorithm = Algorithm::Library(Box::new(self.library(model, alphabet)?));
        let template_bos = self.template_bos();
        let id_of = |text: &String| spelled.iter().find(|t| t.text == *text).map(|t| t.id);
        let bos = side.bos_token.as_ref().and_then(id_of).or(template_bos);
        let eos = side.eos_token.as_ref().and_then(id_of).or(side.end_ids.first().copied());
        Ok(Parts {
            algorithm,
            bos,
            eos,
            more_ends: side.end_ids.into_iter().filter(|id| table.get(*id).is_some()).collect(),
            add_bos: side.add_bos.unwrap_or(template_bos.is_some()),
            table,
            spelled,
            chat_template: side.chat_template,
        })
    }

    fn control_texts(&self) -> HashSet<&str> {
        self.added_tokens.iter().filter(|t| t.special).map(|t| t.content.as_str()).collect()
    }

    fn bpe(&self) -> Result<Built, LoadError> {
        let file = BpeFile::deserialize(&self.model)
            .map_err(|e| malformed(format!("the BPE model of tokenizer.json: {e}")))?;
        let byte_level = [&self.pre_tokenizer, &self.normalizer, &self.decoder]
            .into_iter()
            .flatten()
            .any(|part| has_type(part, "ByteLevel"));
        let unknown = file.check(byte_level)?;
        // Text must not come to be a control token by way of merges.
        let control = self.control_texts();
        let merges = file.merges_without(&control)?;
        let mut vocab = file.vocab.clone();
        vocab.retain(|text, id| !control.contains(text.as_str()) || Some(*id) == unknown);
        let parts = BpeParts {
            vocab,
            merges,
            unk_token: file.unk_token,
            fuse_unk: file.fuse_unk,
            byte_fallback: file.byte_fallback,
            ignore_merges: file.ignore_merges,
        };
        let alphabet = if byte_level { Alphabet::ByteLevel } else { Alphabet::SentencePiece };
        Ok(Built { model: parts.build()?.into(), vocab: file.vocab, unknown, alphabet })
    }

    fn word_piece(&self) -> Result<Built, LoadError> {
        let file = WordPieceFile::deserialize(&self.model)
            .map_err(|e| malformed(format!("the WordPiece model of tokenizer.json: {e}")))?;
        let unknown = *file
            .vocab
            .get(&file.unk_token)
            .ok_or_else(|| malformed("the unknown token is not in the vocabulary"))?;
        if file.max_input_chars_per_word > MAX_WORD_CHARS {
            return Err(LoadError::Unsupported {
                what: format!(
                    "words of {} letters in a WordPiece vocabulary; up to {MAX_WORD_CHARS} are possible",
                    file.max_input_chars_per_word
                ),
            });
        }
        let control = self.control_texts();
        let mut vocab = file.vocab.clone();
        vocab.retain(|text, id| !control.contains(text.as_str()) || *id == unknown);
        let model = WordPiece::builder()
            .vocab(vocab.into_iter().collect::<tokenizers::models::bpe::Vocab>())
            .unk_token(file.unk_token)
            .continuing_subword_prefix(file.continuing_subword_prefix)
            .max_input_chars_per_word(file.max_input_chars_per_word)
            .build()
            .map_err(|e| malformed(format!("the WordPiece vocabulary: {e}")))?;
        Ok(Built {
            model: model.into(),
            vocab: file.vocab,
            unknown: Some(unknown),
            alphabet: Alphabet::WordPiece,
        })
    }

    /// The table by id, and the tokens recognised by their spelling.
    fn table(
        &self,
        vocab: HashMap<String, u32>,
        unknown: Option<u32>,
        alphabet: Alphabet,
    ) -> Result<(Table, Vec<Spelled>), LoadError> {
        let tokens = vocab.len() + self.added_tokens.len();
        let limit = tokens.saturating_mul(2).saturating_add(SPARE_IDS);
        let ids = vocab.values().copied().chain(self.added_tokens.iter().map(|token| token.id));
        if let Some(id) = ids.max().filter(|id| *id as usize >= limit) {
            return Err(malformed(format!("token id {id} in a vocabulary of {tokens} tokens")));
        }
        let mut table = Table::default();
        let mut spelled: Vec<Spelled> = Vec::with_capacity(self.added_tokens.len());
        for token in &self.added_tokens {
            if vocab.get(&token.content).is_some_and(|id| *id != token.id) {
                return Err(malformed(format!("token {:?} has two ids", token.content)));
            }
            let kind = if Some(token.id) == unknown {
                Kind::Unknown
            } else if token.special {
                Kind::Control
            } else {
                Kind::UserDefined
            };
            let bytes = match kind {
                Kind::Unknown => "\u{FFFD}".as_bytes().into(),
                _ => token.content.as_bytes().into(),
            };
            table.insert(token.id, Entry { bytes, kind })?;
            let mut entry = Spelled::new(token.id, token.content.as_str(), kind);
            entry.strip_left = token.lstrip;
            entry.strip_right = token.rstrip;
            entry.single_word = token.single_word;
            spelled.push(entry);
        }
        let added: HashSet<&str> = self.added_tokens.iter().map(|t| t.content.as_str()).collect();
        let mut rest: Vec<_> =
            vocab.into_iter().filter(|(text, _)| !added.contains(text.as_str())).collect();
        rest.sort_unstable_by_key(|(_, id)| *id);
        for (text, id) in rest {
            let entry = if Some(id) == unknown {
                Entry { bytes: "\u{FFFD}".as_bytes().into(), kind: Kind::Unknown }
            } else {
                alphabet.entry(&text)
            };
            table.insert(id, entry)?;
        }
        Ok((table, spelled))
    }

    fn library(&self, model: ModelWrapper, alphabet: Alphabet) -> Result<Library, LoadError> {
        self.normalizer.as_ref().map_or(Ok(()), check_normalizer)?;
        self.pre_tokenizer.as_ref().map_or(Ok(()), check_cutter)?;
        let normalizer: Option<NormalizerWrapper> = part("normalizer", self.normalizer.as_ref())?;
        let cutter: Option<PreTokenizerWrapper> =
            part("pre_tokenizer", self.pre_tokenizer.as_ref())?;
        let unknown_stands_in = match &model {
            ModelWrapper::BPE(bpe) => bpe.unk_token.is_some(),
            _ => true,
        };
        let mut library = Library::new(model, normalizer, cutter)?;
        // Only the text's own beginning gets a blank in front where the scheme is "first".
        if let Some(mut rest) = self.pre_tokenizer.clone()
            && replace_scheme(&mut rest)
            && let Some(rest) = part("pre_tokenizer", Some(&rest))?
        {
            library = library.with_rest(rest);
        }
        if alphabet == Alphabet::ByteLevel && !unknown_stands_in {
            library = library.refusing_missing_bytes();
        }
        Ok(library.with_space_prefix(alphabet == Alphabet::WordPiece || self.strips_blank()))
    }

    /// Whether the decoder takes a blank off the front, because the encoder put one there.
    fn strips_blank(&self) -> bool {
        let Some(decoder) = &self.decoder else { return false };
        has_type(decoder, "Strip")
            || has_type(decoder, "Metaspace")
                && decoder.get("prepend_scheme").and_then(Value::as_str) != Some("never")
    }

    /// The token the post-processor puts before a text.
    fn template_bos(&self) -> Option<u32> {
        let processor = self.post_processor.as_ref()?;
        let template = find_type(processor, "TemplateProcessing")?;
        let name = template.get("single")?.get(0)?.get("SpecialToken")?.get("id")?;
        let id = template.get("special_tokens")?.get(name.as_str()?)?.get("ids")?.get(0)?;
        u32::try_from(id.as_u64()?).ok()
    }
}

fn part<T: serde::de::DeserializeOwned>(
    name: &str,
    value: Option<&Value>,
) -> Result<Option<T>, LoadError> {
    value
        .map(T::deserialize)
        .transpose()
        .map_err(|e| LoadError::Unsupported { what: format!("the tokenizer's {name}: {e}") })
}

fn has_type(part: &Value, wanted: &str) -> bool {
    find_type(part, wanted).is_some()
}

/// The part of the given type, at the top or in a sequence.
fn find_type<'v>(part: &'v Value, wanted: &str) -> Option<&'v Value> {
    if part.get("type").and_then(Value::as_str) == Some(wanted) {
        return Some(part);
    }
    ["normalizers", "pretokenizers", "processors", "decoders"]
        .iter()
        .filter_map(|list| part.get(list)?.as_array())
        .flatten()
        .find_map(|inner| find_type(inner, wanted))
}

/// Turns "first" into "never"; tells whether there was one.
fn replace_scheme(part: &mut Value) -> bool {
    let mut found = false;
    if let Some(scheme) = part.get_mut("prepend_scheme")
        && scheme == "first"
    {
        *scheme = Value::from("never");
        found = true;
    }
    if let Some(inner) = part.get_mut("pretokenizers").and_then(Value::as_array_mut) {
        for part in inner {
            found |= replace_scheme(part);
        }
    }
    found
}
