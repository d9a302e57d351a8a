//! Why not, in numbers. Explanation only: the decision was made by policy before anything here is asked.

use sre_space_domain::catalogue::Autonomy;
use sre_space_ports::policy::{Action, Question, Ruling};

/// A forbid (or a failure) speaks for itself; where nothing permitted, the facts that usually stand in the way are named
/// before the engine's own words, which hold for an operator's rules too.
pub(super) fn why_not(action: Action, question: &Question, ruling: &Ruling) -> Vec<String> {
    if !ruling.rules.is_empty() {
        return ruling.reasons.clone();
    }
    let mut reasons = match action {
        Action::Propose => confidence(question).into_iter().collect(),
        Action::Merge => short_of_merging(question),
    };
    reasons.extend(ruling.reasons.iter().cloned());
    reasons
}

fn short_of_merging(question: &Question) -> Vec<String> {
    let facts = [
        autonomy(question.autonomy),
        confidence(question),
        not_above("trust", question.trust_e9, question.threshold_e9),
        (question.sources < 2).then(|| format!("seen by {} independent source(s), not by 2", question.sources)),
        budget(question),
        question.cooling.then(|| "the service is in its cooldown".to_owned()),
        (question.active_on_service > 0)
            .then(|| format!("{} other remediation(s) under way on the service", question.active_on_service)),
    ];
    facts.into_iter().flatten().collect()
}

fn autonomy(autonomy: Autonomy) -> Option<String> {
    let word = match autonomy {
        Autonomy::Auto => return None,
        Autonomy::Observe => "observe",
        Autonomy::Suggest => "suggest",
        Autonomy::Approve => "approve",
    };
    Some(format!("autonomy is {word}, not auto"))
}

fn confidence(question: &Question) -> Option<String> {
    not_above("confidence", question.confidence_e9, question.threshold_e9)
}

fn not_above(what: &str, value_e9: i64, threshold_e9: i64) -> Option<String> {
    (value_e9 <= threshold_e9).then(|| format!("{what} {} is not above {}", thousandths(value_e9), exact(threshold_e9)))
}

fn budget(question: &Question) -> Option<String> {
    let (used, limit) = (question.incidents_last_hour, question.incidents_per_hour);
    (used >= limit).then(|| format!("{used} incident(s) acted on in the last hour, the owners' limit is {limit}"))
}

/// Rounded down, so that a number just below the threshold is never printed as the threshold.
fn thousandths(e9: i64) -> String {
    let whole = e9.div_euclid(1_000_000);
    format!("{}.{:03}", whole.div_euclid(1_000), whole.rem_euclid(1_000))
}

/// All digits that count, two at least.
fn exact(e9: i64) -> String {
    let digits = format!("{}.{:09}", e9.div_euclid(1_000_000_000), e9.rem_euclid(1_000_000_000));
    let keep = digits.trim_end_matches('0').len().max(digits.len() - 7);
    digits.get(..keep).unwrap_or(&digits).to_owned()
}
