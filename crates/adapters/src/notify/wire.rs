//! One JSON request to a channel, bounded in time and size, with the breaker in front of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use sre_space_ports::notify::NotifyError;

use super::{PATIENCE, cut};
use crate::answer;
use crate::upstream::{CallError, Upstream};

/// Bytes that are read of an answer.
const MOST_BYTES: usize = 64 * 1024;
/// The longest pause that is kept because a channel asked for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long a channel is left alone that asks for a pause and does not say how long.
const USUAL_PAUSE: Duration = Duration::from_secs(30);
/// Characters of an answer that go into an error.
const QUOTED: usize = 300;

/// A client and the breaker of what it calls.
pub struct Wire {
    client: Client,
    upstream: Arc<Upstream>,
    secret: String,
}

/// What came back.
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, as text.
    pub body: String,
}

impl Answer {
    /// The beginning of the body, for an error.
    pub fn quoted(&self) -> String {
        let printable: String = self.body.chars().filter(|c| !c.is_control()).collect();
        cut(&format!("{}: {printable}", self.status.as_u16()), QUOTED)
    }
}

impl Wire {
    /// A wire to one upstream; should an answer repeat the secret, it is not passed on.
    pub fn new(upstream: Arc<Upstream>, secret: &str) -> Result<Self, reqwest::Error> {
        let client = sre_space_tls::http()
            .redirect(Policy::none())
            .connect_timeout(PATIENCE / 2)
            .timeout(PATIENCE)
            .user_agent(concat!("sre-space/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, upstream, secret: secret.to_owned() })
    }

    /// The client, to make a request with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Leaves the upstream alone for a while, at its own wish.
    pub fn pause(&self, wait: Duration, why: &str) {
        self.upstream.pause(wait, why);
    }

    /// Sends a request. Answers of 429, 408 and from 500 on are failures of the other side; all others are for the caller to
    /// judge.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, NotifyError> {
        self.guard(async move {
            let response = request.send().await.map_err(|error| unreachable(&error))?;
            let pause = paused(&response);
            let mut answer = read(response).await?;
            answer.body = masked(answer.body, &self.secret);
            match (pause, answer.status) {
                (Some(wait), _) => {
                    let why = answer.quoted();
                    self.pause(wait, &why);
                    Err(NotifyError::Later { wait, why })
                }
                (None, status) if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                    Err(NotifyError::Unreachable(answer.quoted()))
                }
                (None, _) => Ok(answer),
            }
        })
        .await
    }

    /// Anything else that may fail, behind the same breaker.
    pub async fn guard<T>(&self, work: impl Future<Output = Result<T, NotifyError>>) -> Result<T, NotifyError> {
        guard(&self.upstream, work).await
    }
}

/// Work behind a breaker.
pub async fn guard<T>(
    upstream: &Upstream,
    work: impl Future<Output = Result<T, NotifyError>>,
) -> Result<T, NotifyError> {
    match upstream.call(work, NotifyError::is_transient).await {
        Ok(done) => Ok(done),
        Err(CallError::Failed(error)) => Err(error),
        Err(CallError::Open { wait, why, .. }) => Err(NotifyError::Later { wait, why }),
    }
}

fn masked(body: String, secret: &str) -> String {
    if secret.is_empty() || !body.contains(secret) { body } else { body.replace(secret, "***") }
}

/// The pause that is asked for, in whole seconds.
fn paused(response: &Response) -> Option<Duration> {
    let is_asked = matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let said = answer::retry_after(response.headers(), Timestamp::now());
    let is_busy = response.status() == StatusCode::TOO_MANY_REQUESTS;
    let wait = said.or(is_busy.then_some(USUAL_PAUSE)).filter(|_| is_asked)?;
    Some(wait.min(LONGEST_PAUSE))
}

async fn read(response: Response) -> Result<Answer, NotifyError> {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = answer::body(response, MOST_BYTES).await.map_err(|error| unreachable(&error))?;
    Ok(Answer { status, headers, body: String::from_utf8_lossy(&body.bytes).into_owned() })
}

/// Why nothing came back, without the address, which may be a secret.
fn unreachable(error: &reqwest::Error) -> NotifyError {
    let why = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "it did not answer in time",
        (false, true) => "no connection",
        (false, false) => "the connection broke",
    };
    NotifyError::Unreachable(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn an_answer_that_repeats_the_secret_does_not_tell_it() {
        let table = [
            ("Bearer xoxb-1 is unknown, xoxb-1!", "xoxb-1", "Bearer *** is unknown, ***!"),
            ("fine", "xoxb-1", "fine"),
            ("fine", "", "fine"),
        ];
        for (body, secret, expected) in table {
            assert_eq!(masked(body.to_owned(), secret), expected);
        }
    }
}
