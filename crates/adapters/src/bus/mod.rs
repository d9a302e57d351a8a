//! Buses.

pub mod buffered;
pub mod local;
pub mod redis;
