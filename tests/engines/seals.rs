//! A memory that somebody else filled: what lies there is shown, and not acted on.

use libtest_mimic::Trial;
use serde_json::Value;
use sre_space_stage::{ENDS, PATIENCE, Stage, text};

use crate::{ON_QDRANT, Servers, account, on, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("memory-qdrant/500/only_its_own_lessons_are_acted_on".to_owned(), ON_QDRANT, only_its_own)]
}

/// One control plane heals, and another with a data folder of its own meets the same failure over the same memory, twice.
async fn only_its_own() {
    let servers = ON_QDRANT.start();
    let (first, _) = healed(&Stage::set(on(&servers)).await, 0).await;
    assert_eq!(text(&first, "/source"), "brain:rules");
    let stage = Stage::set(on(&servers)).await;
    let (second, told) = healed(&stage, 0).await;
    assert_eq!(text(&second, "/source"), "brain:rules", "{second:#}");
    assert_eq!(text(&second, "/similar/0/incident"), text(&first, "/id"), "it is shown");
    assert_eq!(second.pointer("/similar/0/verified"), Some(&Value::Bool(false)));
    let doubt = "the remembered remedy is not applied unasked: 1 lesson(s) of this shape name the remedy and none was \
                 verified here; to Brain";
    assert!(told.iter().any(|told| told == doubt), "{told:#?}");
    stage.resolve().await;
    stage.redeployed("quote-engine").await;
    let (third, _) = healed(&stage, 1).await;
    assert_eq!(text(&third, "/source"), "cag", "{third:#}");
    assert_eq!(text(&third, "/similar/0/incident"), text(&second, "/id"), "what was verified here comes first");
    lessons(&servers, 3);
}

/// The incident of a `500`, and what its journal says.
async fn healed(stage: &Stage, earlier: usize) -> (Value, Vec<String>) {
    stage.inject("500").await;
    let incident = stage.incident_after(earlier, &ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "resolved", "{incident:#}");
    let events = stage.events(text(&incident, "/id")).await;
    (incident, events.iter().map(|event| text(event, "/text").to_owned()).collect())
}

fn lessons(servers: &Servers, count: usize) {
    let books = account::books(servers).expect("a Qdrant server");
    assert_eq!(books.points.values().sum::<usize>(), count, "{books:?}");
}
