//! What every backend of a port must pass.

pub mod bus;
pub mod forge;
pub mod memory;
pub mod notify;
pub mod store;
