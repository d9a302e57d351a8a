//! Lessons in this process, and the ways to them: by fingerprint, by words and by vectors.

use std::collections::HashMap;

use sre_space_domain::ids::Digest;
use sre_space_domain::knowledge::Lesson;
use sre_space_ports::memory::MOST_ALIKE;

use super::index::{Candidate, Index};

/// All lessons, oldest first.
pub struct Shelf {
    all: Vec<Lesson>,
    by_fingerprint: HashMap<Digest, Vec<usize>>,
    index: Index,
}

impl Shelf {
    /// An empty one, for vectors of this dimension.
    pub fn new(dimension: usize) -> Self {
        Self { all: Vec::new(), by_fingerprint: HashMap::new(), index: Index::new(dimension) }
    }

    /// Puts the next lesson on it, with the vector of its words.
    pub fn add(&mut self, lesson: Lesson, vector: &[f32]) {
        self.index.add(&lesson.signature.words(), vector);
        self.by_fingerprint.entry(lesson.signature.fingerprint()).or_default().push(self.all.len());
        self.all.push(lesson);
    }

    /// Every lesson.
    pub fn all(&self) -> &[Lesson] {
        &self.all
    }

    /// Lessons of a fingerprint, newest first.
    pub fn lookup(&self, fingerprint: &Digest) -> Vec<Lesson> {
        let found = self.by_fingerprint.get(fingerprint).map(Vec::as_slice).unwrap_or_default();
        found.iter().rev().take(MOST_ALIKE).map(|at| self.all[*at].clone()).collect()
    }

    /// What the `k` nearest are certainly among; cosines are those of bytes.
    pub fn candidates(&self, question: (&str, &[f32]), k: usize) -> Vec<Candidate> {
        self.index.candidates(question, k)
    }
}
