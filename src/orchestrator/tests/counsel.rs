//! Counsel through the product's own parts, from a stand-in for a model's server.

use std::collections::BTreeSet;
use std::sync::Mutex as StdMutex;

use sre_space_domain::counsel::{Counsel, Offer};
use sre_space_domain::diagnosis::Term;
use sre_space_domain::incident::Cost;
use sre_space_domain::proposal::{KnobValue, Remedy};
use sre_space_peers::openai::{Act, OpenAi, agreement};

use super::garbage::{self, Garbage};
use super::*;

/// A context whose model is this one.
pub(super) async fn advised(dir: &tempfile::TempDir, server: &OpenAi, more: &[(&str, &str)]) -> Context {
    let url = server.url();
    let settings = [("OPENAI_MODEL", "fake-1"), ("OPENAI_API_KEY", "s3cret"), ("OPENAI_BASE_URL", url.as_str())];
    context_with(dir, &[&settings[..], more].concat()).await
}

fn knob() -> Remedy {
    Remedy::turn("shop", "pool", KnobValue::Int(50))
}

/// An incident that rules have diagnosed, waiting for counsel.
fn waiting(context: &Context) -> Incident {
    let clear = Term { name: "knob".into(), value: 0.99, why: String::new() };
    let step = found(context, vec![Offer { remedy: knob(), clear }]);
    assert_eq!(step.effect, Some(Effect::Counsel));
    step.incident
}

/// The same with these offers.
pub(super) fn found(context: &Context, offers: Vec<Offer>) -> Step {
    let term = Term { name: "knob".into(), value: 0.99, why: String::new() };
    let diagnosis = Diagnosis {
        service: "shop".into(),
        operation: "POST /price".into(),
        kind: FaultKind::PoolExhausted,
        summary: String::new(),
        confidence: Confidence::product([0.99]),
        terms: vec![term],
        evidence: vec![],
        candidates: vec![],
        measured: Measured::default(),
        affected: vec![],
    };
    let signature = Signature {
        service: "shop".into(),
        operation: "POST /price".into(),
        kind: FaultKind::PoolExhausted,
        facts: vec![],
    };
    let remedy = offers.first().map(|offer| offer.remedy.clone());
    let found = Finding { source: Source::BrainRules, diagnosis, signature, remedy, offers };
    let incident = Incident { state: State::Diagnosing, ..confirmed(context) };
    incident::step(incident, Event::Diagnosed(Box::new(found)), &context.rules, context.now())
}

/// What becomes of an incident that asks for counsel.
async fn asked(context: &Context, incident: Incident) -> Step {
    let event = perform(context, &incident, &Effect::Counsel).await;
    incident::step(incident, event, &context.rules, context.now())
}

fn why(step: &Step) -> &str {
    match &step.incident.counsel {
        Some(Counsel::Lacking { why }) => why,
        other => panic!("{other:?}"),
    }
}

/// How the reasons for a refusal begin.
const REASONS: [&str; 4] =
    ["its answer ", "it names a ", "its certainty ", "the model was no help: its server's answer cannot be read: "];

#[tokio::test]
async fn a_hundred_and_fifty_garbage_answers_are_refused_and_every_incident_goes_on_by_rules() {
    let garbage = garbage::all();
    let distinct: BTreeSet<String> = garbage.iter().map(|one| format!("{one:?}")).collect();
    assert_eq!((garbage.len(), distinct.len()), (garbage::COUNT, garbage::COUNT), "each of its own kind");
    let said = Arc::new(StdMutex::new(Garbage::Said(String::new())));
    let next = Arc::clone(&said);
    let server = OpenAi::start(move |_| match next.lock().expect("garbage").clone() {
        Garbage::Said(text) => Act::Say(text),
        Garbage::Body(bytes) => Act::Body(bytes),
    });
    let dir = tempfile::tempdir().expect("a folder");
    let context = advised(&dir, &server, &[]).await;
    for one in garbage {
        *said.lock().expect("garbage") = one.clone();
        let step = asked(&context, waiting(&context)).await;
        let shown: String = format!("{one:?}").chars().take(120).collect();
        assert_eq!((step.incident.state, step.effect.as_ref()), (State::Deciding, Some(&Effect::Render)), "{shown}");
        assert_eq!((step.incident.source, step.incident.remedy.as_ref()), (Some(Source::BrainRules), Some(&knob())));
        assert_eq!(step.incident.diagnosis, waiting(&context).diagnosis, "{shown}");
        assert!(REASONS.iter().any(|reason| why(&step).starts_with(reason)), "{shown}: {}", why(&step));
        assert_eq!(step.incident.cost.calls, 1, "{shown}");
    }
    assert_eq!(server.log().len(), garbage::COUNT, "each was asked for once: nothing is mended, nothing tried again");
}

#[tokio::test]
async fn a_good_answer_is_used_and_paid_for_and_its_words_are_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = OpenAi::agreeing(0.97);
    let prices = [("SRE_SPACE_LLM_USD_PER_MTOK_IN", "1"), ("SRE_SPACE_LLM_USD_PER_MTOK_OUT", "10")];
    let context = advised(&dir, &server, &prices).await;
    let step = asked(&context, waiting(&context)).await;
    assert_eq!((step.incident.source, step.incident.state), (Some(Source::BrainLlm), State::Deciding));
    assert_eq!(step.incident.cost, Cost { calls: 1, tokens: 110, usd: 0.000_2 });
    let shown = serde_json::to_value(&step.incident).expect("JSON");
    assert_eq!(shown["source"], "brain:llm");
    let told = serde_json::json!({"counsel": "given", "model": "fake-1", "cause": "shop", "choice": 0, "certainty": 0.97,
        "words": "The numbers say so."});
    assert_eq!(shown["counsel"], told);
    let closed = sre_space_domain::breaker::Condition::Closed;
    let states: Vec<_> = context.parts.breakers().into_iter().map(|line| (line.name, line.state)).collect();
    assert_eq!(states, [("model", closed)]);
    assert!(server.log().iter().all(|asked| asked.authorization == "Bearer s3cret" && !asked.body.contains("shop")));
}

#[tokio::test]
async fn a_budget_outlives_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = OpenAi::start(|asked| Act::SayWithoutUsage(agreement(&asked.body, 1.0)));
    // Not said what it took, a call stays counted at its worst: the second one does not fit any more.
    let budget = [("SRE_SPACE_LLM_TOKENS_PER_DAY", "8000")];
    let context = advised(&dir, &server, &budget).await;
    let first = asked(&context, waiting(&context)).await;
    assert_eq!(first.incident.source, Some(Source::BrainLlm));
    drop(context);
    let context = advised(&dir, &server, &budget).await;
    let second = asked(&context, waiting(&context)).await;
    assert_eq!(why(&second), "the day's budget of tokens does not suffice for one more call");
    assert_eq!((second.incident.state, second.incident.cost), (State::Deciding, Cost::default()));
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_down_costs_nothing_and_is_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = OpenAi::start(|_| Act::Status(429, Some(60), String::new()));
    let context = advised(&dir, &server, &[]).await;
    let full = asked(&context, waiting(&context)).await;
    assert_eq!(why(&full), "the model was no help: its server answers 429");
    let left = asked(&context, waiting(&context)).await;
    assert!(why(&left).starts_with("the model was no help: model is left alone for "), "{}", why(&left));
    assert_eq!((server.log().len(), left.incident.cost), (1, Cost::default()));
    assert_eq!(left.incident.state, State::Deciding);
}

#[tokio::test]
async fn others_do_not_wait_for_a_model_that_one_incident_waits_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = OpenAi::start(move |_| {
        tell.send(()).expect("the test listens");
        Act::Silence
    });
    let context = Arc::new(advised(&dir, &server, &[]).await);
    let mut orchestrator = Orchestrator::resume(Arc::clone(&context)).await.expect("an empty journal");
    let slow = waiting(&context);
    orchestrator.begin(&slow, Effect::Counsel);
    tokio::select! {
        done = orchestrator.under_way.next() => panic!("no answer came: {done:?}"),
        asked = told.recv() => asked.expect("the question is out"),
    }
    let mut other = Incident { state: State::Suppressed, ..confirmed(&context) };
    for _ in 0..20 {
        other.id = context.new_id();
        orchestrator.begin(&other, Effect::OpenTicket);
        let (done, event) = orchestrator.under_way.next().await.expect("one of two");
        assert_eq!((done, matches!(event, Event::TicketOpened(_))), (other.id.clone(), true));
    }
    assert_eq!((orchestrator.under_way.len(), server.log().len()), (1, 1), "the slow one is still out");
}
