//! A model behind an interface like OpenAI's: OpenAI itself, Ollama, vLLM, llama.cpp and many others.
//!
//! Requests are async-openai's types. Its client is not used: it reads answers without a bound and tries again on its own, while
//! here whoever pays decides about each try.

mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use sre_space_ports::llm::{Answer, Llm, LlmError, Question};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use self::wire::{Dialect, LADDER};
use crate::answer;
use crate::upstream::{CallError, Upstream};

/// A call that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// A connection that takes longer is none.
const CONNECTING: Duration = Duration::from_secs(5);
/// So long a question waits for its turn.
const TURN: Duration = Duration::from_secs(20);
/// Most bytes of an answer with its envelope, and of the head of an error.
const MOST_BYTES: usize = 192 * 1024;
const MOST_ERROR_BYTES: usize = 8 * 1024;
/// The longest pause a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Where a model is, and how it is asked.
pub struct Terms {
    /// Up to and with the version, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// Bearer key; local servers need none.
    pub key: Option<String>,
    /// The model.
    pub model: String,
    /// Questions that may be out at once; `None`: any number.
    pub concurrency: Option<usize>,
}

/// Why there was no answer, as far as one request knows.
enum Trouble {
    /// For whoever asked.
    For(LlmError),
    /// The server may not know how the form of the answer is asked for.
    Form(u16),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::For(error) => error.fmt(f),
            Self::Form(status) => write!(f, "it refuses the form of the question with {status}"),
        }
    }
}

/// A model behind such a server.
pub struct OpenAi {
    http: Client,
    terms: Terms,
    upstream: Arc<Upstream>,
    turns: Option<Semaphore>,
    /// The dialect of the ladder that the server was found to know.
    rung: AtomicUsize,
    patience: Duration,
}

impl OpenAi {
    /// A client with its own connections and breaker; nothing is asked yet.
    ///
    /// # Errors
    /// When no client can be built.
    pub fn new(terms: Terms) -> Result<Self, reqwest::Error> {
        let http = sre_space_tls::http().redirect(Policy::none()).connect_timeout(CONNECTING).build()?;
        let turns = terms.concurrency.map(Semaphore::new);
        let upstream = Upstream::new("model");
        Ok(Self { http, terms, upstream, turns, rung: AtomicUsize::default(), patience: PATIENCE })
    }

    /// The same with less patience, for tests.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Its breaker.
    pub fn upstream(&self) -> Arc<Upstream> {
        Arc::clone(&self.upstream)
    }

    /// The models the server lists, to look at; `None` when it lists none.
    ///
    /// # Errors
    /// When it cannot be reached or does not take the key.
    pub async fn models(&self) -> Result<Option<Vec<String>>, LlmError> {
        let asked = async {
            let response = self.sent(self.http.get(self.url("/models"))).await?;
            match response.status() {
                StatusCode::OK => Ok(wire::models(&body(response, MOST_BYTES).await?)),
                StatusCode::NOT_FOUND => Ok(None),
                status => Err(wire::refused(status.as_u16(), None)),
            }
        };
        timeout(self.patience, asked).await.unwrap_or(Err(LlmError::Slow(self.patience)))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.terms.base_url.trim_end_matches('/'))
    }

    async fn turn(&self) -> Result<Option<SemaphorePermit<'_>>, LlmError> {
        let Some(turns) = &self.turns else { return Ok(None) };
        match timeout(TURN, turns.acquire()).await {
            Ok(Ok(turn)) => Ok(Some(turn)),
            Ok(Err(_)) | Err(_) => Err(LlmError::Busy),
        }
    }

    /// One request in one dialect, through the breaker.
    async fn once(&self, question: &Question, dialect: Dialect) -> Result<Answer, Trouble> {
        let asked = async {
            let answered = timeout(self.patience, self.answered(question, dialect)).await;
            answered.unwrap_or(Err(Trouble::For(LlmError::Slow(self.patience))))
        };
        let is_fault = |trouble: &Trouble| matches!(trouble, Trouble::For(error) if error.is_transient());
        match self.upstream.call(asked, is_fault).await {
            Ok(answer) => Ok(answer),
            Err(CallError::Failed(trouble)) => Err(trouble),
            Err(open @ CallError::Open { .. }) => Err(Trouble::For(LlmError::Resting(open.to_string()))),
        }
    }

    async fn answered(&self, question: &Question, dialect: Dialect) -> Result<Answer, Trouble> {
        let request = wire::request(question, &self.terms.model, dialect);
        let request = self.http.post(self.url("/chat/completions")).json(&request);
        let response = self.sent(request).await.map_err(Trouble::For)?;
        if response.status().is_success() {
            let body = body(response, MOST_BYTES).await.map_err(Trouble::For)?;
            return wire::answer(&body).map_err(Trouble::For);
        }
        Err(self.not_answered(response, dialect).await)
    }

    async fn sent(&self, request: RequestBuilder) -> Result<Response, LlmError> {
        let request = match &self.terms.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        request.send().await.map_err(|error| wire::unsent(&error))
    }

    async fn not_answered(&self, response: Response, dialect: Dialect) -> Trouble {
        let status = response.status().as_u16();
        let wait = answer::retry_after(response.headers(), Timestamp::now());
        if let Some(wait) = wait.filter(|_| wire::is_for_later(status)) {
            self.upstream.pause(wait.min(LONGEST_PAUSE), "it wants to be asked later");
        }
        let said = answer::body(response, MOST_ERROR_BYTES).await.map(|said| said.bytes).unwrap_or_default();
        match dialect {
            Dialect::Schema | Dialect::Bound if wire::is_about_form(status, &said) => Trouble::Form(status),
            Dialect::Schema | Dialect::Bound | Dialect::Object => Trouble::For(wire::refused(status, wait)),
        }
    }
}

#[async_trait]
impl Llm for OpenAi {
    fn name(&self) -> &str {
        &self.terms.model
    }

    async fn ask(&self, question: &Question) -> Result<Answer, LlmError> {
        let _turn = self.turn().await?;
        let mut refused = StatusCode::BAD_REQUEST.as_u16();
        for (rung, dialect) in LADDER.into_iter().enumerate().skip(self.rung.load(Ordering::Relaxed)) {
            match self.once(question, dialect).await {
                Ok(answer) => {
                    self.rung.store(rung, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(Trouble::For(error)) => return Err(error),
                Err(Trouble::Form(status)) => refused = status,
            }
        }
        Err(wire::refused(refused, None))
    }
}

/// The body up to a length; a longer one is no answer.
async fn body(response: Response, most: usize) -> Result<Vec<u8>, LlmError> {
    let body = answer::body(response, most).await.map_err(|_| LlmError::CutOff)?;
    if body.is_whole { Ok(body.bytes) } else { Err(LlmError::Garbled("it is too long")) }
}
