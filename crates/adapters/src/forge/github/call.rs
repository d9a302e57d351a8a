//! One request to GitHub: as whom, at what pace, within what bounds, and what its answer means.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sre_space_domain::secret::Secret;
use sre_space_ports::forge::ForgeError;
use thiserror::Error;

use super::limits;
use super::wire::Refusal;

/// The largest answer that is read.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// What is kept of GitHub's own words.
const MAX_WORDS: usize = 300;

/// Why a request brought nothing.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    /// Unreachable or broken: trying again can help.
    #[error("{0}")]
    Away(String),
    /// Left alone, by its own wish or because it failed too often.
    #[error("{why}")]
    Resting {
        /// Which of them.
        why: String,
        /// How long it is left alone from now.
        wait: Duration,
    },
    /// It said no.
    #[error("GitHub answers {status}: {why}")]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// In its own words.
        why: String,
    },
    /// Already in the port's words.
    #[error(transparent)]
    Forge(#[from] ForgeError),
}

impl From<Trouble> for ForgeError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Away(why) => Self::unavailable(why),
            Trouble::Resting { why, wait } => Self::Unavailable { why, wait: Some(wait) },
            Trouble::Forge(error) => error,
            Trouble::Refused { status: StatusCode::NOT_FOUND | StatusCode::GONE, why } => Self::Missing(why),
            Trouble::Refused { status: status @ (StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED), why } => {
                Self::NotPermitted(format!("GitHub answers {}: {why}", status.as_u16()))
            }
            refused @ Trouble::Refused { .. } => Self::Conflict(refused.to_string()),
        }
    }
}

impl Trouble {
    /// The status of an answer that says no.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(status.as_u16()),
            Self::Away(_) | Self::Resting { .. } | Self::Forge(_) => None,
        }
    }
}

/// `None` where GitHub says that there is nothing.
pub(super) fn found<T>(asked: Result<T, Trouble>) -> Result<Option<T>, Trouble> {
    match asked {
        Err(trouble) if trouble.status() == Some(404) => Ok(None),
        asked => asked.map(Some),
    }
}

/// A request.
pub(super) struct Request {
    pub method: Method,
    /// From the root of the API.
    pub path: String,
    pub body: Option<Value>,
}

impl Request {
    pub(super) fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None }
    }

    pub(super) fn with(method: Method, path: String, body: Value) -> Self {
        Self { method, path, body: Some(body) }
    }
}

/// An answer as it came.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// What it holds, when it says yes.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Trouble> {
        if !self.status.is_success() {
            return Err(Trouble::Refused { status: self.status, why: self.words() });
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Trouble::Away(format!("an answer of GitHub cannot be read: {error}")))
    }

    /// How long it asks to be left alone.
    pub(super) fn limit(&self, now: Timestamp) -> Option<Duration> {
        let words = || self.words().to_lowercase();
        limits::wait(self.status, &self.headers, words, now)
    }

    /// A header, when it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn words(&self) -> String {
        let refusal: Refusal = serde_json::from_slice(&self.body).unwrap_or_default();
        let more = refusal.errors.iter().filter_map(|error| error["message"].as_str().or(error.as_str()));
        plain(&std::iter::once(refusal.message.as_str()).chain(more).collect::<Vec<_>>().join("; "))
    }
}

/// Somebody else's words: bounded, on one line.
pub(super) fn plain(words: &str) -> String {
    let one_line = words.split(char::is_control).next().unwrap_or_default();
    let mut kept: String = one_line.chars().take(MAX_WORDS).collect();
    if kept.len() < one_line.len() {
        kept.push('…');
    }
    kept
}

/// The client. It tries nothing again: that is done in one place, and not here.
pub(super) fn client(api_url: &str, patience: Duration) -> Result<Octocrab, String> {
    sre_space_tls::install();
    let built = Octocrab::builder()
        .base_uri(api_url.trim_end_matches('/'))
        .map(|builder| builder.add_retry_config(RetryConfig::None))
        .map(|builder| builder.set_connect_timeout(Some(patience)).set_read_timeout(Some(patience)))
        .and_then(|builder| builder.build());
    built.map_err(|error| plain(&error.to_string()))
}

/// Nothing that can be called an answer, and when the server says it is worth asking again.
#[derive(Debug)]
pub(super) struct Broken {
    why: String,
    pub wait: Option<Duration>,
}

impl From<String> for Broken {
    fn from(why: String) -> Self {
        Self { why, wait: None }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// Sends it and reads the whole answer. A server that is broken is an error; one that says no is an answer.
pub(super) async fn exchange(crab: &Octocrab, token: &Secret, request: &Request) -> Result<Answer, Broken> {
    let told = |error: octocrab::Error| plain(&error.to_string());
    let crab = crab.user_access_token(token.bare().to_owned()).map_err(told)?;
    let builder = http::Request::builder()
        .method(request.method.clone())
        .uri(&request.path)
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28");
    let built = crab.build_request(builder, request.body.as_ref()).map_err(told)?;
    let (parts, body) = crab.execute(built).await.map_err(told)?.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| plain(&error.to_string()))?.to_bytes();
    match parts.status.is_server_error() {
        true => {
            Err(Broken { why: format!("GitHub answers {}", parts.status.as_u16()), wait: limits::told(&parts.headers) })
        }
        false => Ok(Answer { status: parts.status, headers: parts.headers, body }),
    }
}
