//! Computes every number of a proof again.

use super::{After, Proof, SCHEMA, undo};
use crate::detect::posterior_above_5_percent;
use crate::diagnosis::AGREEMENT;
use crate::proposal::{Decision, digest_of};
use crate::recovery::{self, Outcome, SequentialTest, Tally, Test};

/// Two computations of one number agree when they differ by no more than this.
const SAME: f64 = 1e-9;

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// The numbers.
    pub detail: String,
    /// Whether it holds.
    pub holds: bool,
}

impl Proof {
    /// Everything that can be checked without anything but the proof.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![
            finding("format", format!("schema {}", self.schema), self.schema == SCHEMA),
            finding("seal", self.seal.to_string(), self.seal == self.sum()),
            self.posterior(),
            self.suspicion(),
            self.confidence(),
            self.evidence(),
            self.binding(),
            self.decision(),
            self.reproduction(),
            self.way_back(),
        ];
        findings.extend(self.after.as_ref().map(|after| self.judgement(after)));
        findings
    }

    fn posterior(&self) -> Finding {
        let before = &self.before;
        let again = posterior_above_5_percent(before.bad, before.samples);
        let share = before.bad as f64 / before.samples.max(1) as f64;
        let detail = format!("{} of {} bad gives {again:.9}", before.bad, before.samples);
        finding("posterior", detail, same(again, before.posterior) && same(share, before.observed))
    }

    fn suspicion(&self) -> Finding {
        let before = &self.before;
        let detail =
            format!("CUSUM {:.2}, threshold {:.2}, {} source(s)", before.statistic, before.threshold, before.sources);
        let holds = before.statistic > 0.0 && same(before.threshold, crate::detect::THRESHOLD) && before.sources > 0;
        finding("suspicion", detail, holds)
    }

    fn confidence(&self) -> Finding {
        let terms = &self.cause.terms;
        let product: f64 = terms.iter().map(|term| term.value).product();
        let shares = terms.iter().all(|term| (0.0..=1.0).contains(&term.value));
        let detail = format!("the product of {} terms is {product:.6}", terms.len());
        finding("confidence", detail, !terms.is_empty() && shares && same(product, self.cause.confidence))
    }

    /// Spans, or the numbers of what no span shows.
    fn evidence(&self) -> Finding {
        let is_hex = |text: &str, digits: usize| {
            text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let shown = &self.cause.evidence;
        let are_ids = shown.iter().all(|shown| is_hex(&shown.trace_id, 32) && is_hex(&shown.span_id, 16));
        let spans = format!("{} spans by their ids", shown.len());
        match &self.before.coherence {
            None => finding("evidence", spans, !shown.is_empty() && are_ids),
            Some(numbers) => {
                let told = self.cause.terms.iter().find(|term| term.name == AGREEMENT).map(|term| term.value);
                let agrees = told.zip(numbers.agreement()).is_some_and(|(told, again)| same(told, again));
                let detail = format!("{}; {spans}", numbers.clause());
                finding("evidence", detail, agrees && numbers.is_sound() && are_ids)
            }
        }
    }

    fn binding(&self) -> Finding {
        let change = &self.change;
        let again = digest_of(&self.incident, &change.base, &change.files);
        let detail = format!("{} file(s) on {} give {again}", change.files.len(), change.base.short());
        finding("digest", detail, !change.files.is_empty() && again == change.digest)
    }

    fn decision(&self) -> Finding {
        let decided = &self.decision;
        let detail = format!("{} by {}", decided.decision.as_str(), decided.rules.join(", "));
        let judged_this = decided.digest == self.change.digest && !decided.rules.is_empty();
        finding("decision", detail, judged_this && decided.decision != Decision::Deny)
    }

    fn reproduction(&self) -> Finding {
        let files = &self.change.files;
        match &self.change.reproduces {
            None => finding("check", "the owners state none for this failure".to_owned(), true),
            Some(check) => {
                let carried = files.iter().any(|file| file.path == check.file && file.sha256.is_some());
                finding("check", format!("{} in {}", check.check, check.file), carried)
            }
        }
    }

    fn way_back(&self) -> Finding {
        let meant = match &self.change.reverts {
            Some(revision) => format!("git revert {revision}"),
            None => undo(&format!("sre-space/{}-{}", self.incident, self.attempt)),
        };
        finding("undo", self.undo.clone(), self.undo == meant)
    }

    fn judgement(&self, after: &After) -> Finding {
        let before = recovery::Before { baseline: self.before.baseline, observed: self.before.observed };
        let (again, threshold) = match after.test {
            Test::Sequential => {
                let tally = Tally { all: after.samples, bad: after.bad };
                (SequentialTest::against(before).statistic(tally), SequentialTest::threshold())
            }
            Test::Relapse => (after.statistic, crate::detect::THRESHOLD),
            Test::Arrival => (0.0, 0.0),
        };
        let follows = match (after.verdict, after.test) {
            (Outcome::Recovered, Test::Sequential) => again <= -threshold && after.samples > 0,
            (Outcome::Unchanged, Test::Sequential | Test::Relapse) => again >= threshold,
            // Who else turned suspect is not in a proof.
            (Outcome::Regressed, Test::Sequential) => after.samples > 0,
            (Outcome::Inconclusive, Test::Sequential) => true,
            (Outcome::Inconclusive, Test::Arrival) => after.samples == 0,
            (Outcome::Recovered | Outcome::Regressed | Outcome::Inconclusive, Test::Relapse)
            | (Outcome::Recovered | Outcome::Unchanged | Outcome::Regressed, Test::Arrival) => false,
        };
        let detail = format!(
            "{}: {} of {} bad gives {again:.4}, bound {threshold:.4}",
            after.verdict.as_str(),
            after.bad,
            after.samples
        );
        let equal = same(again, after.statistic) && same(threshold, after.threshold);
        finding("recovery", detail, follows && equal && after.bad <= after.samples)
    }
}

fn finding(what: &'static str, detail: String, holds: bool) -> Finding {
    Finding { what, detail, holds }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME * b.abs().max(1.0)
}
