//! Sources of metrics: this host, a file, or somebody else's monitoring, read and never written.

use std::collections::BTreeSet;

use async_trait::async_trait;
use thiserror::Error;

/// Names that every source maps its own to: OpenTelemetry's semantic conventions, with the direction as a last part.
pub mod names {
    /// Share of all cores that is busy, 0.0..=1.0.
    pub const CPU: &str = "system.cpu.utilization";
    /// Memory in use, bytes.
    pub const MEMORY: &str = "system.memory.usage";
    /// Packets received since the host began.
    pub const RECEIVED: &str = "system.network.packet.count.receive";
    /// Packets sent since the host began.
    pub const SENT: &str = "system.network.packet.count.transmit";
    /// Packets received in a second, of sources that keep no count since the host began.
    pub const RECEIVED_RATE: &str = "system.network.packet.rate.receive";
    /// Packets sent in a second, of sources that keep no count since the host began.
    pub const SENT_RATE: &str = "system.network.packet.rate.transmit";
    /// All of them.
    pub const ALL: [&str; 6] = [CPU, MEMORY, RECEIVED, SENT, RECEIVED_RATE, SENT_RATE];
    /// Darshan's one metric, 0..=100: no vital sign of a host, but a load whose variance can be watched like one.
    pub const COHERENCE: &str = "coherenceScore";
}

/// One value that a source told.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Whose value it is; from the source's own tags where it has them.
    pub host: String,
    /// One of [`names`], or the source's own name where it has no equal there.
    pub metric: String,
    /// When it was measured, Unix ms.
    pub at_ms: i64,
    /// The value, in the metric's unit. Finite.
    pub value: f64,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// From here on, Unix ms.
    pub since_ms: i64,
    /// Up to here and not at it, Unix ms.
    pub until_ms: i64,
    /// Metrics, by [`names`] or the source's own; empty: those of [`names`] that it has.
    pub metrics: Vec<String>,
}

/// What a source told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// Ordered by time, then host, then metric; each (host, metric, moment) once, the last one told.
    pub readings: Vec<Reading>,
    /// Rows that could not be used, each with why; at most a hundred are named, all are counted.
    pub refused: Vec<String>,
    /// How many rows could not be used.
    pub refused_rows: usize,
}

/// Why a source told nothing.
#[derive(Debug, Error)]
pub enum SourceError {
    /// It cannot be reached, or answers with a fault of its own: asked again it may tell.
    #[error("{name} cannot be reached: {why}")]
    Unreachable {
        /// Which source.
        name: &'static str,
        /// In a person's words.
        why: String,
    },
    /// It refuses this question: a key, a right, a metric it does not have.
    #[error("{name} refuses: {why}")]
    Refused {
        /// Which source.
        name: &'static str,
        /// In a person's words, without secrets.
        why: String,
    },
    /// It answered what cannot be read.
    #[error("{name} answered what cannot be read: {why}")]
    Unreadable {
        /// Which source.
        name: &'static str,
        /// In a person's words.
        why: String,
    },
}

impl SourceError {
    /// Whether asking again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { .. } | Self::Unreadable { .. } => false,
        }
    }
}

/// A source of metrics. Reading changes nothing there.
#[async_trait]
pub trait Source: Send + Sync {
    /// Its name, as settings and reports spell it.
    fn name(&self) -> &'static str;

    /// What it has of what is wanted. A source without any answers an empty list: that nothing was measured is no error.
    async fn read(&self, wanted: &Wanted) -> Result<Told, SourceError>;

    /// How it is, in a sentence: what it has of the hour before `now_ms`, Unix ms.
    async fn look(&self, now_ms: i64) -> Result<String, SourceError> {
        let wanted = Wanted { since_ms: now_ms - 3_600_000, until_ms: now_ms, metrics: vec![] };
        let told = self.read(&wanted).await?;
        let different = |name: fn(&Reading) -> &String| told.readings.iter().map(name).collect::<BTreeSet<_>>().len();
        let (hosts, metrics) = (different(|reading| &reading.host), different(|reading| &reading.metric));
        let readings = told.readings.len();
        Ok(format!(
            "last hour: {readings} readings of {metrics} metrics from {hosts} hosts, {} refused",
            told.refused_rows
        ))
    }
}
