//! What is learned from, and what is not.

use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use sre_space_domain::diagnosis::FaultKind;
use sre_space_domain::ids::{Digest, IncidentId};
use sre_space_domain::incident::{Incident, State};
use sre_space_domain::knowledge::{Lesson, Origin, Signature};
use sre_space_domain::postmortem;
use sre_space_domain::proposal::{KnobValue, Remedy};
use sre_space_domain::recovery::{Outcome, Recovery};
use sre_space_domain::seal::SealKey;
use sre_space_domain::signal::{Certainty, Signal, SignalKind};
use sre_space_ports::memory::{Match, Memory, MemoryError, Recollection};
use ulid::Ulid;

use super::{CuratorError, recall_similar, remember};

/// Keeps lessons and what it was asked; `broken` refuses to write.
#[derive(Default)]
struct Notebook {
    lessons: Mutex<Vec<Lesson>>,
    asked: Mutex<Vec<(String, usize)>>,
    broken: bool,
}

#[async_trait]
impl Recollection for Notebook {
    async fn lookup(&self, fingerprint: &Digest) -> Result<Vec<Lesson>, MemoryError> {
        let lessons = self.lessons.lock().expect("lock");
        Ok(lessons.iter().filter(|lesson| lesson.signature.fingerprint() == *fingerprint).cloned().collect())
    }

    async fn nearest(&self, text: &str, k: usize) -> Result<Vec<Match>, MemoryError> {
        self.asked.lock().expect("lock").push((text.to_owned(), k));
        let lessons = self.lessons.lock().expect("lock");
        Ok(lessons.iter().take(k).map(|lesson| Match { lesson: lesson.clone(), score: 0.5 }).collect())
    }

    async fn all(&self) -> Result<Vec<Lesson>, MemoryError> {
        Ok(self.lessons.lock().expect("lock").clone())
    }
}

#[async_trait]
impl Memory for Notebook {
    async fn remember(&self, lesson: &Lesson) -> Result<(), MemoryError> {
        if self.broken {
            return Err(MemoryError::Backend("gone".into()));
        }
        self.lessons.lock().expect("lock").push(lesson.clone());
        Ok(())
    }
}

fn key() -> SealKey {
    SealKey::from([1; 32])
}

fn signature() -> Signature {
    Signature {
        service: "quote-engine".to_owned(),
        operation: "GET /quote".to_owned(),
        kind: FaultKind::PoolExhausted,
        facts: vec!["fails-alone".to_owned(), "waits-for-pool".to_owned()],
    }
}

fn remedy() -> Remedy {
    Remedy::turn("quote-engine", "db-pool-size", KnobValue::Int(100))
}

fn recovery(verdict: Outcome) -> Recovery {
    Recovery {
        verdict,
        test: Default::default(),
        samples: 120,
        bad: 0,
        probes: 0,
        statistic: -5.0,
        threshold: -4.6,
        reason: String::new(),
    }
}

fn proven() -> Incident {
    let signal = Signal {
        service: "quote-engine".to_owned(),
        operation: "GET /quote".to_owned(),
        kind: SignalKind::ErrorRate,
        certainty: Certainty::Confirmed,
        observed: 0.45,
        baseline: 0.004,
        threshold: 13.0,
        window_s: 60.0,
        samples: 118,
        statistic: 21.5,
        posterior: 0.9999,
        sources: vec!["quote-engine".to_owned()],
        onset_ms: 0,
        coherence: None,
    };
    let mut incident = Incident::open(IncidentId::new(Ulid::from_parts(1, 1)), signal, Timestamp::UNIX_EPOCH);
    incident.state = State::Learning;
    incident.signature = Some(signature());
    incident.remedy = Some(remedy());
    incident.recovery = Some(recovery(Outcome::Recovered));
    incident
}

#[tokio::test]
async fn a_proven_recovery_becomes_a_lesson() {
    let memory = Notebook::default();
    let incident = proven();
    let mut expected = Lesson {
        incident: incident.id.clone(),
        signature: signature(),
        remedy: remedy(),
        at_ms: 7,
        postmortem: postmortem::write(&incident, &[]),
        origin: Origin::Verified { revision: None, samples: 120, statistic: -5.0, threshold: -4.6 },
        seal: None,
    };
    expected.seal = key().seal(&expected);
    assert_eq!(remember(&memory, &key(), (&incident, &[]), 7).await.expect("remembered"), expected);
    assert_eq!(*memory.lessons.lock().expect("lock"), [expected]);
}

#[tokio::test]
async fn remembering_twice_leaves_the_first_lesson() {
    let memory = Notebook::default();
    let first = remember(&memory, &key(), (&proven(), &[]), 7).await.expect("remembered");
    let again = remember(&memory, &key(), (&proven(), &[]), 8).await.expect("found");
    assert_eq!(again, first);
    assert_eq!(*memory.lessons.lock().expect("lock"), [first]);
    let next = Incident { id: IncidentId::new(Ulid::from_parts(2, 2)), ..proven() };
    remember(&memory, &key(), (&next, &[]), 9).await.expect("remembered");
    assert_eq!(memory.lessons.lock().expect("lock").len(), 2, "another incident of the same shape is another lesson");
}

#[tokio::test]
async fn what_is_not_proven_is_not_remembered() {
    let judged = |verdict| Incident { recovery: Some(recovery(verdict)), ..proven() };
    let mut table = vec![
        ("its recovery is not RECOVERED", judged(Outcome::Inconclusive)),
        ("its recovery is not RECOVERED", judged(Outcome::Unchanged)),
        ("its recovery is not RECOVERED", judged(Outcome::Regressed)),
        ("its recovery is not RECOVERED", Incident { recovery: None, ..proven() }),
        ("the shape of the failure is not known", Incident { signature: None, ..proven() }),
        ("no remedy is in hand", Incident { remedy: None, ..proven() }),
    ];
    for state in [State::Verifying, State::Deploying, State::Reverting, State::Resolved, State::Escalated] {
        table.push(("it is not in the state learning", Incident { state, ..proven() }));
    }
    let memory = Notebook::default();
    for (expected, incident) in table {
        let refused = remember(&memory, &key(), (&incident, &[]), 7).await.expect_err(expected);
        assert_eq!(refused.to_string(), format!("remember {}: {expected}", incident.id));
        assert!(!refused.is_transient());
    }
    assert_eq!(*memory.lessons.lock().expect("lock"), []);
}

#[tokio::test]
async fn a_memory_that_fails_may_be_asked_again() {
    let memory = Notebook { broken: true, ..Notebook::default() };
    let failed = remember(&memory, &key(), (&proven(), &[]), 7).await.expect_err("broken");
    assert!(failed.is_transient());
    assert!(matches!(failed, CuratorError::Memory(MemoryError::Backend(_))));
}

#[tokio::test]
async fn similar_lessons_are_searched_by_the_words_of_the_shape() {
    let memory = Notebook::default();
    let lesson = remember(&memory, &key(), (&proven(), &[]), 7).await.expect("remembered");
    let found = recall_similar(&memory, &signature(), 3).await.expect("found");
    assert_eq!(found, [Match { lesson, score: 0.5 }]);
    let text = "quote-engine GET /quote pool-exhausted fails-alone waits-for-pool".to_owned();
    assert_eq!(*memory.asked.lock().expect("lock"), [(text, 3)]);
}
