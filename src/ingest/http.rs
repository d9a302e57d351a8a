//! OTLP over HTTP: `POST /v1/traces`, `/v1/metrics` and `/v1/logs`, protobuf or JSON, gzip or zstd.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use prost::Message as _;

use super::decode::Counted;
use super::inflate::Encoding;
use super::refusal::Refusal;
use super::telemetry::Telemetry;
use super::{Ears, MOST_BYTES, Sent, body, reply};

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Binary protobuf.
    Protobuf,
    /// OTLP/JSON.
    Json,
}

impl Format {
    /// The content type of binary protobuf.
    pub const PROTOBUF: &'static str = "application/x-protobuf";
    const JSON: &'static str = "application/json";

    fn named(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        [(Self::PROTOBUF, Self::Protobuf), (Self::JSON, Self::Json)]
            .into_iter()
            .find_map(|(name, format)| essence.eq_ignore_ascii_case(name).then_some(format))
    }
}

/// The routes of the receiver.
pub fn router(ears: Arc<Ears>) -> Router {
    let mut router = Router::new();
    for telemetry in Telemetry::ALL {
        let take = async move |State(ears): State<Arc<Ears>>, request: Request| export(&ears, telemetry, request).await;
        router = router.route(telemetry.path(), post(take));
    }
    router.layer(DefaultBodyLimit::disable()).with_state(ears)
}

async fn export(ears: &Ears, telemetry: Telemetry, request: Request) -> Response {
    ears.stats.request();
    let content_type = text(request.headers(), header::CONTENT_TYPE).to_owned();
    let format = Format::named(&content_type);
    let taken = match format {
        Some(format) => accept(ears, telemetry, request, format).await,
        None => Err(Refusal::Media(content_type.chars().take(64).collect())),
    };
    match taken {
        Ok(counted) => answer(telemetry, &counted, format.unwrap_or(Format::Json)),
        Err(refusal) => {
            ears.stats.refused();
            refusal.into_http(format.unwrap_or(Format::Json))
        }
    }
}

async fn accept(ears: &Ears, telemetry: Telemetry, request: Request, format: Format) -> Result<Counted, Refusal> {
    let headers = request.headers();
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let source = ears.tokens.source(authorization).ok_or(Refusal::Unknown)?;
    let encoding = Encoding::named(text(headers, header::CONTENT_ENCODING))?;
    let mut held = ears.admission.account();
    let bytes = body::read(request.into_body(), MOST_BYTES, &mut held).await?;
    ears.take(Sent { telemetry, source, encoding, format, bytes }, held).await
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn answer(telemetry: Telemetry, counted: &Counted, format: Format) -> Response {
    match format {
        Format::Protobuf => {
            ([(header::CONTENT_TYPE, Format::PROTOBUF)], reply(counted).encode_to_vec()).into_response()
        }
        Format::Json => axum::Json(json(telemetry, counted)).into_response(),
    }
}

/// OTLP/JSON writes 64-bit numbers as text.
fn json(telemetry: Telemetry, counted: &Counted) -> serde_json::Value {
    if counted.rejected == 0 {
        return serde_json::json!({});
    }
    let (rejected, reason) = (counted.rejected.to_string(), counted.reason);
    serde_json::json!({ "partialSuccess": { telemetry.rejected(): rejected, "errorMessage": reason } })
}
