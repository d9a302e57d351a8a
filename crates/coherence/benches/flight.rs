//! 300 flights through the detectors: what a healthy host costs in alerts, how early the leak is told, and whether it matters when
//! one begins to look. Prints the figures beside the seed's own; ends with 1 where a promise is broken.

use std::process::ExitCode;
use std::time::Instant;

use sre_space_coherence::correlate::series;
use sre_space_coherence::event::Fingerprint;
use sre_space_coherence::flight::{FULL, Flight, HEALTHY, STEP_MS, STRESSED};
use sre_space_coherence::lead::Leads;
use sre_space_coherence::modal::{Class, Detector, Judgement, PAGES};
use sre_space_coherence::report::Report;

const SEEDS: u64 = 300;
const OFFSETS: usize = 96;
const HOUR_MS: f64 = 3_600_000.0;
/// A leak is to be told so many hours before.
const LEAST_H: f64 = 4.0;

/// What became of one flight.
struct Flown {
    /// Findings on the healthy host, and those that page.
    healthy: (usize, usize),
    leak: bool,
    incident: bool,
    named: bool,
    variance: usize,
    leads: Leads,
}

fn name(host: &str, metric: &str) -> Fingerprint {
    Fingerprint { host: host.to_owned(), metric: metric.to_owned() }
}

fn flown(seed: u64) -> Flown {
    let events = Flight { seed, ..Flight::default() }.events();
    let (all, report) = (series(&events), Report::of(&events, 0));
    let healthy: Vec<f64> =
        report.alerts.iter().filter(|alert| alert.host == HEALTHY).map(|alert| alert.risk_score).collect();
    let memory = name(STRESSED, "memory");
    let leaking = &all[&memory];
    let full = leaking.iter().find(|sample| sample.value >= FULL).or_else(|| leaking.iter().next_back());
    let incident = report.incidents.first();
    Flown {
        healthy: (healthy.len(), healthy.iter().filter(|risk| **risk > PAGES).count()),
        leak: report.alerts.iter().any(|alert| alert.class == Class::MemoryLeak && alert.fingerprint == memory),
        incident: report.incidents.len() == 1
            && incident.is_some_and(|one| one.error_count == 13 && one.duration_minutes == 60.0),
        named: incident.is_some_and(|one| one.hypotheses.iter().any(|told| told.class == Class::MemoryLeak)),
        variance: varied(&all[&name(STRESSED, "cpu")]),
        leads: full.map_or_else(Leads::default, |full| Leads::of(&memory, leaking, full.at_ms)),
    }
}

/// At how many of 96 beginnings, each five minutes later, the variance of the stressed host is flagged.
fn varied(cpu: &sre_space_coherence::series::Series) -> usize {
    let is_found = |cut: &usize| {
        let judgement = Judgement::of(&name(STRESSED, "cpu"), &cpu.at_ms()[*cut..], &cpu.values()[*cut..]);
        judgement.findings.iter().any(|finding| finding.detector == Detector::Variance)
    };
    (0..OFFSETS).filter(is_found).count()
}

fn quantile(mut hours: Vec<f64>, share: f64) -> Option<f64> {
    hours.sort_by(f64::total_cmp);
    hours.get(((hours.len().saturating_sub(1)) as f64 * share) as usize).copied()
}

/// How many were told at least [`LEAST_H`] before, and the spread of all.
fn spread(leads: impl Iterator<Item = Option<i64>>) -> (usize, String) {
    let hours: Vec<f64> = leads.flatten().map(|ms| ms as f64 / HOUR_MS).collect();
    let at = |share| quantile(hours.clone(), share).map_or_else(|| "none".to_owned(), |hours| format!("{hours:.1} h"));
    let early = hours.iter().filter(|lead| **lead >= LEAST_H).count();
    (early, format!("median {}, least {}, most {}", at(0.5), at(0.0), at(1.0)))
}

/// Moving a whole flight in time changes no risk of the stressed host's variance.
fn is_moved_without_change() -> bool {
    let risk = |shift: i64| {
        let flight = Flight { end_ms: Flight::default().end_ms + shift * STEP_MS, ..Flight::default() };
        let all = series(&flight.events());
        let cpu = &all[&name(STRESSED, "cpu")];
        let judgement = Judgement::of(&name(STRESSED, "cpu"), cpu.at_ms(), cpu.values());
        judgement.findings.iter().find(|finding| finding.detector == Detector::Variance).map(|f| f.risk.to_bits())
    };
    let first = risk(0);
    first.is_some() && (0..OFFSETS as i64).all(|shift| risk(shift) == first)
}

fn main() -> ExitCode {
    let began = Instant::now();
    let flights: Vec<Flown> = (1..=SEEDS).map(flown).collect();
    let count = |is: &dyn Fn(&Flown) -> bool| flights.iter().filter(|flown| is(flown)).count();
    let all = flights.len();
    let alerted = count(&|flown| flown.healthy.0 > 0);
    let paged = count(&|flown| flown.healthy.1 > 0);
    let leaks = count(&|flown| flown.leak);
    let incidents = count(&|flown| flown.incident);
    let named = count(&|flown| flown.named);
    let varied = count(&|flown| flown.variance == OFFSETS);
    let moved = is_moved_without_change();
    let (trends, trend) = spread(flights.iter().map(|flown| flown.leads.trend_ms));
    let (forecasts, forecast) = spread(flights.iter().map(|flown| flown.leads.forecast_ms));
    println!("{all} flights in {:.1} s", began.elapsed().as_secs_f64());
    println!("healthy host: alerts in {alerted} (limit 5 %), pages in {paged} (limit 0)");
    println!("leak found: {leaks} (limit all)");
    println!("its lead, trend: {trend} (seed: 36.9 h); 4 h before or more: {trends}");
    println!("its lead, forecast: {forecast}; 4 h before or more: {forecasts} (limit all)");
    println!("one incident of 13 errors and 60 min: {incidents}; the leak among its hypotheses: {named} (limit all)");
    println!("variance flagged from each of {OFFSETS} beginnings: {varied} (limit all); the same when moved: {moved}");
    let holds = alerted * 20 <= all
        && paged == 0
        && moved
        && [leaks, incidents, named, varied, trends, forecasts].iter().all(|found| *found == all);
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
