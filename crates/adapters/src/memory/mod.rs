//! Memories, and what they find with.

pub mod bm25;
pub mod embed;
pub mod embedded;
pub mod embedder;
pub mod index;
pub mod qdrant;
pub mod remote;
pub mod scan;
#[cfg(feature = "local-embedder")]
pub mod sentence;
pub mod shelf;
pub mod words;
