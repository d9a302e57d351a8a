//! What a host tells of itself, and the last of it.

use super::limits::Limits;
use crate::series::{Sample, Series};

/// Most looks that are kept, whatever the window.
const MOST: usize = 16_384;
/// So many windows are kept: what the advanced part compares the present one with.
const WINDOWS: i64 = 10;

/// A window holds so many samples of a source that is too slow to give them in the time asked for.
const FEWEST: i64 = 12;

/// One look at a host. What was not measured is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Vitals {
    /// When, Unix ms.
    pub at_ms: i64,
    /// Share of all cores that is busy, percent.
    pub cpu: Option<f64>,
    /// Memory in use, bytes.
    pub memory: Option<f64>,
    /// Packets received since the host began.
    pub received: Option<f64>,
    /// Packets sent since the host began.
    pub sent: Option<f64>,
}

impl Vitals {
    /// Only what can be: finite and not below 0.
    fn sound(self) -> Self {
        let sound = |value: Option<f64>| value.filter(|value| value.is_finite() && *value >= 0.0);
        Self {
            at_ms: self.at_ms,
            cpu: sound(self.cpu),
            memory: sound(self.memory),
            received: sound(self.received),
            sent: sound(self.sent),
        }
    }
}

/// The last looks at a host, each moment once, in order of time.
#[derive(Debug)]
pub(super) struct Window {
    looks: Vec<Vitals>,
    window_ms: i64,
    ahead_ms: i64,
    told_ms: Option<i64>,
}

impl Window {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { looks: Vec::new(), window_ms: limits.window_ms, ahead_ms: limits.stale_ms, told_ms: None }
    }

    /// Takes in what is newer than what there is. A look from far in the future is refused: it would shut out all that follow.
    pub(super) fn take_in(&mut self, now_ms: i64, told: &[Vitals]) {
        let latest = now_ms.saturating_add(self.ahead_ms);
        let mut told: Vec<Vitals> = told.iter().filter(|look| look.at_ms <= latest).map(|look| look.sound()).collect();
        told.sort_by_key(|look| look.at_ms);
        // A source whose clock went back is as old as what it tells now, however new its earlier samples were.
        self.told_ms = told.last().map(|look| look.at_ms).or(self.told_ms);
        for look in told {
            if self.newest().is_none_or(|newest| newest.at_ms < look.at_ms) {
                self.looks.push(look);
            }
        }
        self.forget();
    }

    /// When the last look that was told was taken, Unix ms, even if it was too old to be kept.
    pub(super) fn told_ms(&self) -> Option<i64> {
        self.told_ms
    }

    pub(super) fn newest(&self) -> Option<&Vitals> {
        self.looks.last()
    }

    /// The looks of the last `span_ms`, counted back from the newest.
    pub(super) fn recent(&self, span_ms: i64) -> &[Vitals] {
        let Some(newest) = self.newest() else { return &[] };
        let after = newest.at_ms.saturating_sub(span_ms);
        &self.looks[self.looks.partition_point(|look| look.at_ms <= after)..]
    }

    /// The window's length, ms: as asked for, and longer where the source is slow.
    pub(super) fn span_ms(&self) -> i64 {
        let last = &self.looks[self.looks.len().saturating_sub(usize::try_from(FEWEST).unwrap_or_default() + 1)..];
        let mut apart: Vec<i64> = last.windows(2).map(|pair| pair[1].at_ms.saturating_sub(pair[0].at_ms)).collect();
        apart.sort_unstable();
        let usual = apart.get(apart.len() / 2).copied().unwrap_or_default();
        self.window_ms.max(usual.saturating_mul(FEWEST))
    }

    /// CPU over all that is kept.
    pub(super) fn cpu(&self) -> Series {
        let sample = |look: &Vitals| Some(Sample { at_ms: look.at_ms, value: look.cpu? });
        Series::of(self.looks.iter().filter_map(sample)).0
    }

    fn forget(&mut self) {
        let kept = self.recent(self.span_ms().saturating_mul(WINDOWS)).len().min(MOST);
        self.looks.drain(..self.looks.len() - kept);
    }
}

/// The last `span_ms` of a window, or its last `fewest` looks where the source is slower than that.
pub(super) fn tail(window: &[Vitals], span_ms: i64, fewest: usize) -> &[Vitals] {
    let Some(newest) = window.last() else { return &[] };
    let after = newest.at_ms.saturating_sub(span_ms);
    let from = window.partition_point(|look| look.at_ms < after);
    &window[from.min(window.len().saturating_sub(fewest))..]
}
