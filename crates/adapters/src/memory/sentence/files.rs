//! The files of a sentence model, as far as they are believed: how long they are, and what they say of the model's shape.

use std::fs::{File, metadata};
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use sre_space_ports::memory::MemoryError;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Each file and how long it may be. Weights are in memory twice while they are loaded.
const WEIGHTS: (&str, u64) = ("model.safetensors", 160 * MIB);
const TOKENIZER: (&str, u64) = ("tokenizer.json", 32 * MIB);
const CONFIG: (&str, u64) = ("config.json", 64 * KIB);
/// What sentence-transformers adds; both may be missing.
const CUT: (&str, u64) = ("sentence_bert_config.json", 64 * KIB);
const POOLING: (&str, u64) = ("1_Pooling/config.json", 64 * KIB);

/// Tokens of a text, whatever a model says it can take: the time for one grows with their square.
const MOST_TOKENS: usize = 512;

/// All that is read of a model.
pub(super) struct Files {
    /// Weights as safetensors.
    pub weights: Vec<u8>,
    /// Tokenizer as JSON.
    pub tokenizer: Vec<u8>,
    /// Configuration as JSON.
    pub config: Vec<u8>,
    /// What the configuration says of the shape, within limits.
    pub shape: Shape,
    cut: Option<usize>,
}

/// The shape of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Shape {
    /// Numbers of a vector.
    pub hidden_size: usize,
    model_type: String,
    vocab_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
}

#[derive(Deserialize)]
struct Cut {
    max_seq_length: usize,
}

#[derive(Deserialize)]
struct Pooling {
    pooling_mode_mean_tokens: bool,
}

impl Files {
    /// Reads a folder.
    pub fn read(folder: &Path) -> Result<Self, MemoryError> {
        let config = bytes(folder, CONFIG)?;
        let shape: Shape = parsed(&config, CONFIG.0)?;
        shape.within_limits()?;
        let pooling: Option<Pooling> = optional(folder, POOLING)?;
        if pooling.is_some_and(|pooling| !pooling.pooling_mode_mean_tokens) {
            return Err(refused("1_Pooling/config.json: its vector of a text is not the mean of its tokens' vectors"));
        }
        let cut: Option<Cut> = optional(folder, CUT)?;
        let (tokenizer, weights) = (bytes(folder, TOKENIZER)?, bytes(folder, WEIGHTS)?);
        Ok(Self { weights, tokenizer, config, shape, cut: cut.map(|cut| cut.max_seq_length) })
    }

    /// After how many tokens a text is cut: what the model's files say, or else its tokenizer.
    pub fn longest(&self, of_tokenizer: Option<usize>) -> Result<usize, MemoryError> {
        let most = self.shape.max_position_embeddings.min(MOST_TOKENS);
        let longest = self.cut.or(of_tokenizer).map_or(most, |told| told.min(most));
        let is_some = longest >= 16;
        if is_some { Ok(longest) } else { Err(refused(&format!("texts of {longest} tokens are too short"))) }
    }

    /// Tells models apart: all that their vectors depend on.
    pub fn digest(&self, longest: usize) -> String {
        let mut digest = Sha256::new();
        for part in [&self.weights, &self.tokenizer, &self.config] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.update((longest as u64).to_le_bytes());
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Shape {
    fn within_limits(&self) -> Result<(), MemoryError> {
        if self.model_type != "bert" {
            return Err(refused("config.json: model_type is not bert, and no other kind is read"));
        }
        let sizes = [
            ("hidden_size", self.hidden_size, 16..=1_024),
            ("vocab_size", self.vocab_size, 16..=300_000),
            ("num_hidden_layers", self.num_hidden_layers, 1..=24),
            ("num_attention_heads", self.num_attention_heads, 1..=64),
            ("intermediate_size", self.intermediate_size, 16..=8_192),
            ("max_position_embeddings", self.max_position_embeddings, 16..=8_192),
            ("type_vocab_size", self.type_vocab_size, 1..=16),
        ];
        if let Some((name, size, within)) = sizes.into_iter().find(|(_, size, within)| !within.contains(size)) {
            let (least, most) = within.into_inner();
            return Err(refused(&format!("config.json: {name} is {size}, and {least} to {most} is taken")));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(refused("config.json: hidden_size cannot be shared by its attention heads"));
        }
        Ok(())
    }
}

/// The files are not a model that can be used.
pub(super) fn refused(what: &str) -> MemoryError {
    MemoryError::Refused(format!("sentence model: {what}"))
}

fn bytes(folder: &Path, (name, most): (&str, u64)) -> Result<Vec<u8>, MemoryError> {
    let failed = |error: std::io::Error| refused(&format!("{name}: {error}"));
    let path = folder.join(name);
    // Asked before it is opened: what is no file may never end.
    let about = metadata(&path).map_err(failed)?;
    if !about.is_file() || about.len() > most {
        return Err(refused(&format!("{name}: not a file of at most {most} bytes")));
    }
    let mut read = Vec::with_capacity(usize::try_from(about.len()).unwrap_or_default());
    File::open(&path).map_err(failed)?.take(most + 1).read_to_end(&mut read).map_err(failed)?;
    let is_whole = read.len() as u64 <= most;
    if is_whole { Ok(read) } else { Err(refused(&format!("{name}: it grows while it is read"))) }
}

fn optional<T: DeserializeOwned>(folder: &Path, file: (&str, u64)) -> Result<Option<T>, MemoryError> {
    match folder.join(file.0).exists() {
        true => parsed(&bytes(folder, file)?, file.0).map(Some),
        false => Ok(None),
    }
}

fn parsed<T: DeserializeOwned>(json: &[u8], name: &str) -> Result<T, MemoryError> {
    serde_json::from_slice(json).map_err(|error| refused(&format!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use std::fs::write;

    use serde_json::{Value, json};

    use super::*;

    fn config() -> Value {
        json!({
            "model_type": "bert", "hidden_size": 384, "vocab_size": 30_522, "num_hidden_layers": 6,
            "num_attention_heads": 12, "intermediate_size": 1_536, "max_position_embeddings": 512, "type_vocab_size": 2,
        })
    }

    /// A folder with these files.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("1_Pooling")).expect("a folder");
        files.iter().for_each(|(name, text)| write(dir.path().join(name), text).expect("written"));
        dir
    }

    fn told(files: &[(&str, &str)]) -> String {
        Files::read(folder(files).path()).err().expect("refused").to_string()
    }

    fn whole(config: &str) -> Vec<(&str, &str)> {
        vec![("config.json", config), ("tokenizer.json", "{}"), ("model.safetensors", "w")]
    }

    #[test]
    fn a_missing_file_is_named() {
        let config = config().to_string();
        for missing in 0..3 {
            let mut files = whole(&config);
            let (name, _) = files.remove(missing);
            let told = told(&files);
            assert!(told.contains(name), "{name}: {told}");
        }
        let dir = folder(&whole(&config));
        std::fs::remove_file(dir.path().join("tokenizer.json")).expect("removed");
        std::fs::create_dir(dir.path().join("tokenizer.json")).expect("a folder");
        let told = Files::read(dir.path()).err().expect("refused").to_string();
        assert!(told.contains("tokenizer.json: not a file"), "{told}");
    }

    #[test]
    fn files_are_not_read_beyond_their_limits() {
        let dir = folder(&whole(&config().to_string()));
        let weights = File::create(dir.path().join("model.safetensors")).expect("a file");
        weights.set_len(WEIGHTS.1 + 1).expect("longer, without taking room");
        let told = Files::read(dir.path()).err().expect("refused").to_string();
        assert!(told.contains("model.safetensors: not a file of at most 167772160 bytes"), "{told}");
    }

    #[test]
    fn a_shape_out_of_bounds_is_named() {
        let changed = |name: &str, value: Value| {
            let mut config = config();
            config[name] = value;
            told(&whole(&config.to_string()))
        };
        let odd = [
            ("hidden_size", json!(4_096)),
            ("hidden_size", json!(380)),
            ("hidden_size", json!(-1)),
            ("num_attention_heads", json!(0)),
            ("num_hidden_layers", json!(1_000_000)),
            ("vocab_size", json!(u64::MAX)),
            ("intermediate_size", json!(1)),
            ("max_position_embeddings", json!(null)),
            ("type_vocab_size", json!(0)),
            ("model_type", json!("roberta")),
        ];
        for (name, value) in odd {
            let told = changed(name, value);
            assert!(told.starts_with("the memory is refused: sentence model: config.json: "), "{name}: {told}");
        }
        assert!(changed("num_hidden_layers", json!(25)).ends_with("num_hidden_layers is 25, and 1 to 24 is taken"));
    }

    #[test]
    fn another_pooling_is_refused() {
        let config = config().to_string();
        let mut files = whole(&config);
        files.push(("1_Pooling/config.json", r#"{"pooling_mode_mean_tokens": false}"#));
        assert!(told(&files).contains("not the mean"));
        files[3].1 = r#"{"pooling_mode_mean_tokens": true}"#;
        Files::read(folder(&files).path()).expect("the mean");
    }

    #[test]
    fn texts_are_cut_where_the_files_say() {
        let longest = |cut: Option<usize>, of_tokenizer: Option<usize>| {
            let config = config().to_string();
            let cut = cut.map(|cut| json!({"max_seq_length": cut}).to_string()).unwrap_or_default();
            let mut files = whole(&config);
            if !cut.is_empty() {
                files.push(("sentence_bert_config.json", &cut));
            }
            Files::read(folder(&files).path()).expect("files").longest(of_tokenizer).ok()
        };
        assert_eq!(longest(Some(256), Some(128)), Some(256));
        assert_eq!(longest(None, Some(128)), Some(128));
        assert_eq!(longest(None, None), Some(512));
        assert_eq!(longest(Some(usize::MAX), None), Some(512));
        assert_eq!(longest(Some(0), Some(128)), None);
    }

    #[test]
    fn whatever_changes_the_vectors_changes_the_digest() {
        let config = config().to_string();
        let digest =
            |files: &[(&str, &str)], longest| Files::read(folder(files).path()).expect("files").digest(longest);
        let plain = digest(&whole(&config), 128);
        assert_eq!((plain.len(), &digest(&whole(&config), 128)), (64, &plain));
        assert_ne!(digest(&whole(&config), 256), plain);
        let changed = format!("{config} ");
        for (at, text) in [(0, changed.as_str()), (1, "{ }"), (2, "v")] {
            let mut files = whole(&config);
            files[at].1 = text;
            assert_ne!(digest(&files, 128), plain, "{}", files[at].0);
        }
    }
}
