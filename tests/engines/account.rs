//! The servers' own books against what the control plane says it did.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use redis::streams::{StreamInfoGroupsReply, StreamRangeReply};
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use serde_json::Value;
use sqlx::Connection as _;
use sre_space_peers::Books;
use sre_space_stage::{PATIENCE, Stage};

use crate::{Servers, held};

/// Every server of the play, once nothing new comes.
pub async fn of_all(stage: &mut Stage, servers: &Servers) {
    stage.end_traffic();
    if let Some(url) = servers.url("REDIS_URL") {
        of_redis(stage, url).await;
    }
    if let Some(brokers) = servers.url("KAFKA_BROKERS") {
        of_kafka(stage, brokers).await;
    }
    if let Some(url) = servers.url("DATABASE_URL") {
        of_postgres(stage, url, servers.qdrant.is_none()).await;
    }
    if let Some(books) = books(servers) {
        of_qdrant(stage, &books).await;
    }
    if let Some(github) = &servers.github {
        let incidents = stage.get("/api/v1/incidents").await.expect("the incidents");
        crate::held(github).accounts_for(&incidents);
    }
}

/// Every request that was taken in is an entry, every entry was acknowledged, and every step of every incident was told.
async fn of_redis(stage: &Stage, url: &str) {
    let client = redis::Client::open(url).expect("a client");
    let mut redis = client.get_multiplexed_async_connection().await.expect("connected");
    stage
        .until("a stream that is read to its end", PATIENCE, async || {
            let status = stage.get("/status").await?;
            let mut added = 0;
            for topic in ["otlp_spans", "otlp_metrics", "otlp_logs"] {
                let (in_stream, read) = counts(&mut redis, topic).await?;
                added += in_stream;
                (in_stream == read).then_some(())?;
            }
            (usize::try_from(added) == Ok(taken(&status)?)).then_some(())
        })
        .await;
    let told: StreamRangeReply = redis.xrange_all("sre.incidents").await.expect("the incidents");
    let mut states: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in &told.ids {
        let body: String = entry.get("body").expect("a body");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let word = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        states.entry(word("/incident/id")).or_default().push(word("/incident/state"));
    }
    for (id, mut told) in states {
        told.dedup();
        assert_eq!(told, journaled(stage, &id).await, "{id}");
    }
}

/// Every request that was taken in is a message, and the group has committed all there are. Messages are read: where a partition
/// ends, this broker tells too early after a batch of several; and an offset it gave away as it was killed holds no message. One
/// whose confirmation was lost with the broker is there twice.
async fn of_kafka(stage: &Stage, brokers: &str) {
    stage
        .settled("partitions that are read to their end", PATIENCE, async || {
            let status = stage.get("/status").await.ok_or("no status")?;
            let taken = taken(&status).ok_or("no counts")?;
            let brokers = brokers.to_owned();
            let asked = tokio::task::spawn_blocking(move || {
                ["otlp_spans", "otlp_metrics", "otlp_logs"]
                    .map(|topic| book(&brokers, topic).expect("the brokers answer"))
            });
            let books = asked.await.expect("the books");
            let is_read = books.iter().all(|book| book.ends == book.committed);
            let is_whole = books.iter().map(|book| book.distinct.len()).sum::<usize>() == taken;
            if is_read && is_whole {
                return Ok(());
            }
            let told = books.map(|Book { messages, distinct, ends, committed }| {
                format!("{messages} messages, {} distinct, ends {ends:?}, positions {committed:?}", distinct.len())
            });
            Err(format!("{taken} requests, {told:?}, {}", status["bus"]))
        })
        .await;
}

/// A topic, counted.
#[derive(Debug, Default)]
struct Book {
    messages: usize,
    distinct: BTreeSet<Mark>,
    /// Behind the last message of each partition that has any.
    ends: BTreeMap<i32, i64>,
    /// The group's positions in them.
    committed: BTreeMap<i32, i64>,
}

/// What tells messages apart.
type Mark = (Option<i64>, Option<Vec<u8>>);

fn book(brokers: &str, topic: &str) -> KafkaResult<Book> {
    let (answer, silence) = (Duration::from_secs(5), Duration::from_secs(1));
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", format!("sre-space.scout.{topic}"));
    let reading: BaseConsumer = config.create()?;
    let metadata = reading.fetch_metadata(Some(topic), answer)?;
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        partitions.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    let committed = reading.committed_offsets(partitions.clone(), answer)?;
    reading.assign(&partitions)?;
    let mut book = Book::default();
    while let Some(message) = reading.poll(silence) {
        let message = message?;
        book.messages += 1;
        book.ends.insert(message.partition(), message.offset() + 1);
        book.distinct.insert((message.timestamp().to_millis(), message.payload().map(<[u8]>::to_vec)));
    }
    book.committed = committed
        .elements()
        .iter()
        .filter(|found| book.ends.contains_key(&found.partition()))
        .filter_map(|found| Some((found.partition(), found.offset().to_raw()?)))
        .collect();
    Ok(book)
}

/// Requests that were taken in.
fn taken(status: &Value) -> Option<usize> {
    let count = |name: &str| status.pointer(&format!("/ingest/{name}"))?.as_u64();
    usize::try_from(count("requests")?.checked_sub(count("refused_requests")?)?).ok()
}

/// Entries ever added to a stream, and how many of them its group has acknowledged.
async fn counts(redis: &mut MultiplexedConnection, topic: &str) -> Option<(u64, u64)> {
    let info: BTreeMap<String, redis::Value> =
        redis::cmd("XINFO").arg("STREAM").arg(topic).query_async(redis).await.ok()?;
    let added: u64 = redis::from_redis_value(info.get("entries-added")?.clone()).ok()?;
    let groups: StreamInfoGroupsReply = redis.xinfo_groups(topic).await.ok()?;
    let group = groups.groups.first()?;
    let read = group.entries_read.unwrap_or_default().checked_sub(group.pending)?;
    Some((added, u64::try_from(read).ok()?))
}

/// The states of an incident's journal rows, each once in a row.
async fn journaled(stage: &Stage, id: &str) -> Vec<String> {
    let mut states: Vec<String> =
        stage.events(id).await.iter().filter_map(|event| event["state"].as_str().map(str::to_owned)).collect();
    states.dedup();
    states
}

/// The rows in the tables are those the API shows, without a gap.
async fn of_postgres(stage: &Stage, url: &str, remembers: bool) {
    let mut postgres = sqlx::PgConnection::connect(url).await.expect("connected");
    let (rows, newest): (i64, i64) =
        sqlx::query_as("SELECT count(*), max(seq) FROM journal").fetch_one(&mut postgres).await.expect("the journal");
    assert_eq!(rows, newest, "a gap in the journal");
    let stored: Vec<(String, String)> = sqlx::query_as("SELECT id, state FROM incidents ORDER BY id DESC")
        .fetch_all(&mut postgres)
        .await
        .expect("the incidents");
    let shown = stage.get("/api/v1/incidents").await.expect("the incidents");
    let word = |incident: &Value, field: &str| incident[field].as_str().unwrap_or_default().to_owned();
    let shown: Vec<(String, String)> = shown
        .as_array()
        .expect("a list")
        .iter()
        .map(|incident| (word(incident, "id"), word(incident, "state")))
        .collect();
    assert_eq!(stored, shown);
    for (id, _) in stored {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM journal WHERE incident = $1")
            .bind(&id)
            .fetch_one(&mut postgres)
            .await
            .expect("the rows");
        assert_eq!(usize::try_from(count), Ok(stage.events(&id).await.len()), "{id}");
    }
    let lessons: i64 =
        sqlx::query_scalar("SELECT count(*) FROM lessons").fetch_one(&mut postgres).await.expect("lessons");
    assert_eq!(lessons, i64::from(remembers));
}

/// What the play's Qdrant server was asked and holds.
pub fn books(servers: &Servers) -> Option<Books> {
    servers.qdrant.as_ref().map(|qdrant| held(qdrant).books())
}

/// Every resolved incident is a point, written once and looked up before, and the API finds it there.
async fn of_qdrant(stage: &Stage, books: &Books) {
    let shown = stage.get("/api/v1/incidents?state=resolved").await.expect("the incidents");
    let resolved: Vec<&str> = shown.as_array().expect("a list").iter().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(books.points.values().copied().collect::<Vec<_>>(), [resolved.len()], "{books:?}");
    let asked = |method: &str| books.requests.get(method).copied().unwrap_or_default();
    // A write whose answer was lost is made again, and changes nothing.
    assert!(asked("upsert") >= resolved.len() as u64, "{books:?}");
    assert!(asked("scroll") > asked("upsert") && asked("query") > 0, "{books:?}");
    let found = stage.get("/api/v1/memory/search?q=quote-engine&k=10").await.expect("the memory");
    let found: Vec<&str> =
        found.as_array().expect("a list").iter().filter_map(|one| one["lesson"]["incident"].as_str()).collect();
    assert_eq!(found, resolved);
}
