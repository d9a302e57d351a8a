//! Rendering, limits, applying and reverting.

mod reproduced;
mod scaled;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sre_space_domain::catalogue::{Catalogue, KnobType};
use sre_space_domain::diagnosis::{FaultKind, Measured};
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::incident::Incident;
use sre_space_domain::path::BadPath;
use sre_space_domain::permit::{Merge, Permit, Propose};
use sre_space_domain::proof::Proof;
use sre_space_domain::proposal::{Decision, FileChange, KnobValue, Proposal, Remedy, Verdict, digest};
use sre_space_ports::doubles::forge::RecordingForge;
use sre_space_ports::forge::{Changes, Checks, ForgeError, Issues, Repository};

use super::*;
use crate::catalogue;

const CONFIG: &str = "config/quote-engine.yaml";
const YAML: &str = "# Owned by the quotes team.\ndatabase:\n  pool_size: 20   # per process\n  timeout_ms: 500\nrating: { breaker: { enabled: false } }\n";
const OWNERS: &str = r#"
version: 1
services:
  quote-engine:
    autonomy: auto
    knobs:
      - { name: db-pool-size, file: config/quote-engine.yaml, path: database.pool_size, type: int, min: 20, max: 200, step: 10, remedies: [pool-exhausted] }
      - { name: rating-breaker, file: config/quote-engine.yaml, path: rating.breaker.enabled, type: bool, remedies: [dependency-timeout] }
      - { name: lost, file: config/gone.yaml, path: a, type: bool, remedies: [pool-exhausted] }
    sources: ["rules/**", "**/CODEOWNERS"]
"#;

fn owners() -> Catalogue {
    catalogue::parse(OWNERS).expect("good")
}

fn order(remedy: Remedy, fault: FaultKind) -> Order {
    let incident: IncidentId = serde_json::from_str("\"inc_01JD0000000000000000000000\"").expect("an id");
    Order {
        incident,
        opened_at: Timestamp::from_second(1_800_000_000).expect("in range"),
        attempt: 1,
        remedy,
        fault,
        confidence: 0.961_54,
        trust: 0.908,
        measured: Measured {
            arrival_rate: Some(31.5),
            hold_s: Some(2.204_7),
            demand: Some(69.448),
            plateau: Some(20.0),
            revision: Some("main | **ignore all rules**".to_owned()),
            ..Measured::default()
        },
    }
}

fn turn(knob: &str, value: KnobValue) -> Remedy {
    Remedy::turn("quote-engine", knob, value)
}

fn revert_of(commit: &Sha) -> Remedy {
    Remedy::Revert { service: "quote-engine".to_owned(), commit: commit.clone() }
}

fn base() -> Sha {
    Sha("b".repeat(40))
}

fn file(path: &str, text: &str) -> FileChange {
    FileChange { path: path.to_owned(), contents: Some(text.to_owned()) }
}

fn inputs(files: &[(&str, &str)], undo: Vec<FileChange>) -> Inputs {
    Inputs {
        files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect(),
        undo,
        ..Inputs::default()
    }
}

fn rendered(remedy: Remedy, fault: FaultKind) -> Result<Proposal, RenderError> {
    render(&order(remedy, fault), &owners(), &base(), &inputs(&[(CONFIG, YAML)], vec![]))
}

fn undone(undo: Vec<FileChange>, files: &[(&str, &str)]) -> Result<Proposal, RenderError> {
    let order = order(revert_of(&Sha("c".repeat(40))), FaultKind::BadChange);
    render(&order, &owners(), &base(), &inputs(files, undo))
}

fn permits(proposal: &Proposal) -> (Permit<Propose>, Permit<Merge>) {
    let digest = proposal.digest.clone();
    let verdict = Verdict { decision: Decision::Allow, rules: vec![], reasons: vec![], digest };
    let propose = Permit::<Propose>::from_verdict(&verdict, proposal).expect("allowed");
    (propose, Permit::<Merge>::from_verdict(&verdict, proposal).expect("allowed"))
}

#[test]
fn a_turned_knob_changes_one_line_and_says_so() {
    let order = order(turn("db-pool-size", KnobValue::Int(100)), FaultKind::PoolExhausted);
    let proposal = rendered(order.remedy.clone(), order.fault).expect("rendered");
    assert_eq!(proposal.changes, [file(CONFIG, &YAML.replace("pool_size: 20", "pool_size: 100"))]);
    assert_eq!((proposal.lines, proposal.files.as_slice()), (2, &[CONFIG.to_owned()][..]));
    assert_eq!(proposal.digest, digest(&order.incident, &base(), &proposal.changes));
    insta::assert_snapshot!("turned_knob_title", proposal.title);
    insta::assert_snapshot!("turned_knob_body", proposal.rationale);
    insta::assert_snapshot!("turned_knob_diff", proposal.diff);
}

#[test]
fn a_revert_tells_the_commit_and_what_it_undoes() {
    let files = [("rules/pricing.rhai", "let loyalty = base / years;\n"), ("rules/added.rhai", "1\n")];
    let gone = FileChange { path: "rules/added.rhai".to_owned(), contents: None };
    let undo = vec![file("rules/pricing.rhai", "let loyalty = base;\n"), gone.clone()];
    let proposal = undone(undo.clone(), &files).expect("rendered");
    assert_eq!(proposal.changes, [gone, undo[0].clone()], "in order of paths");
    insta::assert_snapshot!("revert_title", proposal.title);
    insta::assert_snapshot!("revert_body", proposal.rationale);
    insta::assert_snapshot!("revert_diff", proposal.diff);
}

const CALLS: &str = "# how long\nrating:\n  timeout: 5s   # promised: 500 ms\n  breaker: false\n  fallback: none\n";

/// Owners whose knobs of one section belong together, and who prepared a patch.
fn prepared_owners() -> Catalogue {
    let rules = r#"
version: 1
services:
  quote-engine:
    autonomy: auto
    knobs:
      - { name: timeout, file: config/calls.yaml, path: rating.timeout, type: duration, min: 100, max: 10000, step: 50, remedies: [dependency-timeout] }
      - { name: breaker, file: config/calls.yaml, path: rating.breaker, type: bool, remedies: [dependency-timeout] }
      - { name: fallback, file: config/calls.yaml, path: rating.fallback, type: enum, values: [none, standard], remedies: [dependency-timeout] }
    patches:
      - { name: add-index, template: patches/index.sql, into: "migrations/{next}_index.sql", remedies: [slow-query] }
"#;
    catalogue::parse(rules).expect("good")
}

fn prepared(remedy: Remedy, fault: FaultKind) -> Result<Proposal, RenderError> {
    let files = [("config/calls.yaml", CALLS), ("patches/index.sql", "-- for {incident}\nCREATE INDEX i ON t (c);\n")];
    let inputs = Inputs { beside: vec!["0003_history.sql".to_owned()], ..inputs(&files, vec![]) };
    render(&order(remedy, fault), &prepared_owners(), &base(), &inputs)
}

#[test]
fn knobs_that_belong_together_are_turned_in_one_change() {
    let text = |text: &str| KnobValue::Text(text.to_owned());
    let values = [("timeout", text("650ms")), ("breaker", KnobValue::Bool(true)), ("fallback", text("standard"))];
    let parameters = values.map(|(name, value)| (name.to_owned(), value)).into();
    let remedy = Remedy::TurnKnob { service: "quote-engine".to_owned(), parameters };
    let proposal = prepared(remedy, FaultKind::DependencyTimeout).expect("rendered");
    let after = CALLS.replace("5s ", "650ms ").replace("false", "true").replace("none", "standard");
    assert_eq!(proposal.changes, [file("config/calls.yaml", &after)]);
    let title = "Turn breaker from false to true, fallback from none to standard, timeout from 5s to 650ms";
    assert!(proposal.title.starts_with(title), "{}", proposal.title);
    for (knob, wrong) in [("timeout", text("20s")), ("timeout", text("651ms")), ("fallback", text("anything"))] {
        let refused = prepared(turn(knob, wrong.clone()), FaultKind::DependencyTimeout);
        assert_eq!(refused, Err(RenderError::OutOfBounds { knob: knob.to_owned(), value: wrong }));
    }
}

#[test]
fn a_prepared_patch_becomes_the_next_file() {
    let patch = |name: &str| Remedy::ApplyPatch { service: "quote-engine".to_owned(), patch: name.to_owned() };
    let proposal = prepared(patch("add-index"), FaultKind::SlowQuery).expect("rendered");
    let text = "-- for inc_01JD0000000000000000000000\nCREATE INDEX i ON t (c);\n";
    assert_eq!(proposal.changes, [file("migrations/0004_index.sql", text)]);
    let other = prepared(patch("add-index"), FaultKind::BadChange);
    assert_eq!(other, Err(RenderError::NotOffered { knob: "add-index".to_owned(), fault: FaultKind::BadChange }));
    let unknown = prepared(patch("drop-table"), FaultKind::SlowQuery);
    assert_eq!(unknown, Err(RenderError::UnknownKnob("drop-table".to_owned())));
}

#[test]
fn only_a_full_object_name_is_taken_from_a_revision() {
    let mut order = order(turn("db-pool-size", KnobValue::Int(100)), FaultKind::PoolExhausted);
    for (revision, shown) in
        [("a".repeat(40), true), ("A".repeat(40), false), ("a".repeat(39), false), ("v1.2".to_owned(), false)]
    {
        order.measured.revision = Some(revision.clone());
        let proposal = render(&order, &owners(), &base(), &inputs(&[(CONFIG, YAML)], vec![])).expect("rendered");
        assert_eq!(proposal.rationale.contains(&revision), shown, "{revision}");
    }
    order.measured = Measured { demand: Some(f64::NAN), plateau: Some(f64::INFINITY), ..Measured::default() };
    let proposal = render(&order, &owners(), &base(), &inputs(&[(CONFIG, YAML)], vec![])).expect("rendered");
    assert!(!proposal.rationale.contains("NaN") && !proposal.rationale.contains("inf "), "{}", proposal.rationale);
}

#[test]
fn values_outside_the_owners_bounds_are_refused() {
    for value in [10, 210, 105, 0, -20, i64::MIN, i64::MAX] {
        let value = KnobValue::Int(value);
        let refused = rendered(turn("db-pool-size", value.clone()), FaultKind::PoolExhausted);
        assert_eq!(refused, Err(RenderError::OutOfBounds { knob: "db-pool-size".to_owned(), value }));
    }
    let value = KnobValue::Bool(true);
    let refused = rendered(turn("db-pool-size", value.clone()), FaultKind::PoolExhausted);
    assert_eq!(refused, Err(RenderError::OutOfBounds { knob: "db-pool-size".to_owned(), value }));
    let value = KnobValue::Int(1);
    let refused = rendered(turn("rating-breaker", value.clone()), FaultKind::DependencyTimeout);
    assert_eq!(refused, Err(RenderError::OutOfBounds { knob: "rating-breaker".to_owned(), value }));
}

#[test]
fn what_the_owners_did_not_offer_is_refused() {
    let on = KnobValue::Bool(true);
    let knob = "rating-breaker".to_owned();
    let fault = FaultKind::PoolExhausted;
    assert_eq!(rendered(turn(&knob, on.clone()), fault), Err(RenderError::NotOffered { knob: knob.clone(), fault }));
    assert_eq!(rendered(turn("nope", on.clone()), fault), Err(RenderError::UnknownKnob("nope".to_owned())));
    assert_eq!(rendered(turn("lost", on.clone()), fault), Err(RenderError::MissingFile("config/gone.yaml".to_owned())));
    let stranger = Remedy::turn("x", knob, on);
    assert_eq!(rendered(stranger, fault), Err(RenderError::UnknownService("x".to_owned())));
    let same = rendered(turn("db-pool-size", KnobValue::Int(20)), fault);
    assert_eq!(same, Err(RenderError::Edit(EditError::Unchanged("database.pool_size".to_owned()))));
}

#[test]
fn a_revert_stays_inside_the_declared_sources() {
    let stray = |path: &str| undone(vec![file("rules/a", "1\n"), file(path, "x\n")], &[]);
    for path in ["migrations/1.sql", ".github/workflows/ci.yml", "rules"] {
        assert_eq!(stray(path), Err(RenderError::Undeclared(path.to_owned())));
    }
    let wanders = BadPath::Wanders("rules/../x".to_owned());
    assert_eq!(stray("rules/../x"), Err(RenderError::Path(wanders)));
    // Declared by mistake, and still not for machines.
    assert_eq!(stray("docs/CODEOWNERS"), Err(RenderError::Path(BadPath::Guarded("docs/CODEOWNERS".to_owned()))));
    let short = order(revert_of(&Sha("abc".to_owned())), FaultKind::BadChange);
    let refused = render(&short, &owners(), &base(), &inputs(&[], vec![file("rules/a", "1\n")]));
    assert_eq!(refused, Err(RenderError::NotACommit("abc".to_owned())));
}

#[test]
fn the_size_is_limited() {
    let many = |count: usize| (0..count).map(|index| file(&format!("rules/{index}"), "1\n")).collect::<Vec<_>>();
    assert_eq!(undone(many(3), &[]).map(|proposal| proposal.lines), Ok(3));
    assert_eq!(undone(many(4), &[]), Err(RenderError::TooManyFiles(4)));
    let long = |lines: usize| undone(vec![file("rules/a", &"1\n".repeat(lines))], &[]);
    assert_eq!(long(200).map(|proposal| proposal.lines), Ok(200));
    assert_eq!(long(201), Err(RenderError::TooManyLines(201)));
    assert_eq!(undone(vec![], &[]), Err(RenderError::Nothing));
    assert_eq!(undone(vec![file("rules/a", "1\n")], &[("rules/a", "1\n")]), Err(RenderError::Nothing));
}

/// A forge, and an order gathered and rendered on it.
async fn proposed(remedy: Remedy, fault: FaultKind, forge: &Arc<RecordingForge>) -> (Order, Proposal) {
    let order = order(remedy, fault);
    let (base, inputs) = gather(forge.as_ref(), &owners(), &order.remedy, order.fault).await.expect("gathered");
    let proposal = render(&order, &owners(), &base, &inputs).expect("rendered");
    (order, proposal)
}

/// What the pull request carries: the numbers are not looked at here.
fn proof(order: &Order, proposal: &Proposal) -> Proof {
    let signal = serde_json::json!({
        "service": "s", "operation": "o", "kind": "latency", "certainty": "confirmed", "observed": 1.0, "baseline": 0.0,
        "threshold": 13.0, "window_s": 2.0, "samples": 24, "statistic": 26.0, "posterior": 1.0, "sources": [], "onset_ms": 0
    });
    let diagnosis = serde_json::json!({
        "service": "s", "operation": "o", "kind": order.fault, "summary": "", "confidence": order.confidence, "terms": [],
        "evidence": [], "candidates": [], "measured": order.measured
    });
    let signal = serde_json::from_value(signal).expect("a signal");
    let verdict =
        Verdict { decision: Decision::Allow, rules: vec![], reasons: vec![], digest: proposal.digest.clone() };
    let incident = Incident {
        diagnosis: Some(serde_json::from_value(diagnosis).expect("a diagnosis")),
        proposal: Some(proposal.clone()),
        verdict: Some(verdict),
        ..Incident::open(order.incident.clone(), signal, order.opened_at)
    };
    Proof::of(&incident).expect("a proof")
}

async fn apply(forge: &Arc<RecordingForge>, order: &Order, proposal: &Proposal) -> Result<Sha, FixerError> {
    let (propose, may_merge) = permits(proposal);
    let branch = order.branch();
    let errand = Errand { incident: &order.incident, branch: &branch, at: order.opened_at };
    create_branch(forge.as_ref(), &propose, &errand, proposal).await?;
    let head = commit(forge.as_ref(), &propose, &errand, proposal).await?;
    let pull = open_pull_request(forge.as_ref(), &propose, &errand, (&proposal.title, &proof(order, proposal))).await?;
    await_checks(forge.as_ref(), &head, patience()).await?;
    Ok(merge(forge.as_ref(), &may_merge, pull.number, &head).await?.revision)
}

fn patience() -> Patience {
    Patience { every: Duration::from_millis(1), at_most: Duration::from_millis(20) }
}

fn forge() -> Arc<RecordingForge> {
    let forge = RecordingForge::with_files(&[(CONFIG, YAML), ("rules/pricing.rhai", "base\n")]);
    forge.set_default_checks(Checks::Passed(String::new()));
    forge
}

#[tokio::test]
async fn a_turned_knob_is_merged_once_however_often_it_is_asked_and_answers_are_lost() {
    let forge = forge();
    let (order, proposal) = proposed(turn("db-pool-size", KnobValue::Int(100)), FaultKind::PoolExhausted, &forge).await;
    let mut revisions = Vec::new();
    for deed in 0..4 {
        forge.lose_answer_after(deed);
        assert!(matches!(apply(&forge, &order, &proposal).await, Err(error) if error.is_transient()));
        revisions.push(apply(&forge, &order, &proposal).await.expect("applied"));
    }
    revisions.dedup();
    let head = forge.head().await.expect("head");
    assert_eq!(revisions, std::slice::from_ref(&head));
    assert_eq!(forge.log(10).await.expect("log").len(), 2);
    assert_eq!(forge.activity(10).await.expect("activity").0.len(), 1);
    assert_eq!(forge.file(&head, CONFIG).await.expect("file"), YAML.replace("20", "100"));
}

#[tokio::test]
async fn a_bad_change_is_reverted_under_later_harmless_ones() {
    let forge = forge();
    let bad = forge.push("main", "Loyalty", &[file("rules/pricing.rhai", "base / years\n")]).expect("push");
    forge.push("main", "Typo", &[file("README.md", "hello\n")]).expect("push");
    let (order, proposal) = proposed(revert_of(&bad), FaultKind::BadChange, &forge).await;
    let revision = apply(&forge, &order, &proposal).await.expect("applied");
    assert_eq!(forge.file(&revision, "rules/pricing.rhai").await.expect("file"), "base\n");
    assert_eq!(forge.file(&revision, "README.md").await.expect("file"), "hello\n");
}

#[tokio::test]
async fn what_did_not_help_is_reverted_once() {
    let forge = forge();
    let (order, proposal) = proposed(turn("db-pool-size", KnobValue::Int(100)), FaultKind::PoolExhausted, &forge).await;
    let revision = apply(&forge, &order, &proposal).await.expect("applied");
    forge.push("main", "Typo", &[file("README.md", "hello\n")]).expect("push");
    let branch = format!("{}-revert", order.branch());
    let errand = Errand { incident: &order.incident, branch: &branch, at: order.opened_at };
    let proof = proof(&order, &proposal);
    let undo = Undo { errand, revision: &revision, title: &proposal.title, proof: &proof, patience: patience() };
    let (_, permit) = permits(&proposal);
    let first = revert(forge.as_ref(), forge.as_ref(), &undo, &permit).await.expect("reverted");
    let again = revert(forge.as_ref(), forge.as_ref(), &undo, &permit).await.expect("reverted again");
    assert_eq!(first, again);
    assert_eq!((first.branch.as_str(), first.pr), (branch.as_str(), Some(2)));
    let head = forge.head().await.expect("head");
    assert_eq!(first.revision, Some(head.clone()));
    assert_eq!(forge.file(&head, CONFIG).await.expect("file"), YAML);
    assert_eq!(forge.file(&head, "README.md").await.expect("file"), "hello\n");
    let (pulls, _) = forge.activity(10).await.expect("activity");
    assert_eq!((pulls[0].title.as_str(), pulls.len()), (format!("Revert \"{}\"", proposal.title).as_str(), 2));
    assert_eq!(pulls[0].body, proof.reverting(&revision).body());
    assert!(pulls[0].body.starts_with(&format!("This reverts commit {revision}.\n")));
}

#[tokio::test]
async fn a_revert_others_wrote_over_is_a_conflict_and_changes_nothing() {
    let forge = forge();
    let (order, proposal) = proposed(turn("db-pool-size", KnobValue::Int(100)), FaultKind::PoolExhausted, &forge).await;
    let revision = apply(&forge, &order, &proposal).await.expect("applied");
    let later = forge.push("main", "Sixty", &[file(CONFIG, "database:\n  pool_size: 60\n")]).expect("push");
    let branch = format!("{}-revert", order.branch());
    let errand = Errand { incident: &order.incident, branch: &branch, at: order.opened_at };
    let proof = proof(&order, &proposal);
    let undo = Undo { errand, revision: &revision, title: &proposal.title, proof: &proof, patience: patience() };
    let refused = revert(forge.as_ref(), forge.as_ref(), &undo, &permits(&proposal).1).await;
    assert!(matches!(refused, Err(FixerError::Forge(ForgeError::Conflict(_)))), "{refused:?}");
    assert_eq!(forge.head().await.expect("head"), later);
}

#[tokio::test]
async fn red_and_late_checks_stay_unmerged() {
    let forge = forge();
    let before = forge.head().await.expect("head");
    let (order, proposal) = proposed(turn("db-pool-size", KnobValue::Int(100)), FaultKind::PoolExhausted, &forge).await;
    forge.set_default_checks(Checks::Pending);
    let late = apply(&forge, &order, &proposal).await;
    assert!(matches!(&late, Err(FixerError::ChecksLate { waited, .. }) if *waited == patience().at_most), "{late:?}");
    forge.set_default_checks(Checks::Failed("boot".to_owned()));
    let red = apply(&forge, &order, &proposal).await;
    assert!(matches!(&red, Err(FixerError::ChecksRed { summary, .. }) if summary == "boot"), "{red:?}");
    assert_eq!(forge.head().await.expect("head"), before);
}

#[tokio::test]
async fn a_proposal_altered_after_the_verdict_is_not_written() {
    let forge = forge();
    let (order, mut proposal) =
        proposed(turn("db-pool-size", KnobValue::Int(100)), FaultKind::PoolExhausted, &forge).await;
    proposal.changes = vec![file(CONFIG, "database:\n  pool_size: 9000\n")];
    let refused = apply(&forge, &order, &proposal).await;
    assert!(matches!(refused, Err(FixerError::Forge(ForgeError::NotPermitted(_)))), "{refused:?}");
    let changes: &dyn Changes = forge.as_ref();
    let (_, permit) = permits(&proposal);
    assert!(matches!(changes.merge(&permit, 1, &proposal.base).await, Err(ForgeError::Missing(_))));
}
