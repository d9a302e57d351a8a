//! Fixer — the only hand that writes.
//!
//! **Mission.** Turn a remedy of the closed catalogue into the smallest change that applies it, and, once permitted, put
//! that very change into the repository.
//!
//! **Trigger.** A remedy chosen by CAG or Brain; later a permit drawn from Guardrail's verdict.
//!
//! **Authority.** The only agent that holds `Changes`. It never sees telemetry: an [`Order`] is ids and numbers, and what it
//! reads of the repository is data for the renderer, never instructions. So is a source patch that a model wrote: its files are
//! contents, its reason is quoted, and only a person merges it. It checks the owners' bounds, the paths and the size again,
//! whatever others checked before.
//!
//! **Output.** A [`Proposal`](sre_space_domain::proposal::Proposal), and with a permit a branch, a commit, a pull request, a merge, or the exact revert of one.
//! Each deed can be repeated: the second time finds what the first time made.

mod apply;
pub(crate) mod diff;
mod gather;
mod render;
mod reproduce;
#[cfg(test)]
mod tests;
mod words;

use jiff::Timestamp;
use sre_space_domain::diagnosis::{FaultKind, Measured};
use sre_space_domain::ids::IncidentId;
use sre_space_domain::proposal::Remedy;

pub use self::apply::{
    Errand, FixerError, Patience, Undo, await_checks, commit, create_branch, describe, merge, open_pull_request, revert,
};
pub use self::gather::{Inputs, gather};
pub use self::render::{RenderError, render};
pub use crate::config_file::EditError;

/// What Fixer is told: ids, numbers, and a remedy of the closed catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Incident it is for.
    pub incident: IncidentId,
    /// When that was opened.
    pub opened_at: Timestamp,
    /// The attempt, counting from 1.
    pub attempt: u32,
    /// What to apply.
    pub remedy: Remedy,
    /// Fault the diagnosis names.
    pub fault: FaultKind,
    /// How sure the diagnosis is, 0..=1.
    pub confidence: f64,
    /// What the remedy's record is worth, 0..=1.
    pub trust: f64,
    /// What was measured; only numbers and a full object name are taken from it.
    pub measured: Measured,
}

impl Order {
    /// The branch of this attempt.
    pub fn branch(&self) -> String {
        format!("sre-space/{}-{}", self.incident, self.attempt)
    }
}
