//! The embedded memory: lessons in the SQL database, vectors scanned exactly in memory.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use sre_space_domain::ids::Digest;
use sre_space_domain::knowledge::{Lesson, Signature};
use sre_space_ports::memory::{Match, Memory, MemoryError, Recollection};

use super::embed::{self, cosine};
use crate::database::Database;

/// Lessons of one database.
pub struct EmbeddedMemory {
    database: Arc<Database>,
    lessons: RwLock<Vec<(Lesson, Vec<f32>)>>,
}

impl EmbeddedMemory {
    /// Reads the lessons of a database. Those of another embedder are refused, not mixed.
    pub async fn open(database: Arc<Database>) -> Result<Self, MemoryError> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT embedder, lesson FROM lessons ORDER BY incident")
            .fetch_all(database.readers())
            .await
            .map_err(backend)?;
        let lessons = rows.into_iter().map(|(embedder, lesson)| read(&embedder, &lesson)).collect::<Result<_, _>>()?;
        Ok(Self { database, lessons: RwLock::new(lessons) })
    }
}

fn backend(error: impl std::error::Error + Send + Sync + 'static) -> MemoryError {
    MemoryError::Backend(Box::new(error))
}

fn read(embedder: &str, stored: &str) -> Result<(Lesson, Vec<f32>), MemoryError> {
    if embedder != embed::NAME {
        let ours = embed::NAME;
        return Err(MemoryError::Corrupt(format!(
            "embedded by {embedder}, this is {ours}: export and import the memory"
        )));
    }
    let lesson: Lesson = serde_json::from_str(stored).map_err(|error| MemoryError::Corrupt(error.to_string()))?;
    let vector = embed::embed(&words(&lesson.signature));
    Ok((lesson, vector))
}

/// What a lesson is found by: the words of its signature, ours and the owners' names.
fn words(signature: &Signature) -> String {
    let Signature { service, operation, kind, facts } = signature;
    format!("{} {service} {operation} {}", kind.as_str(), facts.join(" "))
}

#[async_trait]
impl Recollection for EmbeddedMemory {
    async fn lookup(&self, fingerprint: &Digest) -> Result<Vec<Lesson>, MemoryError> {
        let lessons = self.lessons.read().unwrap_or_else(PoisonError::into_inner);
        let hits = lessons.iter().rev().filter(|(lesson, _)| lesson.signature.fingerprint() == *fingerprint);
        Ok(hits.map(|(lesson, _)| lesson.clone()).collect())
    }

    async fn nearest(&self, text: &str, k: usize) -> Result<Vec<Match>, MemoryError> {
        let asked = embed::embed(text);
        let lessons = self.lessons.read().unwrap_or_else(PoisonError::into_inner);
        let mut scored: Vec<(f64, &Lesson)> =
            lessons.iter().map(|(lesson, vector)| (cosine(&asked, vector), lesson)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        Ok(scored.into_iter().take(k).map(|(score, lesson)| Match { lesson: lesson.clone(), score }).collect())
    }
}

#[async_trait]
impl Memory for EmbeddedMemory {
    async fn remember(&self, lesson: &Lesson) -> Result<(), MemoryError> {
        let stored = serde_json::to_string(lesson).map_err(|error| MemoryError::Corrupt(error.to_string()))?;
        let mut transaction = self.database.begin().await.map_err(backend)?;
        let insert = "INSERT INTO lessons (incident, embedder, lesson) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(insert).bind(lesson.incident.as_str()).bind(embed::NAME).bind(stored);
        let written = insert.execute(&mut *transaction).await.map_err(backend)?;
        transaction.commit().await.map_err(backend)?;
        if written.rows_affected() > 0 {
            let vector = embed::embed(&words(&lesson.signature));
            self.lessons.write().unwrap_or_else(PoisonError::into_inner).push((lesson.clone(), vector));
        }
        Ok(())
    }
}
