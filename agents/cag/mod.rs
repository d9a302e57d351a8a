//! CAG. ORIENT.
//!
//! Mission: answer a known shape of failure with the remedy whose effect was verified here. Trigger: a confirmed signal.
//! Authority: reads evidence and lessons; holds no credentials, asks no model. Output: a [`Finding`], still to be judged like
//! any other, or nothing, and why.
//!
//! A memory is somebody else's server, and what lies in it may be planted. Only lessons under this control plane's own seal count,
//! for a remedy and against it; whatever else is near is shown to people and decides nothing.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use sre_space_domain::catalogue::Catalogue;
use sre_space_domain::diagnosis::{FaultKind, Source, Term};
use sre_space_domain::evidence::Evidence;
use sre_space_domain::incident::Finding;
use sre_space_domain::knowledge::{Doubt, Lesson, Signature, Similar, Standing};
use sre_space_domain::proposal::Remedy;
use sre_space_domain::rca::{self, Current, Gap, Reading};
use sre_space_domain::seal::SealKey;
use sre_space_ports::memory::Match;

use crate::ownership;

/// A lesson of another remedy that is nearer than this to the shape in hand is about the same failure.
const MARGIN: f64 = 0.02;

/// Evidence that was read once: its signature is looked up, and a hit is bound to the present.
pub struct Question(Reading);

/// The remedy that fits what is seen now, whatever the memory says of it.
pub struct Bound {
    /// The remedy, its parameters computed anew.
    pub remedy: Remedy,
    /// What it is for.
    pub kind: FaultKind,
    choice: Term,
}

/// What the memory holds, and the key to tell our own by.
pub struct Remembered<'a> {
    /// Lessons of this very fingerprint.
    pub lessons: &'a [Lesson],
    /// Lessons that are near it.
    pub near: &'a [Match],
    /// Key of this control plane.
    pub key: &'a SealKey,
}

/// Reads the evidence.
pub fn read(evidence: &Evidence, rules: Option<&Catalogue>) -> Result<Question, Gap> {
    rca::read(evidence, &|service, path| ownership::owns(rules, service, path)).map(Question)
}

impl Question {
    /// What to look up.
    pub fn signature(&self) -> Signature {
        self.0.signature()
    }

    /// The remedy that fits what is seen now; `None` when none does that was not tried in this incident.
    pub fn bind(&self, rules: &Catalogue, current: &Current, tried: &[Remedy]) -> Option<Bound> {
        let (remedy, choice) = rca::bind(&self.0, rules, current, tried)?;
        Some(Bound { remedy, kind: self.signature().kind, choice })
    }

    /// The bound remedy, if it was verified here for this very shape of failure, nothing as near and as well verified names
    /// another, and it has not lost its trust.
    ///
    /// # Errors
    /// The [`Doubt`] that speaks against a remedy that is remembered; `None` when it is not.
    pub fn recall(&self, bound: Bound, known: &Remembered<'_>, standing: Standing) -> Result<Finding, Option<Doubt>> {
        let signature = self.signature();
        let named = |lesson: &&Lesson| lesson.signature == signature && is_alike(&lesson.remedy, &bound.remedy);
        let all: Vec<&Lesson> = known.lessons.iter().filter(named).collect();
        let support = all.iter().filter(|lesson| known.key.holds(lesson)).count();
        if support == 0 {
            return Err((!all.is_empty()).then_some(Doubt::Unsealed(all.len())));
        }
        let (against, margin) = known.against(&signature, &bound.remedy);
        if against >= support {
            return Err(Some(Doubt::Contradicted { support, against, margin }));
        }
        if standing.is_lost() {
            return Err(Some(Doubt::Distrusted { remedy: bound.remedy.id(), standing }));
        }
        let (diagnosis, remedy) = (self.0.diagnosis(Some(bound.choice)), Some(bound.remedy));
        Ok(Finding { source: Source::Cag, diagnosis, signature, remedy, offers: Vec::new() })
    }
}

impl Remembered<'_> {
    /// Verified lessons of another remedy that are about the same failure, and the least margin to one.
    fn against(&self, signature: &Signature, remedy: &Remedy) -> (usize, f64) {
        let exact = self.lessons.iter().filter(|lesson| lesson.signature == *signature).map(|lesson| (lesson, 0.0));
        let near = self.near.iter().map(|found| (&found.lesson, 1.0 - found.score));
        let others: Vec<(&Lesson, f64)> = exact
            .chain(near)
            .filter(|(lesson, margin)| *margin < MARGIN && !is_alike(&lesson.remedy, remedy) && self.key.holds(lesson))
            .collect();
        let incidents: BTreeSet<_> = others.iter().map(|(lesson, _)| &lesson.incident).collect();
        (incidents.len(), others.iter().map(|(_, margin)| *margin).fold(1.0, f64::min))
    }

    /// The nearest earlier incidents, those verified here before any other, each with its score.
    pub fn similar(&self, most: usize) -> Vec<Similar> {
        let mut all: Vec<Similar> = self
            .near
            .iter()
            .map(|found| Similar::to(&found.lesson, found.score, self.key.holds(&found.lesson)))
            .collect();
        all.sort_by(|a, b| b.verified.cmp(&a.verified).then(b.score.total_cmp(&a.score)));
        all.truncate(most);
        all
    }
}

/// Whether two remedies are the same but for what is computed anew each time.
fn is_alike(a: &Remedy, b: &Remedy) -> bool {
    (a.kind(), a.id(), a.service()) == (b.kind(), b.id(), b.service())
}
