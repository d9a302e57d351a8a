//! Forges: where the watched repository lives.

pub mod local;
