//! A webhook of the user's own: the notice as JSON, signed.
//!
//! `SRE-Space-Signature` is `v1=` and the hexadecimal HMAC-SHA256, with the shared secret, of `SRE-Space-Timestamp`, a full stop
//! and the raw body. `SRE-Space-Delivery` is the same however often a notice is sent: a receiver that keeps it takes each once.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use ring::hmac;
use serde_json::json;
use sre_space_ports::notify::{Before, Notice, Notifier, NotifyError};

use super::wire::{Answer, Wire};
use crate::upstream::Upstream;

/// One receiver.
pub struct Webhook {
    wire: Wire,
    url: String,
    secret: hmac::Key,
}

impl Webhook {
    /// A receiver at a URL, and the secret it shares with us.
    pub fn new(url: String, secret: &str, upstream: Arc<Upstream>) -> Result<Self, reqwest::Error> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Ok(Self { wire: Wire::new(upstream, secret)?, url, secret: key })
    }

    async fn deliver(&self, key: &str, body: String) -> Result<Answer, NotifyError> {
        let timestamp = Timestamp::now().as_second().to_string();
        let signature = format!("v1={}", sign(&self.secret, &timestamp, &body));
        let request = self.wire.client().post(&self.url).header("content-type", "application/json");
        let request = request.header("sre-space-delivery", key).header("sre-space-signature", signature);
        self.wire.send(request.header("sre-space-timestamp", timestamp).body(body)).await
    }
}

fn sign(secret: &hmac::Key, timestamp: &str, body: &str) -> String {
    let signature = hmac::sign(secret, format!("{timestamp}.{body}").as_bytes());
    signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl Notifier for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn carries(&self, _notice: &Notice, _before: &Before) -> bool {
        true
    }

    async fn tell(&self, notice: &Notice, _before: &Before) -> Result<Option<String>, NotifyError> {
        let body = json!({"schema": 1, "notice": notice}).to_string();
        let answer = self.deliver(&notice.key(), body).await?;
        if answer.status.is_success() { Ok(None) } else { Err(NotifyError::Refused(answer.quoted())) }
    }

    /// A receiver of the user's own may do anything when it is called: it is not.
    async fn look(&self) -> Result<String, NotifyError> {
        Ok("deliveries are signed; whether it answers shows with the first one".to_owned())
    }
}
