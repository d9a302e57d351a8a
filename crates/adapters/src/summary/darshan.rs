//! Darshan's API: `GET {base}/signals/summary?start_ts&end_ts&page_size[&page]`, with a bearer token, page after page.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use sre_space_domain::breaker::Limits;
use sre_space_domain::secret::Secret;
use sre_space_ports::source::SourceError;
use sre_space_ports::summary::{Asking, Effort, Latest, Summaries};
use tokio::time::timeout;

use super::page::{Gathered, Rows};
use super::retry::{Failure, Retries, Tally, persistently};
use crate::answer;
use crate::upstream::{CallError, Upstream};

/// The name in settings, breakers and errors.
const NAME: &str = "darshan";
/// Bytes of one page.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Pages of one reading.
const MOST_PAGES: u64 = 1_000;
/// What a whole reading may take, with every page and every retry.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest pause that is kept because Darshan asked for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long it is left alone when it says that there were too many requests and not for how long.
const USUAL_PAUSE: Duration = Duration::from_secs(30);

/// How Darshan is reached.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Where `/signals/summary` is appended.
    pub base_url: String,
    /// Its bearer token.
    pub api_key: Option<Secret>,
    /// What one request may take.
    pub timeout: Duration,
    /// Rows of a page.
    pub page_size: u32,
    /// Tries after a failure that may pass.
    pub retries: Retries,
}

/// Darshan.
pub struct Darshan {
    connection: Connection,
    endpoint: Url,
    client: Client,
    upstream: Arc<Upstream>,
    tally: Tally,
}

impl Darshan {
    /// A client, and the breaker it asks before each request.
    pub fn new(connection: Connection) -> Result<Self, SourceError> {
        let refused = |why: &str| SourceError::Refused { name: NAME, why: why.to_owned() };
        let endpoint = format!("{}/signals/summary", connection.base_url.trim_end_matches('/'));
        let endpoint = endpoint.parse().map_err(|_| refused("DARSHAN_BASE_URL is no URL"))?;
        let client = sre_space_tls::http()
            .redirect(Policy::none())
            .timeout(connection.timeout)
            .user_agent(concat!("sre-space/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| refused("no HTTP client can be made"))?;
        // One reading that fails throughout is told to the end; the next one meets an open breaker.
        let limits = Limits::default();
        let failures = limits.failures.max(connection.retries.most.saturating_add(1));
        let upstream = Upstream::with(NAME, Limits { failures, ..limits });
        Ok(Self { connection, endpoint, client, upstream, tally: Tally::default() })
    }

    /// Its breaker.
    pub fn upstream(&self) -> Arc<Upstream> {
        Arc::clone(&self.upstream)
    }

    /// Everything from `since` to `until`, and what it took.
    async fn fetch(
        &self,
        (since, until): (Timestamp, Timestamp),
        request_id: &str,
    ) -> Result<(Gathered, Effort), SourceError> {
        let mut effort = Effort::default();
        let pages = self.pages((since, until), request_id, &mut effort);
        let told = match timeout(PATIENCE, pages).await {
            Ok(told) => told,
            Err(_) => Err(unreachable(format!("all its pages did not come within {} s", PATIENCE.as_secs()))),
        };
        self.tally.add(effort);
        Ok((told?.gathered(), effort))
    }

    async fn pages(
        &self,
        (since, until): (Timestamp, Timestamp),
        request_id: &str,
        effort: &mut Effort,
    ) -> Result<Rows, SourceError> {
        let mut asked = self.endpoint.clone();
        asked
            .query_pairs_mut()
            .append_pair("start_ts", &since.to_string())
            .append_pair("end_ts", &until.to_string())
            .append_pair("page_size", &self.connection.page_size.to_string());
        let (mut rows, mut cursor) = (Rows::default(), None::<String>);
        loop {
            let mut page = asked.clone();
            if let Some(cursor) = &cursor {
                page.query_pairs_mut().append_pair("page", cursor);
            }
            let body = persistently(self.connection.retries, effort, || self.once(page.clone(), request_id)).await?;
            effort.pages += 1;
            let next = rows.read(&body).map_err(unreadable)?;
            match next {
                None => return Ok(rows),
                Some(next) if Some(&next) == cursor.as_ref() => return Err(unreadable("next_page is this very page")),
                Some(_) if effort.pages >= MOST_PAGES => {
                    return Err(unreadable(format!(
                        "there are more than {MOST_PAGES} pages; ask for a shorter window"
                    )));
                }
                Some(next) => cursor = Some(next),
            }
        }
    }

    /// One request, behind the breaker.
    async fn once(&self, page: Url, request_id: &str) -> Result<Vec<u8>, Failure<SourceError>> {
        let is_fault = |Told(failure): &Told| match failure {
            Failure::Passing(..) => true,
            Failure::Lasting(error) | Failure::Unasked(error) => error.is_transient(),
        };
        match self.upstream.call(self.sent(page, request_id), is_fault).await {
            Ok(body) => Ok(body),
            Err(CallError::Failed(Told(failure))) => Err(failure),
            Err(CallError::Open { wait, why, .. }) => {
                let left = wait.as_secs().max(1);
                Err(Failure::Unasked(unreachable(format!("it is left alone for {left} s more: {why}"))))
            }
        }
    }

    async fn sent(&self, page: Url, request_id: &str) -> Result<Vec<u8>, Told> {
        let mut request = self.client.get(page).header(ACCEPT, "application/json").header("x-request-id", request_id);
        if let Some(key) = &self.connection.api_key {
            request = request.bearer_auth(key.bare());
        }
        let response = request.send().await.map_err(|error| broken(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if !status.is_success() {
            return Err(Told(self.said_no(status, &headers)));
        }
        body(response).await
    }

    /// Network errors and 5xx may pass; 4xx, and a redirection, would come again.
    fn said_no(&self, status: StatusCode, headers: &HeaderMap) -> Failure<SourceError> {
        let why = format!("it answered {}", status.as_u16());
        let wait = answer::retry_after(headers, Timestamp::now()).map(|wait| wait.min(LONGEST_PAUSE));
        if status.is_server_error() {
            return Failure::Passing(unreachable(why), wait.unwrap_or_default());
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.upstream.pause(wait.unwrap_or(USUAL_PAUSE), &why);
            return Failure::Lasting(unreachable(why));
        }
        let mend = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; mend DARSHAN_API_KEY",
            StatusCode::NOT_FOUND => "; mend DARSHAN_BASE_URL",
            _ => "",
        };
        Failure::Lasting(SourceError::Refused { name: NAME, why: format!("{why}{mend}") })
    }
}

#[async_trait]
impl Summaries for Darshan {
    fn name(&self) -> &'static str {
        "darshan_api"
    }

    async fn latest(&self, asking: Asking<'_>) -> Result<Latest, SourceError> {
        let bounds = (asking.window.before(asking.now), asking.now);
        let (Gathered { records, refused, refused_rows }, effort) = self.fetch(bounds, asking.request_id).await?;
        Ok(Latest { until: asking.now, records, refused, refused_rows, effort })
    }

    fn effort(&self) -> Effort {
        self.tally.effort()
    }
}

/// What came of a request, as the breaker is told it.
struct Told(Failure<SourceError>);

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Failure::Passing(error, _) | Failure::Lasting(error) | Failure::Unasked(error)) = &self.0;
        error.fmt(f)
    }
}

async fn body(response: Response) -> Result<Vec<u8>, Told> {
    let body = answer::body(response, MOST_BYTES).await.map_err(|error| broken(&error))?;
    let too_long = || Told(Failure::Lasting(unreadable(format!("a page of more than {MOST_BYTES} bytes"))));
    if body.is_whole { Ok(body.bytes) } else { Err(too_long()) }
}

/// Why nothing came, without the address, which may hold a password.
fn broken(error: &reqwest::Error) -> Told {
    let why = match (error.is_timeout(), error.is_connect(), error.is_builder()) {
        (true, _, _) => "it did not answer in time",
        (false, true, _) => "no connection",
        (false, false, true) => {
            let why = "DARSHAN_API_KEY cannot be sent in a header".to_owned();
            return Told(Failure::Lasting(SourceError::Refused { name: NAME, why }));
        }
        (false, false, false) => "the connection broke",
    };
    Told(Failure::Passing(unreachable(why), Duration::ZERO))
}

fn unreachable(why: impl Into<String>) -> SourceError {
    SourceError::Unreachable { name: NAME, why: why.into() }
}

fn unreadable(why: impl Into<String>) -> SourceError {
    SourceError::Unreadable { name: NAME, why: why.into() }
}
