//! A model beside the rules: what it is told, what it may cost, and that nobody waits for it long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sre_space_domain::budget::{Bound, Limits, Prices, Spend};
use sre_space_domain::counsel::Counsel;
use sre_space_domain::incident::{Cost, Event, Incident, Rules, State, step};
use sre_space_ports::doubles::ledger::MemoryLedger;
use sre_space_ports::doubles::llm::ScriptedLlm;
use sre_space_ports::llm::{Answer, Llm, LlmError, Question, Usage};
use tokio::time::Instant;

use super::*;
use crate::brain;

const AGREES: &str = r#"{"cause":"S1","remedy":"R1","certainty":1,"why":"The numbers say so."}"#;
const DAY: i64 = 20_000;

/// An incident that rules have diagnosed on this evidence.
fn diagnosed(evidence: &Evidence, rules: &Catalogue, current: &Current) -> Incident {
    let now = Timestamp::from_second(1_800_000_000).expect("a time");
    let found = diagnose(evidence, Some(rules), current, &[]).expect("a finding");
    let opened = Incident::open(incident(), evidence.signal.clone(), now);
    let opened = Incident { state: State::Diagnosing, ..opened };
    let asking = Rules { asks_model: true, ..Rules::default() };
    step(opened, Event::Diagnosed(Box::new(found)), &asking, now).incident
}

fn numbered(incident: &Incident, number: usize) -> Incident {
    let id = serde_json::from_value(serde_json::json!(format!("inc_{number}"))).expect("an id");
    Incident { id, ..incident.clone() }
}

pub(super) fn exhausted() -> Incident {
    let (rules, current) = rules();
    diagnosed(&Town::default().play(1), &rules, &current)
}

pub(super) fn adviser(llm: Arc<dyn Llm>, ledger: &Arc<MemoryLedger>, limits: Limits) -> Adviser {
    let ledger = Arc::clone(ledger) as Arc<dyn sre_space_ports::ledger::Ledger>;
    Adviser { llm, ledger, limits, prices: Prices { input: 1.0, output: 2.0 }, answer_tokens: 512 }
}

pub(super) fn day(tokens: u64) -> Limits {
    Limits { day: Bound { tokens: Some(tokens), micro_usd: None }, ..Limits::default() }
}

/// Asks with call names of its own.
async fn asked(adviser: &Adviser, incident: &Incident) -> (Counsel, Cost) {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    brain::counsel(adviser, incident, DAY, &|| format!("call-{}", CALLS.fetch_add(1, Ordering::Relaxed))).await
}

fn why(counsel: Counsel) -> String {
    match counsel {
        Counsel::Lacking { why } => why,
        Counsel::Given(advice) => panic!("an answer: {advice:?}"),
    }
}

#[tokio::test]
async fn an_answer_is_used_and_its_cost_is_counted() {
    let (incident, ledger) = (exhausted(), Arc::default());
    let llm = Arc::new(ScriptedLlm::saying(AGREES));
    let (counsel, cost) = asked(&adviser(llm.clone(), &ledger, Limits::default()), &incident).await;
    let Counsel::Given(advice) = counsel else { panic!("{counsel:?}") };
    assert_eq!((advice.cause.as_str(), advice.choice, advice.certainty), ("engine", Some(0), 1.0));
    assert_eq!(cost, Cost { calls: 1, tokens: 110, usd: 0.000_12 });
    let [question] = &llm.asked()[..] else { panic!("one question") };
    insta::assert_snapshot!("evidence", question.evidence);
    insta::assert_snapshot!("task", question.task);
}

/// A model that fails in every way there is, half of the time, and counts what it really took.
struct Moody {
    turn: AtomicU64,
    took: Mutex<u64>,
}

#[async_trait]
impl Llm for Moody {
    fn name(&self) -> &str {
        "moody"
    }

    async fn ask(&self, question: &Question) -> Result<Answer, LlmError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let usage = Usage { input: question.most_input_tokens() / 3, output: u64::from(question.most_tokens) / 2 };
        let took = |share: u64| *self.took.lock().expect("a count") += (usage.input + usage.output) * share;
        match turn % 10 {
            0 => Err(LlmError::Unavailable { status: 500, wait: None }),
            1 => Err(LlmError::Unavailable { status: 429, wait: Some(Duration::from_secs(2)) }),
            2 => {
                took(1);
                Err(LlmError::CutOff)
            }
            3 => {
                took(1);
                Err(LlmError::Slow(Duration::from_secs(20)))
            }
            4 => {
                took(1);
                Ok(Answer { text: "garbage".to_owned(), usage: Some(usage) })
            }
            _ => {
                took(1);
                Ok(Answer { text: AGREES.to_owned(), usage: Some(usage) })
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_five_hundred_questions_at_fifty_percent_faults_none_exceeds_the_budget() {
    let (incident, ledger) = (exhausted(), Arc::<MemoryLedger>::default());
    let moody = Arc::new(Moody { turn: AtomicU64::new(0), took: Mutex::new(0) });
    for most in [400_000, 100_000, 5_000] {
        let ledger = Arc::<MemoryLedger>::default();
        *moody.took.lock().expect("a count") = 0;
        let adviser = adviser(moody.clone(), &ledger, day(most));
        let mut lacking = 0;
        for number in 0..500 {
            let (counsel, _) = asked(&adviser, &numbered(&incident, number)).await;
            lacking += usize::from(matches!(counsel, Counsel::Lacking { .. }));
        }
        let (counted, took) = (ledger.day(DAY).tokens, *moody.took.lock().expect("a count"));
        assert!(took <= counted && counted <= most, "took {took}, counted {counted}, at most {most}");
        assert!(lacking > 0, "a budget of {most} is not for five hundred");
    }
    assert_eq!(ledger.day(DAY), Spend::default());
}

#[tokio::test]
async fn a_flood_of_ten_thousand_incidents_asks_no_more_than_the_budget_pays_for() {
    let (incident, ledger) = (exhausted(), Arc::<MemoryLedger>::default());
    let llm = Arc::new(ScriptedLlm::saying(AGREES));
    let most = 20_000;
    let adviser = Arc::new(adviser(llm.clone(), &ledger, day(most)));
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..10_000 {
        let (adviser, incident) = (Arc::clone(&adviser), numbered(&incident, number));
        flood.spawn(async move { asked(&adviser, &incident).await.0 });
    }
    let counsels = flood.join_all().await;
    let given = counsels.iter().filter(|counsel| matches!(counsel, Counsel::Given(_))).count();
    assert_eq!((counsels.len(), llm.asked().len()), (10_000, given));
    assert!(given > 0 && ledger.day(DAY).tokens <= most, "{given} answers, {:?}", ledger.day(DAY));
    let without = counsels.into_iter().filter(|counsel| matches!(counsel, Counsel::Lacking { .. })).map(why);
    let reasons: std::collections::BTreeSet<String> = without.collect();
    let broke = "the day's budget of tokens does not suffice for one more call".to_owned();
    assert_eq!(reasons, [broke].into());
}

#[tokio::test(start_paused = true)]
async fn what_can_pass_is_tried_three_times_as_the_server_wishes() {
    let full = |wait| LlmError::Unavailable { status: 429, wait };
    let table = [
        (full(Some(Duration::from_secs(7))), 3, 14, "the model was no help: its server answers 429"),
        (full(None), 3, 4, "the model was no help: its server answers 429"),
        (full(Some(Duration::from_secs(60))), 1, 0, "the model was no help: its server answers 429"),
        (LlmError::Busy, 1, 0, "the model was no help: the model is busy with other questions"),
        (LlmError::CutOff, 3, 4, "the model was no help: its answer broke off"),
    ];
    for (error, tries, seconds, told) in table {
        let failing = Mutex::new(error);
        let llm = Arc::new(ScriptedLlm::new(move |_| Err(again(&failing.lock().expect("an error")))));
        let (incident, began) = (exhausted(), Instant::now());
        let (counsel, cost) = asked(&adviser(llm.clone(), &Arc::default(), Limits::default()), &incident).await;
        assert_eq!((llm.asked().len(), began.elapsed().as_secs(), why(counsel).as_str()), (tries, seconds, told));
        assert_eq!(cost.calls > 0, told.contains("broke off"), "only what may have cost is counted");
    }
}

/// The same error once more.
fn again(error: &LlmError) -> LlmError {
    match error {
        LlmError::Unavailable { status, wait } => LlmError::Unavailable { status: *status, wait: *wait },
        LlmError::CutOff => LlmError::CutOff,
        LlmError::Busy
        | LlmError::Resting(_)
        | LlmError::Unreachable(_)
        | LlmError::Refused { .. }
        | LlmError::Slow(_)
        | LlmError::Garbled(_) => LlmError::Busy,
    }
}

/// A model that never answers.
struct Deaf;

#[async_trait]
impl Llm for Deaf {
    fn name(&self) -> &str {
        "deaf"
    }

    async fn ask(&self, _: &Question) -> Result<Answer, LlmError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_model_without_end_and_the_budget_remembers_the_question() {
    let (incident, ledger, began) = (exhausted(), Arc::<MemoryLedger>::default(), Instant::now());
    let (counsel, cost) = asked(&adviser(Arc::new(Deaf), &ledger, Limits::default()), &incident).await;
    assert_eq!((why(counsel).as_str(), cost.calls), ("the model did not answer within 75 s", 1));
    assert_eq!(began.elapsed(), Duration::from_secs(75));
    assert!(cost.tokens > 1_000, "counted at its worst: {}", cost.tokens);
}
