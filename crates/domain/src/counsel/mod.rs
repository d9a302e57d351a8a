//! A model's counsel on a diagnosis by rules: what it is told, what it may say, and what is made of it.
//!
//! It is told typed evidence in which every name from telemetry is a placeholder. It may choose among the causes and remedies
//! offered, lower the confidence, and explain itself to people. It can raise nothing, name nothing that was not offered, and its
//! words are shown and never used. Whatever else it says is refused as a whole.

mod brief;
mod read;
#[cfg(test)]
pub(crate) mod tests;

use serde::{Deserialize, Serialize};

pub use self::brief::Brief;
pub(crate) use self::read::object;
pub use self::read::{MOST_BYTES, Refusal, read};
use crate::diagnosis::{Confidence, Diagnosis, Term};
use crate::proposal::Remedy;

/// Where the model sees another cause than the rules do, the diagnosis is worth no more than this: to a person.
const DISAGREEMENT: f64 = 0.5;
/// Name of the model's term of a confidence.
pub const TERM: &str = "model";

/// A remedy that fits a diagnosis, and how clear the choice of it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// What could be done.
    pub remedy: Remedy,
    /// The term it brings to the confidence.
    pub clear: Term,
}

/// What came of asking a model. Shown with the incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "counsel", rename_all = "snake_case")]
pub enum Counsel {
    /// It answered, and the answer was used.
    Given(Advice),
    /// Rules went on alone.
    Lacking {
        /// Why, in one sentence of our own.
        why: String,
    },
}

/// An answer that says nothing but what it may say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// The model, as the operator named it.
    pub model: String,
    /// The service it takes for the cause: one of the candidates.
    pub cause: String,
    /// Which of the offered remedies it chooses, counting from 0; `None` when there was none to choose.
    pub choice: Option<usize>,
    /// How far it stands behind the diagnosis, 0..=1.
    pub certainty: f64,
    /// The model's words: for people to read, and never used.
    pub words: String,
}

impl Advice {
    /// The diagnosis with the model's term; never more sure than before.
    pub fn applied(&self, diagnosis: &Diagnosis, offers: &[Offer]) -> Diagnosis {
        let mut terms = diagnosis.terms.clone();
        if let Some((first, chosen)) = offers.first().zip(self.choice.and_then(|choice| offers.get(choice))) {
            let by_rules = terms.iter_mut().filter(|term| term.name == first.clear.name);
            by_rules.for_each(|term| term.value = term.value.min(chosen.clear.value));
        }
        let agrees = self.cause == diagnosis.service;
        let value = if agrees { self.certainty } else { self.certainty.min(DISAGREEMENT) };
        let place = if agrees { "it sees the same cause" } else { "it sees another cause" };
        let why = format!("certainty {:.3} of {}; {place}", self.certainty, self.model);
        terms.push(Term { name: TERM.to_owned(), value, why });
        let confidence = Confidence::product(terms.iter().map(|term| term.value));
        Diagnosis { terms, confidence, ..diagnosis.clone() }
    }
}
