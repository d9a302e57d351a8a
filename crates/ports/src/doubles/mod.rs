//! In-memory stand-ins that record what they were asked.

pub mod forge;
pub mod notify;
