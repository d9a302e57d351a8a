//! Looking without knowing whether there will be anything to see.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Stage;

impl Stage {
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
