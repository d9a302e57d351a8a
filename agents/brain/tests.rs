//! Brain on generated incidents, with the owners' file as they write it.

mod author;
mod counsel;

use std::collections::BTreeMap;

use sre_space_domain::diagnosis::FaultKind;
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::knowledge::{Doubt, Lesson, Origin, Standing, TrackRecord};
use sre_space_domain::proposal::KnobValue;
use sre_space_domain::seal::SealKey;

use super::*;
use crate::cag;
use crate::town::{Fault, Town};

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

fn rules() -> (Catalogue, Current) {
    let values = [("cache", 64), ("pool", 20)];
    let current: BTreeMap<_, _> =
        values.map(|(name, value)| (("engine".to_owned(), name.to_owned()), KnobValue::Int(value))).into();
    (serde_json::from_str(RULES).expect("rules"), Current(current))
}

fn bad_deploy() -> Town {
    Town {
        fault: Fault::Rule(0.3),
        deploys: vec![(0, "aaaaaaaaaa"), (6_000, "bbbbbbbbbb")],
        commits: vec![
            ("bbbbbbbbbb", "rules/a/pricing.rhai"),
            ("1111111111", "README.md"),
            ("aaaaaaaaaa", "engine.yaml"),
        ],
        ..Town::default()
    }
}

fn incident() -> IncidentId {
    serde_json::from_str(r#""inc_1""#).expect("an id")
}

fn larger(value: i64) -> Remedy {
    Remedy::turn("engine", "pool", KnobValue::Int(value))
}

fn reverted() -> Remedy {
    Remedy::Revert { service: "engine".into(), commit: Sha("bbbbbbbbbb".into()) }
}

#[test]
fn a_finding_has_its_remedy_and_every_term() {
    let (rules, current) = rules();
    for (town, remedy, choice) in [(Town::default(), larger(100), "knob"), (bad_deploy(), reverted(), "change")] {
        let found = diagnose(&town.play(1), Some(&rules), &current, &[]).expect("a finding");
        assert_eq!((found.source, found.remedy.as_ref()), (Source::BrainRules, Some(&remedy)));
        let terms: Vec<&str> = found.diagnosis.terms.iter().map(|term| term.name.as_str()).collect();
        assert_eq!(terms, ["detector", "localisation", "coverage", "shape", choice]);
        let product: f64 = found.diagnosis.terms.iter().map(|term| term.value).product();
        assert!((found.diagnosis.confidence.get() - product).abs() < 1e-12);
        assert!(!found.diagnosis.evidence.is_empty());
    }
}

#[test]
fn the_summary_is_our_own_words_and_numbers() {
    let (rules, current) = rules();
    let found = diagnose(&bad_deploy().play(1), Some(&rules), &current, &[]).expect("a finding");
    let summary = &found.diagnosis.summary;
    assert!(summary.starts_with("engine POST /price is bad since commit bbbbbbbbbb: "), "{summary}");
    let found = diagnose(&Town::default().play(1), Some(&rules), &current, &[]).expect("a finding");
    let summary = &found.diagnosis.summary;
    assert!(summary.starts_with("engine POST /price waits for a connection: 20 work at once at most"), "{summary}");
}

#[test]
fn what_was_tried_is_left_and_without_a_catalogue_nothing_is_touched() {
    let (rules, current) = rules();
    let evidence = Town::default().play(2);
    let found = diagnose(&evidence, Some(&rules), &current, &[larger(100)]).expect("a finding");
    assert_eq!((found.diagnosis.kind, found.remedy), (FaultKind::PoolExhausted, None));
    let found = diagnose(&evidence, None, &current, &[]).expect("a finding");
    assert_eq!(found.remedy, None);
}

fn recall(
    question: &cag::Question,
    (rules, current): &(Catalogue, Current),
    tried: &[Remedy],
    lessons: &[Lesson],
) -> Result<sre_space_domain::incident::Finding, Option<Doubt>> {
    let key = SealKey::from([1; 32]);
    let sealed = |lesson: &Lesson| Lesson { seal: key.seal(lesson), ..lesson.clone() };
    let lessons: Vec<Lesson> = lessons.iter().map(sealed).collect();
    let known = cag::Remembered { lessons: &lessons, near: &[], key: &key };
    let bound = question.bind(rules, current, tried).ok_or(None)?;
    question.recall(bound, &known, Standing { record: TrackRecord::default(), trust: 0.0, threshold: 0.9 })
}

#[test]
fn a_lesson_answers_the_same_fault_again_with_sizes_of_today() {
    let rules = rules();
    let question = |town: &Town, seed| cag::read(&town.play(seed), Some(&rules.0)).expect("a question");
    let lesson = |town: &Town, remedy| Lesson {
        incident: incident(),
        signature: question(town, 1).signature(),
        remedy,
        at_ms: 0,
        postmortem: String::new(),
        origin: Origin::Unknown,
        seal: None,
    };
    let lessons = [lesson(&Town::default(), larger(100)), lesson(&bad_deploy(), reverted())];
    let today = question(&Town { load: 60.0, ..Town::default() }, 9);
    let found = recall(&today, &rules, &[], &lessons).expect("a hit");
    assert_eq!((found.source, found.remedy), (Source::Cag, Some(larger(50))));
    let again = Town { deploys: vec![(0, "aaaaaaaaaa"), (6_000, "cccccccccc")], ..bad_deploy() };
    let again = Town { commits: vec![("cccccccccc", "rules/pricing.rhai"), ("aaaaaaaaaa", "engine.yaml")], ..again };
    let found = recall(&question(&again, 3), &rules, &[], &lessons).expect("a hit");
    assert_eq!(found.remedy, Some(Remedy::Revert { service: "engine".into(), commit: Sha("cccccccccc".into()) }));
    assert!(found.diagnosis.confidence.get() > 0.90, "{:#?}", found.diagnosis.terms);
}

#[test]
fn no_lesson_no_answer_and_none_that_was_tried() {
    let rules = rules();
    let question = cag::read(&Town::default().play(1), Some(&rules.0)).expect("a question");
    let mut lesson = Lesson {
        incident: incident(),
        signature: question.signature(),
        remedy: larger(100),
        at_ms: 0,
        postmortem: String::new(),
        origin: Origin::Unknown,
        seal: None,
    };
    assert_eq!(recall(&question, &rules, &[], &[]), Err(None));
    assert_eq!(recall(&question, &rules, &[larger(90)], std::slice::from_ref(&lesson)), Err(None));
    lesson.remedy = Remedy::turn("engine", "cache", KnobValue::Int(100));
    assert_eq!(recall(&question, &rules, &[], std::slice::from_ref(&lesson)), Err(None));
    lesson.remedy = larger(100);
    lesson.signature.facts.push("else".into());
    assert_eq!(recall(&question, &rules, &[], &[lesson]), Err(None));
}
