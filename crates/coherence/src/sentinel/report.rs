//! What the Sentinel says of one look.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::advanced::Advanced;
use super::chain::Chain;
use super::narrative;
use super::sense::{Condition, Sense, Veto, shown};
use super::vitals::Vitals;
use crate::moments::Moments;
use crate::robust::{Fences, TUKEY};

/// Load over the window, percent of all cores: mean and spread side by side, for the mean alone lies (S0-21).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// The newest.
    pub newest: f64,
    /// Mean.
    pub mean: f64,
    /// Sample variance, percent squared.
    pub variance: f64,
    /// Sample standard deviation, percentage points.
    pub sigma: f64,
    /// Inter-quartile range, percentage points.
    pub iqr: f64,
    /// How many samples that is.
    pub samples: usize,
}

impl Load {
    /// Of a window; `None` below two samples.
    pub(super) fn of(window: &[Vitals]) -> Option<Self> {
        let cpu: Vec<f64> = window.iter().filter_map(|look| look.cpu).collect();
        let moments = Moments::of(&cpu).ok()?;
        let fences = Fences::of(&cpu, TUKEY).ok()?;
        Some(Self {
            newest: *cpu.last()?,
            mean: moments.mean().ok()?,
            variance: moments.variance().ok()?,
            sigma: moments.stdev().ok()?,
            iqr: fences.range(),
            samples: cpu.len(),
        })
    }
}

/// The report in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Nothing was told yet.
    NoData,
    /// Fewer than [`super::WARM_UP`] samples.
    Warmup,
    /// The newest sample is too old.
    Stale,
    /// Nothing is unstable.
    Nominal,
    /// At least one sensor vetoes.
    Veto,
}

/// What several reports show together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Flag {
    /// A sensor goes on and off.
    Flapping,
    /// More than one sensor vetoed.
    Cascade,
    /// A sensor keeps vetoing.
    Persistent,
}

/// Whether the advanced part looks too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "name", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// It does.
    Advanced,
    /// The three sensors go alone.
    Basic {
        /// Why, as a clause: "it is off".
        cause: String,
    },
}

/// One look, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Looks so far.
    pub tick: u64,
    /// As of when.
    pub at: Option<Timestamp>,
    /// Whose vitals.
    pub host: String,
    /// In one word.
    pub status: Status,
    /// Age of the newest sample told, seconds.
    pub lag_s: Option<f64>,
    /// Load over the window.
    pub load: Option<Load>,
    /// Memory in use, bytes.
    pub memory_bytes: Option<f64>,
    /// The three sensors, in order of priority.
    pub sensors: [Sense; 3],
    /// All that veto, in order of priority.
    pub vetoes: Vec<Veto>,
    /// The first of them.
    pub primary: Option<Veto>,
    /// What the last reports show together.
    pub flags: Vec<Flag>,
    /// Whether the advanced part looked too.
    pub mode: Mode,
    /// What it found.
    pub advanced: Option<Advanced>,
    /// Signals that belong together.
    pub chain: Option<Chain>,
    /// The same in a person's words.
    pub narrative: String,
}

/// What a report is made of besides its senses.
pub(super) struct Readings {
    pub(super) tick: u64,
    pub(super) now_ms: i64,
    pub(super) lag_ms: Option<i64>,
    pub(super) load: Option<Load>,
    pub(super) memory_bytes: Option<f64>,
    pub(super) flags: Vec<Flag>,
}

impl Report {
    pub(super) fn of(
        host: &str,
        readings: Readings,
        sensors: [Sense; 3],
        (mode, advanced): (Mode, Option<Advanced>),
        chain: Option<Chain>,
    ) -> Self {
        let vetoes: Vec<Veto> = sensors.iter().filter_map(Veto::of).collect();
        let Readings { tick, now_ms, lag_ms, load, memory_bytes, flags } = readings;
        let mut report = Self {
            tick,
            at: Timestamp::from_millisecond(now_ms).ok(),
            host: host.to_owned(),
            status: status(lag_ms, &sensors),
            lag_s: lag_ms.map(|lag_ms| lag_ms as f64 / 1_000.0),
            load,
            memory_bytes,
            primary: vetoes.first().copied(),
            vetoes,
            sensors,
            flags,
            mode,
            advanced,
            chain,
            narrative: String::new(),
        };
        report.narrative = narrative::of(&report);
        report
    }
}

fn status(lag_ms: Option<i64>, sensors: &[Sense; 3]) -> Status {
    let is = |condition: Condition| sensors.iter().any(|sense| sense.condition == condition);
    let has_sense = |sense: &Sense| !matches!(sense.condition, Condition::Warmup | Condition::Unknown);
    if lag_ms.is_none() {
        Status::NoData
    } else if is(Condition::Stale) {
        Status::Stale
    } else if is(Condition::Veto) {
        Status::Veto
    } else if sensors.iter().any(has_sense) {
        Status::Nominal
    } else {
        Status::Warmup
    }
}

shown!(Status, Flag);
