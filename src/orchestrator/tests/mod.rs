//! Effects over real embedded parts, with spans that Scout is given by hand.

mod again;
mod author;
mod counsel;
mod garbage;
mod injection;
mod rest;
mod senses;
mod veto;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sre_space_agents::scout::{Limits, Scout};
use sre_space_domain::diagnosis::{Confidence, Diagnosis, FaultKind, Measured, Source};
use sre_space_domain::incident::{Effect, Event, Finding, Incident, Rules};
use sre_space_domain::knowledge::Signature;
use sre_space_domain::signal::{Certainty, Signal, SignalKind};
use sre_space_domain::telemetry::{SpanId, SpanKind, SpanView, TraceId};

use sre_space_ports::bus::{Bus, BusError, BusStatus, Feed, Message, Topic};

use super::effects::perform;
use super::*;
use crate::app::Parts;
use crate::autonomy::Autonomy;
use crate::config::Given;
use crate::monitor::feed;
use crate::orchestrator::context::Patience;

const MS: u64 = 1_000_000;

/// A loop's context that waits for next to nothing, over an empty repository.
async fn context(dir: &tempfile::TempDir) -> Context {
    context_with(dir, &[]).await
}

/// The same with settings of its own.
async fn context_with(dir: &tempfile::TempDir, settings: &[(&str, &str)]) -> Context {
    let mut given = Given::default();
    settings.iter().for_each(|(name, value)| given.set(name, value));
    git2::Repository::init_bare(dir.path().join("watched.git")).expect("a repository");
    given.set("SRE_SPACE_REPO", dir.path().join("watched.git").display());
    given.set("SRE_SPACE_DATA_DIR", dir.path().join("data").display());
    let parts = Parts::open(&given.settings().expect("settings")).await.expect("parts");
    let (brief, advised) = (Duration::from_millis(5), parts.adviser.is_some());
    Context {
        feed: Arc::new(feed::Feed::new(Arc::clone(&parts.store))),
        rules: Rules { asks_model: advised, asks_for_patches: advised, ..Rules::default() },
        patience: Patience { look: brief, evidence: brief * 40, calm: brief * 4, ..Patience::default() },
        scout: Arc::new(Mutex::new(Scout::new(Limits::default()))),
        forge_changed: Arc::default(),
        vetoes: Arc::default(),
        autonomy: Autonomy::new(true, dir.path().join("autonomy-off")),
        parts,
    }
}

fn confirmed(context: &Context) -> Incident {
    let signal = Signal {
        service: "shop".into(),
        operation: "POST /price".into(),
        kind: SignalKind::ErrorRate,
        certainty: Certainty::Confirmed,
        observed: 0.7,
        baseline: 0.01,
        threshold: 13.0,
        window_s: 5.0,
        samples: 500,
        statistic: 26.0,
        posterior: 1.0,
        sources: vec!["a".into(), "b".into()],
        onset_ms: context.now_ms(),
        coherence: None,
    };
    Incident::open(context.new_id(), signal, context.now())
}

/// The shop serves so many requests well.
fn serve_well(context: &Context, requests: u64) {
    let now_ms = context.now_ms();
    let end_ns = u64::try_from(now_ms).expect("after 1970") * MS;
    for request in 1..=requests {
        let view = SpanView {
            trace_id: TraceId([request.to_be_bytes(), request.to_be_bytes()].concat().try_into().expect("16 bytes")),
            span_id: SpanId(request.to_be_bytes()),
            parent_id: None,
            service: "shop",
            revision: "one",
            name: "POST /price",
            kind: SpanKind::Server,
            start_ns: end_ns - MS,
            end_ns,
            status_error: false,
            http_status: Some(200),
            grpc_status: None,
            error_type: "",
            has_exception: false,
            exception_type: "",
            exception_message: "",
            peer_address: "",
            peer_port: None,
            db_system: "",
        };
        context.scout().observe(&view, "shop", now_ms);
    }
}

#[tokio::test]
async fn a_failure_that_is_seen_to_have_passed_needs_no_cause() {
    let dir = tempfile::tempdir().expect("a folder");
    let context = context(&dir).await;
    let incident = confirmed(&context);
    serve_well(&context, 30);
    for effect in [Effect::Recall, Effect::Diagnose] {
        assert_eq!(perform(&context, &incident, &effect).await, Event::Faded);
    }
}

#[tokio::test]
async fn silence_is_no_sign_that_a_failure_has_passed() {
    let dir = tempfile::tempdir().expect("a folder");
    let context = context(&dir).await;
    let incident = confirmed(&context);
    serve_well(&context, 3);
    let recalled = perform(&context, &incident, &Effect::Recall).await;
    assert_eq!(recalled, Event::Recalled { found: None, similar: vec![], doubt: None });
    let Event::GaveUp(why) = perform(&context, &incident, &Effect::Diagnose).await else { panic!("gave up") };
    assert!(why.contains("too early to say: 0 bad traces"), "{why}");
}

#[tokio::test]
async fn the_ticket_of_what_passed_says_so_and_is_closed() {
    let dir = tempfile::tempdir().expect("a folder");
    let context = context(&dir).await;
    let opened = confirmed(&context);
    let mut incident =
        incident::step(opened, Event::Confirmed(confirmed(&context).signal), &context.rules, context.now()).incident;
    for event in [perform(&context, &incident, &Effect::OpenTicket).await, Event::Faded] {
        incident = incident::step(incident, event, &context.rules, context.now()).incident;
    }
    assert_eq!(perform(&context, &incident, &Effect::CloseTicket).await, Event::TicketClosed);
    let (_, tickets) = context.parts.issues.activity(10).await.expect("the tickets");
    let [ticket] = tickets.as_slice() else { panic!("one ticket: {tickets:?}") };
    assert!(
        ticket.state == "closed" && ticket.comments.iter().any(|told| told.contains("passed by itself")),
        "{ticket:?}"
    );
}

#[tokio::test]
async fn a_cause_that_another_incident_has_is_the_other_ones() {
    let dir = tempfile::tempdir().expect("a folder");
    let context = Arc::new(context(&dir).await);
    let signature = Signature {
        service: "shop".into(),
        operation: "POST /price".into(),
        kind: FaultKind::PoolExhausted,
        facts: vec!["waits".into()],
    };
    let mut first = Incident { state: State::Acting, ..confirmed(&context) };
    first.fingerprint = Some(signature.fingerprint());
    let second = Incident { state: State::Diagnosing, ..confirmed(&context) };
    let diagnosis = Diagnosis {
        service: "shop".into(),
        operation: "POST /price".into(),
        kind: FaultKind::PoolExhausted,
        summary: String::new(),
        confidence: Confidence::product([0.95]),
        terms: vec![],
        evidence: vec![],
        candidates: vec![],
        measured: Measured::default(),
        affected: vec![],
    };
    let found = Finding { source: Source::BrainRules, diagnosis, signature, remedy: None, offers: vec![] };
    let found = Event::Diagnosed(Box::new(found));
    let mut orchestrator = Orchestrator::resume(context).await.expect("an empty journal");
    assert_eq!(orchestrator.unless_known(&second, found.clone()), found, "nobody else has it");
    orchestrator.incidents.insert(first.id.clone(), first.clone());
    assert_eq!(orchestrator.unless_known(&second, found.clone()), Event::Known(first.id.clone()));
    assert_eq!(orchestrator.unless_known(&first, found.clone()), found, "it is its own");
    first.state = State::Resolved;
    orchestrator.incidents.insert(first.id.clone(), first);
    assert_eq!(orchestrator.unless_known(&second, found.clone()), found, "what came back is news");
}

/// A bus that is away for so many looks at it.
struct Absent(Arc<dyn Bus>, AtomicUsize);

#[async_trait]
impl Bus for Absent {
    async fn publish(&self, topic: Topic, message: Message) -> Result<(), BusError> {
        self.0.publish(topic, message).await
    }

    async fn health(&self) -> Result<(), BusError> {
        self.0.health().await
    }

    fn status(&self) -> BusStatus {
        let left = self.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        BusStatus { held: usize::from(left), trouble: left.then(|| "gone".to_owned()), ..self.0.status() }
    }

    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Feed>, BusError> {
        self.0.subscribe(topic, group).await
    }
}

#[tokio::test]
async fn while_the_bus_is_away_nothing_is_concluded() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut context = context(&dir).await;
    let absent = Arc::new(Absent(Arc::clone(&context.parts.bus), AtomicUsize::new(100)));
    context.parts.bus = absent.clone();
    let incident = confirmed(&context);
    serve_well(&context, 30);
    assert_eq!(perform(&context, &incident, &Effect::Diagnose).await, Event::Faded);
    assert_eq!(absent.1.load(Ordering::Relaxed), 0, "it waited until the bus was back");
}
