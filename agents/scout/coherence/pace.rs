//! How often something comes: exporters tell every second or every minute, and what is judged has to wait as long.

use std::collections::VecDeque;

/// Intervals that the median is of.
const KEPT: usize = 5;
/// Steps that are believed, milliseconds.
const SHORTEST_MS: i64 = 1_000;
const LONGEST_MS: i64 = 120_000;

/// The moments of one stream.
#[derive(Default)]
pub struct Pace {
    last_ms: Option<i64>,
    intervals: VecDeque<i64>,
}

impl Pace {
    /// Something came.
    pub fn take(&mut self, now_ms: i64) {
        if let Some(last_ms) = self.last_ms.replace(now_ms) {
            self.intervals.push_back(now_ms - last_ms);
        }
        if self.intervals.len() > KEPT {
            self.intervals.pop_front();
        }
    }

    /// Median of the last intervals, 1 s to 120 s; 1 s while there are none.
    pub fn step_ms(&self) -> i64 {
        self.median().unwrap_or(SHORTEST_MS)
    }

    /// Whether it came within so many steps; while the step is not known, the longest counts.
    pub fn is_within(&self, steps: i64, now_ms: i64) -> bool {
        self.last_ms.is_some_and(|last_ms| now_ms - last_ms <= steps * self.median().unwrap_or(LONGEST_MS))
    }

    fn median(&self) -> Option<i64> {
        let mut sorted: Vec<i64> = self.intervals.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).map(|median| (*median).clamp(SHORTEST_MS, LONGEST_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_the_median_and_one_gap_is_no_step() {
        let mut pace = Pace::default();
        assert_eq!((pace.step_ms(), pace.is_within(2, 5)), (1_000, false));
        pace.take(1);
        assert!(pace.is_within(2, 240_001) && !pace.is_within(2, 240_002), "the step is not known yet");
        [10_001, 20_001, 90_001, 100_001, 110_001].into_iter().for_each(|at| pace.take(at));
        assert_eq!(pace.step_ms(), 10_000);
        assert!(pace.is_within(2, 130_001) && !pace.is_within(2, 130_002));
        (0..10).for_each(|at| pace.take(200_000 + at));
        assert_eq!(pace.step_ms(), 1_000);
    }
}
