//! In-memory stand-ins that record what they were asked.

pub mod forge;
pub mod ledger;
pub mod llm;
pub mod notify;
pub mod signals;
pub mod source;
