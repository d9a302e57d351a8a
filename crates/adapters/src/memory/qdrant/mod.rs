//! The memory on Qdrant: one collection a kind of vector, one point a lesson, named by its incident.
//!
//! The server keeps lessons and vectors and compares vectors; how rare a word is, is counted here over all lessons, so that the
//! ranking is the embedded memory's. A collection that another embedder filled is refused, not mixed with.

mod wire;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;
use sre_space_domain::ids::Digest;
use sre_space_domain::knowledge::Lesson;
use sre_space_ports::memory::{Match, Memory, MemoryError, Recollection};

use self::wire::Wire;
pub use self::wire::{Address, Point};
use super::bm25::Bm25;
use super::embedder::{Embedder, one};
use super::index::{Candidate, RESCORED, best};
use super::words::words;
use crate::upstream::Upstream;

/// Texts that are embedded and points that are written at once.
const BATCH: usize = 64;

/// Which words are in which point.
#[derive(Default)]
struct Words {
    points: Vec<Point>,
    at: HashMap<Point, usize>,
    sparse: Bm25,
}

impl Words {
    fn add(&mut self, point: Point, text: &str) {
        if !self.at.contains_key(&point) {
            self.at.insert(point.clone(), self.points.len());
            self.points.push(point);
            self.sparse.add(&words(text));
        }
    }
}

/// Lessons on one Qdrant server.
pub struct QdrantMemory {
    wire: Wire,
    embedder: Arc<dyn Embedder>,
    words: RwLock<Words>,
}

impl QdrantMemory {
    /// Connects to the server, and makes the collection if there is none.
    pub async fn open(address: &Address, embedder: Arc<dyn Embedder>) -> Result<Self, MemoryError> {
        let wire = Wire::connect(address, embedder.kind())?;
        wire.refuse_too_old().await?;
        if let Some(other) = wire.others().await?.into_iter().next() {
            let theirs = wire.kind_of(&other).await?;
            return Err(MemoryError::OtherKind { theirs, ours: embedder.kind().to_string() });
        }
        wire.ensure().await?;
        let this = Self { wire, embedder, words: RwLock::default() };
        this.count_words().await?;
        Ok(this)
    }

    /// The server's version and what the memory there is, without changing anything.
    pub async fn look(address: &Address, embedder: &dyn Embedder) -> Result<String, MemoryError> {
        let wire = Wire::connect(address, embedder.kind())?;
        let version = wire.refuse_too_old().await?;
        if let Some(other) = wire.others().await?.into_iter().next() {
            let theirs = wire.kind_of(&other).await?;
            return Err(MemoryError::OtherKind { theirs, ours: embedder.kind().to_string() });
        }
        let lessons = if wire.exists().await? { wire.count().await? } else { 0 };
        Ok(format!("{version}, {lessons} lesson(s)"))
    }

    /// Moves the lessons of every other kind of vector into this one's collection; answers how many it holds then.
    ///
    /// The others are deleted once all of theirs are seen in it: broken off, it can be done again.
    pub async fn reembed(address: &Address, embedder: &dyn Embedder) -> Result<u64, MemoryError> {
        let wire = Wire::connect(address, embedder.kind())?;
        wire.refuse_too_old().await?;
        wire.ensure().await?;
        for other in wire.others().await? {
            let lessons = wire.lessons_of(&other).await?;
            for some in lessons.chunks(BATCH) {
                let texts: Vec<String> = some.iter().map(|lesson| lesson.signature.words()).collect();
                wire.put(some, embedder.embed(&texts).await?).await?;
            }
            let moved = wire.payloads(lessons.iter().map(Point::of).collect()).await?;
            if moved.len() < lessons.len() {
                return Err(MemoryError::Backend(format!("{} of {} were moved", moved.len(), lessons.len()).into()));
            }
            wire.delete(&other).await?;
        }
        wire.count().await
    }

    /// Its breaker.
    pub fn upstream(&self) -> Arc<Upstream> {
        self.wire.upstream()
    }

    fn words(&self) -> RwLockReadGuard<'_, Words> {
        self.words.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the words of all lessons, when there are others than we know.
    async fn count_words(&self) -> Result<(), MemoryError> {
        let known = self.words().points.len() as u64;
        if self.wire.count().await? == known {
            return Ok(());
        }
        let mut fresh = Words::default();
        self.wire.words().await?.into_iter().for_each(|(point, text)| fresh.add(point, &text));
        *self.words.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Points that share words with the question, best first, with how much they share; and what each shares.
    fn sharing(&self, text: &str, most: usize) -> (Vec<Point>, Vec<f64>) {
        let known = self.words();
        let shared = known.sparse.scores(&words(text));
        let found = shared.iter().enumerate().filter(|(_, shared)| **shared > 0.0);
        let candidates = found.map(|(at, shared)| Candidate { at, shared: *shared, cosine: 0.0 }).collect();
        let points = best(candidates, most).into_iter().map(|found| known.points[found.at].clone()).collect();
        (points, shared)
    }
}

#[async_trait]
impl Recollection for QdrantMemory {
    async fn lookup(&self, fingerprint: &Digest) -> Result<Vec<Lesson>, MemoryError> {
        let mut lessons = self.wire.alike(fingerprint).await?;
        // What lies under a fingerprint and is of another was not written by us.
        lessons.retain(|lesson| lesson.signature.fingerprint() == *fingerprint);
        lessons.sort_by(|a, b| b.incident.cmp(&a.incident));
        Ok(lessons)
    }

    async fn nearest(&self, text: &str, k: usize) -> Result<Vec<Match>, MemoryError> {
        let vector = one(self.embedder.as_ref(), text).await?;
        self.count_words().await?;
        let most = RESCORED.max(k.saturating_mul(2));
        let mut cosines = self.wire.nearest(&vector, most, None).await?;
        let (sharing, shared) = self.sharing(text, most);
        let unknown: Vec<Point> = sharing.into_iter().filter(|point| !cosines.contains_key(point)).collect();
        if !unknown.is_empty() {
            cosines.extend(self.wire.nearest(&vector, unknown.len(), Some(unknown)).await?);
        }
        let (points, ranked) = {
            let known = self.words();
            let candidate = |(point, cosine): (&Point, &f64)| {
                let at = *known.at.get(point)?;
                Some(Candidate { at, shared: *shared.get(at)?, cosine: *cosine })
            };
            let ranked = best(cosines.iter().filter_map(candidate).collect(), k);
            (ranked.iter().map(|found| known.points[found.at].clone()).collect::<Vec<_>>(), ranked)
        };
        let mut lessons = self.wire.payloads(points.clone()).await?;
        let matched =
            |(point, found): (&Point, &Candidate)| Some(Match { lesson: lessons.remove(point)?, score: found.score() });
        Ok(points.iter().zip(&ranked).filter_map(matched).collect())
    }

    async fn all(&self) -> Result<Vec<Lesson>, MemoryError> {
        self.wire.lessons().await
    }
}

#[async_trait]
impl Memory for QdrantMemory {
    async fn remember(&self, lesson: &Lesson) -> Result<(), MemoryError> {
        let text = lesson.signature.words();
        let vector = one(self.embedder.as_ref(), &text).await?;
        self.wire.put(std::slice::from_ref(lesson), vec![vector]).await?;
        self.words.write().unwrap_or_else(PoisonError::into_inner).add(Point::of(lesson), &text);
        Ok(())
    }
}
