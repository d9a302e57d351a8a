//! Vectors of an OpenAI-compatible endpoint: `POST {base}/embeddings`.
//!
//! The wire types are async-openai's; the request is our own, since that client reads an answer to its end whatever its size and
//! goes on by itself for minutes when it is told to wait.

use std::sync::Arc;
use std::time::Duration;

use async_openai::types::embeddings::{CreateEmbeddingRequest, CreateEmbeddingResponse, EmbeddingInput};
use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use sre_space_ports::memory::MemoryError;
use thiserror::Error;

use super::embedder::{Embedder, Kind, unit};
use crate::answer;
use crate::upstream::{CallError, Upstream};

/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(20);
/// Texts of one request.
const BATCH: usize = 64;
/// Characters of one text that are sent.
const LONGEST: usize = 4_000;
/// An answer is at most this long: 64 vectors of 4,096 numbers as text.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Numbers of one vector.
const MOST_NUMBERS: usize = 4_096;
/// How long it is left alone when it says to wait and not how long.
const PAUSE: Duration = Duration::from_secs(30);
/// And at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Where the endpoint is.
#[derive(Clone)]
pub struct Endpoint {
    /// Base URL, without `/embeddings`.
    pub base_url: String,
    /// Key, where one is wanted.
    pub api_key: Option<String>,
    /// Model.
    pub model: String,
}

/// Without the URL, which may hold a password.
impl From<reqwest::Error> for AskError {
    fn from(error: reqwest::Error) -> Self {
        Self::Unreachable(error.without_url())
    }
}

#[derive(Debug, Error)]
enum AskError {
    #[error("no answer: {0}")]
    Unreachable(reqwest::Error),
    #[error("it answered {0}")]
    Busy(StatusCode),
    #[error("it refuses with {0}")]
    No(StatusCode),
    #[error("its answer is not what was asked for: {0}")]
    Odd(&'static str),
}

/// An embedder behind an endpoint.
pub struct RemoteEmbedder {
    endpoint: Endpoint,
    client: Client,
    upstream: Arc<Upstream>,
    kind: Kind,
}

impl RemoteEmbedder {
    /// Asks the endpoint for one vector, to know how long they are.
    pub async fn connect(endpoint: Endpoint) -> Result<Self, MemoryError> {
        let client = sre_space_tls::http().redirect(Policy::none()).timeout(ANSWER).build();
        let client = client.map_err(|error| MemoryError::Backend(Box::new(error)))?;
        let kind = Kind { name: endpoint.model.clone(), dimension: 0 };
        let mut this = Self { endpoint, client, upstream: Upstream::new("embeddings"), kind };
        let first = this.asked(&["sre-space".to_owned()]).await?;
        this.kind.dimension = first.first().map_or(0, Vec::len);
        Ok(this)
    }

    /// Its breaker.
    pub fn upstream(&self) -> Arc<Upstream> {
        Arc::clone(&self.upstream)
    }

    async fn asked(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, MemoryError> {
        let is_fault = |error: &AskError| !matches!(error, AskError::No(_));
        match self.upstream.call(self.ask(texts), is_fault).await {
            Ok(vectors) => Ok(vectors),
            Err(CallError::Failed(error @ (AskError::No(_) | AskError::Odd(_)))) => {
                Err(MemoryError::Refused(format!("embeddings: {error}")))
            }
            Err(error) => Err(MemoryError::Backend(format!("embeddings: {error}").into())),
        }
    }

    async fn ask(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, AskError> {
        let url = format!("{}/embeddings", self.endpoint.base_url.trim_end_matches('/'));
        let bounded = texts.iter().map(|text| text.chars().take(LONGEST).collect()).collect();
        let body = CreateEmbeddingRequest {
            model: self.endpoint.model.clone(),
            input: EmbeddingInput::StringArray(bounded),
            ..CreateEmbeddingRequest::default()
        };
        let request = self.client.post(url).json(&body);
        let request = match &self.endpoint.api_key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let answer = request.send().await?;
        self.refused(&answer)?;
        let body = read(answer).await?;
        let parsed: CreateEmbeddingResponse =
            serde_json::from_slice(&body).map_err(|_| AskError::Odd("no such JSON"))?;
        self.vectors(parsed, texts.len())
    }

    fn refused(&self, answer: &Response) -> Result<(), AskError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            let told = answer::retry_after(answer.headers(), Timestamp::now());
            self.upstream.pause(told.unwrap_or(PAUSE).min(LONGEST_PAUSE), "too many requests");
        }
        let is_busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        Err(if is_busy { AskError::Busy(status) } else { AskError::No(status) })
    }

    fn vectors(&self, mut answer: CreateEmbeddingResponse, wanted: usize) -> Result<Vec<Vec<f32>>, AskError> {
        answer.data.sort_by_key(|one| one.index);
        let is_each = answer.data.iter().enumerate().all(|(at, one)| usize::try_from(one.index) == Ok(at));
        if !is_each || answer.data.len() != wanted {
            return Err(AskError::Odd("not one vector a text"));
        }
        let length = answer.data.first().map_or(0, |one| one.embedding.len());
        let known = self.kind.dimension;
        if !(1..=MOST_NUMBERS).contains(&length)
            || (known > 0 && length != known)
            || answer.data.iter().any(|one| one.embedding.len() != length)
        {
            return Err(AskError::Odd("vectors of another length"));
        }
        let vectors: Option<Vec<_>> = answer.data.into_iter().map(|one| unit(one.embedding)).collect();
        vectors.ok_or(AskError::Odd("a vector holds what is no number"))
    }
}

async fn read(answer: Response) -> Result<Vec<u8>, AskError> {
    let body = answer::body(answer, MOST_BYTES).await?;
    if body.is_whole { Ok(body.bytes) } else { Err(AskError::Odd("it is too long")) }
}

#[async_trait]
impl Embedder for RemoteEmbedder {
    fn kind(&self) -> &Kind {
        &self.kind
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, MemoryError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            vectors.extend(self.asked(batch).await?);
        }
        Ok(vectors)
    }
}
