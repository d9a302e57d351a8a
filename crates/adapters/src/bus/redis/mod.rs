//! The bus on Redis Streams: one stream a topic, one consumer group a group.
//!
//! A stream holds at most `capacity` entries that some group has not acknowledged; then publishing is refused. What all groups have
//! acknowledged is let go at once. What a feed left behind unacknowledged comes again to the next feed of the same consumer;
//! what a consumer left behind that does not come back is claimed once it has been idle for long enough. An entry that was
//! delivered five times in vain goes to the topic's dead letters, `TOPIC.dead`.

mod feed;
mod look;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client, RedisError, RedisResult, Script};
use sre_space_domain::ids::Digest;
use sre_space_ports::bus::{Bus, BusError, BusStatus, Feed, Message, Topic};

use self::feed::{Reader, RedisFeed};
use super::MOST_BYTES;

/// How long an answer of the server is waited for.
const ANSWER: Duration = Duration::from_secs(2);
/// Seconds within which the same message published twice is taken once.
const MARKED_S: u64 = 120;

/// How the streams are used.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Most entries of a stream that some group has not acknowledged.
    pub capacity: usize,
    /// What another consumer has not acknowledged for so long is claimed; longer than the slowest handler takes.
    pub idle: Duration,
    /// Name of this consumer; the same after a restart.
    pub consumer: String,
}

/// The server's side of the promises, each in one step.
struct Scripts {
    publish: Script,
    acknowledge: Script,
    bury: Script,
}

impl Scripts {
    fn new() -> Self {
        Self {
            publish: Script::new(include_str!("publish.lua")),
            acknowledge: Script::new(concat!(include_str!("let_go.lua"), include_str!("acknowledge.lua"))),
            bury: Script::new(concat!(include_str!("let_go.lua"), include_str!("bury.lua"))),
        }
    }
}

/// The bus on one Redis server.
pub struct RedisBus {
    client: Client,
    publisher: ConnectionManager,
    scripts: Arc<Scripts>,
    terms: Terms,
}

impl RedisBus {
    /// Connects to the server, and fails if it does not answer.
    pub async fn connect(url: &str, terms: Terms) -> Result<Self, BusError> {
        let client = Client::open(url).map_err(lost)?;
        let publisher = manager(&client, ANSWER).await.map_err(lost)?;
        Ok(Self { client, publisher, scripts: Arc::new(Scripts::new()), terms })
    }

    /// What the server of a URL says of itself, and of streams that are full because a group does not read any more.
    pub async fn look(url: &str) -> Result<String, BusError> {
        let client = Client::open(url).map_err(lost)?;
        look::at(&mut manager(&client, ANSWER).await.map_err(lost)?).await
    }
}

/// A connection that comes back by itself. Whoever asks while it is gone hears so soon.
async fn manager(client: &Client, answer: Duration) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_millis(500))
        .set_connection_timeout(Some(ANSWER))
        .set_response_timeout(Some(answer));
    client.get_connection_manager_with_config(config).await
}

fn lost(error: RedisError) -> BusError {
    BusError::Unreachable(Box::new(error))
}

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, topic: Topic, message: Message) -> Result<(), BusError> {
        let Message { key, source, received_ms, body } = &message;
        if body.len() > MOST_BYTES {
            return Err(BusError::TooLarge(body.len()));
        }
        let mark = Digest::of([key.as_bytes(), source.as_bytes(), &received_ms.to_be_bytes(), body.as_ref()]);
        let mut publish = self.scripts.publish.prepare_invoke();
        // The braces keep both keys on one node of a cluster.
        publish.key(topic.name()).key(format!("{{{}}}:taken:{mark}", topic.name()));
        publish.arg(self.terms.capacity).arg(MARKED_S).arg(key).arg(source).arg(*received_ms).arg(body.as_ref());
        let is_taken: bool = publish.invoke_async(&mut self.publisher.clone()).await.map_err(lost)?;
        if is_taken { Ok(()) } else { Err(BusError::Full(topic.name())) }
    }

    async fn health(&self) -> Result<(), BusError> {
        self.publisher.clone().ping::<String>().await.map(|_| ()).map_err(lost)
    }

    fn status(&self) -> BusStatus {
        BusStatus { backend: "redis", held: 0, trouble: None }
    }

    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Feed>, BusError> {
        let connection = manager(&self.client, feed::BLOCK + ANSWER).await.map_err(lost)?;
        let reader = Reader {
            connection,
            scripts: Arc::clone(&self.scripts),
            stream: topic.name(),
            group: group.to_owned(),
            terms: self.terms.clone(),
        };
        reader.join("$").await.map_err(lost)?;
        Ok(Box::new(RedisFeed::new(reader)))
    }
}
