//! Real backends behind the ports. None of them knows an agent.

mod answer;
pub mod bus;
pub mod database;
pub mod forge;
pub mod guard;
pub mod ledger;
pub mod llm;
pub mod memory;
pub mod notify;
pub mod policy;
pub mod probe;
pub mod rolling;
pub mod seal_file;
pub mod source;
pub mod store;
pub mod summary;
pub mod upstream;
