//! The second sense: what metric series tell before a request fails. Variance that escalates, values that drift, calls that
//! multiply.
//!
//! Pure statistics over plain data, with time passed in. No I/O, no clock and no randomness of its own; series come from
//! a `Source` of the ports, findings go to Brain as evidence and to Guardrail as reasons.

pub mod escalation;
pub mod ewma;
pub mod exhaustion;
pub mod moments;
pub mod robust;
pub mod rolling;
pub mod series;
pub mod spike;
pub mod trend;
pub mod undefined;
