//! The bus on a real broker that speaks Kafka's protocol. Each trial has a broker of its own: topics cannot be kept apart.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use libtest_mimic::{Failed, Trial};
use sre_space_adapters::bus::kafka::{KafkaBus, Terms};
use sre_space_peers::{Kafka, Peer};
use sre_space_ports::bus::{Bus, BusError, Message, Topic};
use sre_space_ports::contract::bus;

use crate::outages;
use crate::run;
use crate::shared::Running;

async fn connected(broker: &Kafka, folder: &Path) -> KafkaBus {
    holding(bus::CAPACITY, broker, folder).await
}

/// A bus that holds at most so many messages.
async fn holding(messages: usize, broker: &Kafka, folder: &Path) -> KafkaBus {
    let terms = Terms {
        brokers: broker.brokers(),
        security: HashMap::new(),
        held_messages: messages,
        held_bytes: 1 << 20,
        folder: folder.to_owned(),
    };
    KafkaBus::connect(terms).await.expect("connected")
}

fn message(number: u8) -> Message {
    Message { key: "key".into(), source: "shop".into(), received_ms: 7, body: Bytes::from(vec![number]) }
}

fn on_kafka(promise: for<'a> fn(&'a dyn Bus) -> Running<'a>) -> Result<(), Failed> {
    let broker = Kafka::start();
    let dir = tempfile::tempdir()?;
    run(async move { promise(&connected(&broker, dir.path()).await).await })
}

fn alone(play: fn(Kafka) -> Pin<Box<dyn Future<Output = ()>>>) -> Result<(), Failed> {
    run(play(Kafka::start()))
}

/// Kafka × every promise that is not the broker's own, and what is its alone.
pub fn trials() -> Vec<Trial> {
    if let Err(missing) = Kafka::find() {
        return vec![Trial::test(format!("bus/kafka (skipped: {missing})"), || Ok(())).with_ignored_flag(true)];
    }
    let promise = |name: &str, promise: for<'a> fn(&'a dyn Bus) -> Running<'a>| {
        Trial::test(format!("bus/kafka/{name}"), move || on_kafka(promise))
    };
    vec![
        promise("keeps_order", |bus| Box::pin(bus::keeps_order(bus))),
        promise("every_group_gets_everything", |bus| Box::pin(bus::every_group_gets_everything(bus))),
        promise("unacknowledged_comes_again", |bus| Box::pin(bus::unacknowledged_comes_again(bus))),
        Trial::test("bus/kafka/a_stalled_broker_is_held_for_and_then_refused", || {
            alone(|broker| Box::pin(stalls(broker)))
        }),
        Trial::test("bus/kafka/outages_lose_nothing_and_double_nothing", || {
            alone(|broker| Box::pin(outages_of(broker)))
        }),
        Trial::test("bus/kafka/five_deliveries_in_vain_are_enough", || alone(|broker| Box::pin(set_aside(broker)))),
    ]
}

/// The broker keeps what it was given for as long as it was told to; what is bounded is what waits for a broker.
async fn stalls(broker: Kafka) {
    let dir = tempfile::tempdir().expect("a folder");
    let bus = connected(&broker, dir.path()).await;
    let mut feed = bus.subscribe(Topic::Spans, "scout").await.expect("subscribed");
    bus.publish(Topic::Spans, message(0)).await.expect("published");
    let first = feed.next().await.expect("a delivery");
    assert_eq!(first.message, message(0));
    feed.acknowledge(first.receipt).await.expect("acknowledged");
    broker.pause();
    let mut held = 0;
    let refused = loop {
        match bus.publish(Topic::Spans, message(held + 1)).await {
            Ok(()) => held += 1,
            Err(error) => break error,
        }
        assert!(usize::from(held) <= bus::CAPACITY + 1, "it is bounded");
    };
    assert!(matches!(refused, BusError::Full(_)), "{refused}");
    broker.resume();
    for number in 1..=held {
        assert_eq!(feed.next().await.expect("a delivery").message, message(number));
    }
}

async fn outages_of(broker: Kafka) {
    let dir = tempfile::tempdir().expect("a folder");
    let bus = holding(usize::from(outages::MESSAGES), &broker, dir.path()).await;
    let broker = Mutex::new(broker);
    // Each message waits for a second while nobody answers.
    let fate = outages::Fate { killed: 80, started: 83, paused: 230, resumed: 238 };
    outages::play(&bus, fate, |what| what(&mut *broker.lock().expect("nobody panics with it"))).await;
}

async fn set_aside(broker: Kafka) {
    let dir = tempfile::tempdir().expect("a folder");
    let bus = connected(&broker, dir.path()).await;
    let mut feed = bus.subscribe(Topic::Spans, "scout").await.expect("subscribed");
    bus.publish(Topic::Spans, message(1)).await.expect("published");
    for _ in 0..4 {
        assert_eq!(feed.next().await.expect("a delivery").message, message(1));
        drop(feed);
        feed = bus.subscribe(Topic::Spans, "scout").await.expect("subscribed");
    }
    assert_eq!(feed.next().await.expect("the fifth delivery").message, message(1));
    drop(feed);
    let mut feed = bus.subscribe(Topic::Spans, "scout").await.expect("subscribed");
    bus.publish(Topic::Spans, message(2)).await.expect("published");
    let next = tokio::time::timeout(Duration::from_secs(60), feed.next()).await.expect("in time");
    assert_eq!(next.expect("a delivery").message, message(2), "the other was given up");
}
