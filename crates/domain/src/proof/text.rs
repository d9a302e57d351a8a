//! A proof as text: JSON in one exact form, and the pull request body that is made of it and of nothing else.

use std::fmt::Write as _;

use thiserror::Error;

use super::{After, Proof};
use crate::recovery::Test;
use crate::signal::SignalKind;

const OPEN: &str = "<details><summary>Proof: check it with <code>sre-space verify-proof</code></summary>\n\n```json\n";
const CLOSE: &str = "```\n\n</details>\n";

/// Why a text is no proof.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// Neither JSON nor a body with a proof in it.
    #[error("there is no proof in it: expected its JSON, or a pull request body that carries one")]
    Missing,
    /// Not the JSON of a proof.
    #[error("it is no proof: {0}")]
    Json(#[from] serde_json::Error),
    /// What it says is not written the way proofs are written, or the words around it are not the proof's own.
    #[error("it differs from what its own proof says, first at byte {0}")]
    Altered(usize),
}

impl Proof {
    /// The one way this proof is written as JSON.
    pub fn json(&self) -> String {
        // A struct of texts and finite numbers has a JSON form; numbers that are not finite become null and do not read back.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The pull request's body: tables for people, and the proof itself.
    pub fn body(&self) -> String {
        let mut text = match &self.change.reverts {
            Some(revision) => format!("This reverts commit {revision}.\n"),
            None => self.change.rationale.clone(),
        };
        // Writing into a String cannot fail.
        let _ = write!(text, "\n### Before\n\n{}", self.seen());
        let _ = write!(text, "\n### Decided\n\n{}", self.decided());
        if let Some(after) = &self.after {
            let _ = write!(text, "\n### After\n\n{}", self.judged(after));
        }
        let _ = write!(text, "\n{OPEN}{}{CLOSE}", self.json());
        text
    }

    /// Reads a proof, from its JSON or from a body. Anything that is not written exactly as this proof is written is refused.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let (json, is_body) = match text.split_once(OPEN) {
            Some((_, rest)) => (rest.split_once(CLOSE).ok_or(Unreadable::Missing)?.0, true),
            None if text.trim_start().starts_with('{') => (text, false),
            None => return Err(Unreadable::Missing),
        };
        let proof: Self = serde_json::from_str(json)?;
        let meant = if is_body { proof.body() } else { proof.json() };
        // A shell adds or takes a last line feed.
        match first_difference(meant.trim_end_matches('\n'), text.trim_end_matches('\n')) {
            Some(at) => Err(Unreadable::Altered(at)),
            None => Ok(proof),
        }
    }

    fn seen(&self) -> String {
        let before = &self.before;
        let measured = before.coherence.map(|numbers| ("Measured", format!("it {}", numbers.clause())));
        let rows = [
            (self.bad(), format!("{} of {} in {} s", before.bad, before.samples, before.window_s)),
            ("Usual share", format!("{:.4}", before.baseline)),
            ("P(bad share > 5 %)", format!("{:.6}", before.posterior)),
            ("CUSUM", format!("{:.2}, threshold {:.2}", before.statistic, before.threshold)),
            ("Independent sources", before.sources.to_string()),
            ("Traces", self.cause.evidence.iter().map(|shown| format!("`{}` ", shown.trace_id)).collect()),
        ];
        table(&measured.into_iter().chain(rows).collect::<Vec<_>>())
    }

    /// What is counted.
    fn bad(&self) -> &'static str {
        match self.before.kind {
            SignalKind::ErrorRate | SignalKind::Latency => "Bad requests",
            SignalKind::MemoryTrend | SignalKind::Amplification => "Bad seconds",
        }
    }

    fn judged(&self, after: &After) -> String {
        let test = match after.test {
            Test::Sequential => "Sequential test",
            Test::Relapse => "CUSUM",
            Test::Arrival => "Awaited",
        };
        table(&[
            ("Verdict", after.verdict.as_str().to_owned()),
            ("Revision", format!("`{}`", after.revision)),
            (self.bad(), format!("{} of {}, {} of them probes", after.bad, after.samples, after.probes)),
            (test, format!("{:.2}, bound {:.2}", after.statistic, after.threshold)),
        ])
    }

    fn decided(&self) -> String {
        let terms: Vec<String> =
            self.cause.terms.iter().map(|term| format!("{} {:.4}", term.name, term.value)).collect();
        let rules: Vec<String> = self.decision.rules.iter().map(|rule| format!("`{rule}`")).collect();
        let by = if self.decision.approved { " and a person" } else { "" };
        table(&[
            ("Confidence", format!("{:.4} = {}", self.cause.confidence, terms.join(" × "))),
            ("Decision", format!("{} by {}{by}", self.decision.decision.as_str(), rules.join(", "))),
            ("Digest", format!("`{}`", self.change.digest)),
            ("Cost", format!("{} calls, {} tokens, {} USD", self.cost.calls, self.cost.tokens, self.cost.usd)),
        ])
    }
}

fn table(rows: &[(&str, String)]) -> String {
    let row = |(name, value): &(&str, String)| format!("| {name} | {} |\n", value.trim_end());
    format!("| | |\n|---|---|\n{}", rows.iter().map(row).collect::<String>())
}

fn first_difference(a: &str, b: &str) -> Option<usize> {
    let at = a.bytes().zip(b.bytes()).position(|(a, b)| a != b);
    at.or((a.len() != b.len()).then(|| a.len().min(b.len())))
}
