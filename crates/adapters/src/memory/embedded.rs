//! The embedded memory: lessons in SQLite, vectors scanned exactly in memory.

use std::path::Path;
use std::sync::{PoisonError, RwLock};

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sre_space_domain::ids::Digest;
use sre_space_domain::knowledge::{Lesson, Signature};
use sre_space_ports::memory::{Match, Memory, MemoryError, Recollection};

use super::embed::{self, cosine};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS lessons (
    incident TEXT PRIMARY KEY, embedder TEXT NOT NULL, lesson TEXT NOT NULL
);";

/// Lessons of one data directory.
pub struct EmbeddedMemory {
    pool: SqlitePool,
    lessons: RwLock<Vec<(Lesson, Vec<f32>)>>,
}

impl EmbeddedMemory {
    /// Opens or creates the memory at `path`. Lessons of another embedder are refused, not mixed.
    pub async fn open(path: &Path) -> Result<Self, MemoryError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(backend)?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await.map_err(backend)?;
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT embedder, lesson FROM lessons ORDER BY incident")
            .fetch_all(&pool)
            .await
            .map_err(backend)?;
        let lessons = rows.into_iter().map(|(embedder, lesson)| read(&embedder, &lesson)).collect::<Result<_, _>>()?;
        Ok(Self { pool, lessons: RwLock::new(lessons) })
    }
}

fn backend(error: sqlx::Error) -> MemoryError {
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
        let written =
            sqlx::query("INSERT INTO lessons (incident, embedder, lesson) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")
                .bind(lesson.incident.as_str())
                .bind(embed::NAME)
                .bind(stored)
                .execute(&self.pool)
                .await
                .map_err(backend)?;
        if written.rows_affected() > 0 {
            let vector = embed::embed(&words(&lesson.signature));
            self.lessons.write().unwrap_or_else(PoisonError::into_inner).push((lesson.clone(), vector));
        }
        Ok(())
    }
}
