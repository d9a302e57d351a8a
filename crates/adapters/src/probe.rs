//! Probes over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Url};
use sre_space_ports::probe::{ProbeOutcome, Prober};
use tokio::time::Instant;

/// A probe that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends probes; follows no redirect and reads no body.
pub struct HttpProber {
    client: Client,
}

impl HttpProber {
    /// A prober with its own connections.
    pub fn new() -> Result<Self, reqwest::Error> {
        let client = sre_space_tls::http().redirect(Policy::none()).timeout(PATIENCE).build()?;
        Ok(Self { client })
    }

    async fn status(&self, base_url: &str, request: &str) -> Option<u16> {
        let (method, path) = request.split_once(' ')?;
        let base = Url::parse(base_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let url = base.join(path).ok().filter(|url| url.host_str() == base.host_str() && url.port() == base.port())?;
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        Some(self.client.request(method, url).send().await.ok()?.status().as_u16())
    }
}

#[async_trait]
impl Prober for HttpProber {
    async fn probe(&self, base_url: &str, request: &str) -> ProbeOutcome {
        let began = Instant::now();
        let status = self.status(base_url, request).await;
        ProbeOutcome { status, elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) }
    }
}
