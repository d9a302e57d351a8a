//! Feeds Scout: spans from the bus in, sightings out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sre_space_agents::scout::{Scout, Sighting};
use sre_space_ports::bus::{Delivery, Feed};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::ingest::decode;

/// How often Scout judges its windows.
const JUDGE_EVERY: Duration = Duration::from_millis(200);

/// Runs until stopped or the bus is closed; a batch is acknowledged after Scout has seen all of it.
pub async fn run(
    scout: Arc<Mutex<Scout>>,
    mut feed: Box<dyn Feed>,
    sightings: mpsc::Sender<Sighting>,
    stop: CancellationToken,
) {
    let mut judge = tokio::time::interval(JUDGE_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            delivery = feed.next() => match delivery {
                Some(delivery) => {
                    observe(&scout, &delivery);
                    if let Err(error) = feed.acknowledge(delivery.receipt).await {
                        warn!(%error, "a batch of spans was not acknowledged and will come again");
                    }
                }
                None => return,
            },
            _ = judge.tick() => {
                let seen = {
                    let mut scout = scout.lock().unwrap_or_else(PoisonError::into_inner);
                    scout.judge(Timestamp::now().as_millisecond())
                };
                for sighting in seen {
                    if sightings.send(sighting).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn observe(scout: &Mutex<Scout>, delivery: &Delivery) {
    let message = &delivery.message;
    let mut scout = scout.lock().unwrap_or_else(PoisonError::into_inner);
    let read = decode::spans(&message.body, &mut |span| scout.observe(&span, &message.source, message.received_ms));
    if let Err(error) = read {
        warn!(%error, source = message.source, "a batch of spans on the bus is malformed");
    }
}
