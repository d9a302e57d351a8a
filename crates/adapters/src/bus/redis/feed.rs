//! A group's feed: first what this consumer left behind, then what others did, then what is new.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use redis::aio::ConnectionManager;
use redis::streams::{
    StreamAutoClaimOptions, StreamAutoClaimReply, StreamId, StreamPendingCountReply, StreamReadOptions, StreamReadReply,
};
use redis::{AsyncCommands, RedisResult, Value};
use sre_space_ports::bus::{BusError, Delivery, Feed, Message};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::super::MOST_BYTES;
use super::{Scripts, Terms, lost};

/// How long one look waits for something new.
pub(super) const BLOCK: Duration = Duration::from_secs(1);
/// Entries read at once.
const BATCH: usize = 16;
/// Deliveries after which an entry is given up.
const MOST_DELIVERIES: usize = 5;
/// Dead letters kept for each topic.
const MOST_DEAD: usize = 1_000;
/// Between two tries while the server is away.
const AGAIN: Duration = Duration::from_millis(500);

/// Where the next look begins.
#[derive(Debug, Clone)]
enum Place {
    /// At this consumer's own unacknowledged entries after this one.
    Own(String),
    /// At what other consumers have left lying.
    Others,
    /// At what is new; others were looked at then.
    New(Instant),
}

/// One consumer of one group.
#[derive(Clone)]
pub(super) struct Reader {
    pub connection: ConnectionManager,
    pub scripts: Arc<Scripts>,
    pub stream: &'static str,
    pub group: String,
    pub terms: Terms,
}

type Looked = RedisResult<(Vec<(String, Message)>, Place)>;

impl Reader {
    /// Makes the group if there is none: from an entry on, or `$` for what comes from now on.
    pub async fn join(&self, from: &str) -> RedisResult<()> {
        let mut connection = self.connection.clone();
        match connection.xgroup_create_mkstream(self.stream, &self.group, from).await {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            made => made,
        }
    }

    async fn look(mut self, from: Place) -> Looked {
        match from {
            Place::Own(after) => {
                let found = self.read(&after, None).await?;
                let next = found.last().map_or(Place::Others, |last| Place::Own(last.id.clone()));
                Ok((self.living(found).await?, next))
            }
            Place::New(looked) if looked.elapsed() < self.terms.idle => {
                let found = self.read(">", Some(BLOCK)).await?;
                Ok((self.whole(found).await?, Place::New(looked)))
            }
            Place::Others | Place::New(_) => {
                let idle_ms = usize::try_from(self.terms.idle.as_millis()).unwrap_or(usize::MAX);
                let options = StreamAutoClaimOptions::default().count(BATCH);
                let (stream, group, consumer) = (self.stream, &self.group, &self.terms.consumer);
                let claimed: StreamAutoClaimReply =
                    self.connection.xautoclaim_options(stream, group, consumer, idle_ms, "0-0", options).await?;
                Ok((self.living(claimed.claimed).await?, Place::New(Instant::now())))
            }
        }
    }

    async fn read(&mut self, from: &str, block: Option<Duration>) -> RedisResult<Vec<StreamId>> {
        let options = StreamReadOptions::default().group(&self.group, &self.terms.consumer).count(BATCH);
        let options = match block {
            Some(block) => options.block(usize::try_from(block.as_millis()).unwrap_or(usize::MAX)),
            None => options,
        };
        let reply: Option<StreamReadReply> = self.connection.xread_options(&[self.stream], &[from], &options).await?;
        Ok(reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect())
    }

    /// Those that were not delivered too often yet; the others go to the dead letters.
    async fn living(&mut self, found: Vec<StreamId>) -> RedisResult<Vec<(String, Message)>> {
        let (Some(first), Some(last)) = (found.first(), found.last()) else { return Ok(Vec::new()) };
        let (stream, group, consumer) = (self.stream, &self.group, &self.terms.consumer);
        let pending: StreamPendingCountReply =
            self.connection.xpending_consumer_count(stream, group, &first.id, &last.id, found.len(), consumer).await?;
        let delivered: BTreeMap<String, usize> =
            pending.ids.into_iter().map(|pending| (pending.id, pending.times_delivered)).collect();
        let is_dead = |entry: &StreamId| delivered.get(&entry.id).is_some_and(|times| *times > MOST_DELIVERIES);
        let (dead, living): (Vec<StreamId>, Vec<StreamId>) = found.into_iter().partition(is_dead);
        for entry in dead {
            self.bury(&entry.id, "delivered too often and never acknowledged").await?;
        }
        self.whole(living).await
    }

    /// The messages; an entry that is none, since anybody may write to a stream, goes to the dead letters.
    async fn whole(&mut self, found: Vec<StreamId>) -> RedisResult<Vec<(String, Message)>> {
        let mut messages = Vec::with_capacity(found.len());
        for mut entry in found {
            match message(&mut entry) {
                Some(message) => messages.push((entry.id, message)),
                None => self.bury(&entry.id, "not a message").await?,
            }
        }
        Ok(messages)
    }

    async fn bury(&mut self, id: &str, why: &str) -> RedisResult<()> {
        warn!(topic = self.stream, group = self.group, entry = id, why, "a message goes to the dead letters");
        let mut bury = self.scripts.bury.prepare_invoke();
        bury.key(self.stream).key(format!("{}.dead", self.stream)).arg(&self.group).arg(id).arg(MOST_DEAD);
        bury.invoke_async(&mut self.connection).await
    }

    async fn acknowledge(&mut self, id: &str) -> RedisResult<()> {
        let mut acknowledge = self.scripts.acknowledge.prepare_invoke();
        acknowledge.key(self.stream).arg(&self.group).arg(id);
        acknowledge.invoke_async(&mut self.connection).await
    }
}

fn message(entry: &mut StreamId) -> Option<Message> {
    let Some(Value::BulkString(body)) = entry.map.remove("body") else { return None };
    if body.len() > MOST_BYTES {
        return None;
    }
    Some(Message {
        key: entry.get("key")?,
        source: entry.get("source")?,
        received_ms: entry.get("received_ms")?,
        body: Bytes::from(body),
    })
}

/// The feed.
pub(super) struct RedisFeed {
    reader: Reader,
    from: Place,
    /// The look under way. It is kept over a cancelled [`Feed::next`]: the server counts what it answers as delivered.
    looking: Option<BoxFuture<'static, Looked>>,
    ready: VecDeque<(String, Message)>,
    handed: BTreeMap<u64, String>,
    /// Acknowledged while the server was away; it is told when it is back, before anything is read.
    owed: Vec<String>,
    last_receipt: u64,
    is_away: bool,
}

impl RedisFeed {
    pub fn new(reader: Reader) -> Self {
        Self {
            reader,
            from: Place::Own("0".to_owned()),
            looking: None,
            ready: VecDeque::new(),
            handed: BTreeMap::new(),
            owed: Vec::new(),
            last_receipt: 0,
            is_away: false,
        }
    }

    fn begin(&self) -> BoxFuture<'static, Looked> {
        let (mut reader, from, is_away, owed) =
            (self.reader.clone(), self.from.clone(), self.is_away, self.owed.clone());
        Box::pin(async move {
            if is_away {
                sleep(AGAIN).await;
                // A server that lost its streams lost the group with them; what came since is wanted whole.
                reader.join("0").await?;
            }
            for id in owed {
                reader.acknowledge(&id).await?;
            }
            reader.look(from).await
        })
    }

    fn take(&mut self, looked: Looked) {
        let topic = self.reader.stream;
        match looked {
            Ok((found, next)) => {
                if std::mem::take(&mut self.is_away) {
                    info!(topic, "Redis answers again");
                }
                self.owed.clear();
                let handed = &self.handed;
                self.ready.extend(found.into_iter().filter(|(id, _)| !handed.values().any(|other| other == id)));
                self.from = next;
            }
            Err(error) if self.is_away => drop(error),
            Err(error) => {
                warn!(topic, %error, "Redis does not answer; reading goes on when it does");
                self.is_away = true;
                self.from = Place::Own("0".to_owned());
            }
        }
    }
}

#[async_trait]
impl Feed for RedisFeed {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            if let Some((id, message)) = self.ready.pop_front() {
                self.last_receipt += 1;
                self.handed.insert(self.last_receipt, id);
                return Some(Delivery { message, receipt: self.last_receipt });
            }
            let begun = self.looking.take().unwrap_or_else(|| self.begin());
            let looked = self.looking.insert(begun).await;
            self.looking = None;
            self.take(looked);
        }
    }

    async fn acknowledge(&mut self, receipt: u64) -> Result<(), BusError> {
        let Some(id) = self.handed.remove(&receipt) else { return Ok(()) };
        let told = self.reader.acknowledge(&id).await;
        if told.is_err() {
            self.owed.push(id);
        }
        told.map_err(lost)
    }
}
