//! What the last reports said, so that one report can tell of more than its moment.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::report::Flag;
use super::sense::{Condition, Sense};

/// Reports that are looked back on.
const REPORTS: usize = 10;
/// A sensor that goes on and off so often within them is flapping.
const CHANGES: usize = 3;
/// Vetoes of so many sensors within them are a cascade.
const KINDS: usize = 2;

/// The last reports, by which sensor vetoed, and since when each does.
#[derive(Debug, Default)]
pub(super) struct EventMemory {
    vetoed: VecDeque<[bool; 3]>,
    since_ms: [Option<i64>; 3],
}

impl EventMemory {
    /// Remembers this look, and tells each sensor that vetoes since when it does.
    pub(super) fn note(&mut self, now_ms: i64, senses: [Sense; 3], persist_ms: i64) -> [Sense; 3] {
        let vetoed = senses.each_ref().map(|sense| sense.condition == Condition::Veto);
        if self.vetoed.len() == REPORTS {
            self.vetoed.pop_front();
        }
        self.vetoed.push_back(vetoed);
        for (since, vetoes) in self.since_ms.iter_mut().zip(vetoed) {
            *since = vetoes.then(|| since.unwrap_or(now_ms));
        }
        let mut senses = senses;
        for (sense, since_ms) in senses.iter_mut().zip(self.since_ms) {
            sense.since = since_ms.and_then(|since_ms| Timestamp::from_millisecond(since_ms).ok());
            sense.persists = lasts(since_ms, now_ms, persist_ms);
        }
        senses
    }

    /// What these reports show together (S0-14, S0-15).
    pub(super) fn flags(&self, persist_ms: i64, now_ms: i64) -> Vec<Flag> {
        let changes = |sensor: usize| {
            let pairs = self.vetoed.iter().zip(self.vetoed.iter().skip(1));
            pairs.filter(|(before, after)| before[sensor] != after[sensor]).count()
        };
        let has_vetoed = |sensor: &usize| self.vetoed.iter().any(|report| report[*sensor]);
        let shown = [
            (Flag::Flapping, (0..3).any(|sensor| changes(sensor) >= CHANGES)),
            (Flag::Cascade, (0..3).filter(has_vetoed).count() >= KINDS),
            (Flag::Persistent, self.since_ms.iter().any(|since_ms| lasts(*since_ms, now_ms, persist_ms))),
        ];
        shown.into_iter().filter_map(|(flag, is_shown)| is_shown.then_some(flag)).collect()
    }
}

fn lasts(since_ms: Option<i64>, now_ms: i64, persist_ms: i64) -> bool {
    since_ms.is_some_and(|since| now_ms.saturating_sub(since) >= persist_ms)
}
