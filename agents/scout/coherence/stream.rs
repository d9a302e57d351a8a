//! The memory of one process, as one source tells it.
//!
//! A point is bad when the process never used as much before, memory rose since the point before, the rise of the window is no
//! chance (Sen), and its slope and its change agree that it would reach the limit within the horizon at that pace. What collects
//! garbage rises too, as far as last time; what fills a cache rises too, slower and slower. Everything is counted in steps, the
//! time between two points: an exporter that tells every minute is judged in minutes. A leak is called one some fifteen points
//! after it began; a process that is young is not judged while its rise may still be a filling that has just begun.

use std::collections::VecDeque;

use sre_space_coherence::exhaustion::Exhaustion;
use sre_space_coherence::trend::{FEWEST, Line, Trend};
use sre_space_domain::signal::MemoryTrend;

use super::pace::Pace;

/// A trend that reaches the limit later than this is left to slower eyes: seconds, or steps where those are longer.
const HORIZON_S: f64 = 900.0;
const HORIZON_STEPS: f64 = 300.0;
/// A process that just began fills its pools: not looked at for so many steps.
const WARM_UP_STEPS: i64 = 4;
/// Points nearer to the one before are left out, milliseconds.
const EVERY_MS: i64 = 800;
/// A process that said nothing for so many steps has gone silent.
const SPEAKING_STEPS: i64 = 2;
/// Points of the window that a trend is taken from.
const WINDOW: usize = FEWEST + 2;
/// Points that say whether a rise slows down.
const LONG: usize = 36;
/// The last step has to rise at least this part of the pace that matters.
const STEP: f64 = 0.5;
/// A rise slows down when its second half is slower than this part of the first.
const SLOWER: f64 = 0.85;
/// In a young process only what became this many times faster is no filling that began with it.
const FASTER: f64 = 1.5;
const HOUR_S: f64 = 3_600.0;

/// What is known of it.
#[derive(Default)]
pub struct Stream {
    since_ms: i64,
    pace: Pace,
    at_ms: VecDeque<i64>,
    values: VecDeque<f64>,
    /// The most the process used so far, bytes.
    peak: f64,
    trend: Option<MemoryTrend>,
    is_rising: bool,
}

impl Stream {
    /// Of a process that is heard for the first time.
    pub fn since(now_ms: i64) -> Self {
        Self { since_ms: now_ms, ..Self::default() }
    }

    /// Whether it speaks still.
    pub fn speaks(&self, now_ms: i64) -> bool {
        self.pace.is_within(SPEAKING_STEPS, now_ms)
    }

    /// Whether it was heard within so many steps.
    pub fn is_heard(&self, steps: i64, now_ms: i64) -> bool {
        self.pace.is_within(steps, now_ms)
    }

    /// Time between two points, milliseconds.
    pub fn step_ms(&self) -> i64 {
        self.pace.step_ms()
    }

    /// The numbers of its window.
    pub fn trend(&self) -> Option<MemoryTrend> {
        self.trend
    }

    /// Slope where its last point was bad, bytes per second.
    pub fn rises_by(&self) -> Option<f64> {
        self.trend.filter(|_| self.is_rising).map(|trend| trend.bytes_per_s)
    }

    /// Whether a point is bad: memory in use, its limit, and when. `None` where the point is not counted.
    pub fn take(&mut self, (used, limit, now_ms): (f64, f64, i64)) -> Option<bool> {
        if self.at_ms.back().is_some_and(|last| now_ms - last < EVERY_MS) {
            return None;
        }
        self.pace.take(now_ms);
        if now_ms - self.since_ms < WARM_UP_STEPS * self.step_ms() {
            return None;
        }
        let (before, is_peak) = (self.values.back().copied(), used > self.peak);
        self.peak = self.peak.max(used);
        self.at_ms.push_back(now_ms);
        self.values.push_back(used);
        if self.values.len() > LONG {
            self.at_ms.pop_front();
            self.values.pop_front();
        }
        self.is_rising = false;
        if self.rises(before?, (used, limit))? && is_peak {
            self.is_rising = self.goes_on(used, limit)?;
        }
        Some(self.is_rising)
    }

    /// `None` while there are too few points for a window.
    fn rises(&mut self, before: f64, (used, limit): (f64, f64)) -> Option<bool> {
        let from = self.values.len().saturating_sub(WINDOW);
        let (at_ms, values) = (&self.at_ms.make_contiguous()[from..], &self.values.make_contiguous()[from..]);
        if values.len() < FEWEST {
            return None;
        }
        let window_s = (at_ms[at_ms.len() - 1] - at_ms[0]) as f64 / 1_000.0;
        let last_s = (at_ms[at_ms.len() - 1] - at_ms[at_ms.len() - 2]) as f64 / 1_000.0;
        let forecast = Exhaustion::of(at_ms, values, limit).ok().flatten();
        // What has no trend, as a value that never changes has none, does not rise.
        let Ok(trend) = Trend::of(at_ms, values) else {
            self.trend = None;
            return Some(false);
        };
        let horizon_s = HORIZON_S.max(HORIZON_STEPS * self.pace.step_ms() as f64 / 1_000.0);
        let pace = (limit - used).max(1.0) / horizon_s;
        self.trend = Some(MemoryTrend {
            used_bytes: used,
            limit_bytes: limit,
            bytes_per_s: trend.per_hour / HOUR_S,
            change_per_s: (trend.to - trend.from) / window_s,
            explained: trend.explained,
            elsewhere_per_s: None,
            exhausted_in_s: forecast.map(|forecast| forecast.left_ms as f64 / 1_000.0),
            at_soonest_s: forecast.map(|forecast| forecast.soonest_ms as f64 / 1_000.0),
            window_s,
        });
        let matters = forecast.is_some() && trend.rises(pace * window_s / trend.from.abs());
        Some(matters && (used - before) / last_s >= STEP * pace)
    }

    /// Whether a rise goes on to the limit: what slows down from one half of the points to the next by the same part each time
    /// ends where that series ends. `None` while there are too few points to tell it from a filling that has just begun.
    fn goes_on(&mut self, used: f64, limit: f64) -> Option<bool> {
        let (at_ms, values) = (self.at_ms.make_contiguous(), self.values.make_contiguous());
        let half = values.len() / 2;
        let slope =
            |from: usize, to: usize| Line::of(&at_ms[from..to], &values[from..to]).and_then(|line| line.per_hour());
        let (first, second) = (slope(0, half).ok()?, slope(half, values.len()).ok()?);
        if values.len() < LONG {
            return (second >= FASTER * first).then_some(true);
        }
        let part = second / first;
        let risen = second / HOUR_S * (at_ms[at_ms.len() - 1] - at_ms[half]) as f64 / 1_000.0;
        let slows = first > 0.0 && part < SLOWER;
        Some(!slows || used + risen * part / (1.0 - part) >= limit)
    }
}
