//! The older form of a WordPiece vocabulary: a token a line in `vocab.txt`.

use std::path::Path;

use hearth_engine_api::LoadError;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    File,
    beside::{SideFiles, read_json, read_limited},
};
use crate::tokenizer::{Tokenizer, malformed};

/// The largest in use take about a tenth of this.
const MAX_FILE_BYTES: u64 = 16 << 20;
const CONTROL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

impl Tokenizer {
    /// Reads a `vocab.txt` as BERT's tools do: words are cut at blanks and marks. Where `tokenizer_config.json`
    /// lies beside it, it says whether case and accents count.
    ///
    /// # Errors
    /// [`LoadError::Io`] where the file cannot be read, `Malformed` where it is no such list.
    pub fn from_vocab_txt(path: &Path) -> Result<Self, LoadError> {
        let text = String::from_utf8(read_limited(path, MAX_FILE_BYTES)?)
            .map_err(|e| malformed(format!("vocab.txt: {e}")))?;
        let mut vocab = Map::new();
        for (line, token) in text.lines().enumerate() {
            if vocab.insert(token.to_owned(), line.into()).is_some() {
                return Err(malformed(format!("vocab.txt has {token:?} twice")));
            }
        }
        let special: Vec<Value> = CONTROL
            .iter()
            .filter_map(|token| {
                Some(json!({"id": vocab.get(*token)?, "content": token, "special": true}))
            })
            .collect();
        let settings = match path.parent() {
            Some(folder) => read_json(&folder.join("tokenizer_config.json"))?,
            None => None,
        };
        let flag = |name: &str| settings.as_ref()?.get(name)?.as_bool();
        let file = json!({
            "added_tokens": special,
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": true,
                "handle_chinese_chars": flag("tokenize_chinese_chars").unwrap_or(true),
                "strip_accents": flag("strip_accents"),
                "lowercase": flag("do_lower_case").unwrap_or(true),
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "model": {
                "type": "WordPiece",
                "vocab": vocab,
                "unk_token": "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
            },
        });
        let file =
            File::deserialize(file).map_err(|e| malformed(format!("not a vocab.txt: {e}")))?;
        Self::from_parts(file.into_parts(SideFiles::beside(path)?)?)
    }
}
