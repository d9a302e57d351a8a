//! CAG. ORIENT.
//!
//! Mission: answer a known shape of failure with the remedy whose effect was verified here. Trigger: a confirmed signal.
//! Authority: reads evidence and lessons; holds no credentials, asks no model. Output: a [`Finding`], still to be judged like
//! any other, or nothing.

use sre_space_domain::catalogue::Catalogue;
use sre_space_domain::diagnosis::Source;
use sre_space_domain::evidence::Evidence;
use sre_space_domain::incident::Finding;
use sre_space_domain::knowledge::{Lesson, Signature};
use sre_space_domain::proposal::Remedy;
use sre_space_domain::rca::{self, Current, Gap, Reading};

use crate::ownership;

/// Evidence that was read once: its signature is looked up, and a hit is bound to the present.
pub struct Question(Reading);

/// Reads the evidence.
pub fn read(evidence: &Evidence, rules: Option<&Catalogue>) -> Result<Question, Gap> {
    rca::read(evidence, &|service, path| ownership::owns(rules, service, path)).map(Question)
}

impl Question {
    /// What to look up.
    pub fn signature(&self) -> Signature {
        self.0.signature()
    }

    /// The remedy a lesson names, its parameters computed anew from what is seen now.
    ///
    /// `None` when no lesson of this very signature names the remedy that fits, or it was tried in this incident.
    pub fn recall(
        &self,
        rules: &Catalogue,
        current: &Current,
        tried: &[Remedy],
        lessons: &[Lesson],
    ) -> Option<Finding> {
        let signature = self.signature();
        let (remedy, choice) = rca::bind(&self.0, rules, current, tried)?;
        let is_known = |lesson: &Lesson| {
            let same = |a: &Remedy, b: &Remedy| (a.kind(), a.id(), a.service()) == (b.kind(), b.id(), b.service());
            lesson.signature == signature && same(&lesson.remedy, &remedy)
        };
        lessons.iter().any(is_known).then(|| Finding {
            source: Source::Cag,
            diagnosis: self.0.diagnosis(Some(choice)),
            signature,
            remedy: Some(remedy),
            offers: Vec::new(),
        })
    }
}
