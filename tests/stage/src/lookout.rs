//! Looking without knowing whether there will be anything to see.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Stage, text};

/// Milliseconds since the Unix epoch, now.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// When an incident was opened, milliseconds since the Unix epoch.
pub fn opened_ms(incident: &Value) -> i64 {
    let at: jiff::Timestamp = text(incident, "/opened_at").parse().expect("a time");
    at.as_millisecond()
}

/// Prints when something was seen.
pub fn told(what: &str, since_ms: i64, at_ms: Option<i64>) {
    match at_ms {
        Some(at_ms) => println!("{what}: {:.1} s after the injection", (at_ms - since_ms) as f64 / 1_000.0),
        None => println!("{what}: not seen"),
    }
}

impl Stage {
    /// What the traffic generator counted, second by second.
    fn counted(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.platform.dir.join("traffic.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The second it counted last.
    pub fn last_counted_ms(&self) -> Option<i64> {
        self.counted().last()?["at_unix_ms"].as_i64()
    }

    /// When it counted the first failed or slow request since a moment, at the earliest: a line tells of the second before it.
    pub fn first_bad_ms(&self, since_ms: i64) -> Option<i64> {
        let count = |line: &Value, what: &str| line[what].as_u64().unwrap_or_default();
        let mut later = self.counted().into_iter().filter(|line| line["at_unix_ms"].as_i64() > Some(since_ms));
        let bad = later.find(|line| count(line, "failed") + count(line, "slow") > 0)?;
        Some(bad["at_unix_ms"].as_i64()? - 1_000)
    }

    /// What one of the planes logged: `control-plane.log` or `user-plane.log`.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }

    /// Waits so long for an incident to be opened, and no longer: it may never be.
    pub async fn opened(&self, patience: Duration) -> Option<Value> {
        let (began, mut tick) = (Instant::now(), tokio::time::interval(Duration::from_millis(250)));
        while began.elapsed() < patience {
            tick.tick().await;
            let listed = self.get("/api/v1/incidents").await.and_then(|listed| listed.get(0).cloned());
            if listed.is_some() {
                return listed;
            }
        }
        None
    }
}
