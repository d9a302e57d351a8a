//! Buses.

pub mod local;
