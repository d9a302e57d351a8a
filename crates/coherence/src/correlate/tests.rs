//! Grouping and relevance.

use super::*;
use crate::event::Severity;

fn error(host: &str, minute: i64) -> SignalEvent {
    SignalEvent {
        at_ms: minute * 60_000,
        host: host.into(),
        service: "application".into(),
        severity: Severity::Error,
        metric: ERROR.into(),
        value: 1.0,
        synthetic: false,
    }
}

fn incident(host: &str, first: i64, last: i64, errors: usize) -> Incident {
    Incident { host: host.into(), first_ms: first * 60_000, last_ms: last * 60_000, errors }
}

#[test]
fn errors_ten_minutes_apart_are_together_and_eleven_are_not() {
    let events = [error("b", 5), error("a", 10), error("a", 0), error("a", 21), error("a", 21)];
    assert_eq!(incidents(&events), [incident("a", 0, 10, 2), incident("a", 21, 21, 2), incident("b", 5, 5, 1)]);
    assert_eq!(incidents(&[]), []);
}

#[test]
fn a_series_of_no_errors_is_neither_an_incident_nor_a_level() {
    let calm: Vec<SignalEvent> = (0..60).map(|minute| SignalEvent { value: 0.0, ..error("a", minute) }).collect();
    assert_eq!((incidents(&calm), series(&calm)), (vec![], AllSeries::new()));
}

#[test]
fn a_high_level_is_no_error() {
    let event = SignalEvent { metric: "cpu".into(), value: 95.0, ..error("a", 1) };
    assert_eq!(incidents(&[event]), []);
}

fn seen(detector: Detector, metric: &str, hours: f64, risk: f64) -> Precursor {
    let at_ms = 36_000_000 - (hours * HOUR_MS) as i64;
    let class = Class::of(detector, metric);
    Precursor { detector, metric: metric.into(), at_ms, risk, class, summary: String::new() }
}

#[test]
fn the_three_most_relevant_are_told_each_once() {
    let incident = incident("a", 600, 600, 1);
    let precursors = [
        seen(Detector::Trend, "memory", 6.0, 1.0),
        seen(Detector::Trend, "memory", 0.0, 1.0),
        seen(Detector::Spike, "cpu", 0.9, 0.8),
        seen(Detector::Variance, "cpu", 0.15, 1.0),
        seen(Detector::Spike, "disk", 5.0, 0.5),
    ];
    let told: Vec<_> = hypotheses(&incident, &precursors)
        .into_iter()
        .map(|told| {
            (told.metric, (told.relevance * 100.0).round() / 100.0, told.lead_time_hours, told.first_seen_hours)
        })
        .collect();
    let expected = [("memory", 10.0, 0.0, 6.0), ("cpu", 4.0, 0.15, 0.15), ("cpu", 0.8, 0.9, 0.9)];
    assert_eq!(told, expected.map(|(metric, relevance, lead, seen)| (metric.to_owned(), relevance, lead, seen)));
}

#[test]
fn signals_five_minutes_apart_are_chained_and_six_are_not() {
    let minutes = |minutes: f64, risk| seen(Detector::Spike, "cpu", minutes / 60.0, risk);
    let memory = seen(Detector::Trend, "memory", 0.0, 0.5);
    let links = [minutes(12.0, 0.9), minutes(5.0, 0.5), memory];
    let found = chain::chains(&incident("a", 600, 600, 1), &links);
    let names = vec!["cpu/spike_detection".to_owned(), "memory/trend_detection".to_owned()];
    let from_ms = 36_000_000 - 300_000;
    let expected = chain::Chain { host: "a".into(), from_ms, until_ms: 36_000_000, signals: 2, names, risk: 0.75 };
    assert_eq!(found, [expected]);
}

#[test]
fn the_crest_of_a_daily_cycle_is_no_precursor_and_a_spike_is_told_as_it_was_measured() {
    let value = |at: i64| match at {
        510 => 80.0,
        // The crest of each day is an hour or so before the error.
        _ => 30.0 + (std::f64::consts::TAU * (at - 492) as f64 / 288.0).sin() * 20.0 + (at * 37 % 100) as f64 / 100.0,
    };
    let sample = |at: i64| SignalEvent { metric: "requests".into(), value: value(at), ..error("a", at * 5) };
    let all = series(&(0..577).map(sample).collect::<Vec<_>>());
    let found = precursors(&incident("a", 576 * 5, 576 * 5, 1), &all);
    let spikes: Vec<&Precursor> = found.iter().filter(|seen| seen.detector == Detector::Spike).collect();
    assert_eq!(spikes.iter().map(|spike| spike.at_ms / 300_000).collect::<Vec<_>>(), [510]);
    assert!(spikes[0].summary.starts_with("Spike to 80.00 (baseline 3"), "{}", spikes[0].summary);
}
