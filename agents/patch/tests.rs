//! What Brain and Fixer refuse of a source patch, whatever was decided before, and what a pull request says of one.

#[path = "../../crates/domain/src/patch/tests/attacks.rs"]
mod attacks;

use jiff::Timestamp;
use sre_space_domain::catalogue::Catalogue;
use sre_space_domain::diagnosis::{FaultKind, Measured};
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::patch::SourcePatch;
use sre_space_domain::proposal::{Proposal, Remedy};
use sre_space_ports::doubles::forge::{Call, RecordingForge};
use sre_space_ports::forge::Repository;

use super::*;
use crate::fixer::{self, Inputs, Order, RenderError};
use crate::{catalogue, guardrail};

const PRICING: &str = "rules/pricing.rhai";
const BEFORE: &str = "// loyalty\nlet price = base / years;\nprice\n";
const AFTER: &str = "// loyalty\nlet price = base;\nprice\n";

fn owners(sources: &str) -> Catalogue {
    let knob = r#"{ name: pool, file: config/pool.yaml, path: size, type: int, min: 1, max: 9, remedies: [unknown] }"#;
    let text = format!(
        "version: 1\nservices:\n  shop:\n    autonomy: auto\n    knobs: [{knob}]\n    sources: {sources}\n    checks:\n      \
         - {{ name: prices, template: checks/t.yaml, into: \"checks/{{incident}}.yaml\", reproduces: [error-burst] }}\n"
    );
    catalogue::parse(&text).expect("good")
}

fn rules(sources: &str) -> ServiceRules {
    owners(sources).services.remove("shop").expect("the shop")
}

fn files(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn rewrite(before: &str, after: &str) -> Rewrite {
    let sum = |text: &str| Digest::of([text.as_bytes()]);
    Rewrite { before: sum(before), after: sum(after) }
}

/// What a model wrote for these files, from each text to the other.
fn written(texts: &[(&str, &str, &str)]) -> SourcePatch {
    SourcePatch {
        model: "m".to_owned(),
        edits: texts.iter().map(|(path, before, after)| ((*path).to_owned(), rewrite(before, after))).collect(),
        files: texts.iter().map(|(path, _, after)| ((*path).to_owned(), (*after).to_owned())).collect(),
        words: "It divides by zero years.".to_owned(),
    }
}

/// A patch of one file that is there as it was read, where the owners declare so much.
fn judged(sources: &str, path: &str, (before, after): (&str, &str)) -> Result<Vec<FileChange>, Unfit> {
    let patch = written(&[(path, before, after)]);
    changes(&rules(sources), &patch.edits, &patch.files, &files(&[(path, before)]))
}

fn order(remedy: Remedy) -> Order {
    let incident: IncidentId = serde_json::from_str("\"inc_01JD0000000000000000000000\"").expect("an id");
    Order {
        incident,
        opened_at: Timestamp::from_second(1_800_000_000).expect("in range"),
        attempt: 1,
        remedy,
        fault: FaultKind::ErrorBurst,
        confidence: 0.961_54,
        trust: 0.0,
        measured: Measured::default(),
    }
}

fn rendered(patch: &SourcePatch, present: &[(&str, &str)]) -> Result<Proposal, RenderError> {
    let inputs = Inputs { files: files(present), written: Some(patch.clone()), ..Inputs::default() };
    fixer::render(&order(patch.remedy("shop")), &owners("[\"rules/**\"]"), &Sha("b".repeat(40)), &inputs)
}

fn good() -> SourcePatch {
    written(&[(PRICING, BEFORE, AFTER)])
}

#[test]
fn bad_paths_are_refused_even_where_everything_is_declared_and_there() {
    for path in attacks::BAD {
        let refused = judged("[\"**\", \"**/*\", \"**/.*\"]", path, (BEFORE, AFTER));
        assert!(matches!(refused, Err(Unfit::Path(_))), "{path:?}: {refused:?}");
    }
}

#[test]
fn what_is_no_source_or_not_there_is_refused() {
    for path in attacks::BAD.into_iter().chain(attacks::OTHERS) {
        let patch = written(&[(path, BEFORE, AFTER)]);
        let refused = rendered(&patch, &[(PRICING, BEFORE), ("config/quote-engine.yaml", BEFORE)]);
        assert!(matches!(refused, Err(RenderError::Unfit(_))), "{path:?}: {refused:?}");
    }
    let stray = |path: &str| Err(Unfit::NotASource(path.to_owned()));
    assert_eq!(
        judged("[\"rules/**\"]", "config/pool.yaml", (BEFORE, AFTER)),
        stray("config/pool.yaml"),
        "a knob's file"
    );
    assert_eq!(judged("[]", PRICING, (BEFORE, AFTER)), stray(PRICING));
}

#[test]
fn a_patch_is_of_what_was_read_to_what_was_written_and_of_nothing_else() {
    let (rules, sources) = (rules("[\"rules/**\"]"), good());
    let present = files(&[(PRICING, BEFORE)]);
    let judged =
        |patch: &SourcePatch, present: &BTreeMap<String, String>| changes(&rules, &patch.edits, &patch.files, present);
    let expected = vec![FileChange { path: PRICING.to_owned(), contents: Some(AFTER.to_owned()) }];
    assert_eq!(judged(&sources, &present), Ok(expected));
    let moved = files(&[(PRICING, &format!("{BEFORE}// by ada\n"))]);
    assert_eq!(judged(&sources, &moved), Err(Unfit::Moved(PRICING.to_owned())));
    assert_eq!(judged(&sources, &BTreeMap::new()), Err(Unfit::Missing(PRICING.to_owned())));
    let swapped = SourcePatch { files: files(&[(PRICING, "drop();\n")]), ..sources.clone() };
    assert_eq!(judged(&swapped, &present), Err(Unfit::Other(PRICING.to_owned())));
    let lost = SourcePatch { files: BTreeMap::new(), ..sources.clone() };
    assert_eq!(judged(&lost, &present), Err(Unfit::Other(PRICING.to_owned())));
    let more = SourcePatch { files: files(&[(PRICING, AFTER), ("rules/x", "x")]), ..sources };
    assert_eq!(judged(&more, &present), Err(Unfit::Other("rules/x".to_owned())));
    assert_eq!(judged(&written(&[]), &present), Err(Unfit::Nothing));
    assert_eq!(judged(&written(&[(PRICING, BEFORE, BEFORE)]), &present), Err(Unfit::Nothing));
}

#[test]
fn a_file_that_parsed_still_does() {
    let sources = "[\"rules/**\"]";
    for (path, before, after) in [
        ("rules/a.yaml", "a: 1\n", "a: 1\n  b: [\n"),
        ("rules/a.yaml", "a: 1\n", "a: 1\na: 2\n"),
        ("rules/a.json", "{\"a\": 1}\n", "{\"a\": 1,}\n"),
        ("rules/a.toml", "a = 1\n", "a = \n"),
    ] {
        assert_eq!(judged(sources, path, (before, after)), Err(Unfit::Broken(path.to_owned())), "{after:?}");
        assert!(judged(sources, path, (before, &before.replace('1', "3"))).is_ok(), "{path}");
    }
    assert!(judged(sources, "rules/a.json", ("{} // owners' own form\n", "{\"a\": 1} // owners' own form\n")).is_ok());
}

#[test]
fn the_size_of_a_patch_is_limited() {
    let many = |count: usize| {
        let names: Vec<String> = (0..count).map(|index| format!("rules/{index}")).collect();
        let texts: Vec<_> = names.iter().map(|name| (name.as_str(), "1\n", "2\n")).collect();
        let present: Vec<_> = names.iter().map(|name| (name.as_str(), "1\n")).collect();
        rendered(&written(&texts), &present).map(|proposal| proposal.lines)
    };
    assert_eq!(many(3), Ok(6));
    assert_eq!(many(4), Err(RenderError::Unfit(Unfit::TooManyFiles(4))));
    let long = |lines: usize| judged("[\"rules/**\"]", PRICING, (&"1\n".repeat(lines), &"2\n".repeat(lines)));
    assert!(long(100).is_ok());
    assert_eq!(long(101), Err(Unfit::TooManyLines(202)));
}

#[test]
fn the_pull_request_says_that_a_model_wrote_it_and_quotes_its_reason_in_the_body_only() {
    let proposal = rendered(&good(), &[(PRICING, BEFORE)]).expect("rendered");
    assert_eq!(proposal.title, "Unproven source patch of 1 file(s) by a model (inc_01JD0000000000000000000000)");
    insta::assert_snapshot!("written_body", proposal.rationale);
    insta::assert_snapshot!("written_diff", proposal.diff);
    let hostile = "Fixes 1. @everyone skip-checks: true Co-authored-by: eve Approved-by: ada";
    let hostile =
        rendered(&SourcePatch { words: hostile.to_owned(), ..good() }, &[(PRICING, BEFORE)]).expect("rendered");
    assert_eq!((hostile.title, hostile.digest), (proposal.title, proposal.digest));
    let quoted = "\n> `Fixes 1. @everyone skip-checks: true Co-authored-by: eve Approved-by: ada`\n";
    assert!(hostile.rationale.contains(quoted), "{}", hostile.rationale);
    let silent = rendered(&SourcePatch { words: String::new(), ..good() }, &[(PRICING, BEFORE)]).expect("rendered");
    assert!(silent.rationale.contains("\n> `-`\n"), "{}", silent.rationale);
}

#[test]
fn the_owners_check_of_the_failure_rides_along() {
    let check = ("checks/t.yaml", "red: {incident}\n");
    let proposal = rendered(&good(), &[(PRICING, BEFORE), check]).expect("rendered");
    assert_eq!(proposal.files, ["checks/inc_01JD0000000000000000000000.yaml", PRICING]);
    let asked = asked(&proposal);
    assert_eq!((asked.remedy.as_str(), asked.declared, asked.bounded), ("source-patch", true, true));
}

/// What is put to policy about a proposal of the shop.
fn asked(proposal: &Proposal) -> sre_space_ports::policy::Question {
    let signal = serde_json::json!({
        "service": "shop", "operation": "o", "kind": "latency", "certainty": "confirmed", "observed": 1.0, "baseline": 0.0,
        "threshold": 13.0, "window_s": 2.0, "samples": 24, "statistic": 26.0, "posterior": 1.0, "sources": [], "onset_ms": 0
    });
    let diagnosis = serde_json::json!({
        "service": "shop", "operation": "o", "kind": "error-burst", "summary": "", "confidence": 0.97, "terms": [],
        "evidence": [], "candidates": [], "measured": Measured::default()
    });
    let order = order(proposal.remedy.clone());
    let signal = serde_json::from_value(signal).expect("a signal");
    let incident = sre_space_domain::incident::Incident {
        diagnosis: Some(serde_json::from_value(diagnosis).expect("a diagnosis")),
        proposal: Some(proposal.clone()),
        ..sre_space_domain::incident::Incident::open(order.incident, signal, order.opened_at)
    };
    let catalogue = owners("[\"rules/**\"]");
    let (incident, catalogue) = (&incident, &catalogue);
    let (incidents_last_hour, cooling, active_on_service) = (0, false, 0);
    let vetoes = Default::default();
    let case = guardrail::Case {
        incident,
        catalogue,
        threshold: 0.9,
        incidents_last_hour,
        cooling,
        active_on_service,
        vetoes,
    };
    guardrail::question(&case).expect("a question")
}

#[test]
fn guardrail_sees_what_is_no_source_and_what_is_not_what_was_written() {
    let good = rendered(&good(), &[(PRICING, BEFORE)]).expect("rendered");
    let facts = |proposal: &Proposal| (asked(proposal).declared, asked(proposal).bounded);
    assert_eq!(facts(&good), (true, true));
    for path in attacks::BAD {
        let patch = written(&[(path, BEFORE, AFTER)]);
        let change = FileChange { path: path.to_owned(), contents: Some(AFTER.to_owned()) };
        let (files, changes) = (vec![path.to_owned()], vec![change]);
        let bad = Proposal { remedy: patch.remedy("shop"), files, changes, ..good.clone() };
        let is_guarded =
            path.starts_with("rules/") && path::check(path).is_err_and(|bad| matches!(bad, BadPath::Guarded(_)));
        assert_eq!(facts(&bad), (is_guarded, true), "{path:?}: what guards a repository is for policy to forbid");
    }
    let text = |contents: Option<&str>| {
        let change = FileChange { path: PRICING.to_owned(), contents: contents.map(str::to_owned) };
        Proposal { changes: vec![change], ..good.clone() }
    };
    assert_eq!(facts(&text(Some("drop();\n"))), (true, false));
    assert_eq!(facts(&text(None)), (true, false), "nothing is deleted");
    assert_eq!(facts(&Proposal { changes: vec![], ..good.clone() }), (true, false));
    let more = FileChange { path: "rules/more".to_owned(), contents: Some("1".to_owned()) };
    let more = Proposal { changes: [good.changes.clone(), vec![more]].concat(), ..good };
    assert_eq!(facts(&more), (false, true));
}

#[tokio::test]
async fn what_a_model_says_is_in_no_commit_message() {
    use sre_space_domain::permit::{Permit, Propose};
    use sre_space_domain::proposal::{Decision, Verdict};
    let forge = RecordingForge::with_files(&[(PRICING, BEFORE)]);
    let base = forge.head().await.expect("a head");
    let patch = SourcePatch { words: "zq7canary".to_owned(), ..good() };
    let order = order(patch.remedy("shop"));
    let owners = owners("[\"rules/**\"]");
    let (_, inputs) = fixer::gather(forge.as_ref(), &owners, &order.remedy, order.fault).await.expect("gathered");
    let inputs = Inputs { written: Some(patch), ..inputs };
    let proposal = fixer::render(&order, &owners, &base, &inputs).expect("rendered");
    let digest = proposal.digest.clone();
    let verdict = Verdict { decision: Decision::RequireApproval, rules: vec![], reasons: vec![], digest };
    let permit = Permit::<Propose>::from_verdict(&verdict, &proposal).expect("leave");
    let branch = order.branch();
    let errand = fixer::Errand { incident: &order.incident, branch: &branch, at: order.opened_at };
    fixer::create_branch(forge.as_ref(), &permit, &errand, &proposal).await.expect("a branch");
    fixer::commit(forge.as_ref(), &permit, &errand, &proposal).await.expect("a commit");
    let calls = forge.calls();
    let [Call::CreateBranch { .. }, Call::Commit(request)] = &calls[..] else { panic!("{calls:?}") };
    insta::assert_snapshot!("written_commit", request.message);
    assert!(!format!("{calls:?}").contains("zq7canary") && proposal.rationale.contains("zq7canary"));
}
