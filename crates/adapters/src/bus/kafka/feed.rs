//! A group's feed from Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::{Headers as _, Message as _, Timestamp};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::Offset;
use sre_space_ports::bus::{BusError, Delivery, Feed, Message};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{info, warn};

use super::ledger::Ledger;
use super::recent::Recent;
use super::tally::Tally;
use super::{AGAIN, ANSWER, Ear, SOURCE, Terms, dead, lost};

/// Deliveries after which a message is given up.
const MOST_DELIVERIES: u32 = 5;
/// After a consumer that died, so many messages are committed one by one, so that the next one to die names its message.
const CAREFUL: i64 = 100;

/// One partition, as far as this feed has come.
#[derive(Default)]
struct Progress {
    /// Handed out and not acknowledged.
    open: BTreeSet<i64>,
    /// After the last one handed out.
    next: i64,
    /// Up to here each acknowledgement is committed at once.
    careful_until: i64,
    recent: Recent,
}

/// The feed.
pub(super) struct KafkaFeed {
    consumer: Arc<StreamConsumer>,
    producer: FutureProducer<Ear>,
    topic: &'static str,
    group: String,
    partitions: BTreeMap<i32, Progress>,
    handed: BTreeMap<u64, (i32, i64)>,
    last_receipt: u64,
    is_away: bool,
    tally: Tally,
    ledger: Arc<Ledger>,
    /// Taken from the client and not yet handed out: kept over a cancelled [`Feed::next`].
    taken: Option<(i32, i64, Message)>,
}

impl KafkaFeed {
    /// Joins the group; what was published before its first member came is not delivered.
    pub async fn join(
        terms: &Terms,
        topic: &'static str,
        group: &str,
        (producer, ledger): (FutureProducer<Ear>, Arc<Ledger>),
    ) -> Result<Self, BusError> {
        let id = format!("sre-space.{group}.{topic}");
        let tally = Tally::new(&terms.folder, &id);
        let mut config = terms.client();
        config
            // Members of one group read the same topics, or each would wait for the others' rebalances.
            .set("group.id", &id)
            .set("enable.auto.offset.store", "false")
            .set("auto.commit.interval.ms", "1000")
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", "6000")
            .set("queued.min.messages", "100")
            .set("queued.max.messages.kbytes", "16384");
        let consumer: Arc<StreamConsumer> = Arc::new(config.create().map_err(lost)?);
        let joining = Arc::clone(&consumer);
        let joined = spawn_blocking(move || {
            begin_now(&joining, topic)?;
            joining.subscribe(&[topic])
        });
        joined.await.map_err(|error| BusError::Unreachable(Box::new(error)))?.map_err(lost)?;
        ledger.joined(topic, group);
        Ok(Self {
            consumer,
            producer,
            topic,
            group: group.to_owned(),
            partitions: BTreeMap::new(),
            handed: BTreeMap::new(),
            last_receipt: 0,
            is_away: false,
            taken: None,
            tally,
            ledger,
        })
    }

    /// Whether a message is to be handed out; one that was delivered too often goes to the dead letters.
    fn lives(&mut self, partition: i32, offset: i64, message: &Message) -> bool {
        if self.partitions.contains_key(&partition) {
            return true;
        }
        let times = self.tally.count(partition, offset).unwrap_or_else(|error| {
            warn!(topic = self.topic, partition, %error, "deliveries are not counted");
            1
        });
        let careful_until = if times > 1 { offset + CAREFUL } else { 0 };
        self.partitions.insert(partition, Progress { careful_until, next: offset, ..Progress::default() });
        if times <= MOST_DELIVERIES {
            return true;
        }
        warn!(topic = self.topic, self.group, partition, offset, "a message goes to the dead letters");
        let name = dead(self.topic);
        let record = FutureRecord::to(&name).key(&message.key).payload(message.body.as_ref());
        // Nobody waits for what was given up: the client delivers it as it delivers all.
        _ = self.producer.send_result(record);
        self.pass(partition, offset);
        false
    }

    /// The message to be handed out next; it stays taken until it is.
    async fn take(&mut self) -> Option<(i32, i64, Message)> {
        if self.taken.is_none() {
            match self.consumer.recv().await {
                Ok(found) => self.taken = Some((found.partition(), found.offset(), message(&found))),
                Err(error) => {
                    if !std::mem::replace(&mut self.is_away, true) {
                        warn!(topic = self.topic, %error, "Kafka is in trouble; reading goes on when it is over");
                    }
                    sleep(AGAIN).await;
                    return None;
                }
            }
        }
        self.is_away = false;
        self.taken.clone()
    }

    /// Nothing up to here is wanted again.
    fn pass(&mut self, partition: i32, offset: i64) {
        let Some(progress) = self.partitions.get_mut(&partition) else { return };
        progress.open.remove(&offset);
        progress.next = progress.next.max(offset + 1);
        let position = progress.open.first().copied().unwrap_or(progress.next);
        let mut list = TopicPartitionList::new();
        let placed = list.add_partition_offset(self.topic, partition, Offset::Offset(position));
        let stored = match position <= progress.careful_until {
            true => placed.and_then(|()| self.consumer.commit(&list, CommitMode::Sync)),
            false => placed.and_then(|()| self.consumer.store_offsets(&list)),
        };
        if let Err(error) = stored {
            // The partition is another consumer's by now; what was acknowledged here comes again there.
            info!(topic = self.topic, partition, %error, "an acknowledgement was not kept");
        }
    }
}

/// Commits the present end of every partition that the group has no position in yet.
fn begin_now(consumer: &StreamConsumer, topic: &str) -> KafkaResult<()> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let mut asked = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        asked.add_partition(topic, partition.id());
    }
    let committed = consumer.committed_offsets(asked, ANSWER)?;
    let mut begins = TopicPartitionList::new();
    for found in committed.elements().iter().filter(|found| !matches!(found.offset(), Offset::Offset(_))) {
        let (_, end) = consumer.fetch_watermarks(topic, found.partition(), ANSWER)?;
        begins.add_partition_offset(topic, found.partition(), Offset::Offset(end))?;
    }
    if begins.count() == 0 { Ok(()) } else { consumer.commit(&begins, CommitMode::Sync) }
}

/// A message that others wrote has no source, and was received when the broker got it.
pub(super) fn message(found: &impl rdkafka::Message) -> Message {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let source = found.headers().and_then(|headers| headers.iter().find(|header| header.key == SOURCE)?.value);
    let received_ms = match found.timestamp() {
        Timestamp::NotAvailable => 0,
        Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) => ms,
    };
    Message {
        key: found.key().map(text).unwrap_or_default(),
        source: source.map(text).unwrap_or_default(),
        received_ms,
        body: Bytes::copy_from_slice(found.payload().unwrap_or_default()),
    }
}

#[async_trait]
impl Feed for KafkaFeed {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let Some((partition, offset, message)) = self.take().await else { continue };
            let lives = self.lives(partition, offset, &message);
            self.taken = None;
            self.ledger.read(&self.group, partition, offset);
            if lives {
                let progress = self.partitions.entry(partition).or_default();
                if progress.recent.is_repeated(&message, offset) {
                    self.pass(partition, offset);
                    continue;
                }
                progress.open.insert(offset);
                progress.next = progress.next.max(offset + 1);
                self.last_receipt += 1;
                self.handed.insert(self.last_receipt, (partition, offset));
                return Some(Delivery { message, receipt: self.last_receipt });
            }
        }
    }

    async fn acknowledge(&mut self, receipt: u64) -> Result<(), BusError> {
        if let Some((partition, offset)) = self.handed.remove(&receipt) {
            self.pass(partition, offset);
        }
        Ok(())
    }
}

impl Drop for KafkaFeed {
    fn drop(&mut self) {
        self.ledger.left(self.topic, &self.group);
    }
}
