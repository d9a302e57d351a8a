//! The Variance Sentinel: watches how unstable a host is instead of how busy, and advises before a limit is reached.
//!
//! Three sensors: seizure (load swings), fever (memory grows), auto-immune (more leaves than arrives). What they find is a
//! veto: advice to shed load, throttle or cap retries. It can do nothing itself: plain data comes in, a [`Report`] comes out,
//! and the same data gives the same report.

pub mod advanced;
mod chain;
mod fever;
mod immune;
mod limits;
mod memory;
mod narrative;
mod report;
mod seizure;
mod sense;
pub mod sim;
mod vitals;

pub use self::advanced::{Advanced, Judge};
pub use self::chain::{Chain, Kind};
pub use self::limits::Limits;
pub use self::report::{Flag, Load, Mode, Report, Status};
pub use self::sense::{Action, Condition, Domain, Sense, Sensor, Veto, Why};
pub use self::vitals::Vitals;

use self::chain::Chains;
use self::memory::EventMemory;
use self::report::Readings;
use self::seizure::Seizure;
use self::vitals::Window;
use crate::undefined::Undefined;

/// Below so many samples in the window nothing is judged (S0-10).
pub const WARM_UP: usize = 5;

/// Watches one host.
#[derive(Debug)]
pub struct Sentinel {
    host: String,
    limits: Limits,
    judge: Option<Judge>,
    window: Window,
    seizure: Seizure,
    memory: EventMemory,
    chains: Chains,
    ticks: u64,
}

impl Sentinel {
    /// For a host, with an advanced part or, by `None`, on basic physics alone.
    pub fn new(host: &str, limits: Limits, judge: Option<Judge>) -> Self {
        Self {
            host: host.to_owned(),
            limits,
            judge,
            window: Window::new(&limits),
            seizure: Seizure::default(),
            memory: EventMemory::default(),
            chains: Chains::default(),
            ticks: 0,
        }
    }

    /// Whose vitals it watches.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Names the host, where its name is known only once it tells.
    pub fn set_host(&mut self, host: &str) {
        host.clone_into(&mut self.host);
    }

    /// Turns the advanced part on or off from the next look on.
    pub fn set_advanced(&mut self, judge: Option<Judge>) {
        self.judge = judge;
    }

    /// Takes in what was told since the last look and judges the host as of `now_ms`, Unix ms.
    pub fn observe(&mut self, now_ms: i64, told: &[Vitals]) -> Report {
        self.ticks += 1;
        self.window.take_in(now_ms, told);
        let lag_ms = self.window.told_ms().map(|told| now_ms.saturating_sub(told));
        let is_stale = lag_ms.is_some_and(|lag| lag > self.limits.stale_ms);
        let senses = if is_stale { Sense::stale(&self.limits) } else { self.sense() };
        let senses = self.memory.note(now_ms, senses, self.limits.persist_ms);
        let (mode, advanced) = self.look_closer(is_stale);
        let chain = self.chains.note(now_ms, &senses, advanced.as_ref());
        let readings = Readings {
            tick: self.ticks,
            now_ms,
            lag_ms,
            load: self.load(),
            memory_bytes: self.window.newest().and_then(|vitals| vitals.memory),
            flags: self.memory.flags(self.limits.persist_ms, now_ms),
        };
        Report::of(&self.host, readings, senses, (mode, advanced), chain)
    }

    fn sense(&mut self) -> [Sense; 3] {
        let limits = Limits { window_ms: self.window.span_ms(), ..self.limits };
        let window = self.window.recent(limits.window_ms);
        [
            self.seizure.sense(window, &limits),
            fever::sense(window, self.limits.fever_mb_s),
            immune::sense(window, self.limits.amplification),
        ]
    }

    fn look_closer(&self, is_stale: bool) -> (Mode, Option<Advanced>) {
        let Some(judge) = self.judge else { return (Mode::Basic { cause: "it is off".to_owned() }, None) };
        if is_stale {
            return (Mode::Basic { cause: "its samples are stale".to_owned() }, None);
        }
        match judge(&self.window.cpu(), self.window.span_ms()) {
            Ok(found) => (Mode::Advanced, Some(found)),
            // Without how many there are, so that the cause stays the same until it is gone.
            Err(Undefined::TooFew { needs, .. }) => (Mode::Basic { cause: format!("it needs {needs} samples") }, None),
            Err(cause) => (Mode::Basic { cause: format!("it {cause}") }, None),
        }
    }

    fn load(&self) -> Option<Load> {
        Load::of(self.window.recent(self.window.span_ms()))
    }
}

#[cfg(test)]
mod tests;
