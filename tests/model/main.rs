//! Brain's own question, put to a real model behind `SRE_SPACE_TEST_MODEL_URL`; `make model` installs one and does it.
//!
//! What a model this small says is worth nothing, and may be refused. That it was heard at all shows that we speak its server's
//! language, and what becomes of its words is printed.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use sre_space_domain as domain;
#[expect(dead_code, reason = "the domain's own tests play the other faults")]
#[path = "../../crates/domain/src/rca/tests/town.rs"]
mod town;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use libtest_mimic::{Arguments, Failed, Trial};
use sre_space_adapters::llm::openai::{OpenAi, Terms};
use sre_space_agents::brain::{self, Adviser};
use sre_space_domain::budget::{Limits, Prices};
use sre_space_domain::catalogue::Catalogue;
use sre_space_domain::counsel::{Brief, Counsel, read};
use sre_space_domain::incident::{Event, Incident, Rules, State, step};
use sre_space_domain::proposal::KnobValue;
use sre_space_domain::rca::Current;
use sre_space_ports::doubles::ledger::MemoryLedger;
use sre_space_ports::llm::{Answer, Llm, LlmError, Question};

use self::town::{Fault, Town};

/// Most tokens of an answer: a model on two cores says a few in a second, and a small one does not stop by itself.
const ANSWER_TOKENS: u32 = 256;
/// So long an answer is waited for that did not come as fast as Brain wants it.
const PATIENT: Duration = Duration::from_secs(420);
/// How the reasons begin for which an answer that came is not used.
const REFUSALS: [&str; 4] =
    ["its answer ", "it names a ", "its certainty ", "the model was no help: its server's answer cannot be read: "];

const RULES: &str = r#"{
  "version": 1,
  "services": { "engine": {
    "autonomy": "auto",
    "knobs": [
      {"name": "cache", "file": "engine.yaml", "path": "c", "type": "int", "min": 0, "max": 900, "step": 10, "remedies": ["pool-exhausted"]},
      {"name": "pool", "file": "engine.yaml", "path": "p", "type": "int", "min": 20, "max": 200, "step": 10, "remedies": ["pool-exhausted"]}
    ],
    "sources": ["rules/**"]
  } }
}"#;

fn main() {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let url = std::env::var_os("SRE_SPACE_TEST_MODEL_URL").map(|url| url.to_string_lossy().into_owned());
    let trials = [trial("an_exhausted_pool", Town::default, url.clone()), trial("a_bad_deploy", bad_deploy, url)];
    libtest_mimic::run(&arguments, trials.into()).exit();
}

fn trial(what: &str, town: fn() -> Town, url: Option<String>) -> Trial {
    let name = format!("model/counsel_on_{what}");
    match url {
        Some(url) => Trial::test(name, move || run(counselled(&url, &diagnosed(&town())))),
        None => Trial::test(format!("{name} (skipped: no model server)"), || Ok(())).with_ignored_flag(true),
    }
}

fn run(work: impl Future<Output = ()>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work);
    Ok(())
}

fn bad_deploy() -> Town {
    Town {
        fault: Fault::Rule(0.3),
        deploys: vec![(0, "aaaaaaaaaa"), (6_000, "bbbbbbbbbb")],
        commits: vec![("bbbbbbbbbb", "rules/a/pricing.rhai"), ("aaaaaaaaaa", "engine.yaml")],
        ..Town::default()
    }
}

/// An incident that rules have diagnosed, waiting for counsel.
fn diagnosed(town: &Town) -> Incident {
    let rules: Catalogue = serde_json::from_str(RULES).expect("rules");
    let values = [("cache", 64), ("pool", 20)];
    let current: BTreeMap<_, _> =
        values.map(|(name, value)| (("engine".to_owned(), name.to_owned()), KnobValue::Int(value))).into();
    let (evidence, now) = (town.play(1), Timestamp::from_second(1_800_000_000).expect("a time"));
    let found = brain::diagnose(&evidence, Some(&rules), &Current(current), &[]).expect("a finding");
    let id = serde_json::from_str(r#""inc_1""#).expect("an id");
    let opened = Incident { state: State::Diagnosing, ..Incident::open(id, evidence.signal, now) };
    let asking = Rules { asks_model: true, ..Rules::default() };
    step(opened, Event::Diagnosed(Box::new(found)), &asking, now).incident
}

/// One question as it was put, and what came of it.
struct Put {
    question: Question,
    answer: Result<Answer, String>,
    took: Duration,
}

/// A model whose every question and answer is written down.
struct Overheard {
    model: OpenAi,
    heard: Mutex<Vec<Put>>,
}

impl Overheard {
    fn at(model: OpenAi) -> Self {
        Self { model, heard: Mutex::default() }
    }

    fn was_answered(&self) -> bool {
        self.heard.lock().expect("nobody panics with it").iter().any(|put| put.answer.is_ok())
    }

    fn question(&self) -> Question {
        self.heard.lock().expect("nobody panics with it").first().expect("a question").question.clone()
    }
}

#[async_trait]
impl Llm for Overheard {
    fn name(&self) -> &str {
        self.model.name()
    }

    async fn ask(&self, question: &Question) -> Result<Answer, LlmError> {
        let began = Instant::now();
        let answer = self.model.ask(question).await;
        let told = answer.as_ref().map(Clone::clone).map_err(ToString::to_string);
        let put = Put { question: question.clone(), answer: told, took: began.elapsed() };
        println!("{put}");
        self.heard.lock().expect("nobody panics with it").push(put);
        answer
    }
}

impl std::fmt::Display for Put {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Question { task, evidence, schema, .. } = &self.question;
        let [task, evidence, schema] = [task.len(), evidence.len(), schema.to_string().len()];
        write!(f, "question: {task} bytes of task, {evidence} of evidence, {schema} of schema; ")?;
        let seconds = self.took.as_secs_f64();
        match &self.answer {
            Ok(Answer { text, usage: Some(usage) }) => {
                write!(f, "{} tokens in, {} out, {seconds:.1} s: {text:?}", usage.input, usage.output)
            }
            Ok(Answer { text, usage: None }) => write!(f, "{seconds:.1} s: {text:?}"),
            Err(why) => write!(f, "no answer after {seconds:.1} s: {why}"),
        }
    }
}

fn client(url: &str, name: &str) -> OpenAi {
    sre_space_tls::install();
    let terms = Terms { base_url: url.to_owned(), key: None, model: name.to_owned(), concurrency: Some(1) };
    OpenAi::new(terms).expect("a client")
}

/// Asks as Brain does. Where that brings no answer in Brain's time, asks the same with more patience.
async fn counselled(url: &str, incident: &Incident) {
    let listed = client(url, "any").models().await.expect("a server").expect("a list of models");
    let name = listed.first().expect("a model");
    let hasty = Arc::new(Overheard::at(client(url, name)));
    let told = asked(hasty.clone(), incident).await;
    if hasty.was_answered() {
        return weighed(incident, &told);
    }
    println!("{told:?}; once more with a patience of {} s", PATIENT.as_secs());
    let patient = Overheard::at(client(url, name).with_patience(PATIENT));
    let answer = patient.ask(&hasty.question()).await.expect("an answer");
    let brief = Brief::of(incident).expect("a brief");
    println!("read: {:?}", read(&answer.text, &brief, name));
}

async fn asked(llm: Arc<dyn Llm>, incident: &Incident) -> Counsel {
    let (limits, prices, calls) = (Limits::default(), Prices::default(), AtomicUsize::new(0));
    let ledger = Arc::new(MemoryLedger::default());
    let adviser = Adviser { llm, ledger, limits, prices, answer_tokens: ANSWER_TOKENS };
    let call = || format!("call-{}", calls.fetch_add(1, Ordering::Relaxed));
    brain::counsel(&adviser, incident, 0, &call).await.0
}

/// What is made of the answer: a term that lowers the confidence, or a reason why it is not used.
fn weighed(incident: &Incident, told: &Counsel) {
    let rules = incident.diagnosis.as_ref().expect("a diagnosis");
    match told {
        Counsel::Given(advice) => {
            let weighed = advice.applied(rules, &incident.offers);
            println!("taken: confidence {} of the rules becomes {}", rules.confidence, weighed.confidence);
            assert!(weighed.confidence.get() <= rules.confidence.get(), "{advice:?}");
            assert!(advice.choice.is_none_or(|choice| choice < incident.offers.len()), "{advice:?}");
        }
        Counsel::Lacking { why } => {
            println!("refused: {why}");
            assert!(REFUSALS.iter().any(|refusal| why.starts_with(refusal)), "{why}");
        }
    }
}
