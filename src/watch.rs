//! Feeds Scout: spans from the bus in, sightings out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sre_space_agents::scout::{Scout, Sighting};
use sre_space_ports::bus::{Delivery, Feed, Message};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::calm::{CalmTimes, Heard};
use crate::ingest::decode;
use crate::ingest::telemetry::Telemetry;
use crate::signals::Levels;

/// How often Scout judges its windows.
const JUDGE_EVERY: Duration = Duration::from_millis(200);

/// Runs until stopped or the bus is closed; a batch is acknowledged after Scout has seen all of it.
pub async fn run(
    scout: Arc<Mutex<Scout>>,
    mut feed: Box<dyn Feed>,
    mut calm: CalmTimes,
    sightings: mpsc::Sender<Sighting>,
    stop: CancellationToken,
) {
    let mut judge = tokio::time::interval(JUDGE_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            delivery = feed.next() => match delivery {
                Some(delivery) => {
                    hear(&scout, None, Telemetry::Traces, &delivery);
                    calm.take(&delivery.message);
                    if let Err(error) = feed.acknowledge(delivery.receipt).await {
                        warn!(%error, "a batch of spans was not acknowledged and will come again");
                    }
                }
                None => return,
            },
            _ = judge.tick() => {
                let now_ms = Timestamp::now().as_millisecond();
                let (seen, is_calm) = {
                    let mut scout = scout.lock().unwrap_or_else(PoisonError::into_inner);
                    (scout.judge(now_ms), scout.suspects().is_empty())
                };
                if let Some(records) = is_calm.then(|| calm.due(now_ms)).flatten()
                    && let Err(error) = calm.write(records).await
                {
                    warn!(%error, "calm times were not written down: a restart will not know what is usual");
                }
                for sighting in seen {
                    if sightings.send(sighting).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// Tells Scout what was written down of calm times.
pub fn recollect(scout: &Mutex<Scout>, calm: &CalmTimes) {
    let now_ms = Timestamp::now().as_millisecond();
    let mut scout = scout.lock().unwrap_or_else(PoisonError::into_inner);
    for Heard { received_ms, body } in calm.read(now_ms) {
        if let Err(error) = decode::spans(&body, &mut |span| scout.recollect(&span, received_ms, now_ms)) {
            warn!(%error, "what was written down of calm times is malformed");
        }
    }
}

/// Runs until stopped or the bus is closed: metrics or logs, which need no judging.
pub async fn listen(
    scout: Arc<Mutex<Scout>>,
    telemetry: Telemetry,
    mut feed: Box<dyn Feed>,
    levels: Arc<Levels>,
    stop: CancellationToken,
) {
    loop {
        let delivery = tokio::select! {
            () = stop.cancelled() => return,
            delivery = feed.next() => delivery,
        };
        let Some(delivery) = delivery else { return };
        hear(&scout, Some(&levels), telemetry, &delivery);
        if let Err(error) = feed.acknowledge(delivery.receipt).await {
            warn!(%error, "a batch was not acknowledged and will come again");
        }
    }
}

fn hear(scout: &Mutex<Scout>, levels: Option<&Levels>, telemetry: Telemetry, delivery: &Delivery) {
    let mut scout = scout.lock().unwrap_or_else(PoisonError::into_inner);
    let Message { body, source, received_ms, .. } = &delivery.message;
    let read = match telemetry {
        Telemetry::Traces => decode::spans(body, &mut |span| scout.observe(&span, source, *received_ms)),
        Telemetry::Metrics => decode::points(body, &mut |point| {
            scout.observe_point(&point, source, *received_ms);
            if let Some(levels) = levels {
                levels.observe(&point, *received_ms);
            }
        }),
        Telemetry::Logs => decode::records(body, &mut |record| scout.observe_record(&record)),
    };
    if let Err(error) = read {
        warn!(%error, source, topic = telemetry.topic().name(), "a batch on the bus is malformed");
    }
}
