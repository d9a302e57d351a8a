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

/// The engine's calls since the onset, each made twice.
fn storm(calls: Amplification) -> Evidence {
    let mut evidence = evidence(SignalKind::Amplification, "calls per request", Coherence::Calls(calls));
    let onset_ns = u64::try_from(evidence.signal.onset_ms).expect("a time") * 1_000_000;
    let again = |span: &&Span| span.service == "engine" && span.kind == crate::telemetry::SpanKind::Client;
    let mut more: Vec<Span> = evidence.spans.iter().filter(again).cloned().collect();
    more.retain(|span| span.db_system.is_empty() && span.end_ns >= onset_ns);
    more.iter_mut().for_each(|span| span.span_id.0[0] ^= 0xff);
    evidence.spans.extend(more);
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
    for span in fan_out.spans.iter_mut().filter(|span| span.span_id.0[0] & 0x80 != 0) {
        number += 1;
        span.name = format!("GET {number}");
    }
    let gap_or_doubt = read(&fan_out, &owns).map(|reading| reading.diagnosis(None).confidence.get());
    assert!(gap_or_doubt.as_ref().is_ok_and(|confidence| *confidence < 0.5), "{gap_or_doubt:?}");
}
