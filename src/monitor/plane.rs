//! The user plane of the demo, asked over its own HTTP: this server has no other way to it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use super::problem::Problem;

/// Faults that users may ask for.
const TYPES: [&str; 6] = ["500", "latency", "dependency", "memory", "bad-deploy", "retry-storm"];
/// One injection in this time.
const PAUSE: Duration = Duration::from_secs(10);

/// Where the marketplace answers.
pub struct DemoPlane {
    web: String,
    client: reqwest::Client,
    last: Mutex<Option<Instant>>,
}

impl DemoPlane {
    /// The plane whose web server has this base URL.
    pub fn new(web: String) -> Self {
        Self { web, client: sre_space_tls::client(), last: Mutex::default() }
    }

    /// Asks the marketplace to break.
    pub async fn inject(&self, kind: &str) -> Response {
        if !TYPES.contains(&kind) {
            let detail = format!("{kind:?} is no fault type: one of {}", TYPES.join(", "));
            return Problem::new(StatusCode::BAD_REQUEST, detail).into_response();
        }
        if let Some(wait) = self.pause() {
            let detail = format!("one fault in {} s: try again in {wait} s", PAUSE.as_secs());
            let refused = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
            return ([(header::RETRY_AFTER, wait.to_string())], refused).into_response();
        }
        self.forward(self.client.post(format!("{}/demo/inject-failure?type={kind}", self.web))).await
    }

    /// Asks the marketplace to mend itself.
    pub async fn resolve(&self) -> Response {
        self.forward(self.client.post(format!("{}/demo/resolve", self.web))).await
    }

    /// Asks for a quote, as a customer would.
    pub async fn quote(&self, user: &str) -> Response {
        self.forward(self.client.get(format!("{}/quote", self.web)).query(&[("user_id", user)])).await
    }

    /// Seconds still to wait; `None` when it is time, which then counts from now.
    fn pause(&self) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let left = last.and_then(|last| PAUSE.checked_sub(last.elapsed())).filter(|left| !left.is_zero());
        if left.is_none() {
            *last = Some(Instant::now());
        }
        left.map(|left| left.as_secs() + 1)
    }

    async fn forward(&self, request: reqwest::RequestBuilder) -> Response {
        let Ok(answer) = request.send().await else {
            return Problem::new(StatusCode::BAD_GATEWAY, "the marketplace does not answer").into_response();
        };
        let status = answer.status();
        let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
        let mut response = (status, answer.bytes().await.unwrap_or_default()).into_response();
        if let Some(kind) = kind {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        response
    }
}
