//! Brain. ORIENT.
//!
//! Mission: find the cause and the place of a failure, and the remedy the owners declared for it. Trigger: CAG knows nothing.
//! Authority: reads evidence, and may ask a model about what rules found; holds no other credentials. Output: a [`Finding`] with
//! every term of its confidence, and a model's [counsel](counsel()) on it, which can only choose among what it offers, and lower it.
//! Where nothing is left to offer, a [source patch](write_patch) of a model, for a person to merge.

mod author;
mod counsel;
#[cfg(test)]
mod tests;

pub use self::author::{may_be_asked, write_patch};
pub use self::counsel::{Adviser, counsel};

use sre_space_domain::catalogue::Catalogue;
use sre_space_domain::diagnosis::Source;
use sre_space_domain::evidence::Evidence;
use sre_space_domain::incident::Finding;
use sre_space_domain::proposal::Remedy;
use sre_space_domain::rca::{self, Current, Gap};

use crate::ownership;

/// Explains the evidence and chooses a remedy that was not tried yet. Without a catalogue nothing may be changed, and the
/// finding carries no remedy.
pub fn diagnose(
    evidence: &Evidence,
    rules: Option<&Catalogue>,
    current: &Current,
    tried: &[Remedy],
) -> Result<Finding, Gap> {
    let reading = rca::read(evidence, &|service, path| ownership::owns(rules, service, path))?;
    let offers = rules.map_or_else(Vec::new, |rules| rca::offers(&reading, rules, current, tried));
    let (remedy, choice) = offers.first().map(|offer| (offer.remedy.clone(), offer.clear.clone())).unzip();
    Ok(Finding {
        source: Source::BrainRules,
        diagnosis: reading.diagnosis(choice),
        signature: reading.signature(),
        remedy,
        offers,
    })
}
