//! One question to somebody else's monitoring: bounded in time and size, with the breaker in front of it.
//!
//! Only [`Wire::get`] and [`Wire::ask`] make requests, so that nothing but a read can be sent.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use sre_space_domain::secret::Secret;
use sre_space_ports::source::SourceError;

use crate::answer;
use crate::upstream::{CallError, Upstream};

/// The longest pause that is kept because a source asked for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long a source is left alone that asks for a pause and does not say how long.
const USUAL_PAUSE: Duration = Duration::from_secs(30);
/// Characters of an answer that go into an error.
const QUOTED: usize = 300;

/// What one reading of a source may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long one answer is waited for.
    pub patience: Duration,
    /// Bytes of one answer, or of a file.
    pub bytes: usize,
    /// Readings in all.
    pub readings: usize,
    /// Questions in all: windows and pages.
    pub questions: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { patience: Duration::from_secs(20), bytes: 64 * 1024 * 1024, readings: 1_000_000, questions: 200 }
    }
}

/// A client of one source, and its breaker.
pub(super) struct Wire {
    client: Client,
    upstream: Arc<Upstream>,
    name: &'static str,
    secrets: Vec<Secret>,
    busy: &'static [&'static str],
    /// What one reading may take.
    pub(super) bounds: Bounds,
}

impl Wire {
    /// To the source of this name. Should an answer repeat one of the secrets, it is not passed on.
    pub(super) fn new(
        name: &'static str,
        upstream: Arc<Upstream>,
        bounds: Bounds,
        secrets: Vec<Secret>,
    ) -> Result<Self, reqwest::Error> {
        let client = sre_space_tls::http()
            .redirect(Policy::none())
            .connect_timeout(bounds.patience / 2)
            .timeout(bounds.patience)
            .user_agent(concat!("sre-space/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, upstream, name, secrets, busy: &[], bounds })
    }

    /// Words of a refusal that mean: not now.
    pub(super) fn busy(mut self, words: &'static [&'static str]) -> Self {
        self.busy = words;
        self
    }

    /// A GET.
    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    /// A question that its protocol wants as a POST.
    pub(super) fn ask(&self, url: Url, body: String) -> RequestBuilder {
        self.client.post(url).body(body)
    }

    /// Sends a question and reads its answer as JSON.
    pub(super) async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, SourceError> {
        match self.upstream.call(self.sent(request), SourceError::is_transient).await {
            Ok(answer) => Ok(answer),
            Err(CallError::Failed(error)) => Err(error),
            Err(CallError::Open { wait, why, .. }) => {
                Err(self.unreachable(format!("it is left alone for {} s more: {why}", wait.as_secs().max(1))))
            }
        }
    }

    async fn sent<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, SourceError> {
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.body(response).await?;
        if !status.is_success() {
            return Err(self.said_no(status, &headers, &body));
        }
        serde_json::from_slice(&body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            self.unreadable(format!("not the JSON that was asked for, at line {line}, column {column}"))
        })
    }

    async fn body(&self, response: Response) -> Result<Vec<u8>, SourceError> {
        let most = self.bounds.bytes;
        let body = answer::body(response, most).await.map_err(|error| self.broken(&error))?;
        if body.is_whole { Ok(body.bytes) } else { Err(self.unreadable(format!("more than {most} bytes"))) }
    }

    fn said_no(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> SourceError {
        let why = format!("{}: {}", status.as_u16(), self.quoted(&String::from_utf8_lossy(body)));
        if let Some(wait) = paused(status, headers) {
            self.upstream.pause(wait, &why);
            return self.unreachable(why);
        }
        let is_busy = self.busy.iter().any(|word| why.contains(word));
        let may_pass = is_busy || status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
        if may_pass { self.unreachable(why) } else { self.refused(why) }
    }

    /// The beginning of what the other side said, without control characters and our secrets.
    pub(super) fn quoted(&self, said: &str) -> String {
        let hidden = |text: String, secret: &Secret| match secret.bare() {
            "" => text,
            bare => text.replace(bare, "***"),
        };
        let said = self.secrets.iter().fold(said.to_owned(), hidden);
        said.chars().filter(|letter| !letter.is_control()).take(QUOTED).collect()
    }

    /// An error that says why it cannot be reached, without the address, which may hold a password.
    fn broken(&self, error: &reqwest::Error) -> SourceError {
        let why = match (error.is_timeout(), error.is_connect(), error.is_builder()) {
            (true, _, _) => "it did not answer in time",
            (false, true, _) => "no connection",
            (false, false, true) => return self.refused("its key cannot be sent in a header"),
            (false, false, false) => "the connection broke",
        };
        self.unreachable(why)
    }

    /// It may tell when asked again.
    pub(super) fn unreachable(&self, why: impl Into<String>) -> SourceError {
        SourceError::Unreachable { name: self.name, why: why.into() }
    }

    /// It will not tell.
    pub(super) fn refused(&self, why: impl Into<String>) -> SourceError {
        SourceError::Refused { name: self.name, why: why.into() }
    }

    /// It told what cannot be read.
    pub(super) fn unreadable(&self, why: impl Into<String>) -> SourceError {
        SourceError::Unreadable { name: self.name, why: why.into() }
    }
}

/// The pause that is asked for.
fn paused(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let is_busy = status == StatusCode::TOO_MANY_REQUESTS;
    let is_asked = is_busy || status == StatusCode::SERVICE_UNAVAILABLE;
    let said = answer::retry_after(headers, Timestamp::now());
    let wait = said.or(is_busy.then_some(USUAL_PAUSE)).filter(|_| is_asked)?;
    Some(wait.min(LONGEST_PAUSE))
}
