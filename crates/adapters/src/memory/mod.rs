//! Memories, and what they find with.

pub mod bm25;
pub mod embed;
pub mod embedded;
pub mod index;
pub mod scan;
pub mod words;
