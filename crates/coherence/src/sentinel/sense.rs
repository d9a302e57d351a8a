//! The three sensors: what each makes of the window, and the veto it casts.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::limits::Limits;

/// The three sensors, in order of priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensor {
    /// Load swings.
    Seizure,
    /// Memory runs away.
    Fever,
    /// More leaves than arrives.
    AutoImmune,
}

/// What a veto is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Domain {
    /// Cores.
    Compute,
    /// Memory.
    Resource,
    /// What the host is asked for, and asks of others.
    Intent,
}

/// What a veto advises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Action {
    /// Refuse a part of the load.
    ShedLoad,
    /// Slow down whoever allocates.
    Throttle,
    /// Retry less.
    CapRetries,
    /// Stop calling: capping retries was advised and did not end it.
    BreakCircuit,
}

impl Sensor {
    /// All of them, in order of priority.
    pub const ALL: [Self; 3] = [Self::Seizure, Self::Fever, Self::AutoImmune];

    /// What its veto is about.
    pub fn domain(self) -> Domain {
        match self {
            Self::Seizure => Domain::Compute,
            Self::Fever => Domain::Resource,
            Self::AutoImmune => Domain::Intent,
        }
    }

    /// What its veto advises, for one that has just begun or one that persists.
    pub fn action(self, persists: bool) -> Action {
        match self {
            Self::Seizure => Action::ShedLoad,
            Self::Fever => Action::Throttle,
            Self::AutoImmune => {
                if persists {
                    Action::BreakCircuit
                } else {
                    Action::CapRetries
                }
            }
        }
    }

    /// The unit of its value.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Seizure => "points",
            Self::Fever => "MB/s",
            Self::AutoImmune => "sent per received",
        }
    }
}

/// What a sensor makes of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Condition {
    /// Too few samples to judge.
    Warmup,
    /// Nothing can be told; [`Sense::why`] says why.
    Unknown,
    /// The newest sample is too old to tell of now.
    Stale,
    /// Within the limit.
    Calm,
    /// Above the limit by bursts that are rare enough to be the host's own rhythm.
    Bursts,
    /// Above the limit.
    Veto,
}

/// Why a sensor does not say more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The source does not measure it.
    NotMeasured,
    /// No packet was sent or received.
    NoTraffic,
    /// Above the limit, by no more than so few packets differ by chance.
    FewPackets,
    /// The samples have no standard deviation: they are too large to be summed.
    Undefined,
}

/// One sensor's look.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sense {
    /// Whose.
    pub sensor: Sensor,
    /// What it makes of it.
    pub condition: Condition,
    /// What it measured, in [`Sensor::unit`].
    pub value: Option<f64>,
    /// What that is held against.
    pub limit: f64,
    /// Samples it has, while it warms up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// Since when it vetoes.
    pub since: Option<Timestamp>,
    /// Whether it has vetoed for as long as makes it persistent.
    pub persists: bool,
    /// Why it does not say more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

impl Sense {
    pub(super) fn calm(sensor: Sensor, value: Option<f64>, limit: f64) -> Self {
        Self {
            sensor,
            condition: Condition::Calm,
            value,
            limit,
            samples: None,
            since: None,
            persists: false,
            why: None,
        }
    }

    pub(super) fn vetoed(self) -> Self {
        Self { condition: Condition::Veto, ..self }
    }

    pub(super) fn bursts(self) -> Self {
        Self { condition: Condition::Bursts, ..self }
    }

    pub(super) fn warming_up(self, samples: usize) -> Self {
        Self { condition: Condition::Warmup, samples: Some(samples), ..self }
    }

    pub(super) fn unknown(self, why: Why) -> Self {
        Self { condition: Condition::Unknown, why: Some(why), ..self }
    }

    pub(super) fn because(self, why: Why) -> Self {
        Self { why: Some(why), ..self }
    }

    /// All three, of samples that are too old.
    pub(super) fn stale(limits: &Limits) -> [Self; 3] {
        let held = [limits.sigma, limits.fever_mb_s, limits.amplification];
        let stale =
            |sensor: Sensor| Self { condition: Condition::Stale, ..Self::calm(sensor, None, held[sensor as usize]) };
        Sensor::ALL.map(stale)
    }
}

/// Advice: nothing here can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Veto {
    /// Who vetoes.
    pub sensor: Sensor,
    /// About what.
    pub domain: Domain,
    /// What is advised.
    pub action: Action,
    /// What was measured, in [`Sensor::unit`].
    pub value: f64,
    /// What that is held against.
    pub limit: f64,
}

impl Veto {
    pub(super) fn of(sense: &Sense) -> Option<Self> {
        let Sense { sensor, limit, persists, .. } = *sense;
        let veto = |value| Self { sensor, domain: sensor.domain(), action: sensor.action(persists), value, limit };
        sense.value.filter(|_| sense.condition == Condition::Veto).map(veto)
    }
}

/// Shows a name as JSON has it.
macro_rules! shown {
    ($($kind:ty),*) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        }
    )*};
}

pub(super) use shown;

shown!(Sensor, Domain, Action, Condition, Why);
