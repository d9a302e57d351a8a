//! What was measured, into the tables: of each source from where it was last read.

use std::collections::BTreeMap;

use sre_space_ports::signals::{BATCH, Rows};
use sre_space_ports::source::{Reading, Source, SourceError, Wanted};
use sre_space_ports::store::StoreError;
use thiserror::Error;
use tokio::time::timeout;
use tracing::warn;

use super::patrol::{HOURS, PATIENCE, Patrol};

/// How far back a question reaches at most, ms.
const REACH_MS: i64 = HOURS as i64 * 3_600_000;
/// So much is read again, ms: some sources tell points minutes late. What is written twice is kept once.
const OVERLAP_MS: i64 = 15 * 60_000;
/// A question is about so much time at most, ms. After an answer that is too long it is about half as much.
const LONGEST_MS: i64 = 12 * 3_600_000;
/// And at least.
const SHORTEST_MS: i64 = 15 * 60_000;
/// Minutes that arrived and wait for tables that cannot be written.
const MOST_UNWRITTEN: usize = 100_000;

/// How far one question has come.
#[derive(Debug, PartialEq)]
struct Cursor {
    /// Everything before is in the tables, Unix ms.
    until_ms: i64,
    /// The next question is about so much time, ms.
    step_ms: i64,
    /// Whether it was refused, which is told once.
    is_refused: bool,
}

/// How far all have come.
#[derive(Default)]
pub(super) struct Cursors {
    /// By source and metric; no metric: the usual ones.
    of: BTreeMap<(usize, Option<String>), Cursor>,
    /// What arrived and is in no table yet.
    unwritten: Vec<Reading>,
}

#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("it does not answer")]
    Silent,
    #[error("what it told could not be kept: {0}")]
    Unkept(#[from] StoreError),
}

impl Failure {
    /// Whether the next question would fare no better.
    fn is_of_all(&self) -> bool {
        match self {
            Self::Source(error) => error.is_transient(),
            Self::Silent | Self::Unkept(_) => true,
        }
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Self::Source(SourceError::Refused { .. }))
    }

    fn is_unreadable(&self) -> bool {
        matches!(self, Self::Source(SourceError::Unreadable { .. }))
    }
}

impl Cursor {
    fn answered(&mut self, until_ms: i64) {
        let step_ms = self.step_ms.saturating_mul(2).min(LONGEST_MS);
        *self = Self { until_ms, step_ms, is_refused: false };
    }

    /// Nothing is passed over but what cannot be read however short it is, since nothing after it would be read either.
    fn failed(&mut self, failure: &Failure, until_ms: i64) {
        self.is_refused = failure.is_refusal();
        if failure.is_unreadable() && self.step_ms <= SHORTEST_MS {
            self.until_ms = until_ms;
        }
        self.step_ms = (self.step_ms / 2).max(SHORTEST_MS);
    }
}

impl Patrol {
    /// Reads what arrived and the sources: each for its usual metrics, then for each further one by itself, so that a name one of
    /// them refuses costs no other.
    pub(super) async fn gather(&self, cursors: &mut Cursors, now_ms: i64) {
        self.arrived(cursors, now_ms).await;
        for (at, source) in self.sources.iter().enumerate() {
            for metric in std::iter::once(None).chain(self.metrics.iter().map(Some)) {
                let start = || Cursor { until_ms: now_ms - REACH_MS, step_ms: LONGEST_MS, is_refused: false };
                let cursor = cursors.of.entry((at, metric.cloned())).or_insert_with(start);
                if !self.ask(source.as_ref(), metric, cursor, now_ms).await {
                    break;
                }
            }
        }
    }

    /// Writes what arrived as OTLP; what cannot be written waits for the next time.
    async fn arrived(&self, cursors: &mut Cursors, now_ms: i64) {
        let (readings, left_out) = self.levels.take(now_ms);
        if left_out > 0 {
            warn!(left_out, "points of metrics were left out: too many series, or a wrong clock");
        }
        cursors.unwritten.extend(readings);
        let lost = cursors.unwritten.len().saturating_sub(MOST_UNWRITTEN);
        if lost > 0 {
            warn!(lost, "what arrived long ago and could not be kept was dropped");
            cursors.unwritten.drain(..lost);
        }
        match self.write(&cursors.unwritten).await {
            Ok(()) => cursors.unwritten.clear(),
            Err(error) => warn!(%error, readings = cursors.unwritten.len(), "what arrived could not be kept yet"),
        }
    }

    /// Asks one question up to now, piece by piece; whether the source may be asked another.
    async fn ask(&self, source: &dyn Source, metric: Option<&String>, cursor: &mut Cursor, now_ms: i64) -> bool {
        cursor.until_ms = cursor.until_ms.max(now_ms - REACH_MS);
        while cursor.until_ms < now_ms {
            let until_ms = now_ms.min(cursor.until_ms + cursor.step_ms);
            let metrics = metric.cloned().into_iter().collect();
            let wanted = Wanted { since_ms: cursor.until_ms - OVERLAP_MS, until_ms, metrics };
            match self.read(source, &wanted).await {
                Ok(()) => cursor.answered(until_ms),
                Err(failure) => {
                    if !(cursor.is_refused && failure.is_refusal()) {
                        let source = source.name();
                        warn!(source, metric, error = %failure, "a source told nothing; asked again with the next look");
                    }
                    cursor.failed(&failure, until_ms);
                    return !failure.is_of_all();
                }
            }
        }
        true
    }

    async fn read(&self, source: &dyn Source, wanted: &Wanted) -> Result<(), Failure> {
        let told = timeout(PATIENCE, source.read(wanted)).await.map_err(|_| Failure::Silent)??;
        Ok(self.write(&told.readings).await?)
    }

    async fn write(&self, readings: &[Reading]) -> Result<(), StoreError> {
        for batch in readings.chunks(BATCH) {
            self.store.put(Rows::Metrics(batch)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
