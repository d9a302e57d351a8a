//! The bus: keyed publish, delivery at least once, acknowledge after processing.

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use thiserror::Error;

/// Where a message goes. The names are contract.md's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Plain OTLP `ExportTraceServiceRequest` bytes.
    Spans,
    /// Plain OTLP `ExportMetricsServiceRequest` bytes.
    Metrics,
    /// Plain OTLP `ExportLogsServiceRequest` bytes.
    Logs,
    /// AnomalyEvents as JSON, keyed by service.
    Signals,
    /// Incident updates as JSON, keyed by incident.
    Incidents,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Spans, Self::Metrics, Self::Logs, Self::Signals, Self::Incidents];

    /// The topic's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spans => "otlp_spans",
            Self::Metrics => "otlp_metrics",
            Self::Logs => "otlp_logs",
            Self::Signals => "sre.signals",
            Self::Incidents => "sre.incidents",
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Messages of one key keep their order.
    pub key: String,
    /// Name of the ingest token that brought it (empty: none); travels as a header.
    pub source: String,
    /// Receive time, milliseconds since the Unix epoch; travels as a header.
    pub received_ms: i64,
    /// The payload.
    pub body: Bytes,
}

/// A message and the receipt to acknowledge it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Names this delivery to [`Feed::acknowledge`].
    pub receipt: u64,
}

/// Why the bus did not do it.
#[derive(Debug, Error)]
pub enum BusError {
    /// The queue is at its bound; try again later.
    #[error("the {0} queue is full")]
    Full(&'static str),
    /// The bus is closed.
    #[error("the bus is closed")]
    Closed,
    /// The server behind it does not answer, or refuses.
    #[error("the bus cannot be reached: {0}")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// More than the bus ever carries in one message.
    #[error("a message of {0} bytes is more than the bus carries")]
    TooLarge(usize),
}

impl BusError {
    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Full(_) | Self::Unreachable(_) => true,
            Self::Closed | Self::TooLarge(_) => false,
        }
    }
}

/// What is known of a bus without asking it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BusStatus {
    /// `local` or `redis`.
    pub backend: &'static str,
    /// Messages accepted that the server behind it does not have yet.
    pub held: usize,
    /// What is wrong, in one sentence.
    pub trouble: Option<String>,
}

impl BusStatus {
    /// Whether what is sent does not arrive at present: silence says nothing then.
    pub fn is_away(&self) -> bool {
        self.held > 0 && self.trouble.is_some()
    }
}

/// Carries messages between the rooms.
///
/// Promise: a published message is delivered to every group at least once; messages of one key arrive in order; what is
/// not acknowledged when a feed is dropped is delivered again to the group's next feed. Queues are bounded: a full one
/// refuses with [`BusError::Full`] and never blocks the publisher. A message that was delivered five times in vain is set
/// aside.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Publishes one message to every group subscribed to the topic.
    async fn publish(&self, topic: Topic, message: Message) -> Result<(), BusError>;
    /// Whether messages can be published now, as far as the bus itself is concerned.
    async fn health(&self) -> Result<(), BusError>;
    /// What is known of it without asking.
    fn status(&self) -> BusStatus;
    /// What has to go on beside publishing, such as publishing what was held back. Never ends by itself.
    async fn tend(&self) {
        std::future::pending().await
    }
    /// Joins a group. Messages published after the group's first subscription are kept for it.
    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Feed>, BusError>;
}

/// A group's stream of messages.
#[async_trait]
pub trait Feed: Send {
    /// The next message; `None` when the bus is closed and drained.
    async fn next(&mut self) -> Option<Delivery>;
    /// Says that a delivery was processed and must not come again.
    async fn acknowledge(&mut self, receipt: u64) -> Result<(), BusError>;
}
