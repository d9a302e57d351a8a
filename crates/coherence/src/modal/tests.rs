//! What the detectors say of a flight, and of what is hostile to them.

use super::*;
use crate::flight::dice::Dice;
use crate::flight::{Flight, HEALTHY, STEP_MS, STRESSED};
use crate::series::{Sample, Series};

fn series(flight: Flight, host: &str, metric: &str) -> (Fingerprint, Series) {
    let of = Fingerprint { host: host.to_owned(), metric: metric.to_owned() };
    let samples = flight.events().into_iter().filter(|event| event.fingerprint() == of);
    let (series, _) = Series::of(samples.map(|event| Sample { at_ms: event.at_ms, value: event.value }));
    (of, series)
}

fn judged(flight: Flight, host: &str, metric: &str) -> Judgement {
    let (of, series) = series(flight, host, metric);
    Judgement::of(&of, series.at_ms(), series.values())
}

fn found(judgement: &Judgement) -> Vec<(Detector, Band, Class)> {
    judgement.findings.iter().map(|finding| (finding.detector, Band::of(finding.risk), finding.class)).collect()
}

#[test]
fn the_golden_run_is_as_the_seed_lists_it() {
    let cpu = judged(Flight::default(), STRESSED, "cpu");
    let saturated = Class::CpuSaturation;
    assert_eq!(found(&cpu), [(Detector::Variance, Band::High, saturated), (Detector::Spike, Band::High, saturated)]);
    let memory = judged(Flight::default(), STRESSED, "memory");
    assert_eq!(found(&memory), [(Detector::Trend, Band::High, Class::MemoryLeak)]);
    let details: Vec<String> = cpu.findings.iter().chain(&memory.findings).map(Finding::details).collect();
    insta::assert_snapshot!(details.join("\n"), @r"
    Variance escalated 4.15x
    47 spikes (8.1%), max 94.58 (baseline 32.56); by robust z 47
    116% increase (42.74 → 92.26), leak pattern
    ");
}

#[test]
fn the_healthy_host_has_nothing() {
    for metric in ["cpu", "memory"] {
        let judgement = judged(Flight::default(), HEALTHY, metric);
        assert_eq!((judgement.findings, judgement.untold, judgement.exhaustion), (vec![], vec![], None), "{metric}");
    }
}

#[test]
fn variance_is_judged_the_same_wherever_the_flight_begins() {
    let told = |shift: i64| {
        let flight = Flight { end_ms: Flight::default().end_ms + shift * STEP_MS, ..Flight::default() };
        judged(flight, STRESSED, "cpu").findings[0].risk
    };
    let first = told(0);
    assert!((0..96).all(|shift| told(shift).to_bits() == first.to_bits()));
}

/// Not the same flight moved, but less and less of it.
#[test]
fn variance_is_found_wherever_the_look_begins() {
    let (of, series) = series(Flight::default(), STRESSED, "cpu");
    let found: Vec<bool> = (0..96)
        .map(|cut| {
            let judgement = Judgement::of(&of, &series.at_ms()[cut..], &series.values()[cut..]);
            judgement.findings.iter().any(|finding| finding.detector == Detector::Variance && finding.risk > PAGES)
        })
        .collect();
    assert_eq!(found, [true; 96]);
}

/// By Box and Muller.
fn gaussian(seed: u64) -> Vec<f64> {
    let mut dice = Dice::of(seed, 0);
    let mut normal = || {
        let (radius, angle) = (dice.between(f64::MIN_POSITIVE, 1.0), dice.between(0.0, std::f64::consts::TAU));
        (-2.0 * radius.ln()).sqrt() * angle.cos()
    };
    (0..577).map(|_| 50.0 + normal()).collect()
}

#[test]
fn calm_gaussian_noise_has_no_findings_and_one_true_spike_in_it_is_found() {
    let of = Fingerprint { host: "a".into(), metric: "cpu".into() };
    let at_ms: Vec<i64> = (0..577).map(|at| at * STEP_MS).collect();
    let flagged = (0..100).filter(|seed| !Judgement::of(&of, &at_ms, &gaussian(*seed)).findings.is_empty()).count();
    assert!(flagged <= 5, "{flagged} of 100");
    let mut spiked = gaussian(7);
    spiked[300] = 60.0;
    assert_eq!(found(&Judgement::of(&of, &at_ms, &spiked)).first().map(|told| told.0), Some(Detector::Spike));
    let ten = [1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 9.0];
    assert_eq!(Judgement::of(&of, &at_ms[..10], &ten).findings.len(), 1);
}

#[test]
fn a_daily_cycle_is_no_anomaly_and_a_leak_beneath_it_is() {
    let of = Fingerprint { host: "a".into(), metric: "memory".into() };
    let (_, noise) = series(Flight::default(), HEALTHY, "cpu");
    let at_ms = noise.at_ms();
    for begins in 0..24 {
        let cycle = |at: usize| (std::f64::consts::TAU * (at as f64 + begins as f64 * 12.0) / 288.0).sin() * 20.0;
        let daily: Vec<f64> =
            noise.values().iter().enumerate().map(|(at, value)| 30.0 + value / 5.0 + cycle(at)).collect();
        assert_eq!(Judgement::of(&of, at_ms, &daily).findings, [], "begins at {begins}");
        let leaking: Vec<f64> = daily.iter().enumerate().map(|(at, value)| value + at as f64 / 20.0).collect();
        let found = found(&Judgement::of(&of, at_ms, &leaking));
        assert!(
            found.contains(&(Detector::Trend, Band::Medium, Class::MemoryLeak))
                || found.contains(&(Detector::Trend, Band::High, Class::MemoryLeak)),
            "begins at {begins}: {found:?}"
        );
    }
}

#[test]
fn what_cannot_be_told_has_a_reason() {
    let of = Fingerprint { host: "a".into(), metric: "cpu".into() };
    for values in [&[][..], &[1.0], &[f64::NAN; 60], &[f64::INFINITY; 60]] {
        let at_ms: Vec<i64> = (0..values.len() as i64).map(|at| at * STEP_MS).collect();
        let judgement = Judgement::of(&of, &at_ms, values);
        assert_eq!((judgement.findings.len(), judgement.exhaustion), (0, None), "{values:?}");
        assert!(!judgement.untold.is_empty(), "{values:?}");
    }
    let errors = Fingerprint { metric: ERROR.into(), ..of };
    assert_eq!(Judgement::of(&errors, &[1], &[1.0]), Judgement::default());
}

#[test]
fn a_class_goes_by_the_metric_and_a_band_by_the_risk() {
    assert_eq!(Class::of(Detector::Trend, "system.memory.usage"), Class::MemoryLeak);
    assert_eq!(Class::of(Detector::Spike, "memory"), Class::Unknown);
    assert_eq!(Class::of(Detector::Trend, "system.cpu.utilization"), Class::CpuSaturation);
    assert_eq!(Class::of(Detector::Trend, "requests"), Class::Unknown);
    assert_eq!(Class::of(Detector::Trend, r#"node_memory_used_bytes{node="1"}"#), Class::MemoryLeak);
    for left in ["node_memory_MemAvailable_bytes", "node_memory_MemFree_bytes", r#"system.memory.usage{state="free"}"#]
    {
        assert_eq!(Class::of(Detector::Trend, left), Class::Unknown, "{left}");
    }
    assert_eq!([0.49, 0.5, 0.79, 0.8].map(Band::of), [Band::Low, Band::Medium, Band::Medium, Band::High]);
}

#[test]
fn nine_spikes_do_not_hide_themselves_by_the_deviation_they_raise() {
    let of = Fingerprint { host: "a".into(), metric: "cpu".into() };
    let at_ms: Vec<i64> = (0..577).map(|at| at * STEP_MS).collect();
    let missed = (0..100).filter(|seed| {
        let mut values = gaussian(*seed);
        values.iter_mut().for_each(|value| *value = value.clamp(47.5, 52.5));
        (0..9).for_each(|spike| values[30 + spike * 60] = 55.0);
        found(&Judgement::of(&of, &at_ms, &values)).first().is_none_or(|told| told.0 != Detector::Spike)
    });
    assert_eq!(missed.count(), 0);
}

#[test]
fn a_spike_in_a_daily_cycle_is_told_as_it_was_measured() {
    let (_, noise) = series(Flight::default(), HEALTHY, "cpu");
    let cycle = |at: usize| 30.0 + (std::f64::consts::TAU * at as f64 / 288.0).sin() * 20.0;
    let mut values: Vec<f64> = noise.values().iter().enumerate().map(|(at, value)| cycle(at) + value / 50.0).collect();
    // In the second day's trough, where about 10 is usual.
    values[288 + 216] = 50.0;
    let of = Fingerprint { host: "a".into(), metric: "requests".into() };
    let judgement = Judgement::of(&of, noise.at_ms(), &values);
    let told: Vec<(i64, f64)> = judgement.spikes.iter().map(|spike| (spike.at_ms, spike.value)).collect();
    assert_eq!(told, [(noise.at_ms()[288 + 216], 50.0)], "no crest is a spike");
    assert!((8.0..13.0).contains(&judgement.spikes[0].usual), "{:?}", judgement.spikes);
    let details =
        judgement.findings.iter().find(|finding| finding.detector == Detector::Spike).expect("found").details();
    assert!(details.starts_with("1 spike (0.2%), max 50.00 (baseline 1"), "{details}");
}

#[test]
fn what_is_still_is_a_share_of_the_metrics_own_level() {
    let at_ms: Vec<i64> = (0..577).map(|at| at * STEP_MS).collect();
    let found_of = |level: f64, (before, after): (f64, f64)| {
        let shaking = |at: usize| if at.is_multiple_of(2) { 1.0 } else { -1.0 } * if at < 529 { before } else { after };
        let values: Vec<f64> = (0..577).map(|at| level + shaking(at)).collect();
        let of = Fingerprint { host: "a".into(), metric: "hit_ratio".into() };
        let judgement = Judgement::of(&of, &at_ms, &values);
        judgement.findings.iter().any(|finding| finding.detector == Detector::Variance)
    };
    assert!(found_of(0.5, (0.01, 0.3)), "a ratio");
    for unit in [1e-9, 1.0, 1e9] {
        assert!(found_of(unit, (0.0, 0.02 * unit)) && !found_of(unit, (0.0, 0.005 * unit)), "in units of {unit}");
    }
    assert!(!found_of(0.0, (0.0, 0.5)) && found_of(0.0, (0.0, 2.0)), "without a level");
}
