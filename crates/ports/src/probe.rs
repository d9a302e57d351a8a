//! Probes: one request of our own, when traffic is too thin to judge by.

use async_trait::async_trait;

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeOutcome {
    /// HTTP status; `None` when there was no answer.
    pub status: Option<u16>,
    /// Milliseconds until the answer (or until giving up).
    pub elapsed_ms: u64,
}

impl ProbeOutcome {
    /// Whether the probe failed: no answer, a status of 500 or above, or slower than the objective.
    pub fn is_bad(&self, latency_objective_ms: u64) -> bool {
        self.status.is_none_or(|status| status >= 500) || self.elapsed_ms > latency_objective_ms
    }
}

/// Sends probes. URLs come from the owners' file, never from telemetry.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Sends `METHOD path` to a base URL; follows no redirect, reads no body beyond a bound.
    async fn probe(&self, base_url: &str, request: &str) -> ProbeOutcome;
}
