//! Ears: OTLP traces over gRPC and HTTP, bounded before they are decoded, published as plain OTLP bytes.

pub mod admit;
pub mod decode;
pub mod grpc;
pub mod http;
pub mod inflate;
#[cfg(test)]
mod tests;
pub mod tokens;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use serde::Serialize;
use sre_space_ports::bus::{Bus, Message, Topic};
use thiserror::Error;

use self::admit::Admission;
use self::decode::Counted;
use self::tokens::IngestTokens;

/// Most bytes of one request, compressed or not.
pub const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Seconds after which a refused sender should try again.
pub const RETRY_AFTER_S: u64 = 1;

/// Everything the receivers share.
pub struct Ears {
    /// Where accepted batches go.
    pub bus: Arc<dyn Bus>,
    /// Who may send.
    pub tokens: IngestTokens,
    /// How much is decoded at once.
    pub admission: Admission,
    /// The time, milliseconds since the Unix epoch.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Counts.
    pub stats: Arc<IngestStats>,
}

/// What came in, since the start.
#[derive(Default)]
pub struct IngestStats {
    accepted: AtomicU64,
    rejected: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
    last_ms: AtomicI64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Spans accepted.
    pub accepted_spans: u64,
    /// Spans rejected as malformed.
    pub rejected_spans: u64,
    /// Requests refused for want of room.
    pub refused_requests: u64,
    /// Bytes accepted, decoded.
    pub bytes: u64,
    /// Last accepted request, milliseconds since the Unix epoch; 0: none yet.
    pub last_ingest_ms: i64,
}

impl IngestStats {
    /// The counts now.
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            accepted_spans: read(&self.accepted),
            rejected_spans: read(&self.rejected),
            refused_requests: read(&self.refused),
            bytes: read(&self.bytes),
            last_ingest_ms: self.last_ms.load(Ordering::Relaxed),
        }
    }
}

/// Why a request was not taken.
#[derive(Debug, Error)]
pub enum Refusal {
    /// No or an unknown ingest token.
    #[error("an ingest token is required: send `Authorization: Bearer TOKEN` with one of SRE_SPACE_INGEST_TOKENS")]
    Unknown,
    /// Not OTLP.
    #[error("the body is no ExportTraceServiceRequest: {0}")]
    Malformed(String),
    /// Over the bound.
    #[error("the body is larger than {MOST_BYTES} bytes when decoded")]
    TooLarge,
    /// An encoding or content type that is not spoken here.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// No room now.
    #[error("busy: try again in {RETRY_AFTER_S} s")]
    Busy,
}

impl Ears {
    /// Takes one decoded body: checked, published, counted. Answers only after the bus has it.
    pub async fn take(&self, source: String, body: Bytes) -> Result<Counted, Refusal> {
        let mut key = None;
        let counted = decode::spans(&body, &mut |span| key = key.or(Some(span.trace_id)))
            .map_err(|error| Refusal::Malformed(error.to_string()))?;
        let now_ms = (self.now)();
        let length = body.len() as u64;
        if let Some(trace) = key {
            let message = Message { key: trace.to_string(), source, received_ms: now_ms, body };
            if self.bus.publish(Topic::Spans, message).await.is_err() {
                self.stats.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Refusal::Busy);
            }
        }
        self.stats.accepted.fetch_add(counted.accepted, Ordering::Relaxed);
        self.stats.rejected.fetch_add(counted.rejected, Ordering::Relaxed);
        self.stats.bytes.fetch_add(length, Ordering::Relaxed);
        self.stats.last_ms.store(now_ms, Ordering::Relaxed);
        Ok(counted)
    }

    /// Counts a refusal that happened before decoding.
    fn busy(&self) -> Refusal {
        self.stats.refused.fetch_add(1, Ordering::Relaxed);
        Refusal::Busy
    }
}
