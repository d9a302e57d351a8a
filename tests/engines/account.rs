//! The servers' own books against what the control plane says it did.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use redis::streams::{StreamInfoGroupsReply, StreamRangeReply};
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use serde_json::Value;
use sqlx::Connection as _;
use sre_space_peers::Books;
use sre_space_stage::{PATIENCE, Stage};

use crate::{Servers, held};

/// Every server of the play.
pub async fn of_all(stage: &Stage, servers: &Servers) {
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
            // Requests come in all the time: the two books are compared when none did in between.
            let later = stage.get("/status").await?;
            (taken(&later)? == taken(&status)? && added == taken(&status)?).then_some(())
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

/// Every request that was taken in is a message, and the group's offsets are at the end of every partition.
async fn of_kafka(stage: &Stage, brokers: &str) {
    stage
        .until("partitions that are read to their end", PATIENCE, async || {
            let status = stage.get("/status").await?;
            let (brokers, answer) = (brokers.to_owned(), Duration::from_secs(5));
            let asked = tokio::task::spawn_blocking(move || {
                let topics = ["otlp_spans", "otlp_metrics", "otlp_logs"];
                topics.map(|topic| offsets(&brokers, topic, answer).expect("the brokers answer"))
            });
            let (ends, committed): (Vec<i64>, Vec<i64>) = asked.await.ok()?.into_iter().unzip();
            let later = stage.get("/status").await?;
            let is_quiet = taken(&later)? == taken(&status)?;
            (is_quiet && ends == committed && u64::try_from(ends.iter().sum::<i64>()) == Ok(taken(&status)?))
                .then_some(())
        })
        .await;
}

/// The ends of a topic's partitions added up, and the group's positions in them.
fn offsets(brokers: &str, topic: &str, answer: Duration) -> KafkaResult<(i64, i64)> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", format!("sre-space.scout.{topic}"));
    let asking: BaseConsumer = config.create()?;
    let metadata = asking.fetch_metadata(Some(topic), answer)?;
    let mut asked = TopicPartitionList::new();
    let mut ends = 0;
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        asked.add_partition(topic, partition.id());
        ends += asking.fetch_watermarks(topic, partition.id(), answer)?.1;
    }
    let committed = asking.committed_offsets(asked, answer)?;
    let position = |offset: Offset| if let Offset::Offset(at) = offset { at } else { 0 };
    Ok((ends, committed.elements().iter().map(|found| position(found.offset())).sum()))
}

/// Requests that were taken in.
fn taken(status: &Value) -> Option<u64> {
    let count = |name: &str| status.pointer(&format!("/ingest/{name}"))?.as_u64();
    count("requests")?.checked_sub(count("refused_requests")?)
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
