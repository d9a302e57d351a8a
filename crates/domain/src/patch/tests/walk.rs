//! The road of a source patch through the incident: asked for once, opened, and merged by a person only.

use jiff::Timestamp;

use super::*;
use crate::counsel::Counsel;
use crate::counsel::tests::asking;
use crate::diagnosis::Source;
use crate::ids::Sha;
use crate::incident::{
    Approval, Cost, Effect, EscalationReason, Event, HumanDecision, Incident, Rules, State, Step, Word, step,
};
use crate::permit::{Merge, Permit, Propose};
use crate::proposal::{Decision, FileChange, Proposal, Verdict};
use crate::recovery::Recovery;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a valid time")
}

fn then(incident: Incident, event: Event) -> Step {
    step(incident, event, &asking(), now())
}

fn unadvised() -> Event {
    let counsel = Box::new(Counsel::Lacking { why: "busy".into() });
    Event::Counselled { counsel, cost: Cost::default() }
}

/// An incident for which nothing is declared.
fn at_a_loss() -> Step {
    then(diagnosed(vec![]).incident, unadvised())
}

fn cost() -> Cost {
    Cost { calls: 2, tokens: 900, usd: 0.01 }
}

fn authored(authored: Authored) -> Step {
    then(at_a_loss().incident, Event::Authored { authored: Box::new(authored), cost: cost() })
}

fn proposal(remedy: Remedy) -> Proposal {
    Proposal {
        remedy,
        trust: 1.0,
        base: Sha("b".repeat(40)),
        files: vec![PRICING.into()],
        changes: vec![FileChange { path: PRICING.into(), contents: Some(AFTER.into()) }],
        reproduces: None,
        diff: String::new(),
        lines: 2,
        digest: Digest::of([b"change".as_slice()]),
        title: String::new(),
        rationale: String::new(),
    }
}

fn verdict(decision: Decision) -> Verdict {
    let digest = Digest::of([b"change".as_slice()]);
    Verdict { decision, rules: vec!["rule".into()], reasons: vec!["because".into()], digest }
}

/// The pull request is open and green.
fn checked(decision: Decision) -> Step {
    let written = authored(Authored::Written(written())).incident;
    let remedy = written.remedy.clone().expect("a remedy");
    let events = [
        Event::Rendered(Box::new(proposal(remedy))),
        Event::Ruled(verdict(decision)),
        Event::Branched,
        Event::Committed(Sha("c".repeat(40))),
        Event::Proposed { pr: 7, url: "http://localhost/7".into() },
        Event::ChecksPassed("green".into()),
    ];
    let start = Step { incident: written, effect: None, notes: vec![] };
    events.into_iter().fold(start, |at, event| then(at.incident, event))
}

#[test]
fn it_is_asked_for_only_where_rules_found_a_cause_and_nothing_declared_is_left() {
    let asked = at_a_loss();
    assert_eq!((asked.incident.state, asked.effect), (State::Diagnosing, Some(Effect::WritePatch)));
    let no_remedy = |step: Step| {
        let reason = step.incident.escalation.map(|call| call.reason);
        assert_eq!((step.incident.state, reason), (State::Escalated, Some(EscalationReason::NoRemedy)));
    };
    let before = diagnosed(vec![]).incident;
    no_remedy(step(before.clone(), unadvised(), &Rules::default(), now()));
    no_remedy(then(Incident { source: Some(Source::Cag), ..before.clone() }, unadvised()));
    let why = Authored::Lacking { why: "busy".into() };
    no_remedy(then(Incident { authored: Some(why), ..before.clone() }, unadvised()));
    let unsure = before
        .diagnosis
        .clone()
        .map(|found| crate::diagnosis::Diagnosis { confidence: crate::diagnosis::Confidence::product([0.9]), ..found });
    let step = then(Incident { diagnosis: unsure, ..before }, unadvised());
    assert_eq!(step.incident.escalation.map(|call| call.reason), Some(EscalationReason::LowConfidence));
}

#[test]
fn what_was_written_is_rendered_and_its_words_are_in_the_facts_only() {
    let step = authored(Authored::Written(written()));
    assert_eq!((step.incident.state, step.effect), (State::Deciding, Some(Effect::Render)));
    assert_eq!(step.incident.remedy, Some(written().remedy("quote-engine")));
    assert_eq!((step.incident.source, step.incident.cost), (Some(Source::BrainLlm), cost()));
    let [note] = &step.notes[..] else { panic!("one note: {:?}", step.notes) };
    assert_eq!(note.text, "m wrote a source patch of 1 file(s), not proven");
    assert_eq!(note.data["words"], "It divides by zero years.");
}

#[test]
fn what_was_not_written_calls_a_person_and_says_why() {
    let step = authored(Authored::Lacking { why: "it rewrites no file".into() });
    let call = step.incident.escalation.expect("a call");
    let detail = "no declared remedy is left to try, and there is no source patch: it rewrites no file";
    assert_eq!((call.reason, call.detail.as_str()), (EscalationReason::NoRemedy, detail));
    assert_eq!((step.incident.state, step.incident.remedy), (State::Escalated, None));
}

#[test]
fn a_person_is_waited_for_even_where_policy_allows_the_merge() {
    for decision in [Decision::RequireApproval, Decision::Allow] {
        let waiting = checked(decision);
        let asked = waiting.incident.escalation.as_ref().map(|call| call.reason);
        assert_eq!((waiting.incident.state, asked), (State::AwaitingHuman, Some(EscalationReason::ApprovalRequired)));
        assert_eq!(waiting.effect, Some(Effect::Page), "{decision:?}");
        let digest = Digest::of([b"change".as_slice()]);
        let word = HumanDecision { word: Word::Approve, digest, by: "ada".into() };
        let step = then(waiting.incident, Event::Decided(word));
        assert_eq!((step.incident.state, step.effect), (State::Acting, Some(Effect::Merge)), "{decision:?}");
    }
}

#[test]
fn leave_to_merge_it_comes_from_a_person_alone() {
    let proposal = proposal(written().remedy("shop"));
    let digest = proposal.digest.clone();
    let approval = Approval { digest, by: "ada".into(), at: now() };
    let other = Approval { digest: Digest::of([b"other".as_slice()]), ..approval.clone() };
    for decision in [Decision::Allow, Decision::RequireApproval] {
        let verdict = verdict(decision);
        assert!(Permit::<Propose>::from_verdict(&verdict, &proposal).is_some());
        assert!(Permit::<Merge>::from_verdict(&verdict, &proposal).is_none(), "{decision:?}");
        assert!(Permit::<Merge>::from_approval(&approval, &verdict, &proposal).is_some());
        assert!(Permit::<Merge>::from_approval(&other, &verdict, &proposal).is_none());
    }
    assert!(Permit::<Merge>::from_approval(&approval, &verdict(Decision::Deny), &proposal).is_none());
}

#[test]
fn after_one_that_did_not_help_no_second_one_is_asked_for() {
    let waiting = checked(Decision::RequireApproval).incident;
    let digest = Digest::of([b"change".as_slice()]);
    let judged = Recovery::unseen("no span".into());
    let worse = Recovery { verdict: crate::recovery::Outcome::Unchanged, ..judged };
    let found = Event::Diagnosed(Box::new(crate::counsel::tests::finding(vec![])));
    let events = [
        Event::Decided(HumanDecision { word: Word::Approve, digest, by: "ada".into() }),
        Event::Merged { revision: Sha("d".repeat(40)), at: now() },
        Event::Deployed,
        Event::Judged(worse),
        Event::Reverted(Default::default()),
        found,
        unadvised(),
    ];
    let start = Step { incident: waiting, effect: None, notes: vec![] };
    let step = events.into_iter().fold(start, |at, event| then(at.incident, event));
    let reason = step.incident.escalation.map(|call| call.reason);
    assert_eq!((step.incident.state, reason), (State::Escalated, Some(EscalationReason::NoRemedy)));
    assert_eq!(step.incident.attempts.len(), 1);
}

#[test]
fn it_is_kept_as_it_is_when_an_incident_is_written_down() {
    let incident = checked(Decision::RequireApproval).incident;
    let text = serde_json::to_string(&incident).expect("JSON");
    assert_eq!(serde_json::from_str::<Incident>(&text).expect("an incident"), incident);
    let shown = serde_json::to_value(&incident).expect("JSON");
    assert_eq!(
        (&shown["proposal"]["remedy"], &shown["authored"]["authored"]),
        (&"source-patch".into(), &"written".into())
    );
    assert_eq!(shown["proposal"]["files"], serde_json::json!([PRICING]));
}
