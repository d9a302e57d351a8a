//! HTTP between the services, instrumented on both sides.

use std::time::Instant;

use axum::Json;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{FutureExt as _, SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, global};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::telemetry;

/// Why a request fails, in the words of the service.
#[derive(Debug, Clone, Error)]
#[error("HTTP {}: {message}", status.as_u16())]
pub struct Failure {
    /// Status to answer with.
    pub status: StatusCode,
    /// Type for `exception.type`.
    pub kind: &'static str,
    /// What happened.
    pub message: String,
}

impl Failure {
    /// An internal error.
    pub fn internal(kind: &'static str, message: impl ToString) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, kind, message: message.to_string() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.to_string()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|key| key.as_str()).collect()
    }
}

/// A client that opens a connection a call. One that is built before the process has a TLS provider panics.
pub fn client() -> reqwest::ClientBuilder {
    // The error says that there is one already.
    _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().pool_max_idle_per_host(0)
}

struct Outgoing(Option<reqwest::RequestBuilder>);

impl Injector for Outgoing {
    fn set(&mut self, key: &str, value: String) {
        self.0 = self.0.take().map(|request| request.header(key, value));
    }
}

/// The server side: one SERVER span a request.
pub async fn traced(request: Request, next: Next) -> Response {
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Headers(request.headers())));
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let method = request.method().to_string();
    let attributes = vec![
        KeyValue::new("http.request.method", method.clone()),
        KeyValue::new("http.route", route.clone()),
        KeyValue::new("url.path", request.uri().path().to_owned()),
        KeyValue::new("url.scheme", "http"),
    ];
    let context = telemetry::span(format!("{method} {route}"), SpanKind::Server, &parent, attributes);
    let response = next.run(request).with_context(context.clone()).await;
    let status = response.status();
    context.span().set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    match response.extensions().get::<Failure>() {
        Some(failure) => telemetry::fail(&context, failure.kind, &failure.message),
        None if status.is_server_error() => {
            context.span().set_attribute(KeyValue::new("error.type", status.as_u16().to_string()));
            context.span().set_status(Status::error(""));
        }
        None => {}
    }
    telemetry::end(&context);
    response
}

/// The client side: one CLIENT span a call. A status of 400 or above is a failure that carries the callee's words.
pub async fn call<T: DeserializeOwned>(
    client: &reqwest::Client,
    method: reqwest::Method,
    url: &str,
    body: Option<&(impl Serialize + Sync)>,
) -> Result<T, Failure> {
    let parsed = reqwest::Url::parse(url).map_err(|error| Failure::internal("url::ParseError", error))?;
    let attributes = vec![
        KeyValue::new("http.request.method", method.to_string()),
        KeyValue::new("url.full", url.to_owned()),
        KeyValue::new("server.address", parsed.host_str().unwrap_or_default().to_owned()),
        KeyValue::new("server.port", i64::from(parsed.port().unwrap_or_default())),
    ];
    // No URL among a metric's attributes: each would be a stream of its own.
    let measured: Vec<KeyValue> =
        attributes.iter().filter(|attribute| attribute.key.as_str() != "url.full").cloned().collect();
    let context = telemetry::span(method.to_string(), SpanKind::Client, &Context::current(), attributes);
    let mut request = client.request(method, parsed);
    if let Some(body) = body {
        request = request.json(body);
    }
    let began = Instant::now();
    let outcome = send(request, &context).await;
    telemetry::called(began.elapsed(), &measured);
    if let Err(failure) = &outcome {
        let kind =
            if failure.kind == "upstream" { failure.status.as_u16().to_string() } else { failure.kind.to_owned() };
        context.span().set_attribute(KeyValue::new("error.type", kind));
        context.span().set_status(Status::error(""));
    }
    telemetry::end(&context);
    outcome
}

async fn send<T: DeserializeOwned>(request: reqwest::RequestBuilder, context: &Context) -> Result<T, Failure> {
    let mut outgoing = Outgoing(Some(request));
    global::get_text_map_propagator(|propagator| propagator.inject_context(context, &mut outgoing));
    let request = outgoing.0.ok_or_else(|| Failure::internal("reqwest::Error", "no request"))?;
    let response = request.send().await.map_err(|error| Failure::internal("reqwest::Error", error))?;
    let status = response.status();
    context.span().set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if status.is_client_error() || status.is_server_error() {
        let text = response.text().await.unwrap_or_default();
        let message = text.split_once(": ").map_or(text.as_str(), |(_, message)| message).to_owned();
        return Err(Failure { status, kind: "upstream", message });
    }
    response.json().await.map_err(|error| Failure::internal("reqwest::Error", error))
}

/// A JSON answer.
pub type Answer<T> = Result<Json<T>, Failure>;
