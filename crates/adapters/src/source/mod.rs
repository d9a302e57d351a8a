//! Sources of metrics: other people's monitoring, files, and this host. Every one of them only reads.

pub mod cloudwatch;
pub mod csv;
pub mod datadog;
mod gather;
pub mod host;
pub mod newrelic;
pub mod otlp;
pub mod prometheus;
mod wire;

pub use self::wire::Bounds;
