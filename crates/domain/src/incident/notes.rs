//! The sentences of the journal, each with the facts behind it.

use serde_json::{Value, json};

use super::{Finding, Incident, Note};
use crate::counsel::Counsel;
use crate::diagnosis::{Confidence, Source};
use crate::journal::{Agent, Phase};
use crate::knowledge::{Doubt, Similar};
use crate::patch::Authored;
use crate::proposal::{Proposal, Verdict};
use crate::recovery::Recovery;

/// One sentence with the facts behind it.
pub(super) fn tell(agent: Agent, phase: Phase, text: &str, data: Value) -> Note {
    Note { agent, phase, text: text.to_owned(), data }
}

/// What the memory resembles this to; `None` when it is empty.
pub(super) fn remembered(similar: &[Similar]) -> Option<Note> {
    let one = |other: &Similar| {
        let doubtful = if other.verified { "" } else { ", not verified here" };
        format!("{} ({}, {}, {:.3}{doubtful})", other.incident, other.service, other.kind.as_str(), other.score)
    };
    let all: Vec<String> = similar.iter().map(one).collect();
    let text = format!("nearest earlier incidents: {}", all.join(", "));
    (!similar.is_empty()).then(|| tell(Agent::Cag, Phase::Orient, &text, json!({"similar": similar})))
}

/// CAG has no answer, or one it doubts.
pub(super) fn unrecalled(doubt: Option<Doubt>) -> Note {
    let text = match &doubt {
        Some(doubt) => format!("the remembered remedy is not applied unasked: {doubt}; to Brain"),
        None => "no verified remedy for this shape of failure: to Brain".to_owned(),
    };
    tell(Agent::Cag, Phase::Orient, &text, doubt.map_or(json!({}), |doubt| json!({"doubt": doubt})))
}

/// What Fixer did.
pub(super) fn fixer(text: &str, data: Value) -> Note {
    tell(Agent::Fixer, Phase::Act, text, data)
}

/// Who found what.
pub(super) fn diagnosed(found: &Finding) -> Note {
    let agent = match found.source {
        Source::Cag => Agent::Cag,
        Source::BrainRules | Source::BrainLlm => Agent::Brain,
    };
    let text = format!("{} (confidence {})", found.diagnosis.summary, found.diagnosis.confidence);
    tell(agent, Phase::Orient, &text, json!({"diagnosis": found.diagnosis, "remedy": found.remedy}))
}

/// What a model said, or why rules went on alone. Its words are in the facts only: the sentence is ours.
pub(super) fn counselled(incident: &Incident, counsel: &Counsel) -> Note {
    let text = match counsel {
        Counsel::Given(advice) => {
            let confidence = incident.diagnosis.as_ref().map_or(Confidence::NONE, |found| found.confidence);
            let chosen = advice.choice.map_or("no remedy to choose".to_owned(), |at| format!("remedy R{}", at + 1));
            format!("{} was asked: {chosen}, certainty {:.3} (confidence {confidence})", advice.model, advice.certainty)
        }
        Counsel::Lacking { why } => format!("rules go on alone: {why}"),
    };
    tell(Agent::Brain, Phase::Orient, &text, json!({"counsel": counsel, "cost": incident.cost}))
}

/// What a model wrote, or why it wrote nothing. Its words are in the facts only: the sentence is ours.
pub(super) fn authored(incident: &Incident, authored: &Authored) -> Note {
    let (text, data) = match authored {
        Authored::Written(patch) => {
            let text = format!("{} wrote a source patch of {} file(s), not proven", patch.model, patch.edits.len());
            (text, json!({"model": patch.model, "edits": patch.edits, "words": patch.words, "cost": incident.cost}))
        }
        Authored::Lacking { why } => {
            (format!("no source patch: {why}"), json!({"authored": authored, "cost": incident.cost}))
        }
    };
    tell(Agent::Brain, Phase::Orient, &text, data)
}

/// The change, as it would be made.
pub(super) fn rendered(proposal: &Proposal) -> Note {
    let data = json!({
        "remedy": proposal.remedy, "files": proposal.files, "lines": proposal.lines,
        "digest": proposal.digest, "trust": proposal.trust, "diff": proposal.diff,
    });
    fixer(&format!("{}: {} file(s), {} line(s)", proposal.title, proposal.files.len(), proposal.lines), data)
}

/// What policy says, and by which rules.
pub(super) fn ruled(verdict: &Verdict) -> Note {
    let word = verdict.decision.as_str();
    let rules = if verdict.rules.is_empty() { "no rule".to_owned() } else { verdict.rules.join(", ") };
    let text = format!("{word} by {rules}: {}", verdict.reasons.join("; "));
    tell(Agent::Guardrail, Phase::Decide, &text, json!(verdict))
}

/// The judgement with its numbers.
pub(super) fn recovery_note(recovery: &Recovery) -> Note {
    let word = recovery.verdict.as_str();
    let text = format!(
        "{word}: {} ({} samples, {} bad; statistic {:.2}, threshold {:.2})",
        recovery.reason, recovery.samples, recovery.bad, recovery.statistic, recovery.threshold
    );
    tell(Agent::Scout, Phase::Verify, &text, json!(recovery))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::{Standing, TrackRecord};

    #[test]
    fn a_remembered_remedy_that_is_not_taken_says_why_in_numbers() {
        let standing = Standing { record: TrackRecord { verified: 2, failed: 1 }, trust: 0.86, threshold: 0.9 };
        let doubt = Doubt::Distrusted { remedy: "db-pool-size".into(), standing };
        let note = unrecalled(Some(doubt.clone()));
        let text = "the remembered remedy is not applied unasked: db-pool-size worked 2 time(s) and failed 1 time(s): \
                    trust 0.860 is not above 0.90; to Brain";
        assert_eq!((note.text.as_str(), note.data), (text, json!({"doubt": doubt})));
        assert_eq!(unrecalled(None).text, "no verified remedy for this shape of failure: to Brain");
    }
}
