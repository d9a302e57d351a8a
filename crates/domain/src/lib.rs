//! The words of the field and their rules.
//!
//! Everything here is pure and synchronous: no I/O, no clock, no randomness. Time is always an argument.
//! Start with [`incident`]: it is the state machine every other word serves.

pub mod beta;
pub mod breaker;
pub mod budget;
pub mod catalogue;
pub mod counsel;
pub mod detect;
pub mod diagnosis;
pub mod evidence;
pub mod ids;
pub mod incident;
pub mod journal;
pub mod knowledge;
pub mod patch;
pub mod path;
pub mod permit;
pub mod plain;
pub mod postmortem;
pub mod proof;
pub mod proposal;
pub mod rca;
pub mod recovery;
pub mod seal;
pub mod secret;
pub mod signal;
pub mod telemetry;
