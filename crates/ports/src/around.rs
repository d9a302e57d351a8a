//! A port around the same port: something that is done about every call, whichever it is.

use std::sync::Arc;

use async_trait::async_trait;
use sre_space_coherence::event::SignalEvent;
use sre_space_domain::ids::{Digest, IncidentId};
use sre_space_domain::journal::Entry;
use sre_space_domain::knowledge::{Lesson, RemedyKey, TrackRecord};

use crate::bus::{Bus, BusError, BusStatus, Feed, Message, Topic};
use crate::memory::{Match, Memory, MemoryError, Recollection};
use crate::signals::{Past, PastIncident, Rows, SignalStore, Span};
use crate::source::Reading;
use crate::store::{Filter, Record, Store, StoreError, Write};

/// What is done about calls that fail with `E`.
pub trait Around<E>: Send + Sync {
    /// Makes the call by polling `work`, or does not, and answers for it.
    fn around<T: Send>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> impl Future<Output = Result<T, E>> + Send;
}

/// A port with something around it.
pub struct Wrapped<Port: ?Sized, A> {
    inner: Arc<Port>,
    with: A,
}

impl<Port: ?Sized, A> Wrapped<Port, A> {
    /// Puts `with` around every call of `inner` that can fail.
    pub fn new(inner: Arc<Port>, with: A) -> Self {
        Self { inner, with }
    }
}

#[async_trait]
impl<A: Around<StoreError>> Store for Wrapped<dyn Store, A> {
    async fn commit(&self, write: Write) -> Result<Vec<Entry>, StoreError> {
        self.with.around(self.inner.commit(write)).await
    }

    async fn incident(&self, id: &IncidentId) -> Result<Option<Record>, StoreError> {
        self.with.around(self.inner.incident(id)).await
    }

    async fn unfinished(&self) -> Result<Vec<Record>, StoreError> {
        self.with.around(self.inner.unfinished()).await
    }

    async fn incidents(&self, filter: Filter) -> Result<Vec<Record>, StoreError> {
        self.with.around(self.inner.incidents(filter)).await
    }

    async fn journal(&self, after: u64, limit: u32, incident: Option<&IncidentId>) -> Result<Vec<Entry>, StoreError> {
        self.with.around(self.inner.journal(after, limit, incident)).await
    }

    async fn newest(&self) -> Result<u64, StoreError> {
        self.with.around(self.inner.newest()).await
    }

    async fn track_record(&self, key: &RemedyKey) -> Result<TrackRecord, StoreError> {
        self.with.around(self.inner.track_record(key)).await
    }
}

#[async_trait]
impl<A: Around<StoreError>> SignalStore for Wrapped<dyn SignalStore, A> {
    async fn put(&self, rows: Rows<'_>) -> Result<(), StoreError> {
        self.with.around(self.inner.put(rows)).await
    }

    async fn metrics(&self, span: Span) -> Result<Vec<Reading>, StoreError> {
        self.with.around(self.inner.metrics(span)).await
    }

    async fn events(&self, span: Span) -> Result<Vec<SignalEvent>, StoreError> {
        self.with.around(self.inner.events(span)).await
    }

    async fn incidents(&self, span: Span, which: Past) -> Result<Vec<PastIncident>, StoreError> {
        self.with.around(self.inner.incidents(span, which)).await
    }

    async fn newest_ms(&self) -> Result<Option<i64>, StoreError> {
        self.with.around(self.inner.newest_ms()).await
    }
}

#[async_trait]
impl<A: Around<MemoryError>> Recollection for Wrapped<dyn Memory, A> {
    async fn lookup(&self, fingerprint: &Digest) -> Result<Vec<Lesson>, MemoryError> {
        self.with.around(self.inner.lookup(fingerprint)).await
    }

    async fn nearest(&self, text: &str, k: usize) -> Result<Vec<Match>, MemoryError> {
        self.with.around(self.inner.nearest(text, k)).await
    }

    async fn all(&self) -> Result<Vec<Lesson>, MemoryError> {
        self.with.around(self.inner.all()).await
    }
}

#[async_trait]
impl<A: Around<MemoryError>> Memory for Wrapped<dyn Memory, A> {
    async fn remember(&self, lesson: &Lesson) -> Result<(), MemoryError> {
        self.with.around(self.inner.remember(lesson)).await
    }
}

/// Feeds read by themselves and are as they were.
#[async_trait]
impl<A: Around<BusError>> Bus for Wrapped<dyn Bus, A> {
    async fn publish(&self, topic: Topic, message: Message) -> Result<(), BusError> {
        self.with.around(self.inner.publish(topic, message)).await
    }

    async fn health(&self) -> Result<(), BusError> {
        self.with.around(self.inner.health()).await
    }

    fn status(&self) -> BusStatus {
        self.inner.status()
    }

    async fn tend(&self) {
        self.inner.tend().await;
    }

    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Feed>, BusError> {
        self.with.around(self.inner.subscribe(topic, group)).await
    }
}
