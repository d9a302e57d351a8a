//! What every memory must do.
#![expect(clippy::expect_used, reason = "a contract is a test: it fails by panicking")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sre_space_domain::diagnosis::FaultKind;
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::knowledge::{Lesson, Origin, Signature};
use sre_space_domain::proposal::Remedy;
use sre_space_domain::seal::SealKey;

use crate::memory::Memory;

/// Opens the same memory again, as a restart would.
pub type Open = dyn Fn() -> Pin<Box<dyn Future<Output = Arc<dyn Memory>>>>;

/// A sealed lesson.
pub fn lesson(number: u16, kind: FaultKind, facts: &[&str]) -> Lesson {
    let incident: IncidentId = serde_json::from_value(serde_json::json!(format!("inc_{number:026}"))).expect("an id");
    let mut lesson = Lesson {
        incident,
        signature: Signature {
            service: "shop".into(),
            operation: "serve".into(),
            kind,
            facts: facts.iter().map(|fact| (*fact).to_owned()).collect(),
        },
        remedy: Remedy::Revert { service: "shop".into(), commit: Sha("a".repeat(40)) },
        at_ms: i64::from(number),
        postmortem: "what happened".into(),
        origin: Origin::Verified { revision: None, samples: 120, statistic: -4.7, threshold: -4.6 },
        seal: None,
    };
    lesson.seal = key().seal(&lesson);
    lesson
}

fn key() -> SealKey {
    SealKey::from([1; 32])
}

/// What was remembered is found by its fingerprint, newest first, and after a restart.
pub async fn lessons_survive_a_restart(open: &Open) {
    let (first, second) = (lesson(1, FaultKind::BadChange, &["x"]), lesson(2, FaultKind::BadChange, &["x"]));
    let other = lesson(3, FaultKind::SlowQuery, &["x"]);
    let memory = open().await;
    for lesson in [&first, &second, &other] {
        memory.remember(lesson).await.expect("remembered");
    }
    let fingerprint = first.signature.fingerprint();
    let expected = [second, first];
    assert_eq!(memory.lookup(&fingerprint).await.expect("read"), expected);
    drop(memory);
    assert_eq!(open().await.lookup(&fingerprint).await.expect("read"), expected);
}

/// Remembering an incident twice leaves one lesson.
pub async fn an_incident_is_remembered_once(open: &Open) {
    let memory = open().await;
    let lesson = lesson(1, FaultKind::BadChange, &["x"]);
    memory.remember(&lesson).await.expect("remembered");
    let another = Lesson { postmortem: "another story".into(), ..lesson.clone() };
    memory.remember(&another).await.expect("left as it is");
    let fingerprint = lesson.signature.fingerprint();
    assert_eq!(memory.lookup(&fingerprint).await.expect("read"), std::slice::from_ref(&lesson));
    assert_eq!(memory.nearest("bad-change", 9).await.expect("read").len(), 1);
    drop(memory);
    assert_eq!(open().await.all().await.expect("read"), [lesson]);
}

/// A fingerprint finds lessons of that very shape and no other, with their seals intact.
pub async fn a_fingerprint_is_exact(open: &Open) {
    let memory = open().await;
    let asked = lesson(1, FaultKind::BadChange, &["fails-alone", "waits"]);
    let near = [
        lesson(2, FaultKind::BadChange, &["fails-alone"]),
        lesson(3, FaultKind::BadChange, &["waits", "fails-alone"]),
        lesson(4, FaultKind::BadChange, &["fails-alonewaits"]),
        lesson(5, FaultKind::SlowQuery, &["fails-alone", "waits"]),
        lesson(6, FaultKind::BadChange, &["Fails-alone", "waits"]),
    ];
    for lesson in near.iter().chain([&asked]) {
        memory.remember(lesson).await.expect("remembered");
    }
    let found = memory.lookup(&asked.signature.fingerprint()).await.expect("read");
    assert_eq!(found, [asked]);
    assert!(key().holds(&found[0]));
    let nobody = lesson(7, FaultKind::MemoryLeak, &[]).signature.fingerprint();
    assert_eq!(memory.lookup(&nobody).await.expect("read"), []);
}

/// Of a thousand lessons, the one asked for comes first; all are there, oldest first, after a restart too.
pub async fn of_a_thousand_lessons_each_is_found(open: &Open) {
    const MANY: u16 = 1_000;
    let memory = open().await;
    let numbered = |number: u16| {
        let (one, two) = (format!("at-{}", number % 37), format!("since-{}", number / 37));
        lesson(number, FaultKind::SlowQuery, &[&one, &two])
    };
    for number in 0..MANY {
        memory.remember(&numbered(number)).await.expect("remembered");
    }
    finds(memory.as_ref(), &numbered).await;
    drop(memory);
    let memory = open().await;
    finds(memory.as_ref(), &numbered).await;
    let all = memory.all().await.expect("read");
    assert!(all.iter().map(|lesson| lesson.at_ms).eq(0..i64::from(MANY)), "{} lessons", all.len());
}

/// The nearest lessons come best first, with scores, and never more than asked for.
pub async fn the_nearest_come_first(open: &Open) {
    let memory = open().await;
    memory.remember(&lesson(1, FaultKind::BadChange, &["begins-with-revision"])).await.expect("remembered");
    memory.remember(&lesson(2, FaultKind::PoolExhausted, &["plateau", "waits"])).await.expect("remembered");
    memory.remember(&lesson(3, FaultKind::SlowQuery, &["slow-database"])).await.expect("remembered");
    let found = memory.nearest("pool-exhausted shop serve plateau waits", 2).await.expect("read");
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].lesson.signature.kind, FaultKind::PoolExhausted);
    assert!(found[0].score > found[1].score && found[0].score <= 1.000_1);
}

/// Some of many lessons, asked for by their own words.
async fn finds(memory: &dyn Memory, numbered: &dyn Fn(u16) -> Lesson) {
    for number in (0..1_000).step_by(97) {
        let asked = numbered(number);
        let found = memory.nearest(&asked.signature.words(), 10).await.expect("read");
        assert_eq!((found.len(), &found[0].lesson), (10, &asked));
        assert!((found[0].score - 1.0).abs() < 1e-3, "{}", found[0].score);
        assert!(found.is_sorted_by(|a, b| a.score >= b.score));
        assert_eq!(memory.lookup(&asked.signature.fingerprint()).await.expect("read"), [asked]);
    }
}
