//! The three signals of OTLP, and what each is called where.

use sre_space_ports::bus::Topic;

/// A signal of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telemetry {
    /// Spans.
    Traces,
    /// Data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Telemetry {
    /// All of them; the place of each is its number.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Where it is posted to over HTTP.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    /// The gRPC service that takes it; its one method is `Export`.
    pub const fn service(self) -> &'static str {
        match self {
            Self::Traces => "opentelemetry.proto.collector.trace.v1.TraceService",
            Self::Metrics => "opentelemetry.proto.collector.metrics.v1.MetricsService",
            Self::Logs => "opentelemetry.proto.collector.logs.v1.LogsService",
        }
    }

    /// The message that carries it.
    pub const fn request(self) -> &'static str {
        match self {
            Self::Traces => "ExportTraceServiceRequest",
            Self::Metrics => "ExportMetricsServiceRequest",
            Self::Logs => "ExportLogsServiceRequest",
        }
    }

    /// The field of a partial success, as OTLP/JSON writes it. In protobuf it is field 1 of each.
    pub const fn rejected(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Metrics => "rejectedDataPoints",
            Self::Logs => "rejectedLogRecords",
        }
    }

    /// The topic it travels on.
    pub const fn topic(self) -> Topic {
        match self {
            Self::Traces => Topic::Spans,
            Self::Metrics => Topic::Metrics,
            Self::Logs => Topic::Logs,
        }
    }
}
