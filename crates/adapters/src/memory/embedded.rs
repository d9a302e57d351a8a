//! The embedded memory: lessons in the SQL database, found in this process by fingerprint, by words and by vectors.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;
use sre_space_domain::ids::{Digest, IncidentId};
use sre_space_domain::knowledge::Lesson;
use sre_space_ports::memory::{MOST_LESSONS, Match, Memory, MemoryError, Recollection};

use super::embedder::{Embedder, one};
use super::index::{Candidate, best, cosine};
use super::shelf::Shelf;
use crate::database::Database;

/// Texts that are embedded at once.
const BATCH: usize = 64;

/// Lessons of one database.
pub struct EmbeddedMemory {
    database: Arc<Database>,
    embedder: Arc<dyn Embedder>,
    lessons: RwLock<Shelf>,
}

impl EmbeddedMemory {
    /// Reads the lessons of a database. Those of another embedder are refused, not mixed.
    pub async fn open(database: Arc<Database>, embedder: Arc<dyn Embedder>) -> Result<Self, MemoryError> {
        let kind = embedder.kind().clone();
        let mut lessons = Shelf::new(kind.dimension);
        for (written_with, lesson, vector) in rows(&database).await? {
            kind.must_be(&written_with)?;
            let lesson = read(&lesson)?;
            let vector = match embedder.at_once(&lesson.signature.words()) {
                Some(vector) => vector,
                None => unwritten(vector.as_deref(), kind.dimension)?,
            };
            lessons.add(lesson, &vector);
        }
        Ok(Self { database, embedder, lessons: RwLock::new(lessons) })
    }

    /// Writes the vectors of all lessons anew, with this embedder; answers how many there are.
    pub async fn reembed(database: &Database, embedder: &dyn Embedder) -> Result<usize, MemoryError> {
        let rows = rows(database).await?;
        let lessons = rows.iter().map(|(_, lesson, _)| read(lesson)).collect::<Result<Vec<_>, _>>()?;
        let mut transaction = database.begin().await.map_err(backend)?;
        for some in lessons.chunks(BATCH) {
            let texts: Vec<String> = some.iter().map(|lesson| lesson.signature.words()).collect();
            for (lesson, vector) in some.iter().zip(embedder.embed(&texts).await?) {
                let vector = embedder.at_once("").is_none().then(|| written(&vector));
                let update = "UPDATE lessons SET embedder = $1, vector = $2 WHERE incident = $3";
                let update = sqlx::query(update).bind(embedder.kind().to_string()).bind(vector);
                update.bind(lesson.incident.as_str()).execute(&mut *transaction).await.map_err(backend)?;
            }
        }
        transaction.commit().await.map_err(backend)?;
        Ok(lessons.len())
    }

    fn lessons(&self) -> RwLockReadGuard<'_, Shelf> {
        self.lessons.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lesson's vector as it was made, not as bytes.
    async fn exact(&self, incident: &IncidentId, words: &str) -> Result<Vec<f32>, MemoryError> {
        if let Some(vector) = self.embedder.at_once(words) {
            return Ok(vector);
        }
        let asked = sqlx::query_scalar("SELECT vector FROM lessons WHERE incident = $1").bind(incident.as_str());
        let stored: Option<String> = asked.fetch_one(self.database.readers()).await.map_err(backend)?;
        unwritten(stored.as_deref(), self.embedder.kind().dimension)
    }
}

/// Embedder, lesson and vector of every row, oldest first.
async fn rows(database: &Database) -> Result<Vec<(String, String, Option<String>)>, MemoryError> {
    let most = i64::try_from(MOST_LESSONS).unwrap_or(i64::MAX);
    let asked = sqlx::query_as("SELECT embedder, lesson, vector FROM lessons ORDER BY incident LIMIT $1").bind(most);
    asked.fetch_all(database.readers()).await.map_err(backend)
}

fn backend(error: impl std::error::Error + Send + Sync + 'static) -> MemoryError {
    MemoryError::Backend(Box::new(error))
}

fn read(stored: &str) -> Result<Lesson, MemoryError> {
    serde_json::from_str(stored).map_err(|error| MemoryError::Corrupt(error.to_string()))
}

/// A vector as text, eight hexadecimal digits a number.
fn written(vector: &[f32]) -> String {
    vector.iter().map(|value| format!("{:08x}", value.to_bits())).collect()
}

fn unwritten(stored: Option<&str>, dimension: usize) -> Result<Vec<f32>, MemoryError> {
    let number = |digits: &[u8; 8]| {
        let text = std::str::from_utf8(digits).ok()?;
        u32::from_str_radix(text, 16).ok().map(f32::from_bits).filter(|value| value.is_finite())
    };
    let (numbers, rest) = stored.unwrap_or_default().as_bytes().as_chunks::<8>();
    let vector: Option<Vec<f32>> = numbers.iter().map(number).collect();
    let whole = vector.filter(|vector| vector.len() == dimension && rest.is_empty());
    whole.ok_or_else(|| MemoryError::Corrupt("its vector is not one".into()))
}

#[async_trait]
impl Recollection for EmbeddedMemory {
    async fn lookup(&self, fingerprint: &Digest) -> Result<Vec<Lesson>, MemoryError> {
        Ok(self.lessons().lookup(fingerprint))
    }

    async fn nearest(&self, text: &str, k: usize) -> Result<Vec<Match>, MemoryError> {
        let vector = one(self.embedder.as_ref(), text).await?;
        let found: Vec<(Candidate, Lesson)> = {
            let lessons = self.lessons();
            let found = lessons.candidates((text, &vector), k);
            found.into_iter().map(|found| (found, lessons.all()[found.at].clone())).collect()
        };
        let mut exact = Vec::with_capacity(found.len());
        for (candidate, lesson) in &found {
            let theirs = self.exact(&lesson.incident, &lesson.signature.words()).await?;
            exact.push(Candidate { cosine: cosine(&vector, &theirs), ..*candidate });
        }
        let lesson =
            |at: usize| found.iter().find(|(candidate, _)| candidate.at == at).map(|(_, lesson)| lesson.clone());
        let matched = |best: Candidate| Some(Match { lesson: lesson(best.at)?, score: best.score() });
        Ok(best(exact, k).into_iter().filter_map(matched).collect())
    }

    async fn all(&self) -> Result<Vec<Lesson>, MemoryError> {
        Ok(self.lessons().all().to_vec())
    }
}

#[async_trait]
impl Memory for EmbeddedMemory {
    async fn remember(&self, lesson: &Lesson) -> Result<(), MemoryError> {
        let stored = serde_json::to_string(lesson).map_err(|error| MemoryError::Corrupt(error.to_string()))?;
        let words = lesson.signature.words();
        let vector = one(self.embedder.as_ref(), &words).await?;
        let kept = self.embedder.at_once(&words).is_none().then(|| written(&vector));
        let mut transaction = self.database.begin().await.map_err(backend)?;
        let insert = "INSERT INTO lessons (incident, embedder, lesson, vector) VALUES ($1, $2, $3, $4)
                      ON CONFLICT DO NOTHING";
        let insert = sqlx::query(insert).bind(lesson.incident.as_str()).bind(self.embedder.kind().to_string());
        let written = insert.bind(stored).bind(kept).execute(&mut *transaction).await.map_err(backend)?;
        transaction.commit().await.map_err(backend)?;
        if written.rows_affected() > 0 {
            self.lessons.write().unwrap_or_else(PoisonError::into_inner).add(lesson.clone(), &vector);
        }
        Ok(())
    }
}
