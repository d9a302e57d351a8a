//! OTLP over HTTP: `POST /v1/traces`, protobuf or JSON, gzip or zstd.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;

use super::decode::Counted;
use super::inflate::inflate;
use super::{Ears, MOST_BYTES, RETRY_AFTER_S, Refusal};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// The route of the receiver.
pub fn router(ears: Arc<Ears>) -> Router {
    Router::new().route("/v1/traces", post(export_traces)).layer(DefaultBodyLimit::disable()).with_state(ears)
}

async fn export_traces(State(ears): State<Arc<Ears>>, request: Request) -> Response {
    let is_json = header_text(request.headers(), header::CONTENT_TYPE).starts_with(JSON);
    match accept(&ears, request, is_json).await {
        Ok(counted) => answer(&counted, is_json),
        Err(refusal) => refuse(&refusal),
    }
}

async fn accept(ears: &Ears, request: Request, is_json: bool) -> Result<Counted, Refusal> {
    let headers = request.headers();
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let source = ears.tokens.source(authorization).ok_or(Refusal::Unknown)?;
    let content_type = header_text(headers, header::CONTENT_TYPE).to_owned();
    if !is_json && !content_type.starts_with(PROTOBUF) {
        return Err(Refusal::Unsupported(format!("content type {content_type:?}")));
    }
    let encoding = header_text(headers, header::CONTENT_ENCODING).to_owned();
    let Some(_room) = ears.admission.enter() else { return Err(ears.busy()) };
    let body = read(request.into_body()).await?;
    let body = inflate(&encoding, body)?;
    let body = if is_json { from_json(&body)? } else { body };
    ears.take(source, body).await
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    let collected = Limited::new(body, MOST_BYTES).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|_| Refusal::TooLarge)
}

/// OTLP/JSON becomes protobuf, so that one path follows. serde_json refuses more than 128 levels.
fn from_json(body: &[u8]) -> Result<Bytes, Refusal> {
    let request: ExportTraceServiceRequest =
        serde_json::from_slice(body).map_err(|error| Refusal::Malformed(error.to_string()))?;
    Ok(request.encode_to_vec().into())
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The reply of the protocol: with a partial success when spans were rejected.
pub(super) fn reply(counted: &Counted) -> ExportTraceServiceResponse {
    let partial_success = (counted.rejected > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: i64::try_from(counted.rejected).unwrap_or(i64::MAX),
        error_message: counted.reason.to_owned(),
    });
    ExportTraceServiceResponse { partial_success }
}

fn answer(counted: &Counted, is_json: bool) -> Response {
    let reply = reply(counted);
    if is_json {
        axum::Json(reply).into_response()
    } else {
        ([(header::CONTENT_TYPE, PROTOBUF)], reply.encode_to_vec()).into_response()
    }
}

fn refuse(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Unknown => StatusCode::UNAUTHORIZED,
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::Busy => StatusCode::TOO_MANY_REQUESTS,
    };
    let mut response = (status, refusal.to_string()).into_response();
    if matches!(refusal, Refusal::Busy) {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    }
    response
}
