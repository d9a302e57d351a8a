//! What CAG takes from a memory that others can write to.

use std::collections::BTreeMap;

use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::knowledge::{Origin, TrackRecord, trust};
use sre_space_domain::proposal::KnobValue;
use ulid::Ulid;

use super::*;
use crate::town::Town;

const RULES: &str = r#"{
  "version": 1,
  "services": { "engine": {
    "autonomy": "auto",
    "knobs": [
      {"name": "pool", "file": "engine.yaml", "path": "p", "type": "int", "min": 20, "max": 200, "step": 10, "remedies": ["pool-exhausted"]}
    ],
    "sources": ["rules/**"]
  } }
}"#;

fn rules() -> (Catalogue, Current) {
    let current: BTreeMap<_, _> = [(("engine".to_owned(), "pool".to_owned()), KnobValue::Int(20))].into();
    (serde_json::from_str(RULES).expect("rules"), Current(current))
}

fn key() -> SealKey {
    SealKey::from([7; 32])
}

fn larger(value: i64) -> Remedy {
    Remedy::turn("engine", "pool", KnobValue::Int(value))
}

fn reverted() -> Remedy {
    Remedy::Revert { service: "engine".into(), commit: Sha("bbbbbbbbbb".into()) }
}

fn question() -> Question {
    read(&Town::default().play(1), Some(&rules().0)).expect("a question")
}

/// A lesson of an incident, sealed as Curator does.
fn lesson(number: u64, remedy: Remedy, key: &SealKey) -> Lesson {
    let bare = Lesson {
        incident: IncidentId::new(Ulid::from_parts(number, 1)),
        signature: question().signature(),
        remedy,
        at_ms: 0,
        postmortem: String::new(),
        origin: Origin::Verified { revision: None, samples: 120, statistic: -4.7, threshold: -4.6 },
        seal: None,
    };
    Lesson { seal: key.seal(&bare), ..bare }
}

fn standing(verified: u32, failed: u32) -> Standing {
    let record = TrackRecord { verified, failed };
    Standing { record, trust: trust(30, record), threshold: 0.90 }
}

fn recall(lessons: &[Lesson], near: &[Match], standing: Standing) -> Result<Remedy, Option<Doubt>> {
    let ((rules, current), question) = (rules(), question());
    let bound = question.bind(&rules, &current, &[]).expect("a remedy that fits");
    let found = question.recall(bound, &Remembered { lessons, near, key: &key() }, standing)?;
    Ok(found.remedy.expect("a remedy"))
}

/// Ten lessons of each class, all of them as near to the shape in hand as their class allows.
fn planted() -> Vec<Lesson> {
    let (ours, theirs) = (key(), SealKey::from([8; 32]));
    let genuine = lesson(900, larger(100), &ours);
    let changed = |signature: Signature| Lesson { signature, ..genuine.clone() };
    let shape = question().signature();
    let mut planted = Vec::new();
    for number in 0..10_u64 {
        let name = IncidentId::new(Ulid::from_parts(number, 2));
        let letter = char::from(b'a' + u8::try_from(number).expect("a digit"));
        let at = usize::try_from(number).expect("a digit");
        let near: String = shape.operation.chars().enumerate().map(|(n, c)| if n == at { 'x' } else { c }).collect();
        planted.extend([
            // Nobody vouches for it.
            Lesson { seal: None, incident: name.clone(), ..lesson(number, larger(100), &ours) },
            // Another control plane does.
            lesson(number, larger(100), &theirs),
            // A seal of ours, under another incident's name.
            Lesson { incident: name, ..genuine.clone() },
            // A seal of ours, on another shape: by a letter, in another place each.
            changed(Signature { operation: near, ..shape.clone() }),
            // A seal of ours, on another text and time.
            Lesson { postmortem: letter.to_string(), at_ms: i64::from(u32::from(letter)), ..genuine.clone() },
        ]);
    }
    planted
}

#[test]
fn of_fifty_planted_lessons_none_is_used() {
    let planted = planted();
    assert_eq!(planted.len(), 50);
    for lesson in &planted {
        let answer = recall(std::slice::from_ref(lesson), &[], standing(0, 0));
        assert!(answer.is_err(), "{lesson:?}");
    }
    let answer = recall(&planted, &[], standing(0, 0));
    assert_eq!(answer, Err(Some(Doubt::Unsealed(40))), "those of this very shape are counted, and not used");
}

#[test]
fn planted_lessons_neither_outvote_nor_hide_a_verified_one() {
    let against: Vec<Lesson> = planted().into_iter().map(|lesson| Lesson { remedy: reverted(), ..lesson }).collect();
    let near: Vec<Match> = against.iter().map(|lesson| Match { lesson: lesson.clone(), score: 1.0 }).collect();
    let verified = lesson(901, larger(90), &key());
    let lessons: Vec<Lesson> = against.into_iter().chain([verified.clone()]).collect();
    assert_eq!(recall(&lessons, &near, standing(1, 0)), Ok(larger(100)), "its size is of today");
    let near: Vec<Match> = near.into_iter().chain([Match { lesson: verified.clone(), score: 0.4 }]).collect();
    let shown = Remembered { lessons: &lessons, near: &near, key: &key() }.similar(3);
    assert_eq!(shown[0], Similar::to(&verified, 0.4, true), "what was verified is shown first");
    assert_eq!(shown.iter().filter(|other| other.verified).count(), 1);
}

#[test]
fn verified_lessons_that_disagree_leave_it_to_brain() {
    let (for_it, against) = (lesson(1, larger(100), &key()), lesson(2, reverted(), &key()));
    let doubt = recall(&[for_it.clone(), against.clone()], &[], standing(1, 0));
    assert_eq!(doubt, Err(Some(Doubt::Contradicted { support: 1, against: 1, margin: 0.0 })));
    let twice = [for_it.clone(), lesson(3, larger(80), &key()), against.clone()];
    assert_eq!(recall(&twice, &[], standing(2, 0)), Ok(larger(100)));
    let near = |score| [Match { lesson: against.clone(), score }];
    let Err(Some(Doubt::Contradicted { against: 1, margin, .. })) =
        recall(std::slice::from_ref(&for_it), &near(0.985), standing(1, 0))
    else {
        panic!("a neighbour that near is about the same failure")
    };
    assert!((margin - 0.015).abs() < 1e-9, "{margin}");
    assert_eq!(recall(&[for_it], &near(0.97), standing(1, 0)), Ok(larger(100)), "another failure's remedy is no vote");
}

#[test]
fn a_remedy_that_failed_is_not_recalled_until_it_has_earned_its_trust_back() {
    let lessons = [lesson(1, larger(100), &key())];
    let lost = standing(1, 1);
    let doubt = Doubt::Distrusted { remedy: larger(100).id(), standing: lost };
    let told = doubt.to_string();
    assert!(told.contains("worked 1 time(s) and failed 1 time(s)") && lost.trust < 0.90, "{told}");
    assert_eq!(recall(&lessons, &[], lost), Err(Some(doubt)));
    assert_eq!(recall(&lessons, &[], standing(30, 1)), Ok(larger(100)));
    assert_eq!(recall(&lessons, &[], standing(1, 0)), Ok(larger(100)));
}

#[test]
fn what_nobody_remembers_raises_no_doubt() {
    assert_eq!(recall(&[], &[], standing(0, 0)), Err(None));
    assert_eq!(recall(&[lesson(1, reverted(), &key())], &[], standing(0, 0)), Err(None));
}
