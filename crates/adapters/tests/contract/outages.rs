//! A bus whose server is killed, started again, stopped and let go on while messages come: each is read once, in order.

use std::time::Duration;

use bytes::Bytes;
use sre_space_peers::Peer;
use sre_space_ports::bus::{Bus, BusError, Feed, Message, Topic};

/// Messages of a play.
pub const MESSAGES: u16 = 400;
const EVERY: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(90);

/// Before which message what happens to the server.
pub struct Fate {
    pub killed: u16,
    pub started: u16,
    pub paused: u16,
    pub resumed: u16,
}

/// Plays it; `server` gives somebody the server.
pub async fn play(bus: &dyn Bus, fate: Fate, server: impl Fn(&dyn Fn(&mut dyn Peer))) {
    let mut feed = bus.subscribe(Topic::Spans, "scout").await.expect("subscribed");
    let publishing = async {
        let mut tick = tokio::time::interval(EVERY);
        for number in 0..MESSAGES {
            tick.tick().await;
            bus.publish(Topic::Spans, message(number)).await.expect("taken or held");
            match number {
                at if at == fate.killed => server(&|peer| peer.kill()),
                at if at == fate.started => server(&|peer| peer.start_again()),
                at if at == fate.paused => server(&|peer| peer.pause()),
                at if at == fate.resumed => server(&|peer| peer.resume()),
                _ => {}
            }
        }
    };
    let tending = async {
        tokio::select! {
            () = bus.tend() => Vec::new(),
            read = read_all(feed.as_mut()) => read,
        }
    };
    let both = async { tokio::join!(tending, publishing) };
    let (read, ()) = tokio::time::timeout(PATIENCE, both).await.expect("everything arrives");
    assert_eq!(read, (0..MESSAGES).collect::<Vec<_>>());
    assert_eq!((bus.status().trouble, bus.status().held), (None, 0));
}

fn message(number: u16) -> Message {
    let body = Bytes::copy_from_slice(&number.to_be_bytes());
    Message { key: "key".into(), source: "shop".into(), received_ms: 7, body }
}

/// All numbers, each acknowledged, as well as the server can be told.
async fn read_all(feed: &mut dyn Feed) -> Vec<u16> {
    let mut read = Vec::new();
    while read.len() < usize::from(MESSAGES) {
        let delivery = feed.next().await.expect("a delivery");
        read.push(u16::from_be_bytes([delivery.message.body[0], delivery.message.body[1]]));
        match feed.acknowledge(delivery.receipt).await {
            Ok(()) | Err(BusError::Unreachable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    read
}
