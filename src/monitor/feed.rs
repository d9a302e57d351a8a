//! Live events: the journal, followed. What a watcher misses it reads again from the journal, so there are no gaps.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use sre_space_domain::journal::Entry;
use sre_space_ports::store::Store;
use tokio::sync::watch;

/// Rows a new watcher is shown of what was before.
const HISTORY: u64 = 200;
/// Rows read at once.
const BATCH: u32 = 200;
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Tells watchers that the journal grew. They read it themselves: a slow one holds nobody up and loses nothing.
pub struct Feed {
    store: Arc<dyn Store>,
    last: watch::Sender<u64>,
}

impl Feed {
    /// A feed over a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, last: watch::Sender::new(0) }
    }

    /// Tells every watcher of new rows.
    pub fn show(&self, entries: &[Entry]) {
        if let Some(entry) = entries.last() {
            self.last.send_modify(|last| *last = (*last).max(entry.seq));
        }
    }

    /// Rows after `after`, then all that come; `None` starts with recent history.
    pub async fn follow(self: Arc<Self>, after: Option<u64>) -> impl Stream<Item = Entry> {
        let after = match after {
            Some(after) => after,
            None => self.store.newest().await.unwrap_or_default().saturating_sub(HISTORY),
        };
        let grown = self.last.subscribe();
        futures::stream::unfold(
            (self, grown, after, VecDeque::new()),
            |(feed, mut grown, mut after, mut ready)| async move {
                loop {
                    if let Some(entry) = ready.pop_front() {
                        let entry: Entry = entry;
                        after = entry.seq;
                        return Some((entry, (feed, grown, after, ready)));
                    }
                    grown.borrow_and_update();
                    ready.extend(feed.store.journal(after, BATCH, None).await.unwrap_or_default());
                    if ready.is_empty() && grown.changed().await.is_err() {
                        return None;
                    }
                }
            },
        )
    }

    /// The rows as server-sent events.
    pub async fn events(self: Arc<Self>, after: Option<u64>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
        use futures::StreamExt as _;
        let events = self.follow(after).await.map(|entry| {
            let data = serde_json::to_string(&entry).unwrap_or_default();
            Ok(Event::default().id(entry.seq.to_string()).data(data))
        });
        Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))
    }
}
