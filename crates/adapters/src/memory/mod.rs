//! Memories.

pub mod embed;
pub mod embedded;
