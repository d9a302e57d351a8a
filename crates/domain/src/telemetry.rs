//! Spans as the rest of the house sees them: borrowed views on the hot path, owned spans as evidence.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A W3C trace id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TraceId(pub [u8; 16]);

/// A W3C span id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SpanId(pub [u8; 8]);

macro_rules! hexadecimal {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}
hexadecimal!(TraceId);
hexadecimal!(SpanId);

/// A data point of a metric, borrowed from a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointView<'a> {
    /// `service.name` of its resource.
    pub service: &'a str,
    /// `vcs.ref.head.revision` of its resource, else `service.version`.
    pub revision: &'a str,
    /// `service.instance.id` of its resource: which process it speaks of.
    pub instance: &'a str,
    /// The metric's name.
    pub metric: &'a str,
    /// Its unit, in UCUM (`By`, `ms`, `1`).
    pub unit: &'a str,
    /// A digest of the attributes of its resource and of its own: points of one metric with different ones are of different series.
    pub series: u64,
    /// When it was taken, nanoseconds since the Unix epoch; 0: not said.
    pub at_ns: u64,
    /// What it says.
    pub value: PointValue,
}

/// What a data point says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PointValue {
    /// A gauge or a sum.
    Number(f64),
    /// A histogram or a summary.
    Distribution {
        /// Values recorded.
        count: u64,
        /// Their sum.
        sum: f64,
    },
    /// Explicitly nothing (the flag "no recorded value").
    Missing,
}

/// A log record, borrowed from a request. What it says is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogView<'a> {
    /// `service.name` of its resource.
    pub service: &'a str,
    /// When it happened, nanoseconds since the Unix epoch; 0: not said.
    pub at_ns: u64,
    /// `SeverityNumber`: 17 and above are errors; 0: not said.
    pub severity: u8,
}

/// The role of a span in a call (OpenTelemetry `SpanKind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// Work inside one process; also what an unset kind means.
    Internal,
    /// The callee's side of a synchronous call.
    Server,
    /// The caller's side of a synchronous call.
    Client,
    /// The sender's side of a message.
    Producer,
    /// The receiver's side of a message.
    Consumer,
}

impl SpanKind {
    /// Whether this span is where a service takes work in: what good and bad are counted on.
    pub fn is_entry(self) -> bool {
        matches!(self, Self::Server | Self::Consumer)
    }

    /// Whether this span hands work to somebody else.
    pub fn is_exit(self) -> bool {
        matches!(self, Self::Client | Self::Producer)
    }
}

/// One span, borrowed from the bytes it arrived in. Strings are empty when the attribute is absent.
#[derive(Debug, Clone, Copy)]
pub struct SpanView<'a> {
    /// Trace the span belongs to.
    pub trace_id: TraceId,
    /// The span itself.
    pub span_id: SpanId,
    /// Its parent, if it is not a root.
    pub parent_id: Option<SpanId>,
    /// `service.name` of the resource.
    pub service: &'a str,
    /// `vcs.ref.head.revision` of the resource, else `service.version`.
    pub revision: &'a str,
    /// Span name: the operation.
    pub name: &'a str,
    /// Role in the call.
    pub kind: SpanKind,
    /// Start, nanoseconds since the Unix epoch, by the sender's clock.
    pub start_ns: u64,
    /// End, nanoseconds since the Unix epoch, by the sender's clock.
    pub end_ns: u64,
    /// Status code ERROR, or the literal attribute `status_code=INTERNAL_ERROR`.
    pub status_error: bool,
    /// `http.response.status_code`.
    pub http_status: Option<u16>,
    /// `rpc.grpc.status_code`.
    pub grpc_status: Option<u8>,
    /// `error.type`.
    pub error_type: &'a str,
    /// Whether the span carries an `exception` event.
    pub has_exception: bool,
    /// `exception.type` of the last exception event.
    pub exception_type: &'a str,
    /// `exception.message` of the last exception event. Attacker-controlled text: shown escaped, never decided on.
    pub exception_message: &'a str,
    /// `server.address` (a client span's peer).
    pub peer_address: &'a str,
    /// `server.port`.
    pub peer_port: Option<u16>,
    /// `db.system.name` (or the older `db.system`); non-empty means a database call.
    pub db_system: &'a str,
}

impl SpanView<'_> {
    /// Whether the span failed: status ERROR, gRPC INTERNAL (13), HTTP >= 500, or an exception event.
    pub fn failed(&self) -> bool {
        self.status_error
            || self.has_exception
            || self.grpc_status == Some(13)
            || self.http_status.is_some_and(|status| status >= 500)
    }

    /// Duration in nanoseconds; a negative one (clock skew) counts as zero.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

/// One span kept as evidence: the owned form of [`SpanView`].
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Trace the span belongs to.
    pub trace_id: TraceId,
    /// The span itself.
    pub span_id: SpanId,
    /// Its parent, if it is not a root.
    pub parent_id: Option<SpanId>,
    /// `service.name`.
    pub service: String,
    /// Deployed revision.
    pub revision: String,
    /// Span name.
    pub name: String,
    /// Role in the call.
    pub kind: SpanKind,
    /// Start, nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// End, nanoseconds since the Unix epoch.
    pub end_ns: u64,
    /// Whether the span failed (see [`SpanView::failed`]).
    pub failed: bool,
    /// `http.response.status_code`.
    pub http_status: Option<u16>,
    /// `exception.type`, else `error.type`; empty when neither is there.
    pub error_type: String,
    /// `db.system.name`; non-empty means a database call.
    pub db_system: String,
}

impl Span {
    /// Duration in nanoseconds; a negative one counts as zero.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }

    /// Whether the span is bad for its service: failed, or slower than the objective (which itself is not slow).
    pub fn is_bad(&self, latency_objective_ns: u64) -> bool {
        self.failed || self.duration_ns() > latency_objective_ns
    }
}
