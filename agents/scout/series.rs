//! Good and bad of one (service, operation), and how far a suspicion has come.

use std::collections::VecDeque;

use sre_space_domain::detect::{Baseline, Cusum, posterior_above_5_percent};
use sre_space_domain::signal::SignalKind;
use sre_space_domain::telemetry::TraceId;

use super::names::Name;

/// The window that confirms, seconds (guard.md 4.1: still bad in the last 25 s).
pub const WINDOW_S: i64 = 25;
/// Bad events needed to confirm.
const LEAST_BAD: u64 = 3;
/// Posterior needed to confirm.
const LEAST_POSTERIOR: f64 = 0.99;
/// Below this the CUSUM has nothing to say and the baseline may learn.
const QUIET: f64 = 3.0;
/// Share of bad seconds that is called broken where seconds are counted: a trend that is one shows in nearly all of them.
const BROKEN_SECONDS: f64 = 0.5;
/// Sources remembered per excursion.
const MOST_SOURCES: usize = 8;

/// How far a suspicion has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing to say.
    Calm,
    /// The CUSUM crossed its threshold.
    Suspected,
    /// A second source agrees.
    Confirmed,
}

/// Counts of one second.
#[derive(Debug, Clone, Copy)]
struct Second {
    at: i64,
    all: u64,
    bad: u64,
}

/// One event, as a series counts it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Failed or slow.
    pub bad: bool,
    /// Failed.
    pub failed: bool,
    /// Trace it belongs to.
    pub trace: TraceId,
    /// Who reported it.
    pub source: Name,
}

/// Counts of the window.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// All events.
    pub all: u64,
    /// Bad ones.
    pub bad: u64,
    /// Length, seconds.
    pub seconds: f64,
}

impl Window {
    /// P(rate > 5 %).
    pub fn posterior(self) -> f64 {
        posterior_above_5_percent(self.bad, self.all)
    }
}

/// One (service, operation).
#[derive(Default)]
pub struct Series {
    baseline: Baseline,
    cusum: Cusum,
    seconds: VecDeque<Second>,
    phase: Option<Phase>,
    onset_ms: i64,
    last_bad_ms: i64,
    excursion: Excursion,
    counts_seconds: bool,
    /// How long one event stands for where seconds are counted, milliseconds; 0 is not known yet.
    step_ms: i64,
}

/// What was gathered since the first bad event of a rise.
#[derive(Default)]
struct Excursion {
    sources: Vec<Name>,
    first_trace: Option<TraceId>,
    several_traces: bool,
    failed: u64,
    slow: u64,
}

impl Series {
    /// A series whose events are seconds, and not requests.
    pub fn of_seconds() -> Self {
        Self { counts_seconds: true, ..Self::default() }
    }

    /// How long one event stands for, milliseconds: the window is as many steps as it else is seconds.
    pub fn paced(&mut self, step_ms: i64) {
        self.step_ms = step_ms;
    }

    /// The window that confirms, milliseconds.
    pub fn window_ms(&self) -> i64 {
        WINDOW_S * self.step_ms.max(1_000)
    }

    /// Takes one event.
    pub fn take(&mut self, seen: Seen, now_ms: i64) {
        let Seen { bad, failed, trace, source } = seen;
        let baseline = self.baseline.rate();
        if self.cusum.statistic() <= 0.0 && self.phase() == Phase::Calm {
            self.excursion = Excursion::default();
            self.onset_ms = now_ms;
        }
        // Whether an event is learned from is decided before it is looked at: else bad ones would be learned from less often
        // than good ones, and the baseline would sink below what is usual.
        let is_calm = self.is_quiet();
        if self.counts_seconds {
            self.cusum.take_against(bad, baseline, BROKEN_SECONDS);
        } else {
            self.cusum.take(bad, baseline);
        }
        if is_calm {
            self.baseline.learn(bad);
        }
        self.count(bad, now_ms.div_euclid(1_000));
        if bad {
            self.last_bad_ms = now_ms;
            self.excursion.take(failed, trace, source);
        }
    }

    fn count(&mut self, bad: bool, second: i64) {
        match self.seconds.back_mut() {
            Some(last) if last.at >= second => {
                last.all += 1;
                last.bad += u64::from(bad);
            }
            Some(_) | None => self.seconds.push_back(Second { at: second, all: 1, bad: u64::from(bad) }),
        }
        let from = second - self.window_ms() / 1_000;
        while self.seconds.front().is_some_and(|first| first.at < from) {
            self.seconds.pop_front();
        }
    }

    /// The excursion is over and proven to be: what comes is a new one.
    pub fn settle(&mut self) {
        self.cusum = Cusum::default();
        self.phase = None;
        self.excursion = Excursion::default();
    }

    /// Another source saw the same failure.
    pub fn corroborated(&mut self, source: Name) {
        self.excursion.add_source(source);
    }

    /// Whether the phase changed; to what.
    pub fn turn(&mut self, now_ms: i64) -> Option<Phase> {
        let next = match self.phase() {
            Phase::Calm if self.cusum.suspects() => Phase::Suspected,
            Phase::Suspected if self.is_confirmed(now_ms) => Phase::Confirmed,
            Phase::Suspected | Phase::Confirmed if self.cusum.statistic() <= 0.0 => Phase::Calm,
            Phase::Calm | Phase::Suspected | Phase::Confirmed => return None,
        };
        self.phase = Some(next);
        Some(next)
    }

    fn is_confirmed(&self, now_ms: i64) -> bool {
        let window = self.window(now_ms);
        window.bad >= LEAST_BAD
            && self.excursion.several_traces
            && self.excursion.sources.len() >= 2
            && self.is_bad_lately(now_ms)
            && window.posterior() >= LEAST_POSTERIOR
    }

    /// Whether anything was bad within the confirming window.
    pub fn is_bad_lately(&self, now_ms: i64) -> bool {
        self.last_bad_ms > 0 && now_ms - self.last_bad_ms <= self.window_ms()
    }

    /// Counts since the onset, at most the window's length back.
    pub fn window(&self, now_ms: i64) -> Window {
        let now = now_ms.div_euclid(1_000);
        let since_onset = if self.phase() == Phase::Calm { i64::MIN } else { self.onset_ms.div_euclid(1_000) };
        let from = since_onset.max(now - self.window_ms() / 1_000);
        let inside = || self.seconds.iter().filter(|second| second.at >= from);
        Window {
            all: inside().map(|second| second.all).sum(),
            bad: inside().map(|second| second.bad).sum(),
            seconds: (now - from + 1) as f64,
        }
    }

    /// What dominates the excursion.
    pub fn kind(&self) -> SignalKind {
        if self.excursion.slow > self.excursion.failed { SignalKind::Latency } else { SignalKind::ErrorRate }
    }

    /// How far the suspicion has come.
    pub fn phase(&self) -> Phase {
        self.phase.unwrap_or(Phase::Calm)
    }

    /// Whether the CUSUM has nothing to say: what is seen now is usual.
    pub fn is_quiet(&self) -> bool {
        self.phase() == Phase::Calm && self.cusum.statistic() < QUIET
    }

    /// Whether the CUSUM is over its threshold now.
    pub fn suspects(&self) -> bool {
        self.cusum.suspects()
    }

    /// The CUSUM statistic.
    pub fn statistic(&self) -> f64 {
        self.cusum.statistic()
    }

    /// Smoothed share of bad events in calm times.
    pub fn baseline(&self) -> f64 {
        self.baseline.rate()
    }

    /// Start of the excursion, milliseconds since the Unix epoch.
    pub fn onset_ms(&self) -> i64 {
        self.onset_ms
    }

    /// Independent sources that saw the excursion.
    pub fn sources(&self) -> impl Iterator<Item = Name> {
        self.excursion.sources.iter().copied()
    }
}

impl Excursion {
    fn take(&mut self, failed: bool, trace: TraceId, source: Name) {
        match self.first_trace {
            None => self.first_trace = Some(trace),
            Some(first) => self.several_traces |= first != trace,
        }
        if failed {
            self.failed += 1;
        } else {
            self.slow += 1;
        }
        self.add_source(source);
    }

    fn add_source(&mut self, source: Name) {
        if self.sources.len() < MOST_SOURCES && !self.sources.contains(&source) {
            self.sources.push(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::*;

    /// A small linear congruential generator (Knuth's MMIX constants): equal seeds, equal runs.
    fn dice(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64) / ((1_u64 << 53) as f64)
        }
    }

    #[test]
    fn the_baseline_is_what_is_usual_and_the_usual_raises_no_suspicion() {
        let source = Names::new(1, 1).other("shop");
        for rate in [0.001, 0.01, 0.03] {
            let mut suspicions = 0;
            for seed in 1..=20 {
                let (mut series, mut roll) = (Series::default(), dice(seed));
                for request in 0..50_000_i64 {
                    let bad = roll() < rate;
                    let trace = TraceId(request.to_be_bytes().repeat(2).try_into().expect("16 bytes"));
                    series.take(Seen { bad, failed: bad, trace, source }, request * 16);
                    suspicions += u32::from(series.turn(request * 16) == Some(Phase::Suspected));
                }
                let learned = series.baseline();
                assert!((0.5 * rate..2.0 * rate).contains(&learned), "{learned} learned at {rate}, seed {seed}");
            }
            assert!(suspicions <= 1, "{suspicions} suspicions in a million requests at {rate}");
        }
    }
}
