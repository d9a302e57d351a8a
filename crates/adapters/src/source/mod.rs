//! Sources of metrics: other people's monitoring, and files. Every one of them only reads.

pub mod cloudwatch;
pub mod csv;
pub mod datadog;
mod gather;
pub mod newrelic;
pub mod otlp;
pub mod prometheus;
mod wire;

pub use self::wire::Bounds;
