//! From cause to remedy: which declared knob or which commit, with parameters computed from observation.

use std::collections::BTreeMap;

use super::{Current, Reading};
use crate::catalogue::{Catalogue, Knob, KnobType};
use crate::counsel::Offer;
use crate::diagnosis::{FaultKind, Term};
use crate::proposal::{KnobValue, Remedy};

/// A knob belongs to a plateau when its value is within this share of it.
const NEAR: f64 = 0.15;

/// A caller waits for a callee at most this many times as long as it takes in calm times.
const PATIENCE: f64 = 1.25;

/// A remedy, and how clear the choice of it was.
type Choice = (Remedy, Term);

/// Chooses a remedy that was not tried yet, and says how clear the choice was; `None` when nothing declared fits.
pub fn bind(reading: &Reading, rules: &Catalogue, current: &Current, tried: &[Remedy]) -> Option<Choice> {
    choices(reading, rules, current, tried).next()
}

/// Everything declared that fits and was not tried yet, the choice of [`bind`] first.
pub fn offers(reading: &Reading, rules: &Catalogue, current: &Current, tried: &[Remedy]) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    for (remedy, clear) in choices(reading, rules, current, tried) {
        if !offers.iter().any(|offer| offer.remedy.is_same(&remedy)) {
            offers.push(Offer { remedy, clear });
        }
    }
    offers
}

/// What can be computed from observation comes first; then what the owners prepared for this kind of fault, in their order.
fn choices<'a>(
    reading: &Reading,
    rules: &Catalogue,
    current: &Current,
    tried: &'a [Remedy],
) -> impl Iterator<Item = Choice> + use<'a> {
    let untried = move |(remedy, _): &Choice| !tried.iter().any(|other| other.is_same(remedy));
    let computed: Vec<Choice> = match reading.kind {
        FaultKind::PoolExhausted => larger_pool(reading, rules, current).into_iter().collect(),
        FaultKind::BadChange => revert(reading).into_iter().collect(),
        FaultKind::DependencyTimeout => protection(reading, rules, current),
        FaultKind::MemoryLeak | FaultKind::RetryStorm => tightest(reading, rules, current),
        FaultKind::SlowQuery
        | FaultKind::CpuSaturation
        | FaultKind::NetworkDelay
        | FaultKind::CrashLoop
        | FaultKind::ErrorBurst
        | FaultKind::Unknown => Vec::new(),
    };
    computed.into_iter().chain(prepared(reading, rules, current)).filter(move |choice| untried(choice))
}

/// What the owners of the origin prepared for this kind of fault: patches, switches that are not thrown yet, more replicas, a
/// restart.
fn prepared(reading: &Reading, rules: &Catalogue, current: &Current) -> Vec<Choice> {
    let Some(service) = rules.services.get(&reading.service) else { return Vec::new() };
    let name = || reading.service.clone();
    let patches = service.patches.iter().filter(|patch| patch.remedies.contains(&reading.kind));
    let patches = patches.map(|patch| Remedy::ApplyPatch { service: name(), patch: patch.name.clone() });
    let knobs = service.knobs.iter().filter(|knob| knob.remedies.contains(&reading.kind));
    let switches = knobs.filter_map(|knob| {
        let present = current.0.get(&(name(), knob.name.clone()))?;
        let value = thrown(knob, present).or_else(|| counted_up(reading, knob, present))?;
        Some(Remedy::turn_as(knob.kind, name(), knob.name.clone(), value))
    });
    let term = |remedy: Remedy| {
        let why = format!("prepared by its owners for {}", reading.kind.as_str());
        (remedy, Term { name: "prepared".into(), value: 1.0, why })
    };
    patches.chain(switches).map(term).collect()
}

/// The protective position of a switch; `None` when it is no switch, or is there already.
fn thrown(knob: &Knob, present: &KnobValue) -> Option<KnobValue> {
    let protective = match knob.kind {
        KnobType::Bool => KnobValue::Bool(true),
        KnobType::Enum => KnobValue::Text(knob.values.last()?.clone()),
        KnobType::Int | KnobType::Duration | KnobType::Replicas | KnobType::Restart => return None,
    };
    (protective != *present).then_some(protective)
}

/// More replicas, by how far demand exceeds what the present ones let through, one more where that is not known; or the next
/// restart token. `None` when there are no more replicas to be had, or it is another kind of knob.
fn counted_up(reading: &Reading, knob: &Knob, present: &KnobValue) -> Option<KnobValue> {
    let KnobValue::Int(present) = present else { return None };
    match knob.kind {
        KnobType::Restart => Some(KnobValue::Int(present.checked_add(1)?)),
        KnobType::Replicas => {
            let excess = reading.measured.demand.zip(reading.measured.plateau).filter(|(_, plateau)| *plateau >= 1.0);
            let wanted = excess.map_or(0.0, |(demand, plateau)| *present as f64 * staffing(demand) / plateau);
            let value = knob.at_least(wanted.max(*present as f64 + 1.0))?;
            Some(KnobValue::Int(value))
        }
        KnobType::Int | KnobType::Bool | KnobType::Enum | KnobType::Duration => None,
    }
}

/// What the origin and those who call it can do about its slowness: wait less, stop asking, answer without it. Knobs in one
/// section of one file configure one thing, and are turned together.
fn protection(reading: &Reading, rules: &Catalogue, current: &Current) -> Vec<Choice> {
    let places = std::iter::once(&reading.service).chain(&reading.callers);
    places.flat_map(|service| protections(reading, service, rules, current)).collect()
}

fn protections(reading: &Reading, service: &str, rules: &Catalogue, current: &Current) -> Vec<Choice> {
    let knobs = rules.services.get(service).map(|rules| rules.knobs.as_slice()).unwrap_or_default();
    let mut sections: BTreeMap<(&str, &str), BTreeMap<String, KnobValue>> = BTreeMap::new();
    for knob in knobs.iter().filter(|knob| knob.remedies.contains(&reading.kind)) {
        let present = current.0.get(&(service.to_owned(), knob.name.clone()));
        if let Some(value) =
            present.and_then(|present| shorter(reading, knob, present).or_else(|| thrown(knob, present)))
        {
            let section = knob.path.split('.').next().unwrap_or_default();
            sections.entry((&knob.file, section)).or_default().insert(knob.name.clone(), value);
        }
    }
    let calm = reading.calm_ms.unwrap_or_default();
    let choice = |parameters: BTreeMap<String, KnobValue>| {
        let why = format!("{} knob(s) of one section; the callee takes {calm:.0} ms in calm times", parameters.len());
        let remedy = Remedy::TurnKnob { service: service.to_owned(), parameters };
        (remedy, Term { name: "protection".into(), value: 1.0, why })
    };
    sections.into_values().map(choice).collect()
}

/// What bounds a growth or a multiplication: the tightest value the owners allow. A knob that stands outside of its own bounds
/// is no bound at all, so those come first; the others in the owners' order.
fn tightest(reading: &Reading, rules: &Catalogue, current: &Current) -> Vec<Choice> {
    let Some(service) = rules.services.get(&reading.service) else { return Vec::new() };
    let bounds =
        service.knobs.iter().filter(|knob| knob.kind == KnobType::Int && knob.remedies.contains(&reading.kind));
    let tighter = bounds.filter_map(|knob| {
        let present = current.0.get(&(reading.service.clone(), knob.name.clone()))?;
        let least = KnobValue::Int(knob.min?);
        (*present != least).then(|| (!knob.allows(present), knob, least))
    });
    let mut found: Vec<(bool, &Knob, KnobValue)> = tighter.collect();
    found.sort_by_key(|(is_unbound, ..)| !is_unbound);
    let first = found.first().is_some_and(|(is_unbound, ..)| *is_unbound);
    let equals = found.iter().filter(|(is_unbound, ..)| *is_unbound == first).count();
    let choice = |(is_unbound, knob, least): (bool, &Knob, KnobValue)| {
        let stands = if is_unbound { "outside of" } else { "inside" };
        let why = format!("{equals} knob(s) stand {stands} their bounds and bound this kind of fault");
        let remedy = Remedy::turn(reading.service.clone(), knob.name.clone(), least);
        (remedy, Term { name: "bound".into(), value: 1.0 / equals as f64, why })
    };
    found.into_iter().map(choice).collect()
}

/// A time-out just above what the callee takes in calm times; `None` when the knob is no time-out or is that short already.
fn shorter(reading: &Reading, knob: &Knob, present: &KnobValue) -> Option<KnobValue> {
    let wanted = knob.at_least(reading.calm_ms? * PATIENCE).filter(|_| knob.kind == KnobType::Duration)?;
    (wanted < present.duration_ms()?).then(|| KnobValue::of_ms(wanted))
}

/// Servers for an offered load, by square-root staffing (Halfin and Whitt 1981): load plus twice its square root.
pub fn staffing(load: f64) -> f64 {
    load + 2.0 * load.sqrt()
}

fn larger_pool(reading: &Reading, rules: &Catalogue, current: &Current) -> Option<Choice> {
    let service = rules.services.get(&reading.service)?;
    let plateau = reading.measured.plateau?;
    let value_of = |knob: &Knob| match current.0.get(&(reading.service.clone(), knob.name.clone()))? {
        KnobValue::Int(value) => Some(*value),
        KnobValue::Bool(_) | KnobValue::Text(_) => None,
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
    let remedy = Remedy::turn(reading.service.clone(), knob.name.clone(), KnobValue::Int(value));
    Some((remedy, Term { name: "knob".into(), value: 1.0 / equals as f64, why }))
}

fn revert(reading: &Reading) -> Option<Choice> {
    let commits = &reading.guilty.as_ref()?.commits;
    let commit = commits.first()?.clone();
    let why = format!("{} commit(s) came with the revision and touch the service's sources", commits.len());
    let remedy = Remedy::Revert { service: reading.service.clone(), commit };
    Some((remedy, Term { name: "change".into(), value: 1.0 / commits.len() as f64, why }))
}
