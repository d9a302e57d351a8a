//! The state machine: one pure function from (incident, event) to (incident, effect, notes).

use jiff::Timestamp;
use serde_json::json;

use super::machine::Machine;
use super::notes::{diagnosed, fixer, recovery_note, remembered, rendered, ruled, tell, unrecalled};
use super::{
    Approval, Change, Effect, EscalationReason, Event, Finding, HumanDecision, Incident, Note, Rules, State, Step, Word,
};
use crate::diagnosis::Source;
use crate::ids::{IncidentId, Sha};
use crate::journal::{Agent, Phase};
use crate::knowledge::{Doubt, Similar};
use crate::proposal::{Decision, Proposal, Remedy, Verdict};
use crate::recovery::{Outcome, Recovery};
use crate::signal::Signal;

/// Decides what an event means for an incident.
///
/// An event that does not belong to the state is late (an effect repeated after a crash answers twice): it changes nothing.
pub fn step(incident: Incident, event: Event, rules: &Rules, now: Timestamp) -> Step {
    let machine = Machine { incident, rules, now };
    if belongs(&event, machine.incident.state) { machine.take(event) } else { machine.stay() }
}

/// The states in which an event means something.
pub(super) fn belongs(event: &Event, state: State) -> bool {
    match event {
        Event::Confirmed(_) => state == State::Detected,
        Event::Faded => matches!(state, State::Detected | State::Matching | State::Diagnosing),
        Event::Known(_) => matches!(state, State::Matching | State::Diagnosing),
        Event::TicketOpened(_) | Event::Recalled { .. } => state == State::Matching,
        Event::Diagnosed(_) | Event::Counselled { .. } | Event::Authored { .. } | Event::GaveUp(_) => {
            state == State::Diagnosing
        }
        Event::Rendered(_) | Event::Ruled(_) => state == State::Deciding,
        Event::Branched
        | Event::Committed(_)
        | Event::Proposed { .. }
        | Event::ChecksPassed(_)
        | Event::ChecksFailed(_)
        | Event::Merged { .. } => state == State::Acting,
        Event::Deployed | Event::NotDeployed(_) => state == State::Deploying,
        Event::Judged(_) => state == State::Verifying,
        Event::Reverted(_) => state == State::Reverting,
        Event::Held | Event::Relapsed(_) | Event::Remembered => state == State::Learning,
        Event::TicketClosed => matches!(state, State::Learning | State::Suppressed),
        Event::Decided(_) => state == State::AwaitingHuman,
        Event::Paged => matches!(state, State::AwaitingHuman | State::Escalated),
        Event::Calmed => matches!(state, State::Escalated | State::Resolved),
        Event::Failed(_) => state.is_active() || state == State::Suppressed,
        Event::Forbidden => state.is_active(),
    }
}

impl Machine<'_> {
    fn take(self, event: Event) -> Step {
        match event {
            Event::Confirmed(signal) => self.confirmed(signal),
            Event::Faded => self.faded(),
            Event::Known(other) => self.known(&other),
            Event::TicketOpened(number) => self.ticket_opened(number),
            Event::Recalled { found, similar, doubt } => self.recalled(found, similar, doubt),
            Event::Diagnosed(found) => self.found(*found),
            Event::Counselled { counsel, cost } => self.counselled(*counsel, cost),
            Event::Authored { authored, cost } => self.authored(*authored, cost),
            Event::GaveUp(why) => self.gave_up(why),
            Event::Rendered(proposal) => self.rendered(*proposal),
            Event::Ruled(verdict) => self.ruled(verdict),
            Event::Branched => self.branched(),
            Event::Committed(sha) => self.committed(sha),
            Event::Proposed { pr, url } => self.proposed(pr, url),
            Event::ChecksPassed(what) => self.checked(what),
            Event::ChecksFailed(what) => self.red(what),
            Event::Merged { revision, at } => self.merged(revision, at),
            Event::Deployed => self.deployed(),
            Event::NotDeployed(why) => self.judged(Recovery::unseen(why)),
            Event::Judged(recovery) | Event::Relapsed(recovery) => self.judged(recovery),
            Event::Reverted(revert) => self.reverted(revert),
            Event::Held => self.held(),
            Event::Remembered => self.remembered(),
            Event::TicketClosed => self.ticket_closed(),
            Event::Paged => self.paged(),
            Event::Decided(decision) => self.decided(decision),
            Event::Calmed => self.calmed(),
            Event::Failed(why) => self.failed(why),
            Event::Forbidden => self.forbidden(),
        }
    }

    fn confirmed(mut self, signal: Signal) -> Step {
        let text = format!(
            "confirmed: {:.0} % of {} {} bad, seen by {}",
            signal.observed * 100.0,
            signal.samples,
            signal.kind.counts(),
            signal.sources.join(" and ")
        );
        let note = tell(Agent::Scout, Phase::Observe, &text, json!(signal));
        self.incident.signal = signal;
        self.to(State::Matching, Effect::OpenTicket, note)
    }

    fn faded(self) -> Step {
        let text = match self.incident.state == State::Detected {
            true => "suspicion faded before it was confirmed",
            false => "the failure faded before its cause could be told",
        };
        self.left(tell(Agent::Scout, Phase::Observe, text, json!({})))
    }

    fn known(self, other: &IncidentId) -> Step {
        let text = format!("the same failure is {other}'s");
        self.left(tell(Agent::System, Phase::Orient, &text, json!({"incident": other})))
    }

    fn ticket_opened(mut self, number: u64) -> Step {
        self.incident.ticket = Some(number);
        let note = tell(Agent::Human, Phase::Act, &format!("ticket #{number} is open"), json!({"ticket": number}));
        self.to(State::Matching, Effect::Recall, note)
    }

    fn recalled(mut self, found: Option<Box<Finding>>, similar: Vec<Similar>, doubt: Option<Doubt>) -> Step {
        let resembles = remembered(&similar);
        self.incident.similar = similar;
        let mut step = match found {
            Some(found) => self.found(*found),
            None => self.to(State::Diagnosing, Effect::Diagnose, unrecalled(doubt)),
        };
        step.notes.splice(0..0, resembles);
        step
    }

    fn gave_up(self, why: String) -> Step {
        let note = tell(Agent::Brain, Phase::Orient, &format!("no diagnosis: {why}"), json!({"why": why}));
        self.page(State::Escalated, EscalationReason::LowConfidence, why, Some(note))
    }

    fn rendered(mut self, proposal: Proposal) -> Step {
        let note = rendered(&proposal);
        self.incident.proposal = Some(proposal);
        self.to(State::Deciding, Effect::Rule, note)
    }

    fn branched(mut self) -> Step {
        let branch = self.incident.branch();
        self.change().branch.clone_from(&branch);
        self.to(State::Acting, Effect::Commit, fixer(&format!("branch {branch} created"), json!({"branch": branch})))
    }

    fn committed(mut self, sha: Sha) -> Step {
        let note = fixer(&format!("commit {} written", sha.short()), json!({"commit": sha}));
        self.change().commit = Some(sha);
        self.to(State::Acting, Effect::OpenPullRequest, note)
    }

    fn proposed(mut self, pr: u64, url: String) -> Step {
        let note = fixer(&format!("pull request #{pr} opened"), json!({"pr": pr, "url": url}));
        let change = self.change();
        change.pr = Some(pr);
        change.url = Some(url);
        self.to(State::Acting, Effect::AwaitChecks, note)
    }

    fn deployed(self) -> Step {
        let text = "spans of the new revision arrive: judging begins";
        self.to(State::Verifying, Effect::Verify, tell(Agent::Scout, Phase::Verify, text, json!({})))
    }

    fn reverted(mut self, revert: Change) -> Step {
        let text = format!("revert merged as pull request #{}", revert.pr.unwrap_or_default());
        let note = fixer(&text, json!(revert));
        let why = self.incident.recovery.as_ref().map_or_else(String::new, |recovery| recovery.reason.clone());
        self.close_attempt(Some(revert), why);
        self.next_attempt(note)
    }

    fn held(self) -> Step {
        let note = tell(Agent::Scout, Phase::Verify, "recovery held for the provisional time", json!({}));
        self.to(State::Learning, Effect::Remember, note)
    }

    fn remembered(self) -> Step {
        let data = json!({"fingerprint": self.incident.fingerprint, "remedy": self.incident.remedy});
        let text = "lesson stored: shape of the failure and the remedy that held";
        self.to(State::Learning, Effect::CloseTicket, tell(Agent::Curator, Phase::Learn, text, data))
    }

    fn ticket_closed(self) -> Step {
        if self.incident.state == State::Suppressed {
            return self.keep(tell(Agent::Human, Phase::Act, "the ticket is closed: nothing is left to do", json!({})));
        }
        let seconds = self.now.duration_since(self.incident.opened_at).as_secs();
        let text = format!("resolved after {seconds} s");
        let note = tell(Agent::System, Phase::Verify, &text, json!({"seconds": seconds}));
        // What was only protected from goes on failing, and is no news until it has been well in between.
        let elsewhere = self.incident.remedy.as_ref().is_some_and(|remedy| remedy.service() != self.incident.service);
        self.end(State::Resolved, elsewhere.then_some(Effect::AwaitCalm), note)
    }

    /// What was handed over for good stays claimed until it is seen healthy, so that it does not open a second incident.
    fn paged(self) -> Step {
        let escalated = self.incident.state == State::Escalated;
        let note = tell(Agent::Human, Phase::Escalate, "a person was called; the ticket says why", json!({}));
        Step { effect: escalated.then_some(Effect::AwaitCalm), ..self.keep(note) }
    }

    /// The caller has made sure that the decision counts ([`super::admit`]).
    fn decided(mut self, decision: HumanDecision) -> Step {
        let undecided = self.incident.escalation.take().map(|call| call.reason);
        let merged = undecided == Some(EscalationReason::Inconclusive);
        let by = &decision.by;
        match (decision.word, merged) {
            (Word::Approve, false) => {
                let note = tell(Agent::Human, Phase::Decide, &format!("{by} approved the change"), json!({"by": by}));
                self.incident.approval = Some(Approval { digest: decision.digest, by: decision.by, at: self.now });
                self.to(State::Acting, Effect::Merge, note)
            }
            (Word::Approve, true) => {
                let why = format!("{by} keeps the change, whose effect could not be judged");
                self.page(State::Escalated, EscalationReason::Kept, why, None)
            }
            (Word::Reject, false) => {
                let why = format!("{by} rejected the change");
                self.page(State::Escalated, EscalationReason::Rejected, why, None)
            }
            (Word::Reject, true) => {
                let note =
                    tell(Agent::Human, Phase::Decide, &format!("{by} has the change reverted"), json!({"by": by}));
                self.to(State::Reverting, Effect::Revert, note)
            }
        }
    }

    fn calmed(self) -> Step {
        let text = "the service is seen healthy again";
        self.keep(tell(Agent::Scout, Phase::Verify, text, json!({})))
    }

    fn failed(self, why: String) -> Step {
        if self.incident.state == State::Suppressed {
            let text = format!("the ticket stays open: {why}");
            return self.keep(tell(Agent::Human, Phase::Act, &text, json!({"why": why})));
        }
        self.page(State::Escalated, EscalationReason::EffectFailed, why, None)
    }

    fn forbidden(self) -> Step {
        let why = "autonomy is switched off".to_owned();
        self.page(State::AwaitingHuman, EscalationReason::AutonomyOff, why, None)
    }

    /// What rules found is told a model where there is one; what was verified here before is not.
    fn found(mut self, found: Finding) -> Step {
        let note = diagnosed(&found);
        let incident = &mut self.incident;
        incident.service.clone_from(&found.diagnosis.service);
        incident.operation.clone_from(&found.diagnosis.operation);
        incident.fingerprint = Some(found.signature.fingerprint());
        incident.signature = Some(found.signature);
        incident.source = Some(found.source);
        incident.diagnosis = Some(found.diagnosis);
        incident.offers = found.offers;
        incident.counsel = None;
        match found.source {
            Source::BrainRules if self.rules.asks_model => self.to(State::Diagnosing, Effect::Counsel, note),
            Source::Cag | Source::BrainRules | Source::BrainLlm => self.concluded(found.remedy, note),
        }
    }

    /// A finding goes on only with confidence strictly above the threshold and a remedy that was not tried yet.
    pub(super) fn concluded(mut self, remedy: Option<Remedy>, note: Note) -> Step {
        let confidence = self.incident.diagnosis.as_ref().map_or(0.0, |found| found.confidence.get());
        if confidence <= self.rules.confidence_threshold {
            let why = format!("confidence {confidence:.3} is not above {:.2}", self.rules.confidence_threshold);
            return self.page(State::Escalated, EscalationReason::LowConfidence, why, Some(note));
        }
        let tried = self.incident.tried();
        match remedy.filter(|remedy| !tried.iter().any(|other| other.is_same(remedy))) {
            Some(remedy) => {
                self.incident.remedy = Some(remedy);
                self.to(State::Deciding, Effect::Render, note)
            }
            None => self.at_a_loss(note),
        }
    }

    fn ruled(mut self, verdict: Verdict) -> Step {
        let note = ruled(&verdict);
        let decision = verdict.decision;
        let why = format!("{} by {}", verdict.reasons.join("; "), verdict.rules.join(", "));
        self.incident.verdict = Some(verdict);
        match decision {
            Decision::Allow | Decision::RequireApproval => self.to(State::Acting, Effect::CreateBranch, note),
            Decision::Deny => self.page(State::Escalated, EscalationReason::PolicyDenied, why, Some(note)),
        }
    }

    fn checked(mut self, what: String) -> Step {
        let note = fixer(&format!("checks are green for the pinned head: {what}"), json!({"checks": what}));
        if let Some(change) = &mut self.incident.change {
            change.checks = Some(what);
        }
        let allowed = self.incident.verdict.as_ref().is_some_and(|verdict| verdict.decision == Decision::Allow);
        if allowed && !self.incident.remedy.as_ref().is_some_and(Remedy::needs_person) {
            return self.to(State::Acting, Effect::Merge, note);
        }
        let why = self.incident.verdict.as_ref().map_or_else(String::new, |verdict| verdict.reasons.join("; "));
        self.page(State::AwaitingHuman, EscalationReason::ApprovalRequired, why, Some(note))
    }

    fn red(mut self, what: String) -> Step {
        let note = fixer(&format!("checks are red, the pull request stays unmerged: {what}"), json!({"checks": what}));
        self.close_attempt(None, format!("checks red: {what}"));
        self.next_attempt(note)
    }

    fn merged(mut self, revision: Sha, at: Timestamp) -> Step {
        let note = fixer(&format!("merged as {}", revision.short()), json!({"revision": revision, "merged_at": at}));
        let change = self.change();
        change.merged_at = Some(at);
        change.revision = Some(revision);
        self.to(State::Deploying, Effect::AwaitDeploy, note)
    }

    fn judged(mut self, recovery: Recovery) -> Step {
        let note = recovery_note(&recovery);
        let verdict = recovery.verdict;
        let reason = recovery.reason.clone();
        self.incident.recovery = Some(recovery);
        match verdict {
            Outcome::Recovered => self.to(State::Learning, Effect::Hold, note),
            Outcome::Regressed | Outcome::Unchanged => self.to(State::Reverting, Effect::Revert, note),
            Outcome::Inconclusive => {
                self.page(State::AwaitingHuman, EscalationReason::Inconclusive, reason, Some(note))
            }
        }
    }

    fn next_attempt(self, note: Note) -> Step {
        let failed = self.incident.attempts.len();
        if failed >= self.rules.max_attempts as usize {
            let why = format!("{failed} attempts did not help");
            return self.page(State::Escalated, EscalationReason::AttemptsExhausted, why, Some(note));
        }
        self.to(State::Diagnosing, Effect::Diagnose, note)
    }
}
