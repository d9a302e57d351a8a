//! Stores.

pub mod sql;
