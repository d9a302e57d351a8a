//! What the house asks of the world: one trait a file, its messages, its error.
//!
//! Every adapter of a port passes that port's contract (feature `contract`); agents are tested against the doubles
//! (feature `doubles`).

pub mod around;
pub mod bus;
pub mod forge;
pub mod ledger;
pub mod llm;
pub mod memory;
pub mod notify;
pub mod policy;
pub mod probe;
pub mod rolling;
pub mod signals;
pub mod source;
pub mod store;
pub mod summary;

#[cfg(feature = "contract")]
pub mod contract;
#[cfg(feature = "doubles")]
pub mod doubles;
