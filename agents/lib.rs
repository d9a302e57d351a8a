//! The agents, in the order an incident meets them.
//!
//! None of them knows a backend: they are given ports, evidence and time. What each may do is its charter, the door text
//! of its folder.

pub mod brain;
pub mod cag;
pub mod catalogue;
mod config_file;
pub mod curator;
pub mod fixer;
pub mod guardrail;
pub mod human;
mod ownership;
mod patch;
pub mod present;
pub mod scout;
pub mod sources;

#[cfg(test)]
use sre_space_domain as domain;
#[cfg(test)]
#[expect(dead_code, reason = "the domain's own tests play the other faults")]
#[path = "../crates/domain/src/rca/tests/town.rs"]
mod town;
