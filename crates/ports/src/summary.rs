//! Summaries of signals: what Darshan's `/signals/summary` tells, read and never written.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use sre_space_coherence::window::Window;

use crate::source::SourceError;

/// One summary, normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// Which signal; `None` where the row names none.
    pub signal: Option<Arc<str>>,
    /// Its coherence, by Darshan's own scale (0 to 100). Finite.
    pub coherence_score: f64,
    /// How many agents are in which state.
    pub agent_states: Box<[(Arc<str>, f64)]>,
    /// How many events were summed up; `None` where the row does not say.
    pub event_count: Option<u64>,
}

/// What it took to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Effort {
    /// Pages that came whole.
    pub pages: u64,
    /// Requests that were sent, the first of each page included.
    pub attempts: u64,
    /// Requests that were sent again after a failure.
    pub retries: u64,
}

/// The newest summaries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latest {
    /// The end of the window: now, or for a recording its newest record.
    pub until: Timestamp,
    /// Ordered by time, then signal; each (signal, moment) once, the last one told. It may hold records outside the window.
    pub records: Arc<[Record]>,
    /// Rows that could not be used, each with why; at most a hundred are named.
    pub refused: Arc<[String]>,
    /// How many rows could not be used.
    pub refused_rows: u64,
    /// What it took.
    pub effort: Effort,
}

impl Latest {
    /// The records of a window: after its beginning, and up to its end.
    pub fn within(&self, window: Window) -> &[Record] {
        let since = window.before(self.until);
        let from = self.records.partition_point(|record| record.at <= since);
        let until = self.records.partition_point(|record| record.at <= self.until).max(from);
        &self.records[from..until]
    }
}

/// Who asks, and for when.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// How far back.
    pub window: Window,
    /// Now.
    pub now: Timestamp,
    /// The request this is for, passed on to whoever is asked.
    pub request_id: &'a str,
}

/// A source of summaries. Reading changes nothing there.
#[async_trait]
pub trait Summaries: Send + Sync {
    /// Its name in reports: `darshan_api` or `mock`.
    fn name(&self) -> &'static str;

    /// What it has of the newest window. A source without any answers none: that nothing was measured is no error.
    async fn latest(&self, asking: Asking<'_>) -> Result<Latest, SourceError>;

    /// What was read since the start, whatever came of it.
    fn effort(&self) -> Effort;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a moment")
    }

    #[test]
    fn a_window_holds_its_end_and_not_its_beginning() {
        let record = |at: i64| Record {
            at: second(at),
            signal: None,
            coherence_score: 1.0,
            agent_states: [].into(),
            event_count: None,
        };
        let records: Arc<[Record]> = [-1, 0, 1, 999, 1_000, 1_001].map(record).into();
        let held = |until: i64, window: &str| -> Vec<i64> {
            let latest = Latest { until: second(until), records: Arc::clone(&records), ..Latest::default() };
            let window = window.parse().expect("a window");
            latest.within(window).iter().map(|record| record.at.as_second()).collect()
        };
        assert_eq!(held(1_000, "1000s"), [1, 999, 1_000]);
        assert_eq!(held(1_000, "1s"), [1_000]);
        assert_eq!(held(500, "10s"), Vec::<i64>::new());
        assert_eq!(held(1_001, "1h"), [-1, 0, 1, 999, 1_000, 1_001]);
    }
}
