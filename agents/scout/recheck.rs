//! Judging a deployed change by the new revision's telemetry.

use sre_space_domain::evidence::Suspect;
use sre_space_domain::recovery::{self, Before, Recovery, Seen, Tally};

use super::Scout;

/// Outcomes of own probes since the new revision settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProbeTally {
    /// The same probe failed on the old revision.
    pub failed_before: bool,
    /// Good ones.
    pub good: u64,
    /// Bad ones.
    pub bad: u64,
}

/// What is watched after a change. It names no fault: recovery is judged without knowing what was wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    /// Service that was changed.
    pub service: String,
    /// Operation the incident is about; `None` judges the service as a whole.
    pub operation: Option<String>,
    /// Revision to judge.
    pub revision: String,
    /// Share of bad requests in calm times.
    pub baseline: f64,
    /// Share of bad requests during the incident.
    pub observed: f64,
    /// Who was under suspicion before the change.
    pub suspects_before: Vec<Suspect>,
    /// Time after the first span of the revision that does not count, milliseconds.
    pub settle_ms: i64,
    /// Time after which undecided is INCONCLUSIVE, milliseconds.
    pub timeout_ms: i64,
    /// When the first span of the revision arrived, milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Own probes.
    pub probes: ProbeTally,
}

pub(super) fn judge(scout: &Scout, watch: &Watch, now_ms: i64) -> Option<Recovery> {
    let counted_from = watch.since_ms + watch.settle_ms;
    let timed_out = now_ms > watch.since_ms + watch.timeout_ms;
    if now_ms < counted_from {
        return None;
    }
    let find = |text: &str| scout.names.find(text);
    let tally = |operation: Option<&str>| match (find(&watch.service), find(&watch.revision)) {
        (Some(service), Some(revision)) => match operation.map(find) {
            Some(None) => Tally::default(),
            Some(name @ Some(_)) => scout.revisions.tally(service, revision, name, counted_from),
            None => scout.revisions.tally(service, revision, None, counted_from),
        },
        (None, _) | (_, None) => Tally::default(),
    };
    let known = |suspect: &Suspect| {
        let same = |before: &Suspect| before.service == suspect.service && before.operation == suspect.operation;
        watch.suspects_before.iter().any(same) || is_watched(watch, suspect)
    };
    let suspects = scout.suspects();
    let seen = Seen {
        service: tally(None),
        operation: tally(watch.operation.as_deref()),
        probes: Tally { all: watch.probes.good + watch.probes.bad, bad: watch.probes.bad },
        probe_failed_before: watch.probes.failed_before,
        still_suspect: suspects.iter().any(known),
        newly_suspect: suspects
            .iter()
            .filter(|suspect| !known(suspect))
            .map(|suspect| suspect.service.clone())
            .collect(),
        timed_out,
    };
    recovery::judge(&seen, Before { baseline: watch.baseline, observed: watch.observed })
}

fn is_watched(watch: &Watch, suspect: &Suspect) -> bool {
    suspect.service == watch.service && watch.operation.as_ref().is_none_or(|operation| suspect.operation == *operation)
}
