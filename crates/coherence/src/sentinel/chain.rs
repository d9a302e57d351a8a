//! Signals of one host that belong together, and how much is at risk.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::advanced::Advanced;
use super::sense::{Condition, Sense, Sensor, shown};
use crate::spike::ROBUST_Z;

/// Signals no further apart than this are one chain (S0-16), ms.
const LINK_MS: i64 = 300_000;
/// Signals it takes.
const FEWEST: usize = 2;
/// Most signals that are kept.
const MOST: usize = 64;

/// What a signal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The seizure sensor vetoes.
    Seizure,
    /// The fever sensor vetoes.
    Fever,
    /// The auto-immune sensor vetoes.
    AutoImmune,
    /// Variance escalated.
    VarianceEscalation,
    /// The newest sample is a spike or an outlier.
    Spike,
}

impl Kind {
    /// Whether it can make a chain. One look in a few hundred spikes or escalates on a calm host too: those may join a chain.
    fn is_veto(self) -> bool {
        match self {
            Self::Seizure | Self::Fever | Self::AutoImmune => true,
            Self::VarianceEscalation | Self::Spike => false,
        }
    }
}

shown!(Kind);

const KINDS: [Kind; 5] = [Kind::Seizure, Kind::Fever, Kind::AutoImmune, Kind::VarianceEscalation, Kind::Spike];

/// Signals that belong together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chain {
    /// When the first of them began.
    pub since: Option<Timestamp>,
    /// From there to the last look at which one was there, seconds.
    pub lasted_s: f64,
    /// How many there are.
    pub signals: usize,
    /// What they are, in the order they first came.
    pub kinds: Vec<Kind>,
    /// How much is at risk, 0.0..=1.0: that not every kind of them is harmless (noisy-or; Pearl, *Probabilistic reasoning in
    /// intelligent systems*, 1988), each with the risk it had at its worst: of a veto `1 - limit / (2 value)`, so a half at the limit.
    pub risk: f64,
}

#[derive(Debug, Clone, Copy)]
struct Signal {
    kind: Kind,
    at_ms: i64,
    risk: f64,
}

/// The signals of the present chain.
#[derive(Debug, Default)]
pub(super) struct Chains {
    signals: Vec<Signal>,
    active: [bool; KINDS.len()],
    /// The last look at which something vetoed.
    last_ms: Option<i64>,
}

impl Chains {
    /// Takes in what this look shows; answers the chain it belongs to.
    pub(super) fn note(&mut self, now_ms: i64, senses: &[Sense; 3], advanced: Option<&Advanced>) -> Option<Chain> {
        self.forget(now_ms);
        let risks = KINDS.map(|kind| risk(kind, senses, advanced));
        for (at, (kind, risk)) in KINDS.into_iter().zip(risks).enumerate() {
            match (risk, self.active[at]) {
                (Some(risk), false) => self.push(Signal { kind, at_ms: now_ms, risk }),
                (Some(risk), true) => self.raise(kind, risk),
                (None, _) => {}
            }
            self.active[at] = risk.is_some();
            if risk.is_some() && kind.is_veto() {
                self.last_ms = Some(now_ms);
            }
        }
        self.chain()
    }

    fn forget(&mut self, now_ms: i64) {
        if self.last_ms.is_some_and(|last| now_ms.saturating_sub(last) > LINK_MS) {
            self.last_ms = None;
        }
        if self.last_ms.is_none() {
            self.signals.retain(|signal| !signal.kind.is_veto() && now_ms.saturating_sub(signal.at_ms) <= LINK_MS);
        }
    }

    fn push(&mut self, signal: Signal) {
        if self.signals.len() < MOST {
            self.signals.push(signal);
        }
    }

    fn raise(&mut self, kind: Kind, risk: f64) {
        if let Some(signal) = self.signals.iter_mut().rev().find(|signal| signal.kind == kind) {
            signal.risk = signal.risk.max(risk);
        }
    }

    fn chain(&self) -> Option<Chain> {
        let (first, last_ms) = (self.signals.first()?, self.last_ms?);
        if self.signals.len() < FEWEST {
            return None;
        }
        let mut kinds: Vec<Kind> = Vec::new();
        for signal in &self.signals {
            if !kinds.contains(&signal.kind) {
                kinds.push(signal.kind);
            }
        }
        let worst = |kind: &Kind| {
            let risks = self.signals.iter().filter(|signal| signal.kind == *kind).map(|signal| signal.risk);
            risks.fold(0.0, f64::max)
        };
        Some(Chain {
            since: Timestamp::from_millisecond(first.at_ms).ok(),
            lasted_s: last_ms.saturating_sub(first.at_ms) as f64 / 1_000.0,
            signals: self.signals.len(),
            risk: 1.0 - kinds.iter().map(|kind| 1.0 - worst(kind)).product::<f64>(),
            kinds,
        })
    }
}

/// The risk of a kind at this look; `None` where it is not there.
fn risk(kind: Kind, senses: &[Sense; 3], advanced: Option<&Advanced>) -> Option<f64> {
    let vetoed = |sensor: Sensor| {
        let sense = senses.iter().find(|sense| sense.sensor == sensor && sense.condition == Condition::Veto)?;
        Some(above(sense.value?, sense.limit))
    };
    match kind {
        Kind::Seizure => vetoed(Sensor::Seizure),
        Kind::Fever => vetoed(Sensor::Fever),
        Kind::AutoImmune => vetoed(Sensor::AutoImmune),
        Kind::VarianceEscalation => {
            advanced?.variance_escalation.filter(|found| found.escalated).map(|found| found.risk)
        }
        Kind::Spike => {
            let spike =
                advanced?.robust_z.filter(|found| found.spike).map(|found| 0.5 * (1.0 - ROBUST_Z / found.z.abs()));
            spike.or(advanced?.iqr_fences.outlier.then_some(0.0))
        }
    }
}

fn above(value: f64, limit: f64) -> f64 {
    if value > 0.0 { (1.0 - 0.5 * limit / value).clamp(0.0, 1.0) } else { 0.0 }
}
