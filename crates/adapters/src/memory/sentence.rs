//! Vectors of a sentence model in this process: a small BERT over files that were put there beforehand, the mean of its tokens' vectors.
//!
//! Nothing is downloaded. One text at a time is worked on, on a thread that may block: a text takes milliseconds of all cores.

mod files;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use sre_space_ports::memory::MemoryError;
use tokenizers::{Tokenizer, TruncationParams};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use self::files::{Files, refused};
use super::embedder::{Embedder, Kind, unit};

/// Characters of one text that are looked at; more tokens than a model takes come of no more.
const LONGEST: usize = 8_000;
/// Digits of the files' digest that are part of the name.
const DIGITS: usize = 12;

/// A loaded model.
pub struct SentenceModel {
    kind: Kind,
    model: Arc<Mutex<Model>>,
}

struct Model {
    bert: BertModel,
    tokenizer: Tokenizer,
    dimension: usize,
}

impl SentenceModel {
    /// Loads the model of a folder with `model.safetensors`, `tokenizer.json` and `config.json`.
    ///
    /// # Errors
    /// [`MemoryError::Refused`] names the file and what is wrong with it.
    pub async fn open(folder: &Path) -> Result<Self, MemoryError> {
        let folder = folder.to_owned();
        let (kind, model) = blocking(move || load(&folder)).await?;
        Ok(Self { kind, model: Arc::new(Mutex::new(model)) })
    }

    async fn one(&self, text: &str) -> Result<Vec<f32>, MemoryError> {
        let bounded: String = text.chars().take(LONGEST).collect();
        let model = Arc::clone(&self.model).lock_owned().await;
        blocking(move || model.vector(bounded)).await
    }
}

async fn blocking<Done, Work>(work: Work) -> Result<Done, MemoryError>
where
    Done: Send + 'static,
    Work: FnOnce() -> Result<Done, MemoryError> + Send + 'static,
{
    spawn_blocking(work).await.map_err(|lost| refused(&lost.to_string()))?
}

fn load(folder: &Path) -> Result<(Kind, Model), MemoryError> {
    let files = Files::read(folder)?;
    let (tokenizer, longest) = tokenizer(&files)?;
    let config: Config = serde_json::from_slice(&files.config).map_err(|error| odd("config.json", &error))?;
    let dimension = files.shape.hidden_size;
    let name = format!("sentence-{}", files.digest(longest).get(..DIGITS).unwrap_or_default());
    let weights = VarBuilder::from_buffered_safetensors(files.weights, DType::F32, &Device::Cpu);
    let bert = weights.and_then(|weights| BertModel::load(weights, &config));
    let bert = bert.map_err(|error| odd("model.safetensors", &error))?;
    let model = Model { bert, tokenizer, dimension };
    // What cannot make a vector is found out now, and not at the first incident.
    model.vector("a lesson".to_owned())?;
    Ok((Kind { name, dimension }, model))
}

fn tokenizer(files: &Files) -> Result<(Tokenizer, usize), MemoryError> {
    let wrong = |error: tokenizers::Error| odd("tokenizer.json", error.as_ref());
    let mut tokenizer = Tokenizer::from_bytes(&files.tokenizer).map_err(wrong)?;
    let longest = files.longest(tokenizer.get_truncation().map(|told| told.max_length))?;
    // Padding would be taken for words by the mean, and costs as much time as they do.
    tokenizer.with_padding(None);
    let cut = TruncationParams { max_length: longest, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(cut)).map_err(wrong)?;
    Ok((tokenizer, longest))
}

/// Said of an error that is not ours, without its backtrace.
fn odd(file: &str, error: &(dyn std::error::Error + 'static)) -> MemoryError {
    let told = error.to_string();
    refused(&format!("{file}: {}", told.lines().next().unwrap_or_default()))
}

impl Model {
    fn vector(&self, text: String) -> Result<Vec<f32>, MemoryError> {
        let tokens = self.tokenizer.encode(text, true).map_err(|error| odd("tokenizer.json", error.as_ref()))?;
        if tokens.get_special_tokens_mask().iter().all(|special| *special == 1) {
            return Ok(vec![0.0; self.dimension]);
        }
        let mean = self.mean(tokens.get_ids()).map_err(|error| odd("model.safetensors", &error))?;
        let vector = unit(mean).filter(|vector| vector.len() == self.dimension);
        vector.ok_or_else(|| refused("model.safetensors: a vector holds what is no number"))
    }

    fn mean(&self, ids: &[u32]) -> candle_core::Result<Vec<f32>> {
        let ids = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
        let hidden = self.bert.forward(&ids, &ids.zeros_like()?, None)?;
        hidden.mean(1)?.squeeze(0)?.to_vec1()
    }
}

#[async_trait]
impl Embedder for SentenceModel {
    fn kind(&self) -> &Kind {
        &self.kind
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, MemoryError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            vectors.push(self.one(text).await?);
        }
        Ok(vectors)
    }
}
