//! The facts that policy weighs, gathered from the incident and from what the owners declared.

use std::collections::BTreeSet;

use globset::GlobBuilder;
use sre_space_domain::catalogue::{Autonomy, Catalogue, Knob, Patch, ServiceRules};
use sre_space_domain::diagnosis::{Confidence, FaultKind};
use sre_space_domain::ids::Sha;
use sre_space_domain::incident::Incident;
use sre_space_domain::proposal::{FileSum, Proposal, Remedy, Rewrite};
use sre_space_ports::policy::Question;

/// One, in billionths.
const ONE_E9: i64 = 1_000_000_000;

/// Everything a question is made of.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    /// The incident, with its diagnosis and proposal.
    pub incident: &'a Incident,
    /// What the owners declared, as of the commit the proposal was rendered on.
    pub catalogue: &'a Catalogue,
    /// Confidence and trust must be strictly above this.
    pub threshold: f64,
    /// Incidents acted on in the last hour, this one not counted.
    pub incidents_last_hour: u32,
    /// The service is in its cooldown.
    pub cooling: bool,
    /// Other remediations under way on the same service.
    pub active_on_service: u32,
    /// What Sentinels veto at this moment.
    pub vetoes: BTreeSet<String>,
}

/// Puts a case as a question; `None` while the incident has no diagnosis or no proposal to judge.
///
/// A service the owners do not name may only be observed, and nothing of it is declared.
pub fn question(case: &Case<'_>) -> Option<Question> {
    let incident = case.incident;
    let (diagnosis, proposal) = incident.diagnosis.as_ref().zip(incident.proposal.as_ref())?;
    let remedy = &proposal.remedy;
    let rules = case.catalogue.services.get(remedy.service());
    let files = files(proposal);
    let check = rules.and_then(|rules| rules.check_of(diagnosis.kind)).map(|check| check.target(&incident.id));
    let sources: BTreeSet<&String> = incident.signal.sources.iter().collect();
    Some(Question {
        service: remedy.service().to_owned(),
        remedy: remedy.kind().to_owned(),
        fault: diagnosis.kind.as_str().to_owned(),
        autonomy: rules.map_or(Autonomy::Observe, |rules| rules.autonomy),
        confidence_e9: billionths(diagnosis.confidence.get()),
        trust_e9: billionths(proposal.trust),
        threshold_e9: threshold(case.threshold),
        declared: rules.is_some_and(|rules| is_declared(rules, remedy, diagnosis.kind, &files, check.as_deref())),
        bounded: rules.is_some_and(|rules| is_bounded(rules, proposal)),
        files,
        lines: i64::from(proposal.lines),
        sources: i64::try_from(sources.len()).unwrap_or(i64::MAX),
        incidents_last_hour: i64::from(case.incidents_last_hour),
        incidents_per_hour: i64::from(case.catalogue.limits.incidents_per_hour),
        cooling: case.cooling,
        active_on_service: i64::from(case.active_on_service),
        vetoes: case.vetoes.clone(),
    })
}

/// A share of one in billionths, rounded down; what is no share of one (NaN, infinite, below 0, above 1) counts as none.
pub fn billionths(share: f64) -> i64 {
    if !(0.0..=1.0).contains(&share) {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "0..=1 times a billion fits")]
    let floored = (share * 1e9).floor() as i64;
    floored
}

/// A threshold that is no share of one lets nothing pass.
fn threshold(raw: f64) -> i64 {
    Confidence::try_from(raw).map_or(ONE_E9, |threshold| billionths(threshold.get()))
}

/// What the proposal says it touches and what it would write: both, should they differ.
fn files(proposal: &Proposal) -> Vec<String> {
    let written = proposal.changes.iter().map(|change| &change.path);
    let all: BTreeSet<&String> = proposal.files.iter().chain(written).collect();
    all.into_iter().cloned().collect()
}

/// `check` is the file of the owners' check for this failure, which a remedy may carry along and never consists of.
fn is_declared(rules: &ServiceRules, remedy: &Remedy, fault: FaultKind, files: &[String], check: Option<&str>) -> bool {
    let remedied: Vec<&String> = files.iter().filter(|file| check != Some(file.as_str())).collect();
    let all = |is_meant: &dyn Fn(&String) -> bool| {
        files.iter().all(|file| is_plain(file)) && !remedied.is_empty() && remedied.iter().all(|file| is_meant(file))
    };
    match remedy {
        Remedy::TurnKnob { parameters, .. } | Remedy::Scale { parameters, .. } | Remedy::Restart { parameters, .. } => {
            let knobs: Option<Vec<&Knob>> = parameters.keys().map(|name| find(rules, name)).collect();
            knobs.is_some_and(|knobs| {
                !knobs.is_empty()
                    && knobs.iter().all(|knob| knob.remedies.contains(&fault) && remedy.may_turn(knob.kind))
                    && all(&|file| knobs.iter().any(|knob| knob.file == *file))
            })
        }
        Remedy::ApplyPatch { patch, .. } => find_patch(rules, patch).is_some_and(|patch| {
            patch.remedies.contains(&fault) && remedied.len() == 1 && all(&|file| patch.may_write(file))
        }),
        Remedy::Revert { .. } => all(&|file| is_source(rules, file)),
        Remedy::SourcePatch { edits, .. } => {
            remedied.len() == edits.len() && all(&|file| edits.contains_key(file) && is_source(rules, file))
        }
    }
}

fn find_patch<'a>(rules: &'a ServiceRules, name: &str) -> Option<&'a Patch> {
    let mut named = rules.patches.iter().filter(|patch| patch.name == name);
    named.next().filter(|_| named.next().is_none())
}

/// A name that is declared twice declares nothing: nobody can say which bounds were meant.
fn find<'a>(rules: &'a ServiceRules, name: &str) -> Option<&'a Knob> {
    let mut named = rules.knobs.iter().filter(|knob| knob.name == name);
    named.next().filter(|_| named.next().is_none())
}

/// `*` stays inside a folder, as people expect of globs; a glob that does not parse matches nothing.
fn is_source(rules: &ServiceRules, file: &str) -> bool {
    rules.sources.iter().any(|glob| {
        let built = GlobBuilder::new(glob).literal_separator(true).build();
        built.is_ok_and(|glob| glob.compile_matcher().is_match(file))
    })
}

/// A path that can be read in one way only: relative, no empty, `.` or `..` part, no part that ends in a dot, printable
/// ASCII without the signs that some system takes for a separator, an escape or a drive.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|part| {
        let printable = part.bytes().all(|byte| byte.is_ascii_graphic() && !br#"\%:*?"<>|~"#.contains(&byte));
        !part.is_empty() && !part.ends_with('.') && printable
    })
}

fn is_bounded(rules: &ServiceRules, proposal: &Proposal) -> bool {
    match &proposal.remedy {
        Remedy::TurnKnob { parameters, .. } | Remedy::Scale { parameters, .. } | Remedy::Restart { parameters, .. } => {
            parameters.iter().all(|(name, value)| find(rules, name).is_some_and(|knob| knob.allows(value)))
        }
        Remedy::ApplyPatch { patch, .. } => find_patch(rules, patch).is_some(),
        Remedy::Revert { commit, .. } => is_object_name(commit),
        Remedy::SourcePatch { edits, .. } => edits.iter().all(|(path, edit)| is_written(proposal, path, edit)),
    }
}

/// Whether exactly what was read of a file is what the proposal makes of it.
fn is_written(proposal: &Proposal, path: &str, edit: &Rewrite) -> bool {
    let mut sums = proposal.changes.iter().filter(|change| change.path == path).map(FileSum::of);
    let is_meant = sums.next().is_some_and(|sum| sum.sha256.as_ref() == Some(&edit.after));
    is_meant && sums.next().is_none() && edit.before != edit.after
}

fn is_object_name(commit: &Sha) -> bool {
    (4..=64).contains(&commit.0.len()) && commit.0.bytes().all(|byte| byte.is_ascii_hexdigit())
}
