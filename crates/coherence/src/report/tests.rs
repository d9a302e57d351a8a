//! The report of a flight.

use super::*;
use crate::flight::{Flight, STRESSED};

fn report(seed: u64) -> Report {
    Report::of(&Flight { seed, ..Flight::default() }.events(), 0)
}

#[test]
fn a_flight_is_one_incident_of_an_hour_and_the_leak_is_among_its_causes() {
    for seed in [7, 8, 9] {
        let report = report(seed);
        let told: Vec<_> = report
            .incidents
            .iter()
            .map(|one| (one.incident_id.as_str(), one.error_count, one.duration_minutes))
            .collect();
        assert_eq!((told, report.incident_count), (vec![("host-stressed@2025-12-13T04:10:00Z", 13, 60.0)], 1));
        let classes: Vec<Class> = report.incidents[0].hypotheses.iter().map(|told| told.class).collect();
        assert!(classes.contains(&Class::MemoryLeak), "{classes:?}");
        assert!(report.alerts.iter().all(|alert| alert.host == STRESSED));
        assert!(report.alerts.iter().all(|alert| (0.0..=1.0).contains(&alert.risk_score)));
    }
}

#[test]
fn the_narrative_has_the_form_of_the_seed() {
    insta::assert_snapshot!(report(7).incidents[0].narrative, @r"
    At 2025-12-13 04:10 UTC, host-stressed experienced:
    - 13 error events
    - CPU spike to 94.58%
    - Memory at 83.42% (leak progression)

    **Hypothesis**: Error burst caused by resource exhaustion.
    ");
}

#[test]
fn the_report_for_people() {
    insta::assert_snapshot!(report(7).to_string());
}

#[test]
fn the_graph_for_graphviz() {
    insta::assert_snapshot!(report(7).graph.dot());
}

#[test]
fn the_json_has_the_listed_fields() {
    let json = serde_json::to_value(report(7)).expect("JSON");
    let keys = |pointer: &str| -> Vec<String> {
        let object = json.pointer(pointer).and_then(serde_json::Value::as_object).expect("an object");
        object.keys().cloned().collect()
    };
    let incident = ["incident_id", "host", "timestamp", "error_count", "duration_minutes", "hypotheses"];
    assert!(incident.iter().all(|key| keys("/incidents/0").iter().any(|has| has == key)));
    let hypothesis = ["detector", "metric", "relevance", "lead_time_hours", "risk_score", "summary"];
    assert!(hypothesis.iter().all(|key| keys("/incidents/0/hypotheses/0").iter().any(|has| has == key)));
    let alert = ["detector", "host", "metric", "fingerprint", "risk_score", "details"];
    assert!(alert.iter().all(|key| keys("/alerts/0").iter().any(|has| has == key)));
    assert_eq!(json["incidents"][0]["timestamp"], "2025-12-13T04:10:00Z");
}

#[test]
fn order_does_not_matter_and_nothing_is_nothing() {
    let mut events = Flight::default().events();
    let straight = Report::of(&events, 0);
    events.reverse();
    assert_eq!(Report::of(&events, 0), straight);
    let nothing = Report::of(&[], 3);
    assert_eq!((nothing.alerts.len(), nothing.incidents.len(), nothing.analysed.refused), (0, 0, 3));
}

#[test]
fn of_too_many_incidents_the_newest_are_explained() {
    let error = |host: &str, hour: i64| SignalEvent {
        at_ms: hour * 3_600_000,
        host: host.to_owned(),
        service: "application".to_owned(),
        severity: crate::event::Severity::Error,
        metric: crate::event::ERROR.to_owned(),
        value: 1.0,
        synthetic: false,
    };
    let old = (0..MOST_INCIDENTS as i64 + 5).map(|hour| error("a", hour));
    let events: Vec<SignalEvent> = old.chain([error("b", 1_000)]).collect();
    let report = Report::of(&events, 0);
    assert_eq!((report.incidents.len(), report.incident_count), (MOST_INCIDENTS, MOST_INCIDENTS + 6));
    let told = |at: usize| (report.incidents[at].host.as_str(), report.incidents[at].timestamp);
    assert_eq!((told(0), told(MOST_INCIDENTS - 1)), (("a", 6 * 3_600_000), ("b", 1_000 * 3_600_000)));
}
