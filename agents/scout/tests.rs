//! Scout against made-up spans with their own time.

use sre_space_domain::recovery::Outcome;
use sre_space_domain::telemetry::TraceId;

use super::*;

const MS: u64 = 1_000_000;

/// Plays requests of `web` to `engine`, one trace each, at a fixed rate.
struct Play {
    scout: Scout,
    now_ms: i64,
    number: u64,
    revision: &'static str,
    one_source: bool,
    /// Tells spans as those of calm times before a start at this time.
    recollects_at: Option<i64>,
    sightings: Vec<Sighting>,
}

impl Play {
    fn new() -> Self {
        let scout = Scout::new(Limits::default());
        Self {
            scout,
            now_ms: 1_000_000,
            number: 0,
            revision: "one",
            one_source: false,
            recollects_at: None,
            sightings: vec![],
        }
    }

    /// Plays for some seconds at 100 requests a second; `bad` says of the n-th request whether it fails and how long it takes.
    fn run(&mut self, seconds: u64, bad: impl Fn(u64) -> (bool, u64)) -> &mut Self {
        for tick in 0..seconds * 100 {
            self.now_ms += 10;
            self.number += 1;
            let (failed, took_ms) = bad(self.number);
            self.request(failed, took_ms);
            if tick % 20 == 0 {
                let seen = self.scout.judge(self.now_ms);
                self.sightings.extend(seen);
            }
        }
        self
    }

    fn request(&mut self, failed: bool, took_ms: u64) {
        let id = |part: u64| SpanId((self.number * 8 + part).to_be_bytes());
        let (server, client, callee) = (id(1), id(2), id(3));
        self.span(("engine", "POST /price"), SpanKind::Server, (callee, Some(client)), (failed, took_ms));
        self.span(("web", "POST"), SpanKind::Client, (client, Some(server)), (failed, took_ms));
        self.span(("web", "GET /quote"), SpanKind::Server, (server, None), (failed, took_ms));
    }

    fn span(
        &mut self,
        (service, name): (&str, &str),
        kind: SpanKind,
        (span_id, parent_id): (SpanId, Option<SpanId>),
        (failed, took_ms): (bool, u64),
    ) {
        let end_ns = u64::try_from(self.now_ms).expect("after 1970") * MS;
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&self.number.to_be_bytes());
        let view = SpanView {
            trace_id: TraceId(trace),
            span_id,
            parent_id,
            service,
            revision: self.revision,
            name,
            kind,
            start_ns: end_ns - took_ms * MS,
            end_ns,
            status_error: failed,
            http_status: None,
            grpc_status: None,
            error_type: "",
            has_exception: false,
            exception_type: "",
            exception_message: "",
            peer_address: "",
            peer_port: None,
            db_system: "",
        };
        let source = if self.one_source { "one" } else { service };
        match self.recollects_at {
            Some(start_ms) => self.scout.recollect(&view, self.now_ms, start_ms),
            None => self.scout.observe(&view, source, self.now_ms),
        }
    }

    fn said(&self, wanted: impl Fn(&Sighting) -> bool) -> usize {
        self.sightings.iter().filter(|sighting| wanted(sighting)).count()
    }
}

fn suspected(sighting: &Sighting) -> bool {
    matches!(sighting, Sighting::Suspected(_))
}

fn confirmed(sighting: &Sighting) -> bool {
    matches!(sighting, Sighting::Confirmed(_))
}

#[test]
fn calm_times_before_the_start_are_evidence_and_counted_nowhere() {
    let mut play = Play::new();
    let start_ms = play.now_ms + 12_000;
    play.recollects_at = Some(start_ms);
    play.run(2, |_| (false, 500));
    (play.recollects_at, play.now_ms, play.revision) = (None, start_ms, "two");
    play.run(3, |_| (true, 500));
    let now_ms = play.now_ms;
    let signal = play.scout.signal("engine", "POST /price", now_ms).expect("a signal");
    let evidence = play.scout.evidence(&signal, now_ms);
    assert_eq!(evidence.heard_since_ms, start_ms + 10);
    let engine: Vec<_> = evidence.revisions.iter().filter(|seen| seen.service == "engine").collect();
    let seen = |at: usize| (engine[at].revision.as_str(), engine[at].entries, engine[at].bad);
    assert_eq!((seen(0), seen(1)), (("one", 200, 0), ("two", 300, 300)));
    assert_eq!(evidence.spans.iter().filter(|span| span.revision == "one").count(), 600, "kept though they are old");
    let graph = play.scout.graph(now_ms);
    let served = graph.nodes.iter().find(|node| node.service == "engine").map(|node| node.requests);
    assert_eq!(served, Some(300));
    let mut restarted = Play { recollects_at: Some(start_ms), ..Play::new() };
    assert!(!restarted.scout.related("web", "engine"));
    restarted.run(1, |_| (false, 5));
    assert!(restarted.scout.related("web", "engine"), "who calls whom is known from before");
    assert_eq!(restarted.scout.graph(start_ms).edges, []);
}

#[test]
fn five_healthy_minutes_raise_nothing() {
    let mut play = Play::new();
    play.run(300, |_| (false, 500));
    assert_eq!(play.sightings, vec![]);
    assert!(play.scout.calm("web", play.now_ms));
}

#[test]
fn five_minutes_of_one_percent_unrelated_errors_raise_nothing() {
    let mut play = Play::new();
    play.run(300, |n| (n.wrapping_mul(2_654_435_761) % 100 == 0, 500));
    assert_eq!(play.sightings, vec![]);
}

#[test]
fn failures_are_suspected_then_confirmed_callee_first() {
    for share in [3, 7, 10] {
        let mut play = Play::new();
        play.run(30, |_| (false, 500)).run(5, |n| (n % 10 < share, 500));
        let services: Vec<&str> = play
            .sightings
            .iter()
            .map(|sighting| match sighting {
                Sighting::Suspected(signal) | Sighting::Confirmed(signal) => signal.service.as_str(),
                Sighting::Faded { service, .. } => service.as_str(),
            })
            .collect();
        assert_eq!(services.first(), Some(&"engine"));
        assert_eq!(play.said(confirmed), 1, "the engine has two sources, the web has one");
    }
}

#[test]
fn two_signals_of_one_source_are_one() {
    let mut play = Play::new();
    play.one_source = true;
    play.run(30, |_| (false, 500)).run(10, |_| (true, 500));
    assert_eq!((play.said(suspected), play.said(confirmed)), (2, 0));
    play.scout.probed("engine", true, play.now_ms);
    play.run(1, |_| (true, 500));
    assert_eq!(play.said(confirmed), 1, "a bad probe is a second source");
}

#[test]
fn slow_is_bad_and_the_objective_itself_is_not() {
    let mut play = Play::new();
    play.run(30, |_| (false, 500)).run(20, |_| (false, 800));
    assert_eq!(play.sightings, vec![]);
    play.run(5, |_| (false, 801));
    assert_eq!(play.said(confirmed), 1);
}

#[test]
fn a_flood_of_names_is_bounded_and_counted() {
    let mut play = Play::new();
    for n in 0..100_000 {
        play.number += 1;
        let (service, name) = (format!("service-{n}"), format!("operation-{n}"));
        play.span((&service, &name), SpanKind::Server, (SpanId(play.number.to_be_bytes()), None), (false, 1));
    }
    assert!(play.scout.series.len() <= 202 * 51);
    assert!(play.scout.graph(play.now_ms).nodes.len() <= 201);
    assert!(play.scout.overflowed() > 99_000);
}

fn after_fix(after: impl Fn(u64) -> (bool, u64)) -> Option<Outcome> {
    let mut play = Play::new();
    play.run(30, |_| (false, 500)).run(5, |n| (n % 10 < 7, 500));
    let signal = play.scout.signal("engine", "POST /price", play.now_ms).expect("a signal");
    let watch = Watch {
        service: "engine".into(),
        operation: Some("POST /price".into()),
        revision: "two".into(),
        baseline: signal.baseline,
        observed: signal.observed,
        coherence: None,
        suspects_before: play.scout.suspects(),
        apart: Vec::new(),
        settle_ms: 2_000,
        timeout_ms: 20_000,
        since_ms: play.now_ms + 10,
        probes: ProbeTally::default(),
    };
    play.revision = "two";
    for _ in 0..25 {
        play.run(1, &after);
        if let Some(recovery) = play.scout.recheck(&watch, play.now_ms) {
            return Some(recovery.verdict);
        }
    }
    None
}

#[test]
fn a_fix_is_judged_on_the_new_revision() {
    assert_eq!(after_fix(|_| (false, 500)), Some(Outcome::Recovered));
    assert_eq!(after_fix(|n| (n % 10 < 7, 500)), Some(Outcome::Unchanged));
    assert_eq!(after_fix(|_| (false, 1_200)), Some(Outcome::Unchanged), "500s that became slow 200s");
}

#[test]
fn the_old_revision_says_nothing_about_the_fix() {
    let mut play = Play::new();
    play.run(30, |_| (false, 500)).run(5, |_| (true, 500));
    let watch = Watch {
        service: "engine".into(),
        operation: Some("POST /price".into()),
        revision: "two".into(),
        baseline: 0.001,
        observed: 1.0,
        coherence: None,
        suspects_before: play.scout.suspects(),
        apart: Vec::new(),
        settle_ms: 0,
        timeout_ms: 10_000,
        since_ms: play.now_ms,
        probes: ProbeTally::default(),
    };
    play.run(9, |_| (false, 500));
    assert_eq!(play.scout.recheck(&watch, play.now_ms), None);
    play.run(2, |_| (false, 500));
    let verdict = play.scout.recheck(&watch, play.now_ms).map(|recovery| (recovery.verdict, recovery.samples));
    assert_eq!(verdict, Some((Outcome::Inconclusive, 0)));
}

#[test]
fn callers_and_callees_are_related() {
    let mut play = Play::new();
    play.run(1, |_| (false, 5));
    assert!(play.scout.related("web", "engine") && play.scout.related("engine", "web"));
    assert!(!play.scout.related("web", "stranger"));
}

#[test]
fn a_failure_has_passed_once_its_own_operation_is_seen_healthy() {
    let mut play = Play::new();
    play.run(3, |_| (true, 5));
    let signal = play.scout.signal("engine", "POST /price", play.now_ms).expect("a signal");
    assert!(!play.scout.passed(&signal, play.now_ms), "it fails now");
    play.run(10, |_| (false, 5));
    assert!(!play.scout.passed(&signal, play.now_ms), "too much of what was lately served was bad");
    play.run(25, |_| (false, 5));
    assert!(play.scout.passed(&signal, play.now_ms));
    let uncalled = Signal { operation: "GET /history".into(), ..signal.clone() };
    assert!(!play.scout.passed(&uncalled, play.now_ms), "what is not called tells nothing");
    play.run(2, |number| (number % 2 == 0, 5));
    assert!(!play.scout.passed(&signal, play.now_ms), "it fails again");
}
