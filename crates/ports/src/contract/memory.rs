//! What every memory must do.
#![expect(clippy::expect_used, reason = "a contract is a test: it fails by panicking")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sre_space_domain::diagnosis::FaultKind;
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::knowledge::{Lesson, Signature};
use sre_space_domain::proposal::Remedy;

use crate::memory::Memory;

/// Opens the same memory again, as a restart would.
pub type Open = dyn Fn() -> Pin<Box<dyn Future<Output = Arc<dyn Memory>>>>;

fn lesson(number: u8, kind: FaultKind, facts: &[&str]) -> Lesson {
    let incident: IncidentId = serde_json::from_value(serde_json::json!(format!("inc_{number:026}"))).expect("an id");
    Lesson {
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
    }
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
    memory.remember(&lesson).await.expect("remembered");
    assert_eq!(memory.lookup(&lesson.signature.fingerprint()).await.expect("read").len(), 1);
    assert_eq!(memory.nearest("bad-change", 9).await.expect("read").len(), 1);
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
