//! Sources of metrics. Every one of them only reads.

pub mod host;
