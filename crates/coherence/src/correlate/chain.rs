//! Chains: signals of one host that follow each other closely.

use serde::Serialize;

use super::{Incident, NEAR_MS, Precursor, as_moment};

/// Signals that a chain has at least.
const FEWEST: usize = 2;

/// Signals of one host, each at most [`NEAR_MS`] after the one before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chain {
    /// Whose.
    pub host: String,
    /// The first, Unix ms.
    #[serde(rename = "from", serialize_with = "as_moment")]
    pub from_ms: i64,
    /// The last, Unix ms.
    #[serde(rename = "until", serialize_with = "as_moment")]
    pub until_ms: i64,
    /// How many signals.
    pub signals: usize,
    /// Which they are, each named once: `metric/detector`.
    pub names: Vec<String>,
    /// How grave they are together, 0.0..=1.0: the noisy-or of each name's gravest, `1 - (1 - r1)(1 - r2)…` (Pearl, *Probabilistic
    /// Reasoning in Intelligent Systems*, 1988, section 4.3.2), which takes them as independent.
    pub risk: f64,
}

/// The chains among an incident's precursors, oldest first.
pub fn chains(incident: &Incident, precursors: &[Precursor]) -> Vec<Chain> {
    precursors
        .chunk_by(|one, next| next.at_ms - one.at_ms <= NEAR_MS)
        .filter_map(|links| chain(&incident.host, links))
        .collect()
}

fn chain(host: &str, links: &[Precursor]) -> Option<Chain> {
    let (first, last) = (links.first()?, links.last()?);
    let mut gravest = std::collections::BTreeMap::new();
    for link in links {
        let risk = gravest.entry(format!("{}/{}", link.metric, link.detector.as_str())).or_insert(0.0_f64);
        *risk = risk.max(link.risk.clamp(0.0, 1.0));
    }
    let risk = 1.0 - gravest.values().map(|risk| 1.0 - risk).product::<f64>();
    (links.len() >= FEWEST).then(|| Chain {
        host: host.to_owned(),
        from_ms: first.at_ms,
        until_ms: last.at_ms,
        signals: links.len(),
        names: gravest.into_keys().collect(),
        risk,
    })
}
