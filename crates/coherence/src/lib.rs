//! The second sense: what metric series tell before a request fails. Variance that escalates, values that drift, calls that
//! multiply.
//!
//! Pure statistics over plain data, with time passed in. No I/O, no clock and no randomness of its own; series come from
//! a `Source` of the ports, findings go to Brain as evidence and to Guardrail as reasons.

pub mod anomaly;
pub mod change;
pub mod correlate;
pub mod drift;
pub mod escalation;
pub mod event;
pub mod ewma;
pub mod exhaustion;
pub mod flight;
pub mod lead;
pub mod modal;
pub mod moments;
pub mod report;
pub mod robust;
pub mod rolling;
pub mod season;
pub mod sentinel;
pub mod series;
pub mod sketch;
pub mod spike;
pub mod trend;
pub mod undefined;

#[cfg(test)]
mod tests;
pub mod window;
