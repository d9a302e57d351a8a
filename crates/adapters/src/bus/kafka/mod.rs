//! The bus on Kafka: contract.md's topics, one consumer group a group.
//!
//! Publishing waits for the brokers' word. While they are away the client library holds what was accepted, within its bound, and
//! goes on trying; beyond the bound publishing is refused. Offsets are committed after processing, so that a consumer that
//! dies is followed by one that reads again what was not acknowledged. A message that was delivered five times in vain goes to
//! `TOPIC.dead`: how often the first message of a partition was delivered is kept in a file, since brokers do not count.

mod feed;
mod ledger;
mod recent;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _};
use sre_space_ports::bus::{Bus, BusError, BusStatus, Feed, Message, Topic};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use self::feed::KafkaFeed;
use self::ledger::Ledger;
use super::MOST_BYTES;

/// How long a publisher waits for the brokers' word; what takes longer is held by the client.
const PROMPT: Duration = Duration::from_secs(1);
/// How long an answer to a question is waited for.
const ANSWER: Duration = Duration::from_secs(5);
/// Pause after an error, before it is tried again.
const AGAIN: Duration = Duration::from_millis(200);
/// Partitions of a topic that is made here.
const PARTITIONS: i32 = 4;

/// Header with the name of the ingest token.
const SOURCE: &str = "source";

/// How the brokers are used.
#[derive(Debug, Clone)]
pub struct Terms {
    /// `HOST:PORT,HOST:PORT`.
    pub brokers: String,
    /// `security.protocol` and `sasl.*`, by librdkafka's names.
    pub security: HashMap<String, String>,
    /// Most messages that are held while the brokers are away.
    pub held_messages: usize,
    /// Most bytes of them.
    pub held_bytes: usize,
    /// Folder of the files that count deliveries.
    pub folder: PathBuf,
}

impl Terms {
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "sre-space");
        self.security.iter().for_each(|(name, value)| {
            config.set(name, value);
        });
        config
    }
}

/// Hears of trouble from the client library.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Option<String>>>);

impl Ear {
    fn hear(&self, trouble: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn trouble(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Ear {
    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "Kafka");
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.hear(Some(reason.to_owned()));
        }
    }
}

/// What a cluster says of itself.
struct Answer {
    brokers: usize,
    topics: Vec<String>,
}

/// The bus on one Kafka cluster.
pub struct KafkaBus {
    producer: FutureProducer<Ear>,
    ear: Ear,
    terms: Terms,
    ledger: Arc<Ledger>,
    /// Messages that the client holds, on to [`Bus::tend`], which waits for the brokers' word.
    late: mpsc::UnboundedSender<Sent>,
    held: Mutex<Option<mpsc::UnboundedReceiver<Sent>>>,
}

/// A message that did not arrive, with the client's reason; `None` when the client is gone.
struct Unsent {
    error: KafkaError,
    message: Option<Message>,
}

/// A message that the client has.
struct Sent {
    number: u64,
    topic: Topic,
    bytes: usize,
    received_ms: i64,
    word: DeliveryFuture,
}

impl KafkaBus {
    /// Connects to the brokers, makes the topics that are missing, and fails if nobody answers.
    pub async fn connect(terms: Terms) -> Result<Self, BusError> {
        let this = Self::client(terms)?;
        this.ask().await?;
        this.make_topics().await?;
        Ok(this)
    }

    fn client(terms: Terms) -> Result<Self, BusError> {
        let ear = Ear::default();
        let mut config = terms.client();
        config
            // Feeds take once what comes twice, whoever sent it again; in order, since no message overtakes one that is tried again.
            .set("acks", "all")
            .set("max.in.flight.requests.per.connection", "1")
            .set("linger.ms", "5")
            // What is held is held for as long as there is room.
            .set("message.timeout.ms", "0")
            .set("message.max.bytes", MOST_BYTES.to_string())
            .set("queue.buffering.max.messages", terms.held_messages.to_string())
            .set("queue.buffering.max.kbytes", (terms.held_bytes / 1024).to_string());
        let producer = FutureProducer::from_config_and_context(&config, ear.clone()).map_err(lost)?;
        let (late, held) = mpsc::unbounded_channel();
        Ok(Self { producer, ear, terms, ledger: Arc::default(), late, held: Mutex::new(Some(held)) })
    }

    /// What a cluster is, as far as a client is told, asked without making anything there.
    pub async fn look(terms: Terms) -> Result<String, BusError> {
        let Answer { brokers, topics } = Self::client(terms)?.ask().await?;
        let missing: Vec<&str> =
            Topic::ALL.into_iter().map(Topic::name).filter(|name| !topics.iter().any(|topic| topic == name)).collect();
        Ok(match missing.as_slice() {
            [] => format!("{brokers} broker(s), all topics are there"),
            missing => format!("{brokers} broker(s); to be made at the start, or by hand: {}", missing.join(", ")),
        })
    }

    async fn ask(&self) -> Result<Answer, BusError> {
        let producer = self.producer.clone();
        let asked = spawn_blocking(move || producer.client().fetch_metadata(None, ANSWER)).await;
        let metadata = asked.map_err(|error| BusError::Unreachable(Box::new(error)))?.map_err(lost)?;
        let topics = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
        Ok(Answer { brokers: metadata.brokers().len(), topics })
    }

    /// Gives a message to the client.
    fn hand(&self, topic: Topic, message: &Message) -> Result<DeliveryFuture, BusError> {
        let Message { key, source, received_ms, body } = message;
        let source = Header { key: SOURCE, value: Some(source) };
        let headers = OwnedHeaders::new().insert(source);
        let record = FutureRecord { key: Some(key).filter(|key| !key.is_empty()), ..FutureRecord::to(topic.name()) };
        let record = record.payload(body.as_ref()).timestamp(*received_ms).headers(headers);
        self.producer.send_result(record).map_err(|(error, _)| refused(&error, topic, body.len()))
    }

    /// Waits for the brokers' word on a message.
    async fn settled(&self, sent: &mut Sent) -> Result<(), Unsent> {
        match (&mut sent.word).await {
            Ok(Ok(done)) => {
                self.ear.hear(None);
                self.ledger.confirmed(sent.number, sent.topic.name(), Some((done.partition, done.offset)));
                Ok(())
            }
            // The client gives everything back but the time, by which feeds know what they had.
            Ok(Err((error, message))) => {
                let message = Message { received_ms: sent.received_ms, ..feed::message(&message) };
                Err(Unsent { error, message: Some(message) })
            }
            Err(_) => Err(Unsent { error: KafkaError::Canceled, message: None }),
        }
    }

    /// Nobody sends again what was accepted: a message that the brokers would not take is given to them until they do, unless it
    /// is the message that they will never take.
    async fn delivered(&self, mut sent: Sent) {
        let mut is_told = false;
        while let Err(unsent) = self.settled(&mut sent).await {
            let error = refused(&unsent.error, sent.topic, sent.bytes);
            let message = unsent.message.filter(|_| error.is_transient());
            let Some(message) = message else {
                warn!(topic = sent.topic.name(), %error, "a held message is lost");
                return self.ledger.confirmed(sent.number, sent.topic.name(), None);
            };
            if !std::mem::replace(&mut is_told, true) {
                warn!(topic = sent.topic.name(), %error, "a held message is sent until it is taken");
            }
            sent.word = self.handed(sent.topic, &message).await;
        }
    }

    /// Gives it to the client as soon as that has room.
    async fn handed(&self, topic: Topic, message: &Message) -> DeliveryFuture {
        loop {
            sleep(AGAIN).await;
            match self.hand(topic, message) {
                Ok(word) => return word,
                Err(error) => debug!(topic = topic.name(), %error, "no room for a held message yet"),
            }
        }
    }

    async fn make_topics(&self) -> Result<(), BusError> {
        let admin: AdminClient<_> = self.terms.client().create().map_err(lost)?;
        let names: Vec<(String, i32)> = Topic::ALL
            .iter()
            .flat_map(|topic| [(topic.name().to_owned(), PARTITIONS), (dead(topic.name()), 1)])
            .collect();
        let topics: Vec<NewTopic<'_>> = names
            .iter()
            // -1: as many copies as the brokers make by default.
            .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(-1)))
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
        // Where topics are made by others they are there already, or the first message says that they are not.
        match admin.create_topics(&topics, &options).await {
            Ok(made) => made.into_iter().filter_map(Result::err).for_each(|(topic, error)| {
                if error != RDKafkaErrorCode::TopicAlreadyExists {
                    warn!(topic, %error, "the topic was not made");
                }
            }),
            Err(error) => warn!(%error, "no topic was made"),
        }
        Ok(())
    }
}

fn dead(topic: &str) -> String {
    format!("{topic}.dead")
}

fn lost(error: KafkaError) -> BusError {
    BusError::Unreachable(Box::new(error))
}

fn refused(error: &KafkaError, topic: Topic, bytes: usize) -> BusError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => BusError::Full(topic.name()),
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => BusError::TooLarge(bytes),
        Some(_) => lost(error.clone()),
        None => BusError::Closed,
    }
}

#[async_trait]
impl Bus for KafkaBus {
    async fn publish(&self, topic: Topic, message: Message) -> Result<(), BusError> {
        let word = self.hand(topic, &message)?;
        let (number, bytes) = (self.ledger.sent(), message.body.len());
        let mut sent = Sent { number, topic, bytes, received_ms: message.received_ms, word };
        match timeout(PROMPT, self.settled(&mut sent)).await {
            Ok(Ok(())) => Ok(()),
            // Whoever sent it hears of it, and sends it again.
            Ok(Err(unsent)) => {
                self.ledger.confirmed(sent.number, topic.name(), None);
                Err(refused(&unsent.error, topic, sent.bytes))
            }
            // The client has it, and goes on trying.
            Err(_) => self.late.send(sent).map_err(|_| BusError::Closed),
        }
    }

    async fn tend(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut held) = held else { return std::future::pending().await };
        let mut waiting = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(sent) = held.recv() => waiting.push(self.delivered(sent)),
                Some(()) = waiting.next() => {}
            }
        }
    }

    async fn health(&self) -> Result<(), BusError> {
        match self.status().trouble {
            Some(trouble) => Err(BusError::Unreachable(trouble.into())),
            None => self.ask().await.map(|_| ()),
        }
    }

    fn status(&self) -> BusStatus {
        let (held, late) = self.ledger.on_their_way();
        let late = late.map(|age| format!("{held} messages are on their way, the oldest for {} s", age.as_secs()));
        let trouble = self.ear.trouble().map(|why| format!("{held} messages are held: {why}"));
        BusStatus { backend: "kafka", held, trouble: trouble.or(late) }
    }

    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Feed>, BusError> {
        let (producer, ledger) = (self.producer.clone(), Arc::clone(&self.ledger));
        let feed = KafkaFeed::join(&self.terms, topic.name(), group, (producer, ledger)).await?;
        Ok(Box::new(feed))
    }
}
