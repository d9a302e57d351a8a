//! The state machine, walked: the straight road, every fork, and late answers.

use jiff::Timestamp;
use ulid::Ulid;

use super::*;
use crate::diagnosis::{Confidence, FaultKind, Measured};
use crate::ids::Digest;
use crate::permit::{Merge, Permit};
use crate::proposal::{Decision, KnobValue};
use crate::recovery::Outcome;
use crate::signal::{Certainty, SignalKind};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a valid time")
}

fn signal() -> Signal {
    Signal {
        service: "shop".into(),
        operation: "POST /price".into(),
        kind: SignalKind::ErrorRate,
        certainty: Certainty::Confirmed,
        observed: 0.7,
        baseline: 0.01,
        threshold: 13.0,
        window_s: 5.0,
        samples: 500,
        statistic: 26.0,
        posterior: 1.0,
        sources: vec!["a".into(), "b".into()],
        onset_ms: 0,
        coherence: None,
    }
}

fn knob(value: i64) -> Remedy {
    Remedy::turn("shop", "pool", KnobValue::Int(value))
}

fn finding(confidence: f64, remedy: Option<Remedy>) -> Finding {
    Finding {
        source: Source::BrainRules,
        diagnosis: Diagnosis {
            service: "shop".into(),
            operation: "POST /price".into(),
            kind: FaultKind::PoolExhausted,
            summary: "pool too small".into(),
            confidence: Confidence::product([confidence]),
            terms: vec![],
            evidence: vec![],
            candidates: vec![],
            measured: Measured::default(),
            affected: Vec::new(),
        },
        signature: Signature {
            service: "shop".into(),
            operation: "POST /price".into(),
            kind: FaultKind::PoolExhausted,
            facts: vec!["waits".into()],
        },
        remedy,
        offers: vec![],
    }
}

fn proposal(remedy: Remedy) -> Proposal {
    Proposal {
        remedy,
        trust: 0.91,
        base: Sha("b".repeat(40)),
        files: vec!["config/shop.yaml".into()],
        changes: vec![],
        reproduces: None,
        diff: String::new(),
        lines: 2,
        digest: Digest::of([b"change".as_slice()]),
        title: "turn pool".into(),
        rationale: String::new(),
    }
}

fn verdict(decision: Decision) -> Verdict {
    Verdict {
        decision,
        rules: vec!["rule".into()],
        reasons: vec!["because".into()],
        digest: Digest::of([b"x".as_slice()]),
    }
}

fn recovery(verdict: Outcome) -> Recovery {
    Recovery {
        verdict,
        test: Default::default(),
        samples: 80,
        bad: 0,
        probes: 0,
        statistic: 7.0,
        threshold: 6.9,
        reason: "tested".into(),
    }
}

fn opened() -> Incident {
    Incident::open(IncidentId::new(Ulid::from_parts(1, 1)), signal(), now())
}

/// Walks events from a fresh incident; answers the last step.
fn walk(events: impl IntoIterator<Item = Event>) -> Step {
    let start = Step { incident: opened(), effect: Some(Effect::AwaitConfirmation), notes: vec![] };
    events.into_iter().fold(start, |at, event| step(at.incident, event, &Rules::default(), now()))
}

fn to_merge(remedy: Remedy) -> Vec<Event> {
    vec![
        Event::Diagnosed(Box::new(finding(0.97, Some(remedy.clone())))),
        Event::Rendered(Box::new(proposal(remedy))),
        Event::Ruled(verdict(Decision::Allow)),
        Event::Branched,
        Event::Committed(Sha("c".repeat(40))),
        Event::Proposed { pr: 7, url: "http://localhost/7".into() },
        Event::ChecksPassed("parses and boots".into()),
        Event::Merged { revision: Sha("d".repeat(40)), at: now() },
    ]
}

fn to_diagnosis() -> Vec<Event> {
    vec![
        Event::Confirmed(signal()),
        Event::TicketOpened(3),
        Event::Recalled { found: None, similar: vec![], doubt: None },
    ]
}

fn merged(remedy: Remedy) -> Vec<Event> {
    [to_diagnosis(), to_merge(remedy)].concat()
}

#[test]
fn the_straight_road_ends_resolved() {
    let end = [
        Event::Deployed,
        Event::Judged(recovery(Outcome::Recovered)),
        Event::Held,
        Event::Remembered,
        Event::TicketClosed,
    ];
    let last = walk([merged(knob(100)), end.to_vec()].concat());
    assert_eq!(last.incident.state, State::Resolved);
    assert_eq!(last.effect, None);
    assert_eq!(last.incident.closed_at, Some(now()));
    assert_eq!(last.incident.change.as_ref().and_then(|change| change.pr), Some(7));
}

#[test]
fn each_event_of_the_straight_road_asks_for_exactly_the_next_effect() {
    let expected = [
        Effect::OpenTicket,
        Effect::Recall,
        Effect::Diagnose,
        Effect::Render,
        Effect::Rule,
        Effect::CreateBranch,
        Effect::Commit,
        Effect::OpenPullRequest,
        Effect::AwaitChecks,
        Effect::Merge,
        Effect::AwaitDeploy,
    ];
    let events = merged(knob(100));
    for (length, effect) in (1..=events.len()).zip(expected) {
        assert_eq!(walk(events[..length].to_vec()).effect, Some(effect));
    }
}

#[test]
fn a_recall_goes_straight_to_deciding() {
    let mut found = finding(0.95, Some(knob(100)));
    found.source = Source::Cag;
    let recalled = Event::Recalled { found: Some(Box::new(found)), similar: vec![], doubt: None };
    let last = walk([Event::Confirmed(signal()), Event::TicketOpened(3), recalled]);
    assert_eq!((last.incident.state, last.effect), (State::Deciding, Some(Effect::Render)));
    assert_eq!(last.incident.source, Some(Source::Cag));
}

#[test]
fn confidence_of_exactly_the_threshold_calls_a_person_and_writes_nothing() {
    let last = walk([to_diagnosis(), vec![Event::Diagnosed(Box::new(finding(0.90, Some(knob(100)))))]].concat());
    assert_eq!((last.incident.state, last.effect), (State::Escalated, Some(Effect::Page)));
    assert_eq!(last.incident.escalation.map(|call| call.reason), Some(EscalationReason::LowConfidence));
    let above =
        walk([to_diagnosis(), vec![Event::Diagnosed(Box::new(finding(0.900_000_1, Some(knob(100)))))]].concat());
    assert_eq!(above.incident.state, State::Deciding);
}

#[test]
fn what_passes_or_is_another_ones_calls_nobody_and_closes_its_ticket() {
    let unconfirmed = walk([Event::Faded]);
    assert_eq!((unconfirmed.incident.state, unconfirmed.effect), (State::Suppressed, None));
    for asked in 2..=to_diagnosis().len() {
        let mut events = to_diagnosis();
        events.truncate(asked);
        events.push(Event::Faded);
        let passed = walk(events.clone());
        assert_eq!((passed.incident.state, passed.effect), (State::Suppressed, Some(Effect::CloseTicket)));
        assert_eq!(passed.incident.escalation, None);
        for last in [Event::TicketClosed, Event::Failed("the forge is away".into())] {
            let end = walk([events.clone(), vec![last]].concat());
            assert_eq!((end.incident.state, end.effect, end.notes.len()), (State::Suppressed, None, 1));
        }
    }
    let known = Event::Known(IncidentId::new(Ulid::from_parts(2, 2)));
    let left = walk([to_diagnosis(), vec![known]].concat());
    assert_eq!((left.incident.state, left.effect), (State::Suppressed, Some(Effect::CloseTicket)));
    let mut late = merged(knob(100));
    late.push(Event::Faded);
    assert_eq!(walk(late).incident.state, State::Deploying, "what was changed is judged");
}

#[test]
fn what_a_person_was_called_for_stays_claimed_until_it_is_seen_healthy() {
    let denied = [&to_diagnosis()[..], &to_merge(knob(100))[..2], &[Event::Ruled(verdict(Decision::Deny))]].concat();
    let called = walk([denied.clone(), vec![Event::Paged]].concat());
    assert_eq!((called.incident.state, called.effect), (State::Escalated, Some(Effect::AwaitCalm)));
    let calm = walk([denied, vec![Event::Paged, Event::Calmed]].concat());
    assert_eq!((calm.incident.state, calm.effect), (State::Escalated, None));
}

#[test]
fn a_denied_proposal_touches_no_branch() {
    let events = [&to_diagnosis()[..], &to_merge(knob(100))[..2], &[Event::Ruled(verdict(Decision::Deny))]].concat();
    let last = walk(events);
    assert_eq!((last.incident.state, last.effect), (State::Escalated, Some(Effect::Page)));
    assert_eq!(last.incident.change, None);
}

#[test]
fn a_proposal_that_needs_approval_is_opened_and_waits() {
    let mut events = merged(knob(100));
    events.truncate(to_diagnosis().len() + 7);
    events[to_diagnosis().len() + 2] = Event::Ruled(verdict(Decision::RequireApproval));
    let last = walk(events);
    assert_eq!((last.incident.state, last.effect), (State::AwaitingHuman, Some(Effect::Page)));
    assert_eq!(last.incident.change.and_then(|change| change.merged_at), None);
}

#[test]
fn what_did_not_help_is_reverted_and_not_tried_again() {
    for outcome in [Outcome::Unchanged, Outcome::Regressed] {
        let judged = walk([merged(knob(100)), vec![Event::Deployed, Event::Judged(recovery(outcome))]].concat());
        assert_eq!((judged.incident.state, judged.effect), (State::Reverting, Some(Effect::Revert)));
        let reverted = step(judged.incident, Event::Reverted(Change::default()), &Rules::default(), now());
        assert_eq!((reverted.incident.state, reverted.effect), (State::Diagnosing, Some(Effect::Diagnose)));
        assert_eq!(reverted.incident.attempt(), 2);
        let again = Event::Diagnosed(Box::new(finding(0.97, Some(knob(100)))));
        let last = step(reverted.incident, again, &Rules::default(), now());
        assert_eq!(last.incident.escalation.map(|call| call.reason), Some(EscalationReason::NoRemedy));
    }
}

#[test]
fn the_third_failed_attempt_calls_a_person_and_there_is_no_fourth() {
    let failed = |name: &str| {
        let judged = Event::Judged(recovery(Outcome::Unchanged));
        let remedy = Remedy::turn("shop", name, KnobValue::Int(30));
        [to_merge(remedy), vec![Event::Deployed, judged, Event::Reverted(Change::default())]].concat()
    };
    let last = walk([to_diagnosis(), failed("a"), failed("b"), failed("c")].concat());
    assert_eq!(last.incident.state, State::Escalated);
    assert_eq!(last.incident.attempts.len(), 3);
    assert_eq!(last.incident.escalation.map(|call| call.reason), Some(EscalationReason::AttemptsExhausted));
}

#[test]
fn inconclusive_waits_for_a_person_and_the_change_stays() {
    for end in
        [vec![Event::Deployed, Event::Judged(recovery(Outcome::Inconclusive))], vec![Event::NotDeployed("late".into())]]
    {
        let last = walk([merged(knob(100)), end].concat());
        assert_eq!((last.incident.state, last.effect), (State::AwaitingHuman, Some(Effect::Page)));
        assert_eq!(last.incident.recovery.map(|recovery| recovery.verdict), Some(Outcome::Inconclusive));
        assert!(last.incident.change.is_some());
    }
}

#[test]
fn a_relapse_in_the_provisional_time_is_reverted_and_not_learned_from() {
    let relapse =
        [Event::Deployed, Event::Judged(recovery(Outcome::Recovered)), Event::Relapsed(recovery(Outcome::Unchanged))];
    let last = walk([merged(knob(100)), relapse.to_vec()].concat());
    assert_eq!((last.incident.state, last.effect), (State::Reverting, Some(Effect::Revert)));
}

#[test]
fn red_checks_leave_the_pull_request_unmerged_and_look_for_another_remedy() {
    let mut events = merged(knob(100));
    events.truncate(to_diagnosis().len() + 6);
    events.push(Event::ChecksFailed("config does not parse".into()));
    let last = walk(events);
    assert_eq!((last.incident.state, last.effect), (State::Diagnosing, Some(Effect::Diagnose)));
    assert_eq!(last.incident.attempts.len(), 1);
}

#[test]
fn an_answer_that_comes_twice_changes_nothing() {
    let events = merged(knob(100));
    for length in 1..=events.len() {
        let once = walk(events[..length].to_vec());
        let late = events[..length.saturating_sub(1)].iter().filter(|late| **late != events[length - 1]);
        for event in late.filter(|event| !same_state(event, once.incident.state)) {
            let twice = step(once.incident.clone(), event.clone(), &Rules::default(), now());
            assert_eq!(twice, Step { incident: once.incident.clone(), effect: None, notes: vec![] });
        }
    }
}

/// Events of the state the incident is still in are repeats the effect layer never makes: one effect is under way at a time.
fn same_state(event: &Event, state: State) -> bool {
    super::step::belongs(event, state)
}

#[test]
fn the_kill_switch_stops_a_write_and_calls_a_person() {
    let mut events = merged(knob(100));
    events.truncate(to_diagnosis().len() + 3);
    events.push(Event::Forbidden);
    let last = walk(events);
    assert_eq!((last.incident.state, last.effect), (State::AwaitingHuman, Some(Effect::Page)));
}

/// An incident whose change waits for a person.
fn waiting() -> Incident {
    let mut events = merged(knob(100));
    events.truncate(to_diagnosis().len() + 7);
    events[to_diagnosis().len() + 2] = Event::Ruled(verdict(Decision::RequireApproval));
    walk(events).incident
}

fn said(word: Word, incident: &Incident) -> HumanDecision {
    let digest = incident.proposal.as_ref().expect("a proposal").digest.clone();
    HumanDecision { word, digest, by: "ann".into() }
}

#[test]
fn an_approved_change_is_merged_and_a_rejected_one_is_not() {
    let incident = waiting();
    let approve = said(Word::Approve, &incident);
    assert_eq!(admit(&incident, &approve, &Rules::default(), now()), Ok(()));
    let approved = step(incident.clone(), Event::Decided(approve), &Rules::default(), now());
    assert_eq!((approved.incident.state, approved.effect), (State::Acting, Some(Effect::Merge)));
    let (verdict, proposal) = (approved.incident.verdict.as_ref(), approved.incident.proposal.as_ref());
    let approval = approved.incident.approval.as_ref().expect("an approval");
    let proposal = proposal.expect("a proposal");
    let verdict = &Verdict { digest: proposal.digest.clone(), ..verdict.expect("a verdict").clone() };
    assert!(Permit::<Merge>::from_verdict(verdict, proposal).is_none(), "policy alone gives no leave");
    assert!(Permit::<Merge>::from_approval(approval, verdict, proposal).is_some());
    let rejected = step(incident.clone(), Event::Decided(said(Word::Reject, &incident)), &Rules::default(), now());
    assert_eq!((rejected.incident.state, rejected.effect), (State::Escalated, Some(Effect::Page)));
    assert_eq!(rejected.incident.approval, None);
}

#[test]
fn a_decision_about_another_change_too_late_or_unasked_does_not_count() {
    let (incident, rules) = (waiting(), Rules::default());
    let other = HumanDecision { digest: Digest::of([b"another".as_slice()]), ..said(Word::Approve, &incident) };
    assert_eq!(admit(&incident, &other, &rules, now()), Err(Stale::OtherChange));
    let late = now() + jiff::SignedDuration::from_secs(i64::try_from(rules.approval_s).expect("seconds") + 1);
    let approve = said(Word::Approve, &incident);
    assert_eq!(admit(&incident, &approve, &rules, late), Err(Stale::Expired(rules.approval_s)));
    assert_eq!(admit(&incident, &said(Word::Reject, &incident), &rules, late), Ok(()), "one can always say no");
    let acting = Incident { state: State::Acting, ..incident.clone() };
    assert_eq!(admit(&acting, &approve, &rules, now()), Err(Stale::NotAsked(State::Acting)));
    let unwritten = Incident { change: None, ..incident };
    assert_eq!(admit(&unwritten, &approve, &rules, now()), Err(Stale::NoChange));
}

#[test]
fn of_an_unjudged_change_a_person_says_whether_it_stays() {
    let mut events = merged(knob(100));
    events.extend([Event::NotDeployed("no span".into()), Event::Paged]);
    let incident = walk(events).incident;
    assert_eq!(incident.state, State::AwaitingHuman);
    let decided = |word| step(incident.clone(), Event::Decided(said(word, &incident)), &Rules::default(), now());
    let kept = decided(Word::Approve);
    assert_eq!(kept.incident.state, State::Escalated);
    assert_eq!(kept.incident.escalation.map(|call| call.reason), Some(EscalationReason::Kept));
    let reverted = decided(Word::Reject);
    assert_eq!((reverted.incident.state, reverted.effect), (State::Reverting, Some(Effect::Revert)));
}
