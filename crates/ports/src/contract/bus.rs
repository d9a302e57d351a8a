//! What every bus must do.
#![expect(clippy::expect_used, reason = "a contract is a test: it fails by panicking")]

use bytes::Bytes;

use crate::bus::{Bus, BusError, Feed, Message, Topic};

/// The bound the bus under test was built with.
pub const CAPACITY: usize = 8;

fn message(number: u8) -> Message {
    Message { key: "key".into(), source: "shop".into(), received_ms: 7, body: Bytes::from(vec![number]) }
}

async fn publish(bus: &dyn Bus, number: u8) {
    bus.publish(Topic::Spans, message(number)).await.expect("published");
}

async fn next(feed: &mut dyn Feed) -> (u8, u64) {
    let delivery = feed.next().await.expect("a delivery");
    (delivery.message.body[0], delivery.receipt)
}

/// Messages of one key arrive in order, whole.
pub async fn keeps_order(bus: &dyn Bus) {
    let mut feed = bus.subscribe(Topic::Spans, "a").await.expect("subscribed");
    for number in 0..100 {
        publish(bus, number).await;
        let delivery = feed.next().await.expect("a delivery");
        assert_eq!(delivery.message, message(number));
        feed.acknowledge(delivery.receipt).await.expect("acknowledged");
    }
}

/// Every group gets every message; another topic's get none.
pub async fn every_group_gets_everything(bus: &dyn Bus) {
    let mut a = bus.subscribe(Topic::Spans, "a").await.expect("subscribed");
    let mut b = bus.subscribe(Topic::Spans, "b").await.expect("subscribed");
    let mut other = bus.subscribe(Topic::Signals, "a").await.expect("subscribed");
    publish(bus, 1).await;
    bus.publish(Topic::Signals, message(2)).await.expect("published");
    assert_eq!(next(a.as_mut()).await.0, 1);
    assert_eq!(next(b.as_mut()).await.0, 1);
    assert_eq!(next(other.as_mut()).await.0, 2);
}

/// What was not acknowledged when a feed is dropped comes again, in order, and nothing else does.
pub async fn unacknowledged_comes_again(bus: &dyn Bus) {
    let mut feed = bus.subscribe(Topic::Spans, "a").await.expect("subscribed");
    for number in 1..=4 {
        publish(bus, number).await;
    }
    let (_, first) = next(feed.as_mut()).await;
    next(feed.as_mut()).await;
    next(feed.as_mut()).await;
    feed.acknowledge(first).await.expect("acknowledged");
    drop(feed);
    let mut feed = bus.subscribe(Topic::Spans, "a").await.expect("subscribed");
    for number in 2..=4 {
        assert_eq!(next(feed.as_mut()).await.0, number);
    }
}

/// A full queue refuses at once, and takes again when there is room.
pub async fn a_full_queue_refuses(bus: &dyn Bus) {
    let mut feed = bus.subscribe(Topic::Spans, "a").await.expect("subscribed");
    for number in 0..CAPACITY {
        publish(bus, u8::try_from(number).expect("small")).await;
    }
    let refused = bus.publish(Topic::Spans, message(99)).await.expect_err("full");
    assert!(matches!(refused, BusError::Full(_)) && refused.is_transient());
    let (_, receipt) = next(feed.as_mut()).await;
    feed.acknowledge(receipt).await.expect("acknowledged");
    publish(bus, 99).await;
}
