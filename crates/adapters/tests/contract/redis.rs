//! The bus on a real Redis.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libtest_mimic::{Failed, Trial};
use sre_space_adapters::bus::buffered::Buffered;
use sre_space_adapters::bus::redis::{RedisBus, Terms};
use sre_space_peers::Redis;
use sre_space_ports::bus::{Bus, Message, Topic};
use sre_space_ports::contract::bus;

use crate::outages;
use crate::run;
use crate::shared::{Running, Shared, held, on, promises, trial};

fn terms(consumer: &str) -> Terms {
    Terms { capacity: bus::CAPACITY, idle: Duration::from_secs(30), consumer: consumer.to_owned() }
}

async fn redis_bus(url: &str, consumer: &str) -> RedisBus {
    RedisBus::connect(url, terms(consumer)).await.expect("connected")
}

fn message(number: u8) -> Message {
    Message { key: "key".into(), source: "shop".into(), received_ms: 7, body: Bytes::from(vec![number]) }
}

fn on_redis(server: &Shared<Redis>, promise: for<'a> fn(&'a dyn Bus) -> Running<'a>) -> Result<(), Failed> {
    let url = held(server).url();
    run(async move { promise(&redis_bus(&url, "a").await).await })
}

/// Redis × every promise, and what is its alone.
pub fn trials() -> Vec<Trial> {
    let redis = on("bus/redis", (Redis::find(), Redis::start), |server| {
        let server = &server;
        let promised = promises!(
            bus,
            "redis",
            on_redis,
            server,
            keeps_order,
            every_group_gets_everything,
            unacknowledged_comes_again,
            a_full_queue_refuses,
        );
        promised.into_iter().chain(own(server)).collect()
    });
    let outages = on("bus/redis/outages", (Redis::find(), Redis::start), |server| {
        vec![trial("bus/redis/outages_lose_nothing_and_double_nothing", &server, |server| run(outages_of(server)))]
    });
    redis.into_iter().chain(outages).collect()
}

/// What is Redis' alone.
fn own(server: &Shared<Redis>) -> Vec<Trial> {
    let alone = |name: &str, play: fn(String) -> Pin<Box<dyn Future<Output = ()>>>| {
        trial(name, server, move |server| run(play(held(&server).url())))
    };
    vec![
        alone("bus/redis/what_was_published_twice_is_taken_once", |url| Box::pin(taken_once(url))),
        alone("bus/redis/five_deliveries_in_vain_are_enough", |url| Box::pin(set_aside(url))),
        alone("bus/redis/what_is_no_message_is_set_aside", |url| Box::pin(no_message(url))),
        alone("bus/redis/what_a_lost_consumer_left_is_claimed", |url| Box::pin(claimed(url))),
        alone("bus/redis/a_cancelled_read_loses_nothing", |url| Box::pin(cancelled(url))),
    ]
}

async fn taken_once(url: String) {
    let bus = redis_bus(&url, "a").await;
    let mut feed = bus.subscribe(Topic::Spans, "scout").await.expect("subscribed");
    for number in [1, 1, 2, 1] {
        bus.publish(Topic::Spans, message(number)).await.expect("published");
    }
    for number in [1, 2] {
        assert_eq!(feed.next().await.expect("a delivery").message, message(number));
    }
    let more = tokio::time::timeout(Duration::from_millis(1_500), feed.next()).await;
    assert!(more.is_err(), "{more:?}");
}

async fn set_aside(url: String) {
    let bus = redis_bus(&url, "a").await;
    let first = bus.subscribe(Topic::Spans, "scout").await.expect("subscribed");
    for number in [1, 2] {
        bus.publish(Topic::Spans, message(number)).await.expect("published");
    }
    drop(first);
    for _ in 0..5 {
        let mut feed = bus.subscribe(Topic::Spans, "scout").await.expect("subscribed");
        let delivery = feed.next().await.expect("a delivery");
        assert_eq!(delivery.message, message(1));
    }
    let mut feed = bus.subscribe(Topic::Spans, "scout").await.expect("subscribed");
    bus.publish(Topic::Spans, message(3)).await.expect("published");
    assert_eq!(feed.next().await.expect("a delivery").message, message(3), "both others were given up");
    assert_eq!(length(&url, "otlp_spans.dead").await, 2);
}

async fn no_message(url: String) {
    let bus = redis_bus(&url, "a").await;
    let mut feed = bus.subscribe(Topic::Spans, "scout").await.expect("subscribed");
    let mut strange = redis::cmd("XADD");
    strange.arg("otlp_spans").arg("*").arg("hello").arg("world");
    command::<String>(&url, &strange).await;
    bus.publish(Topic::Spans, message(1)).await.expect("published");
    assert_eq!(feed.next().await.expect("a delivery").message, message(1));
    assert_eq!(length(&url, "otlp_spans.dead").await, 1);
}

async fn claimed(url: String) {
    let lost = redis_bus(&url, "lost").await;
    let mut feed = lost.subscribe(Topic::Spans, "scout").await.expect("subscribed");
    lost.publish(Topic::Spans, message(1)).await.expect("published");
    feed.next().await.expect("a delivery");
    drop(feed);
    let other = RedisBus::connect(&url, Terms { idle: Duration::from_millis(300), ..terms("other") }).await;
    let mut feed = other.expect("connected").subscribe(Topic::Spans, "scout").await.expect("subscribed");
    let delivery = feed.next().await.expect("a delivery");
    assert_eq!(delivery.message, message(1));
    feed.acknowledge(delivery.receipt).await.expect("acknowledged");
    assert_eq!(length(&url, "otlp_spans").await, 0, "what all have acknowledged is let go of");
}

async fn cancelled(url: String) {
    let bus = redis_bus(&url, "a").await;
    let mut feed = bus.subscribe(Topic::Spans, "scout").await.expect("subscribed");
    let mut read = Vec::new();
    for number in 0..100_u8 {
        bus.publish(Topic::Spans, message(number)).await.expect("published");
        // Hundreds of reads are cancelled in all states.
        while let Ok(delivery) = tokio::time::timeout(Duration::from_micros(300), feed.next()).await {
            let delivery = delivery.expect("a delivery");
            read.push(delivery.message.body[0]);
            feed.acknowledge(delivery.receipt).await.expect("acknowledged");
        }
        while read.len() + bus::CAPACITY <= usize::from(number) + 1 {
            let delivery = feed.next().await.expect("a delivery");
            read.push(delivery.message.body[0]);
            feed.acknowledge(delivery.receipt).await.expect("acknowledged");
        }
    }
    while read.len() < 100 {
        read.push(feed.next().await.expect("a delivery").message.body[0]);
    }
    assert_eq!(read, (0..100).collect::<Vec<_>>());
}

/// The server is killed and started again, and paused, while messages are published and read all the time.
async fn outages_of(server: Shared<Redis>) {
    let url = held(&server).url();
    let terms = Terms { capacity: usize::from(outages::MESSAGES), ..terms("a") };
    let bus = RedisBus::connect(&url, terms).await.expect("connected");
    let bus = Buffered::new(Arc::new(bus), 1 << 20);
    let fate = outages::Fate { killed: 80, started: 150, paused: 230, resumed: 330 };
    outages::play(&bus, fate, |what| what(&mut *held(&server))).await;
    let pending: redis::Value = command(&url, redis::cmd("XPENDING").arg("otlp_spans").arg("scout")).await;
    assert!(format!("{pending:?}").contains("int(0)"), "{pending:?}");
}

async fn length(url: &str, stream: &str) -> usize {
    command(url, redis::cmd("XLEN").arg(stream)).await
}

async fn command<T: redis::FromRedisValue>(url: &str, command: &redis::Cmd) -> T {
    let client = redis::Client::open(url).expect("a client");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connected");
    command.query_async(&mut connection).await.expect("an answer")
}
