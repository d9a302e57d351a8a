//! Causes of what the second sense saw, while no request is bad.

use super::*;
use crate::evidence::{Evidence, Suspect};
use crate::signal::{Amplification, Coherence, MemoryTrend, SignalKind};
use crate::telemetry::Span;

const MB: f64 = 1e6;

fn leak() -> MemoryTrend {
    MemoryTrend {
        used_bytes: 90.0 * MB,
        limit_bytes: 384.0 * MB,
        bytes_per_s: 1.5 * MB,
        change_per_s: 1.5 * MB,
        explained: 0.99,
        elsewhere_per_s: Some(1.45 * MB),
        exhausted_in_s: Some(196.0),
        at_soonest_s: Some(180.0),
        window_s: 11.0,
    }
}

/// A calm town of which the second sense says something about the engine.
fn evidence(kind: SignalKind, operation: &str, numbers: Coherence) -> Evidence {
    let mut evidence = Town { fault: Fault::Calm, ..Town::default() }.play(1);
    let signal = &mut evidence.signal;
    (signal.kind, signal.operation, signal.coherence) = (kind, operation.to_owned(), Some(numbers));
    (signal.posterior, signal.onset_ms) = (0.995, evidence.taken_ms - 6_000);
    evidence
}

fn memory(trend: MemoryTrend) -> Evidence {
    evidence(SignalKind::MemoryTrend, "process memory", Coherence::Memory(trend))
}

/// The engine's requests of some traces make their call to the rating provider again, so many times; all calls are named `GET`.
fn again(evidence: &mut Evidence, wanted: impl Fn(&Span) -> bool, times: u8) {
    let made = |span: &Span| span.service == "engine" && span.name == "GET";
    let both = |span: &&Span| (made(span) || span.service == "rating") && wanted(span);
    let calls: Vec<Span> = evidence.spans.iter().filter(both).cloned().collect();
    for (time, call) in (1..=times).flat_map(|time| calls.iter().map(move |call| (time, call))) {
        let mut span = call.clone();
        span.span_id.0[0] = 0x80 | time;
        if span.service == "rating" {
            span.parent_id.iter_mut().for_each(|parent| parent.0[0] = 0x80 | time);
        }
        evidence.spans.push(span);
    }
}

fn is_since(onset_ms: i64) -> impl Fn(&Span) -> bool {
    let onset_ns = u64::try_from(onset_ms).expect("a time") * 1_000_000;
    move |span| span.end_ns >= onset_ns
}

/// The engine's calls since the onset, each made twice.
fn storm(calls: Amplification) -> Evidence {
    let mut evidence = evidence(SignalKind::Amplification, "calls per request", Coherence::Calls(calls));
    let since = is_since(evidence.signal.onset_ms);
    again(&mut evidence, since, 1);
    evidence
}

fn bounds(kind: FaultKind) -> (Catalogue, Current) {
    let mut rules: ServiceRules = serde_json::from_str(r#"{"autonomy":"auto"}"#).expect("rules");
    rules.knobs = vec![knob("inside", &[kind]), knob("unbound", &[kind]), knob("other", &[FaultKind::SlowQuery])];
    let values = [("inside", 40), ("unbound", 0), ("other", 0)];
    let current = values.map(|(name, value)| (("engine".to_owned(), name.to_owned()), KnobValue::Int(value)));
    let services = [("engine".to_owned(), rules)].into_iter().collect();
    (Catalogue { version: 1, limits: Default::default(), services }, Current(current.into_iter().collect()))
}

fn turned(knob: &str) -> Remedy {
    Remedy::turn("engine".to_owned(), knob.to_owned(), KnobValue::Int(20))
}

#[test]
fn a_leak_is_bounded_by_the_knob_that_bounds_nothing_and_then_by_the_other() {
    let reading = read(&memory(leak()), &owns).expect("a reading");
    let (rules, current) = bounds(FaultKind::MemoryLeak);
    let offers = offers(&reading, &rules, &current, &[]);
    assert_eq!(
        offers.iter().map(|offer| offer.remedy.clone()).collect::<Vec<_>>(),
        [turned("unbound"), turned("inside")]
    );
    let found = reading.diagnosis(offers.first().map(|offer| offer.clear.clone()));
    assert_eq!((found.service.as_str(), found.kind), ("engine", FaultKind::MemoryLeak));
    assert!(found.confidence.get() > 0.90, "{:#?}", found.terms);
    assert!(found.summary.contains("grows by 1.50 MB/s at 90 of 384 MB"), "{}", found.summary);
    assert!(found.affected.iter().any(|(service, _)| service == "shop"), "{:?}", found.affected);
}

#[test]
fn what_speaks_against_a_leak_lowers_the_confidence() {
    let confidence = |evidence: &Evidence| read(evidence, &owns).expect("a reading").diagnosis(None).confidence.get();
    let sure = confidence(&memory(leak()));
    let mut second = memory(leak());
    let (service, operation) = ("shop".to_owned(), "process memory".to_owned());
    second.suspects.push(Suspect { service, operation, statistic: 20.0 });
    for (why, evidence) in [
        ("another service grows too", second),
        ("the sources differ", memory(MemoryTrend { elsewhere_per_s: Some(0.6 * MB), ..leak() })),
        ("it is no line", memory(MemoryTrend { explained: 0.5, ..leak() })),
        ("it shrinks elsewhere", memory(MemoryTrend { elsewhere_per_s: Some(-MB), ..leak() })),
    ] {
        assert!(confidence(&evidence) <= 0.75 * sure, "{why}");
    }
    let alone = memory(MemoryTrend { elsewhere_per_s: None, ..leak() });
    assert!(read(&alone, &owns).is_err_and(|gap| gap.is_early()));
}

#[test]
fn repeated_calls_are_a_storm_and_more_of_other_calls_are_not() {
    let doubled = Amplification { ratio: 2.0, usual: 1.0, received: Some(1.98), requests: 150 };
    let reading = read(&storm(doubled), &owns).expect("a reading");
    let (rules, current) = bounds(FaultKind::RetryStorm);
    let (remedy, choice) = bind(&reading, &rules, &current, &[]).expect("a remedy");
    assert_eq!(remedy, turned("unbound"));
    let found = reading.diagnosis(Some(choice));
    assert_eq!(found.kind, FaultKind::RetryStorm);
    assert!(found.confidence.get() > 0.90, "{:#?}", found.terms);
    assert!(!found.evidence.is_empty());

    // The same number of calls, none of them twice within a request.
    let mut fan_out = storm(doubled);
    let mut number = 0;
    for span in fan_out.spans.iter_mut().filter(|span| span.service == "rating") {
        number += 1;
        span.name = format!("GET /rate/{number}");
    }
    assert!(confidence(&fan_out) < 0.5);

    // The callees' side is not seen.
    let mut unseen = storm(doubled);
    unseen.spans.retain(|span| span.service != "rating");
    assert!(read(&unseen, &owns).map_or(0.0, |reading| reading.diagnosis(None).confidence.get()) < 0.5);
}

fn confidence(evidence: &Evidence) -> f64 {
    read(evidence, &owns).expect("a reading").diagnosis(None).confidence.get()
}

#[test]
fn traffic_that_shifts_to_an_operation_that_makes_many_calls_is_no_storm() {
    let shifted = Amplification { ratio: 3.0, usual: 1.4, received: Some(2.97), requests: 150 };
    for was_usual in [true, false] {
        let mut evidence = evidence(SignalKind::Amplification, "calls per request", Coherence::Calls(shifted));
        let since = is_since(evidence.signal.onset_ms);
        let number = |span: &Span| u128::from_be_bytes(span.trace_id.0);
        // A tenth of the requests make five calls, and half of them since the onset.
        let makes_many = |span: &Span| match since(span) {
            true => number(span) % 2 == 0,
            false => was_usual && number(span) % 10 == 0,
        };
        for span in evidence.spans.iter_mut().filter(|span| span.service == "engine" && span.kind.is_entry()) {
            if makes_many(span) {
                span.name = "POST /many".to_owned();
            }
        }
        again(&mut evidence, makes_many, 4);
        assert!(confidence(&evidence) < 0.5, "{was_usual}");
    }
}

#[test]
fn what_grows_under_an_unknown_load_is_left_to_a_person() {
    let mut evidence = memory(leak());
    assert!(confidence(&evidence) > 0.90);
    evidence.spans.retain(|span| !(span.service == "engine" && span.kind.is_entry()));
    assert!(confidence(&evidence) <= 0.90);
}
