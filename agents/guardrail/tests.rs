//! What is put to policy, and what the verdict says.

mod checked;
mod numbers;
mod strict;
mod turned;
mod veto;

use std::collections::BTreeMap;

use jiff::Timestamp;
use sre_space_domain::catalogue::{
    Autonomy, Catalogue, Check, Knob, KnobType, Limits, Patch, ServiceRules, Slo, Verify,
};
use sre_space_domain::diagnosis::{Confidence, Diagnosis, FaultKind, Measured};
use sre_space_domain::ids::{Digest, IncidentId, Sha};
use sre_space_domain::incident::Incident;
use sre_space_domain::proposal::{Decision, FileChange, KnobValue, Proposal, Remedy, Verdict};
use sre_space_domain::signal::{Certainty, Signal, SignalKind};
use sre_space_ports::policy::{Action, Question};
use ulid::Ulid;

use self::strict::Strict;
use super::{Case, billionths, question, rule};

fn knob(name: &str, file: &str) -> Knob {
    Knob {
        name: name.to_owned(),
        file: file.to_owned(),
        path: "database.pool_size".to_owned(),
        kind: KnobType::Int,
        min: Some(20),
        max: Some(200),
        step: Some(10),
        values: Vec::new(),
        remedies: vec![FaultKind::PoolExhausted],
    }
}

fn check() -> Check {
    Check {
        name: "pool".to_owned(),
        template: "checks/templates/pool.yaml".to_owned(),
        into: "checks/{incident}.yaml".to_owned(),
        reproduces: vec![FaultKind::PoolExhausted, FaultKind::SlowQuery, FaultKind::BadChange],
    }
}

fn patch() -> Patch {
    Patch {
        name: "add-index".to_owned(),
        template: "patches/add-index.sql".to_owned(),
        into: "migrations/{next}_index.sql".to_owned(),
        remedies: vec![FaultKind::SlowQuery],
    }
}

fn owners() -> Catalogue {
    let breaker =
        Knob { kind: KnobType::Bool, min: None, max: None, step: None, ..knob("breaker", "config/quote-engine.yaml") };
    let unbounded = Knob { max: None, ..knob("unbounded", "config/quote-engine.yaml") };
    let odd = knob("odd", "config/../.github/workflows/ci.yml");
    let twice = knob("twice", "config/quote-engine.yaml");
    let rules = ServiceRules {
        autonomy: Autonomy::Auto,
        base_url: None,
        slo: Slo::default(),
        verify: Verify::default(),
        knobs: vec![knob("db-pool-size", "config/quote-engine.yaml"), breaker, unbounded, odd, twice.clone(), twice],
        patches: vec![patch()],
        checks: vec![check()],
        sources: vec!["rules/**".to_owned(), "conf/*.yaml".to_owned(), "[".to_owned()],
        vouched: BTreeMap::new(),
    };
    Catalogue { version: 1, limits: Limits::default(), services: [("quote-engine".to_owned(), rules)].into() }
}

fn turn(name: &str, value: KnobValue) -> Remedy {
    Remedy::turn("quote-engine", name, value)
}

fn revert(commit: &str) -> Remedy {
    Remedy::Revert { service: "quote-engine".to_owned(), commit: Sha(commit.to_owned()) }
}

fn digest() -> Digest {
    Digest::of([b"plan".as_slice()])
}

fn proposal(remedy: Remedy, files: &[&str]) -> Proposal {
    Proposal {
        remedy,
        trust: 0.9125,
        base: Sha("ba5e".to_owned()),
        files: files.iter().map(|file| (*file).to_owned()).collect(),
        changes: vec![],
        reproduces: None,
        diff: String::new(),
        lines: 2,
        digest: digest(),
        title: String::new(),
        rationale: String::new(),
    }
}

fn signal() -> Signal {
    Signal {
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
        sources: ["quote-engine", "marketplace-web", "quote-engine"].map(str::to_owned).to_vec(),
        onset_ms: 0,
        coherence: None,
    }
}

fn incident(proposal: Proposal) -> Incident {
    let mut incident = Incident::open(IncidentId::new(Ulid::from_parts(1, 1)), signal(), Timestamp::UNIX_EPOCH);
    incident.diagnosis = Some(Diagnosis {
        service: "quote-engine".to_owned(),
        operation: "GET /quote".to_owned(),
        kind: FaultKind::PoolExhausted,
        summary: String::new(),
        confidence: Confidence::try_from(0.97).expect("a confidence"),
        terms: vec![],
        evidence: vec![],
        candidates: vec![],
        measured: Measured::default(),
        affected: Vec::new(),
    });
    incident.proposal = Some(proposal);
    incident
}

fn case<'a>(incident: &'a Incident, catalogue: &'a Catalogue) -> Case<'a> {
    Case {
        incident,
        catalogue,
        threshold: 0.90,
        incidents_last_hour: 1,
        cooling: false,
        active_on_service: 0,
        vetoes: Default::default(),
    }
}

fn ask(incident: &Incident, catalogue: &Catalogue) -> Question {
    question(&case(incident, catalogue)).expect("diagnosed and proposed")
}

fn good() -> Question {
    let pool = proposal(turn("db-pool-size", KnobValue::Int(100)), &["config/quote-engine.yaml"]);
    ask(&incident(pool), &owners())
}

fn verdict(decision: Decision, rules: &[&str], reasons: &[&str]) -> Verdict {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Verdict { decision, rules: owned(rules), reasons: owned(reasons), digest: digest() }
}

#[test]
fn the_question_carries_the_facts_of_the_case() {
    let expected = Question {
        service: "quote-engine".to_owned(),
        remedy: "turn-knob".to_owned(),
        fault: "pool-exhausted".to_owned(),
        autonomy: Autonomy::Auto,
        confidence_e9: 970_000_000,
        trust_e9: 912_500_000,
        threshold_e9: 900_000_000,
        files: vec!["config/quote-engine.yaml".to_owned()],
        lines: 2,
        declared: true,
        bounded: true,
        sources: 2,
        incidents_last_hour: 1,
        incidents_per_hour: 3,
        cooling: false,
        active_on_service: 0,
        vetoes: Default::default(),
    };
    assert_eq!(good(), expected);
}

#[test]
fn there_is_no_question_without_diagnosis_and_proposal() {
    let catalogue = owners();
    let ready = incident(proposal(revert("abcdef12"), &["rules/a.rhai"]));
    let blind = Incident { diagnosis: None, ..ready.clone() };
    let idle = Incident { proposal: None, ..ready };
    for incident in [&blind, &idle] {
        assert_eq!(question(&case(incident, &catalogue)), None);
    }
}

#[test]
fn a_service_the_owners_do_not_name_may_only_be_observed() {
    let stranger = Remedy::Revert { service: "other".to_owned(), commit: Sha("abcdef12".to_owned()) };
    let asked = ask(&incident(proposal(stranger, &["rules/a.rhai"])), &owners());
    assert_eq!((asked.autonomy, asked.declared, asked.bounded), (Autonomy::Observe, false, false));
}

#[test]
fn only_declared_files_of_the_remedy_are_declared() {
    let config = "config/quote-engine.yaml";
    let pool = || turn("db-pool-size", KnobValue::Int(100));
    let undo = || revert("abcdef12");
    let table: [(Remedy, &[&str], bool); 26] = [
        (pool(), &[config], true),
        (pool(), &[config, "rules/a.rhai"], false),
        (pool(), &["rules/a.rhai"], false),
        (pool(), &["config/Quote-Engine.yaml"], false),
        (turn("unheard-of", KnobValue::Int(100)), &[config], false),
        (turn("twice", KnobValue::Int(100)), &[config], false),
        (turn("odd", KnobValue::Int(100)), &["config/../.github/workflows/ci.yml"], false),
        (undo(), &["rules/a.rhai"], true),
        (undo(), &["rules/deep/er/a.rhai", "conf/x.yaml"], true),
        (undo(), &["conf/deep/x.yaml"], false),
        (undo(), &["rules/a.rhai", config], false),
        (undo(), &["Rules/a.rhai"], false),
        (undo(), &["rules/../.github/workflows/ci.yml"], false),
        (undo(), &["rules/./a.rhai"], false),
        (undo(), &["rules//a.rhai"], false),
        (undo(), &["/rules/a.rhai"], false),
        (undo(), &["rules/"], false),
        (undo(), &["rules/a.rhai."], false),
        (undo(), &["rules\\a.rhai"], false),
        (undo(), &["rules/%2e%2e/a.rhai"], false),
        (undo(), &["rules/a\0.rhai"], false),
        (undo(), &["rules/a\n.rhai"], false),
        (undo(), &["rules/a .rhai"], false),
        (undo(), &["rules/pre\u{301}cis.rhai"], false),
        (undo(), &["rules/a\u{202e}.rhai"], false),
        (undo(), &[""], false),
    ];
    for (remedy, files, expected) in table {
        let asked = ask(&incident(proposal(remedy, files)), &owners());
        assert_eq!((files, asked.declared), (files, expected));
    }
}

#[test]
fn a_knob_that_is_not_for_this_fault_is_not_declared() {
    let mut other = incident(proposal(turn("db-pool-size", KnobValue::Int(100)), &["config/quote-engine.yaml"]));
    other.diagnosis = other.diagnosis.map(|found| Diagnosis { kind: FaultKind::SlowQuery, ..found });
    assert!(!ask(&other, &owners()).declared);
}

#[test]
fn a_file_that_is_written_but_not_listed_is_judged_too() {
    let change = FileChange { path: ".github/workflows/ci.yml".to_owned(), contents: None };
    let sly = Proposal { changes: vec![change], ..proposal(revert("abcdef12"), &["rules/a.rhai"]) };
    let asked = ask(&incident(sly), &owners());
    assert_eq!(asked.files, [".github/workflows/ci.yml", "rules/a.rhai"]);
    assert!(!asked.declared);
}

#[test]
fn parameters_stay_inside_their_bounds() {
    let int = |value| turn("db-pool-size", KnobValue::Int(value));
    let table = [
        (int(20), true),
        (int(200), true),
        (int(19), false),
        (int(210), false),
        (int(105), false),
        (int(i64::MAX), false),
        (int(i64::MIN), false),
        (turn("db-pool-size", KnobValue::Bool(true)), false),
        (turn("breaker", KnobValue::Bool(true)), true),
        (turn("breaker", KnobValue::Int(1)), false),
        (turn("unbounded", KnobValue::Int(100)), false),
        (turn("twice", KnobValue::Int(100)), false),
        (turn("unheard-of", KnobValue::Int(100)), false),
        (revert("0123456789abcdef0123456789abcdef01234567"), true),
        (revert(""), false),
        (revert("HEAD"), false),
        (revert("--force"), false),
        (revert("main~1"), false),
    ];
    for (remedy, expected) in table {
        let told = format!("{remedy:?}");
        let asked = ask(&incident(proposal(remedy, &["config/quote-engine.yaml"])), &owners());
        assert_eq!((&told, asked.bounded), (&told, expected));
    }
}

#[test]
fn all_that_is_needed_is_allowed() {
    let expected = verdict(Decision::Allow, &["propose", "merge"], &["may be merged"]);
    assert_eq!(rule(&Strict::default(), &good(), &digest()), expected);
}

#[test]
fn why_a_person_has_to_merge_is_said_in_numbers() {
    let table = [
        (Question { trust_e9: 47_123_456, ..good() }, "trust 0.047 is not above 0.90"),
        (Question { trust_e9: 899_999_999, ..good() }, "trust 0.899 is not above 0.90"),
        (Question { autonomy: Autonomy::Approve, ..good() }, "autonomy is approve, not auto"),
        (Question { sources: 1, ..good() }, "seen by 1 independent source(s), not by 2"),
        (
            Question { incidents_last_hour: 3, ..good() },
            "3 incident(s) acted on in the last hour, the owners' limit is 3",
        ),
        (Question { cooling: true, ..good() }, "the service is in its cooldown"),
        (Question { active_on_service: 1, ..good() }, "1 other remediation(s) under way on the service"),
    ];
    for (question, why) in table {
        let expected = verdict(Decision::RequireApproval, &["propose"], &[why, "nothing permits it"]);
        assert_eq!(rule(&Strict::default(), &question, &digest()), expected);
    }
    let finer = Question { threshold_e9: 912_500_001, ..good() };
    let told = rule(&Strict::default(), &finer, &digest()).reasons;
    assert_eq!(told.first().map(String::as_str), Some("trust 0.912 is not above 0.912500001"));
}

#[test]
fn too_little_confidence_is_denied() {
    let unsure = Question { confidence_e9: 900_000_000, ..good() };
    let expected = verdict(Decision::Deny, &[], &["confidence 0.900 is not above 0.90", "nothing permits it"]);
    assert_eq!(rule(&Strict::default(), &unsure, &digest()), expected);
}

#[test]
fn a_forbid_is_named_and_speaks_for_itself() {
    let propose = Strict { frozen: Some(Action::Propose) };
    let short = Question { trust_e9: 0, ..good() };
    let expected = verdict(Decision::Deny, &["freeze"], &["frozen by the operator"]);
    assert_eq!(rule(&propose, &short, &digest()), expected);
    let merge = Strict { frozen: Some(Action::Merge) };
    let expected = verdict(Decision::RequireApproval, &["freeze"], &["frozen by the operator"]);
    assert_eq!(rule(&merge, &short, &digest()), expected);
}

/// What a model, a cache or a mistake may offer as a confidence, as JSON.
const BAD_CONFIDENCES: [&str; 24] = [
    "0.90",
    "0.9",
    "0.899999999",
    "0.0",
    "-0.0",
    "0.90000000000000002",
    "9e-1",
    "-1",
    "-0.95",
    "1.0000001",
    "1.5",
    "95",
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "\"0.95\"",
    "\"NaN\"",
    "null",
    "true",
    "[0.95]",
    "{}",
    "",
    "0,95",
];

fn ruling_on(json: &str) -> Decision {
    let Ok(confidence) = serde_json::from_str::<Confidence>(json) else {
        return Decision::Deny;
    };
    let mut incident = incident(proposal(turn("db-pool-size", KnobValue::Int(100)), &["config/quote-engine.yaml"]));
    incident.diagnosis = incident.diagnosis.map(|found| Diagnosis { confidence, ..found });
    rule(&Strict::default(), &ask(&incident, &owners()), &digest()).decision
}

#[test]
fn no_bad_confidence_passes_and_a_hair_above_does() {
    for json in BAD_CONFIDENCES {
        assert_eq!((json, ruling_on(json)), (json, Decision::Deny));
    }
    for json in ["0.9000001", "0.97", "1", "1.0"] {
        assert_eq!((json, ruling_on(json)), (json, Decision::Allow));
    }
}
