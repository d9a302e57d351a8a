//! The customers: open-loop requests at a set rate, counted from the outside.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::http::client;
use crate::lifeline;
use crate::platform::Platform;

/// Requests waiting for an answer at most; beyond, customers stay away and are counted as failed.
const MOST_IN_FLIGHT: usize = 2_000;
/// Requests per second that come even in near silence.
const LEAST_RATE: f64 = 0.2;
const PATIENCE: Duration = Duration::from_secs(10);
const SLOW: Duration = Duration::from_millis(800);
/// Time between two looks into a history, on average.
const HISTORY_EVERY: Duration = Duration::from_millis(1_800);
/// How many customers there are, and how many with a malformed record.
const CUSTOMERS: u32 = 1_000;
const DIRTY: u32 = 100;

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    ok: AtomicU64,
    failed: AtomicU64,
    slow: AtomicU64,
}

/// Asks for quotes until the parent lets go.
pub fn run(platform: &Platform) -> Result<()> {
    lifeline::hold_hard();
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(ask(platform))
}

async fn ask(platform: &Platform) -> Result<()> {
    let client = client().timeout(PATIENCE).build()?;
    let web = platform.url("marketplace-web");
    await_opening(&client, &web).await;
    let counts = Arc::new(Counts::default());
    let log = std::fs::OpenOptions::new().create(true).append(true).open(platform.dir.join("traffic.jsonl"))?;
    tokio::spawn(write_counts(Arc::clone(&counts), log));
    let room = Arc::new(Semaphore::new(MOST_IN_FLIGHT));
    tokio::spawn(look_back(client.clone(), web.clone(), Arc::clone(&counts)));
    let opened = tokio::time::Instant::now();
    let mut next = opened;
    loop {
        // An open loop does not wait for answers.
        next += gap(platform, next - opened);
        tokio::time::sleep_until(next).await;
        counts.sent.fetch_add(1, Ordering::Relaxed);
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let url = format!("{web}/quote?user_id={}", customer(platform.dirty_share));
        let (client, counts) = (client.clone(), Arc::clone(&counts));
        tokio::spawn(async move {
            one(&client, &url, &counts).await;
            drop(permit);
        });
    }
}

/// Time until the next request: evenly spaced with half an interval of jitter, or by chance at the minute's rate.
fn gap(platform: &Platform, since: Duration) -> Duration {
    let chance: f64 = rand::random();
    let seconds = if platform.is_uneven {
        -(1.0 - chance).ln() / (platform.load * uneven(since.as_secs() % 60)).max(LEAST_RATE)
    } else {
        (0.5 + chance) / platform.load
    };
    Duration::from_secs_f64(seconds)
}

/// Share of the usual rate in a second of the minute: near silence, then as usual, then a burst.
fn uneven(second: u64) -> f64 {
    match second {
        0..40 => 0.003,
        40..55 => 1.0,
        _ => 3.0,
    }
}

/// Now and then a customer looks into their history.
async fn look_back(client: reqwest::Client, web: String, counts: Arc<Counts>) {
    loop {
        tokio::time::sleep(HISTORY_EVERY.mul_f64(0.5 + rand::random::<f64>())).await;
        counts.sent.fetch_add(1, Ordering::Relaxed);
        let (client, counts) = (client.clone(), Arc::clone(&counts));
        let url = format!("{web}/history?user_id={}", customer(0.0));
        tokio::spawn(async move { one(&client, &url, &counts).await });
    }
}

fn customer(dirty_share: f64) -> String {
    if rand::random::<f64>() < dirty_share {
        format!("dirty{}", rand::random_range(0..DIRTY))
    } else {
        format!("u{}", rand::random_range(0..CUSTOMERS))
    }
}

async fn await_opening(client: &reqwest::Client, web: &str) {
    let mut look = tokio::time::interval(Duration::from_millis(200));
    loop {
        look.tick().await;
        let answer = client.get(format!("{web}/quote?user_id=u1")).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return;
        }
    }
}

async fn one(client: &reqwest::Client, url: &str, counts: &Counts) {
    let began = Instant::now();
    let answer = client.get(url).send().await;
    let counter = match answer {
        Ok(answer) if !answer.status().is_success() => &counts.failed,
        Ok(_) if began.elapsed() > SLOW => &counts.slow,
        Ok(_) => &counts.ok,
        Err(_) => &counts.failed,
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One line a second: what was sent and what became of it in that second.
async fn write_counts(counts: Arc<Counts>, mut log: std::fs::File) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let line = json!({
            "at_unix_ms": u64::try_from(at).unwrap_or_default(), "sent": take(&counts.sent), "ok": take(&counts.ok),
            "failed": take(&counts.failed), "slow": take(&counts.slow),
        });
        if writeln!(log, "{line}").is_err() {
            return;
        }
    }
}
