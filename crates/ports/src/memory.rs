//! The incident memory: exact look-up by fingerprint, and the nearest lessons by text.

use async_trait::async_trait;
use sre_space_domain::ids::Digest;
use sre_space_domain::knowledge::Lesson;
use thiserror::Error;

/// Lessons of one fingerprint that are looked at: the newest.
pub const MOST_ALIKE: usize = 100;
/// Lessons that a memory keeps in view.
pub const MOST_LESSONS: usize = 200_000;

/// A lesson and how near it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The lesson.
    pub lesson: Lesson,
    /// How near, at most 1: the mean of shared words and of the cosine of the vectors, each 1 for the same text.
    pub score: f64,
}

/// Why the memory did not do it.
#[derive(Debug, Error)]
pub enum MemoryError {
    /// The backend refused or is unreachable.
    #[error("the memory failed: {0}")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored lesson is not what was written.
    #[error("a stored lesson cannot be read: {0}")]
    Corrupt(String),
    /// The backend says no, and will again.
    #[error("the memory is refused: {0}")]
    Refused(String),
    /// Its vectors are of another kind, and kinds are not mixed.
    #[error(
        "the memory was written with the embedder {theirs} and this is {ours}: run `sre-space memory reembed`, or set \
         the embedder back"
    )]
    OtherKind {
        /// What it was written with.
        theirs: String,
        /// What is configured.
        ours: String,
    },
}

impl MemoryError {
    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Backend(_) => true,
            Self::Corrupt(_) | Self::Refused(_) | Self::OtherKind { .. } => false,
        }
    }
}

/// Reads lessons; any agent may.
#[async_trait]
pub trait Recollection: Send + Sync {
    /// Lessons with exactly this fingerprint, newest first, at most [`MOST_ALIKE`].
    async fn lookup(&self, fingerprint: &Digest) -> Result<Vec<Lesson>, MemoryError>;
    /// The `k` lessons nearest to a text of our own words, best first.
    async fn nearest(&self, text: &str, k: usize) -> Result<Vec<Match>, MemoryError>;
    /// Every lesson, oldest first, at most [`MOST_LESSONS`].
    async fn all(&self) -> Result<Vec<Lesson>, MemoryError>;
}

/// Writes lessons; only Curator holds one.
///
/// Promise: what was remembered survives a restart; remembering one incident twice leaves one lesson.
#[async_trait]
pub trait Memory: Recollection {
    /// Stores a lesson.
    async fn remember(&self, lesson: &Lesson) -> Result<(), MemoryError>;
}
