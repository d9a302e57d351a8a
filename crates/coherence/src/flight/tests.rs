//! What a flight holds.

use std::collections::BTreeMap;

use super::*;
use crate::event::moment;

#[test]
fn a_flight_has_2321_events_of_two_hosts() {
    let events = Flight::default().events();
    let mut counts = BTreeMap::new();
    for event in &events {
        *counts.entry(event.fingerprint().to_string()).or_insert(0) += 1;
    }
    let expected = [
        ("host-healthy:cpu", 577),
        ("host-healthy:memory", 577),
        ("host-stressed:cpu", 577),
        ("host-stressed:error", 13),
        ("host-stressed:memory", 577),
    ];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into());
    assert_eq!(events.len(), 2_321);
    assert!(events.is_sorted_by_key(|event| event.at_ms));
    assert!(events.iter().all(|event| event.synthetic));
}

#[test]
fn the_errors_are_those_of_one_hour() {
    let flight = Flight::default();
    let errors: Vec<i64> = flight.events().iter().filter(|event| event.is_error()).map(|event| event.at_ms).collect();
    assert_eq!(errors.first(), Some(&flight.errors_begin_ms()));
    assert_eq!(moment(errors[0]).to_string(), "2025-12-13T04:10:00Z");
    assert_eq!(errors[12] - errors[0], 3_600_000);
}

#[test]
fn equal_seeds_give_equal_flights_and_others_do_not() {
    let flight = |seed| Flight { seed, ..Flight::default() }.events();
    assert_eq!(flight(7), flight(7));
    assert_ne!(flight(7), flight(8));
}

#[test]
fn the_bursts_are_46_samples_and_come_to_last_longer() {
    let events = Flight::default().events();
    let cpu: Vec<f64> = events
        .iter()
        .filter(|event| event.host == STRESSED && event.metric == "cpu")
        .map(|event| event.value)
        .collect();
    let bursts = |from: usize, until: usize| cpu[from..until].iter().filter(|value| **value >= 85.0).count();
    assert_eq!((bursts(0, 48), bursts(288, 336), bursts(528, 576), bursts(0, 576)), (2, 2, 12, 46));
}

#[test]
fn a_short_flight_is_a_flight() {
    for hours in [0, 1, 5] {
        let flight = Flight { hours, ..Flight::default() };
        let samples = flight.events().iter().filter(|event| !event.is_error()).count();
        assert_eq!(samples, 4 * (usize::from(hours) * 12 + 1));
    }
}
