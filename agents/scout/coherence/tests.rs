//! The second sense against made-up processes and calls with their own time.

use sre_space_domain::recovery::Outcome;
use sre_space_domain::signal::{Certainty, Signal};
use sre_space_domain::telemetry::{SpanId, SpanKind, SpanView};

use super::super::{Limits, ProbeTally, Scout, Sighting, Watch};
use super::*;

mod paces;
mod replicas;
mod restart;

const MB: f64 = 1e6;
const LIMIT: f64 = 384.0 * MB;

/// A service whose process and platform both tell of its memory, and that calls another.
struct Town {
    scout: Scout,
    now_ms: i64,
    number: u64,
    revision: &'static str,
    sources: Vec<&'static str>,
    /// Time between two points, milliseconds.
    step_ms: i64,
    /// Requests served between them.
    serves: u32,
    /// Requests a second that call the bank.
    per_second: u32,
    fails: bool,
    /// Tells spans as those of calm times before a start at this time.
    recollects_at: Option<i64>,
    suspected: Vec<Signal>,
    confirmed: Vec<Signal>,
}

impl Town {
    fn new(coherence: bool) -> Self {
        Self {
            scout: Scout::new(Limits { coherence, ..Limits::default() }),
            now_ms: 1_000_000,
            number: 0,
            revision: "one",
            sources: vec!["shop", "deployer"],
            step_ms: 1_000,
            serves: 5,
            per_second: 50,
            fails: false,
            recollects_at: None,
            suspected: vec![],
            confirmed: vec![],
        }
    }

    fn judge(&mut self) {
        for sighting in self.scout.judge(self.now_ms) {
            match sighting {
                Sighting::Suspected(signal) => self.suspected.push(signal),
                Sighting::Confirmed(signal) => self.confirmed.push(signal),
                Sighting::Faded { .. } => {}
            }
        }
    }

    /// Seconds of memory: the n-th tells of so many bytes.
    fn memory(&mut self, seconds: u32, used: impl Fn(u32) -> f64) -> &mut Self {
        for second in 0..seconds {
            self.now_ms += self.step_ms;
            self.tell(self.revision, used(second));
            (0..self.serves).for_each(|_| self.request());
            self.judge();
        }
        self
    }

    /// What the sources tell of one process.
    fn tell(&mut self, instance: &str, used: f64) {
        for source in self.sources.clone() {
            let metric = if source == "deployer" { "container.memory" } else { "process.memory" };
            for (metric, value) in [("container.memory.limit", LIMIT), (&format!("{metric}.usage"), used)] {
                self.point((source, instance), metric, value);
            }
        }
    }

    fn point(&mut self, (source, instance): (&str, &str), metric: &str, value: f64) {
        let (revision, value) = (self.revision, PointValue::Number(value));
        let point = PointView { service: "shop", revision, instance, metric, unit: "By", series: 0, at_ns: 0, value };
        self.scout.observe_point(&point, source, self.now_ms);
    }

    fn request(&mut self) {
        self.number += 1;
        self.span("shop", SpanKind::Server, (SpanId((self.number * 100 + 1).to_be_bytes()), None));
    }

    /// Seconds of requests, fifty each if not told otherwise; the n-th requests call the bank so many times.
    fn calls(&mut self, seconds: u32, times: impl Fn(u64) -> u64) -> &mut Self {
        for _ in 0..seconds * self.per_second {
            self.now_ms += 1_000 / i64::from(self.per_second);
            self.number += 1;
            let number = self.number;
            let id = |part: u64| SpanId((number * 100 + part).to_be_bytes());
            for call in 0..times(number) {
                let (made, taken) = (id(10 + call), id(50 + call));
                self.span("bank", SpanKind::Server, (taken, Some(made)));
                self.span("shop", SpanKind::Client, (made, Some(id(1))));
            }
            self.span("shop", SpanKind::Server, (id(1), None));
            if self.number.is_multiple_of(10) {
                self.judge();
            }
        }
        self
    }

    fn span(&mut self, service: &str, kind: SpanKind, (span_id, parent_id): (SpanId, Option<SpanId>)) {
        let end_ns = u64::try_from(self.now_ms).expect("after 1970") * 1_000_000;
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&self.number.to_be_bytes());
        let span = SpanView {
            trace_id: TraceId(trace),
            span_id,
            parent_id,
            service,
            revision: self.revision,
            name: if kind == SpanKind::Client { "GET" } else { "GET /" },
            kind,
            start_ns: end_ns - 1_000_000,
            end_ns,
            status_error: self.fails,
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
        match self.recollects_at {
            Some(start_ms) => self.scout.recollect(&span, self.now_ms, start_ms),
            None => self.scout.observe(&span, service, self.now_ms),
        }
    }

    fn recheck(&self, signal: &Signal, since_ms: i64) -> Option<Outcome> {
        let watch = Watch { revision: self.revision.to_owned(), ..watch_of(signal, since_ms) };
        self.scout.recheck(&watch, self.now_ms).map(|recovery| recovery.verdict)
    }
}

/// A small linear congruential generator (Knuth's MMIX constants): equal seeds, equal runs.
fn dice(seed: u64) -> impl Fn(u32) -> f64 {
    move |at| {
        let mut state = seed ^ u64::from(at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for _ in 0..3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        }
        ((state >> 11) as f64) / ((1_u64 << 53) as f64)
    }
}

#[test]
fn a_leak_is_confirmed_by_two_sources_long_before_the_limit() {
    let mut town = Town::new(true);
    let noise = dice(7);
    town.memory(120, |at| 60.0 * MB + 0.1 * MB * noise(at));
    assert_eq!(town.suspected, []);
    let began_ms = town.now_ms;
    town.memory(30, |at| 60.0 * MB + 1.5 * MB * f64::from(at) + 0.1 * MB * noise(at));
    let signal = town.confirmed.first().expect("a confirmed signal");
    assert_eq!((signal.kind, signal.certainty), (SignalKind::MemoryTrend, Certainty::Confirmed));
    assert_eq!((signal.service.as_str(), signal.operation.as_str()), ("shop", MEMORY));
    assert_eq!(signal.sources, ["shop", "deployer"]);
    assert!(signal.onset_ms - began_ms <= 10_000, "{} ms", signal.onset_ms - began_ms);
    let Some(Coherence::Memory(memory)) = signal.coherence else { panic!("no numbers: {signal:?}") };
    assert!((memory.bytes_per_s / MB - 1.5).abs() < 0.2, "{memory:?}");
    let truly_in_s = (LIMIT - memory.used_bytes) / (1.5 * MB);
    let forecast_s = memory.exhausted_in_s.expect("a forecast");
    assert!((forecast_s / truly_in_s - 1.0).abs() < 0.15, "{memory:?}, truly {truly_in_s}");
}

#[test]
fn calm_memory_warm_ups_steps_and_saw_teeth_say_nothing() {
    let noise = |seed: u64| dice(seed);
    for seed in 1..=10 {
        let roll = noise(seed);
        let kinds: [&dyn Fn(u32) -> f64; 4] = [
            &|at| 60.0 * MB + MB * roll(at),
            &|at| 60.0 * MB * (1.0 - (-f64::from(at) / 3.0).exp()) + 0.2 * MB * roll(at),
            &|at| if at < 200 { 60.0 * MB } else { 120.0 * MB },
            &|at| 60.0 * MB + 4.0 * MB * f64::from(at % 8),
        ];
        for (number, kind) in kinds.iter().enumerate() {
            let mut town = Town::new(true);
            town.memory(300, kind);
            assert_eq!(town.confirmed, [], "kind {number}, seed {seed}");
        }
    }
}

#[test]
fn without_a_limit_or_with_the_sense_off_memory_says_nothing_and_one_source_confirms_nothing() {
    let grow = |at: u32| 60.0 * MB + 1.5 * MB * f64::from(at);
    let mut off = Town::new(false);
    off.memory(100, grow);
    assert_eq!(off.suspected, []);
    let mut alone = Town::new(true);
    alone.sources = vec!["shop"];
    alone.memory(100, grow);
    assert_eq!((alone.suspected.len(), alone.confirmed.len()), (1, 0));
}

#[test]
fn a_new_process_is_judged_by_the_same_seconds() {
    let grow = |at: u32| 60.0 * MB + 1.5 * MB * f64::from(at);
    for (heals, verdicts) in [(true, vec![Outcome::Recovered]), (false, vec![Outcome::Unchanged])] {
        let mut town = Town::new(true);
        town.memory(60, |_| 60.0 * MB).memory(40, grow);
        let signal = town.confirmed.first().expect("a confirmed signal").clone();
        (town.revision, town.number) = ("two", 0);
        let since_ms = town.now_ms + 1_000;
        assert_eq!(town.recheck(&signal, since_ms), None, "nothing was seen yet");
        let mut judged = vec![];
        for second in 0..58 {
            town.memory(1, |_| if heals { 50.0 * MB } else { grow(second) });
            judged.extend(town.recheck(&signal, since_ms).filter(|_| judged.is_empty()));
        }
        assert_eq!(judged, verdicts);
        town.memory(5, |_| 50.0 * MB);
        let silent = Watch { revision: "three".into(), ..watch_of(&signal, since_ms) };
        assert_eq!(town.scout.recheck(&silent, town.now_ms).map(|it| it.verdict), Some(Outcome::Inconclusive));
    }
}

fn watch_of(signal: &Signal, since_ms: i64) -> Watch {
    Watch {
        service: signal.service.clone(),
        operation: Some(signal.operation.clone()),
        revision: String::new(),
        baseline: signal.baseline,
        observed: signal.observed,
        coherence: signal.coherence,
        suspects_before: vec![],
        apart: vec![],
        settle_ms: 2_000,
        timeout_ms: 60_000,
        since_ms,
        probes: ProbeTally::default(),
    }
}

#[test]
fn calls_that_double_are_confirmed_by_the_callee_and_no_request_was_bad() {
    let mut town = Town::new(true);
    town.calls(30, |_| 1);
    assert_eq!(town.suspected, []);
    town.calls(20, |_| 2);
    let signal = town.confirmed.first().expect("a confirmed signal");
    assert_eq!((signal.kind, signal.operation.as_str()), (SignalKind::Amplification, CALLS));
    assert_eq!(signal.sources, ["shop", "bank"]);
    let Some(Coherence::Calls(calls)) = signal.coherence else { panic!("no numbers: {signal:?}") };
    assert!((1.9..=2.1).contains(&calls.ratio) && (0.9..=1.1).contains(&calls.usual), "{calls:?}");
    assert!(calls.received.is_some_and(|received| (1.9..=2.1).contains(&received)), "{calls:?}");

    let signal = signal.clone();
    let since_ms = town.now_ms;
    town.revision = "two";
    town.calls(20, |_| 1);
    assert_eq!(town.recheck(&signal, since_ms), Some(Outcome::Recovered));
}

#[test]
fn a_changing_load_and_a_lasting_fan_out_are_no_amplification() {
    let mut town = Town::new(true);
    town.calls(30, |_| 3);
    for per_second in [10, 200, 50, 400, 20] {
        (town.per_second, town.number) = (per_second, town.number + 1);
        town.calls(20, |_| 3);
    }
    assert_eq!(town.suspected, []);
    town.calls(20, |_| 5);
    assert_eq!(town.suspected.len(), 1, "it would be seen");
}

#[test]
fn a_cure_that_breaks_requests_is_a_regression_and_one_that_nobody_uses_is_no_recovery() {
    let grow = |at: u32| 60.0 * MB + 1.5 * MB * f64::from(at);
    for (serves, fails, verdict) in
        [(5, false, Outcome::Recovered), (5, true, Outcome::Regressed), (0, false, Outcome::Inconclusive)]
    {
        let mut town = Town::new(true);
        town.memory(60, |_| 60.0 * MB).memory(40, grow);
        let signal = town.confirmed.first().expect("a confirmed signal").clone();
        (town.revision, town.fails, town.serves) = ("two", fails, serves);
        let since_ms = town.now_ms + 1_000;
        let mut judged = None;
        town.now_ms += 1_000;
        town.request();
        for _ in 0..62 {
            town.memory(1, |_| 50.0 * MB);
            judged = judged.or_else(|| town.recheck(&signal, since_ms));
        }
        assert_eq!(judged, Some(verdict));
    }
}

#[test]
fn what_the_second_sense_alone_suspects_takes_no_proven_cure_back() {
    let mut town = Town::new(true);
    (town.sources, town.serves) = (vec!["shop"], 20);
    town.memory(60, |_| 60.0 * MB).memory(30, |at| 60.0 * MB + 1.5 * MB * f64::from(at));
    assert_eq!((town.suspected.len(), town.confirmed.len()), (1, 0));
    let cured = Signal { operation: "GET /".into(), coherence: None, observed: 0.5, ..town.suspected[0].clone() };
    assert_eq!(town.recheck(&cured, town.now_ms - 20_000), Some(Outcome::Recovered));
}

#[test]
fn what_is_usual_is_known_after_some_calm_seconds_and_not_before() {
    let mut town = Town::new(true);
    town.calls(4, |_| 1);
    assert!(!town.scout.knows_usual());
    town.calls(20, |_| 1);
    assert!(town.scout.knows_usual());
    assert!(Town::new(false).scout.knows_usual(), "switched off, there is nothing to know");
}
