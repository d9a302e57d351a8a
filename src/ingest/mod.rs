//! Ears: OTLP traces, metrics and logs over gRPC and HTTP, bounded before they are decoded, published as plain OTLP bytes.
//!
//! Both doors lead to one path: who sends ([`tokens`]), is there room ([`admit`]), the body ([`body`]), its compression
//! ([`inflate`]), what is in it ([`decode`]), the bus. A sender hears "yes" only after the bus has it.

pub mod admit;
pub mod body;
pub mod decode;
pub mod grpc;
pub mod http;
pub mod inflate;
pub mod json;
pub mod refusal;
pub mod stats;
pub mod telemetry;
#[cfg(test)]
mod tests;
pub mod tokens;
mod wire;

use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use sre_space_ports::bus::{Bus, Message};
use tokio::time::Instant;

use self::admit::{Admission, Held};
use self::decode::{Counted, DecodeError};
use self::http::Format;
use self::inflate::Encoding;
use self::refusal::Refusal;
use self::stats::IngestStats;
use self::telemetry::Telemetry;
use self::tokens::IngestTokens;

/// Most bytes of one request, compressed or not.
pub const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Everything the receivers share.
pub struct Ears {
    /// Where accepted batches go.
    pub bus: Arc<dyn Bus>,
    /// Who may send.
    pub tokens: IngestTokens,
    /// How much is held and decoded at once.
    pub admission: Admission,
    /// The time, milliseconds since the Unix epoch.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Counts.
    pub stats: Arc<IngestStats>,
}

/// One request's body, as it was sent.
struct Sent {
    telemetry: Telemetry,
    source: String,
    encoding: Encoding,
    format: Format,
    bytes: Bytes,
}

impl Ears {
    /// Takes one body: inflated, checked, published, counted. Answers only after the bus has it.
    async fn take(&self, sent: Sent, mut held: Held<'_>) -> Result<Counted, Refusal> {
        let began = Instant::now();
        let _slot = self.admission.enter()?;
        let body = inflate::inflate(sent.encoding, sent.bytes, &mut held)?;
        let body = match sent.format {
            Format::Protobuf => body,
            Format::Json => {
                json::to_protobuf(sent.telemetry, &body).map_err(|error| Refusal::Malformed(error.to_string()))?
            }
        };
        let counted = self.publish(sent.telemetry, sent.source, body).await?;
        self.stats.took(began.elapsed());
        Ok(counted)
    }

    /// Hands the body on as it is: whoever reads it leaves out the same spans.
    async fn publish(&self, telemetry: Telemetry, source: String, body: Bytes) -> Result<Counted, Refusal> {
        let (counted, first) = look(telemetry, &body)
            .map_err(|error| Refusal::Malformed(format!("no {}: {error}", telemetry.request())))?;
        self.stats.rejected(telemetry, counted.rejected);
        let (received_ms, length) = ((self.now)(), body.len());
        match first {
            Some(key) => {
                let message = Message { key, source, received_ms, body };
                self.bus.publish(telemetry.topic(), message).await?;
            }
            // Partial success is for requests of which a part succeeded.
            None if counted.rejected > 0 => return Err(Refusal::Malformed(counted.reason.to_owned())),
            None => {}
        }
        self.stats.accepted(telemetry, &counted, length, received_ms);
        Ok(counted)
    }
}

/// What is in a body, and the key of the first usable item: the trace of a span, the service of anything else.
fn look(telemetry: Telemetry, body: &[u8]) -> Result<(Counted, Option<String>), DecodeError> {
    match telemetry {
        Telemetry::Traces => {
            let mut first = None;
            let counted = decode::spans(body, &mut |span| first = first.or(Some(span.trace_id)))?;
            Ok((counted, first.map(|trace| trace.to_string())))
        }
        Telemetry::Metrics => {
            let mut first = None;
            let counted = decode::points(body, &mut |point| first = first.or(Some(point.service)))?;
            Ok((counted, first.map(str::to_owned)))
        }
        Telemetry::Logs => {
            let mut first = None;
            let counted = decode::records(body, &mut |record| first = first.or(Some(record.service)))?;
            Ok((counted, first.map(str::to_owned)))
        }
    }
}

/// The reply of the protocol, the same bytes for each signal: with a partial success when items were left out.
fn reply(counted: &Counted) -> ExportTraceServiceResponse {
    let partial_success = (counted.rejected > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: i64::try_from(counted.rejected).unwrap_or(i64::MAX),
        error_message: counted.reason.to_owned(),
    });
    ExportTraceServiceResponse { partial_success }
}
