//! The embedded memory: lessons in the SQL database, found in memory by fingerprint, by words and by vectors.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use sre_space_domain::ids::Digest;
use sre_space_domain::knowledge::{Lesson, Signature};
use sre_space_ports::memory::{Match, Memory, MemoryError, Recollection};

use super::embed::{self, embed};
use super::index::Index;
use crate::database::Database;

/// All lessons, oldest first, and the ways to them.
struct Lessons {
    all: Vec<Lesson>,
    by_fingerprint: HashMap<Digest, Vec<usize>>,
    index: Index,
}

impl Default for Lessons {
    fn default() -> Self {
        Self { all: Vec::new(), by_fingerprint: HashMap::new(), index: Index::new(embed::DIMENSION) }
    }
}

impl Lessons {
    fn add(&mut self, lesson: Lesson) {
        let text = words(&lesson.signature);
        self.index.add(&text, &embed(&text));
        self.by_fingerprint.entry(lesson.signature.fingerprint()).or_default().push(self.all.len());
        self.all.push(lesson);
    }
}

/// Lessons of one database.
pub struct EmbeddedMemory {
    database: Arc<Database>,
    lessons: RwLock<Lessons>,
}

impl EmbeddedMemory {
    /// Reads the lessons of a database. Those of another embedder are refused, not mixed.
    pub async fn open(database: Arc<Database>) -> Result<Self, MemoryError> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT embedder, lesson FROM lessons ORDER BY incident")
            .fetch_all(database.readers())
            .await
            .map_err(backend)?;
        let mut lessons = Lessons::default();
        for (embedder, lesson) in rows {
            lessons.add(read(&embedder, &lesson)?);
        }
        Ok(Self { database, lessons: RwLock::new(lessons) })
    }
}

fn backend(error: impl std::error::Error + Send + Sync + 'static) -> MemoryError {
    MemoryError::Backend(Box::new(error))
}

fn read(embedder: &str, stored: &str) -> Result<Lesson, MemoryError> {
    if embedder != embed::NAME {
        let ours = embed::NAME;
        return Err(MemoryError::Corrupt(format!(
            "embedded by {embedder}, this is {ours}: export and import the memory"
        )));
    }
    serde_json::from_str(stored).map_err(|error| MemoryError::Corrupt(error.to_string()))
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
        let found = lessons.by_fingerprint.get(fingerprint).map(Vec::as_slice).unwrap_or_default();
        Ok(found.iter().rev().map(|at| lessons.all[*at].clone()).collect())
    }

    async fn nearest(&self, text: &str, k: usize) -> Result<Vec<Match>, MemoryError> {
        let lessons = self.lessons.read().unwrap_or_else(PoisonError::into_inner);
        let exact = |at: usize| embed(&words(&lessons.all[at].signature));
        let found = lessons.index.nearest((text, &embed(text)), k, exact);
        Ok(found.into_iter().map(|(at, score)| Match { lesson: lessons.all[at].clone(), score }).collect())
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
            self.lessons.write().unwrap_or_else(PoisonError::into_inner).add(lesson.clone());
        }
        Ok(())
    }
}
