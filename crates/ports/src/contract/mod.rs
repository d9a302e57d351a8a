//! What every backend of a port must pass.

pub mod bus;
pub mod forge;
pub mod ledger;
pub mod llm;
pub mod memory;
pub mod notify;
pub mod rolling;
pub mod signals;
pub mod source;
pub mod store;
