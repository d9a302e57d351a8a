//! From cause to remedy: which declared knob or which commit, with parameters computed from observation.

use super::{Current, Reading};
use crate::catalogue::{Catalogue, Knob, KnobType};
use crate::diagnosis::{FaultKind, Term};
use crate::proposal::{KnobValue, Remedy};

/// A knob belongs to a plateau when its value is within this share of it.
const NEAR: f64 = 0.15;

/// Chooses a remedy that was not tried yet, and says how clear the choice was; `None` when nothing declared fits.
pub fn bind(reading: &Reading, rules: &Catalogue, current: &Current, tried: &[Remedy]) -> Option<(Remedy, Term)> {
    let untried = |remedy: &Remedy| !tried.iter().any(|other| other.is_same(remedy));
    match reading.kind {
        FaultKind::PoolExhausted => larger_pool(reading, rules, current).filter(|(remedy, _)| untried(remedy)),
        FaultKind::BadChange => revert(reading).filter(|(remedy, _)| untried(remedy)),
        FaultKind::SlowQuery
        | FaultKind::DependencyTimeout
        | FaultKind::MemoryLeak
        | FaultKind::RetryStorm
        | FaultKind::CpuSaturation
        | FaultKind::NetworkDelay
        | FaultKind::CrashLoop
        | FaultKind::ErrorBurst
        | FaultKind::Unknown => None,
    }
}

/// Servers for an offered load, by square-root staffing (Halfin and Whitt 1981): load plus twice its square root.
pub fn staffing(load: f64) -> f64 {
    load + 2.0 * load.sqrt()
}

fn larger_pool(reading: &Reading, rules: &Catalogue, current: &Current) -> Option<(Remedy, Term)> {
    let service = rules.services.get(&reading.service)?;
    let plateau = reading.measured.plateau?;
    let value_of = |knob: &Knob| match current.0.get(&(reading.service.clone(), knob.name.clone()))? {
        KnobValue::Int(value) => Some(*value),
        KnobValue::Bool(_) => None,
    };
    let declared = service
        .knobs
        .iter()
        .filter(|knob| knob.kind == KnobType::Int && knob.remedies.contains(&reading.kind) && value_of(knob).is_some());
    let distance = |knob: &Knob| value_of(knob).map_or(f64::INFINITY, |value| (value as f64 - plateau).abs() / plateau);
    let mut near: Vec<&Knob> = declared.filter(|knob| distance(knob) <= NEAR).collect();
    near.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    let knob = near.first()?;
    let value = knob.at_least(staffing(reading.measured.demand?))?;
    if value <= value_of(knob)? {
        return None;
    }
    let equals = near.iter().filter(|other| distance(other) - distance(knob) < 0.01).count();
    let why = format!("{equals} knob(s) stand at the plateau of {plateau:.0}");
    let remedy =
        Remedy::TurnKnob { service: reading.service.clone(), knob: knob.name.clone(), value: KnobValue::Int(value) };
    Some((remedy, Term { name: "knob".into(), value: 1.0 / equals as f64, why }))
}

fn revert(reading: &Reading) -> Option<(Remedy, Term)> {
    let commits = &reading.guilty.as_ref()?.commits;
    let commit = commits.first()?.clone();
    let why = format!("{} commit(s) came with the revision and touch the service's sources", commits.len());
    let remedy = Remedy::Revert { service: reading.service.clone(), commit };
    Some((remedy, Term { name: "change".into(), value: 1.0 / commits.len() as f64, why }))
}
