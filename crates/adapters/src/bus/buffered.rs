//! A bus that keeps what the server behind another bus cannot take right now, within a bound, and publishes it when it can.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sre_space_ports::bus::{Bus, BusError, BusStatus, Feed, Message, Topic};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{info, warn};

/// Between two tries while the server is away, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What waits, oldest first.
#[derive(Default)]
struct Held {
    messages: VecDeque<(Topic, Message)>,
    bytes: usize,
    why: String,
}

/// The bus in front of another.
pub struct Buffered {
    inner: Arc<dyn Bus>,
    most_bytes: usize,
    held: Mutex<Held>,
    came: Notify,
}

impl Buffered {
    /// Holds at most so many bytes of payload while `inner` is away; beyond that it is full.
    pub fn new(inner: Arc<dyn Bus>, most_bytes: usize) -> Self {
        Self { inner, most_bytes, held: Mutex::default(), came: Notify::new() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, topic: Topic, message: Message, why: Option<String>) -> Result<(), BusError> {
        let mut held = self.held();
        if held.bytes + message.body.len() > self.most_bytes {
            return Err(BusError::Full(topic.name()));
        }
        if let Some(why) = why {
            if held.messages.is_empty() {
                warn!(why, "the bus is away; messages are held until it is back");
            }
            held.why = why;
        }
        held.bytes += message.body.len();
        held.messages.push_back((topic, message));
        drop(held);
        self.came.notify_one();
        Ok(())
    }

    fn oldest(&self) -> Option<(Topic, Message)> {
        self.held().messages.front().cloned()
    }

    fn published(&self) {
        let mut held = self.held();
        if let Some((_, message)) = held.messages.pop_front() {
            held.bytes -= message.body.len();
        }
        if held.messages.is_empty() {
            info!("the bus is back; nothing is held any more");
        }
    }
}

#[async_trait]
impl Bus for Buffered {
    async fn publish(&self, topic: Topic, message: Message) -> Result<(), BusError> {
        // What is held goes first, or messages of one key would overtake each other.
        let is_holding = !self.held().messages.is_empty();
        if is_holding {
            return self.hold(topic, message, None);
        }
        match self.inner.publish(topic, message.clone()).await {
            Err(BusError::Unreachable(why)) => self.hold(topic, message, Some(why.to_string())),
            done => done,
        }
    }

    async fn health(&self) -> Result<(), BusError> {
        match self.status().trouble {
            Some(trouble) => Err(BusError::Unreachable(trouble.into())),
            None => self.inner.health().await,
        }
    }

    fn status(&self) -> BusStatus {
        let (status, held) = (self.inner.status(), self.held());
        let count = held.messages.len();
        let trouble = || (count > 0).then(|| format!("{count} messages are held until it is back: {}", held.why));
        BusStatus { held: status.held + count, trouble: status.trouble.or_else(trouble), ..status }
    }

    async fn tend(&self) {
        let publish = async {
            let mut wait = AGAIN.0;
            loop {
                let came = self.came.notified();
                let Some((topic, message)) = self.oldest() else {
                    came.await;
                    continue;
                };
                match self.inner.publish(topic, message).await {
                    Err(error) if error.is_transient() => {
                        sleep(wait).await;
                        wait = (2 * wait).min(AGAIN.1);
                    }
                    done => {
                        if let Err(error) = done {
                            warn!(topic = topic.name(), %error, "a held message is lost");
                        }
                        self.published();
                        wait = AGAIN.0;
                    }
                }
            }
        };
        tokio::join!(publish, self.inner.tend()).1
    }

    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Feed>, BusError> {
        self.inner.subscribe(topic, group).await
    }
}

impl Drop for Buffered {
    fn drop(&mut self) {
        let lost = self.held().messages.len();
        if lost > 0 {
            warn!(lost, "the bus was away until the end: held messages are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use bytes::Bytes;

    use super::super::local::LocalBus;
    use super::*;

    /// A bus whose server can be away.
    struct Fickle {
        inner: LocalBus,
        is_away: AtomicBool,
    }

    #[async_trait]
    impl Bus for Fickle {
        async fn publish(&self, topic: Topic, message: Message) -> Result<(), BusError> {
            match self.is_away.load(Ordering::Relaxed) {
                true => Err(BusError::Unreachable("gone".into())),
                false => self.inner.publish(topic, message).await,
            }
        }

        async fn health(&self) -> Result<(), BusError> {
            self.inner.health().await
        }

        fn status(&self) -> BusStatus {
            self.inner.status()
        }

        async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Feed>, BusError> {
            self.inner.subscribe(topic, group).await
        }
    }

    fn message(number: u8) -> Message {
        Message { key: String::new(), source: String::new(), received_ms: 0, body: Bytes::from(vec![number; 10]) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_cannot_take_is_held_within_the_bound_and_published_in_order() {
        let fickle = Arc::new(Fickle { inner: LocalBus::new(100), is_away: AtomicBool::new(false) });
        let bus = Buffered::new(fickle.clone(), 45);
        let mut feed = bus.subscribe(Topic::Spans, "scout").await.expect("subscribed");
        bus.publish(Topic::Spans, message(0)).await.expect("taken");
        fickle.is_away.store(true, Ordering::Relaxed);
        for number in 1..=4 {
            bus.publish(Topic::Spans, message(number)).await.expect("held");
        }
        assert!(matches!(bus.publish(Topic::Spans, message(9)).await, Err(BusError::Full(_))));
        assert_eq!(bus.status().held, 4);
        assert!(bus.health().await.expect_err("away").to_string().contains("4 messages are held"));
        fickle.is_away.store(false, Ordering::Relaxed);
        bus.publish(Topic::Spans, message(5)).await.expect_err("full, though the server is back");
        let mut read = Vec::new();
        let reading = async {
            while read.len() < 5 {
                read.push(feed.next().await.expect("a message").message.body[0]);
            }
        };
        tokio::select! {
            () = bus.tend() => {}
            () = reading => {}
        }
        assert_eq!(read, [0, 1, 2, 3, 4]);
        assert_eq!((bus.status().held, bus.health().await.is_ok()), (0, true));
    }
}
