//! `POST /webhook/github`: somebody says that the forge changed, and signs it.
//!
//! A delivery is a hint and nothing more: it wakes whoever waits for the forge, who then looks for himself. Nothing in its body is
//! believed, kept or shown. Signature: HMAC-SHA256 of the raw body, hexadecimal behind `sha256=`, in `X-Hub-Signature-256`
//! (<https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>). Whoever keeps a local forge may send the
//! same.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use sre_space_domain::secret::Secret;
use tokio::sync::Notify;

use super::Desk;
use super::problem::Problem;
use crate::hex;

/// Deliveries remembered, so that one that is sent again changes nothing.
const MOST_REMEMBERED: usize = 1_000;
/// Events after which the state of a pull request, its checks or the deployed branch may be another.
const TELLING: [&str; 5] = ["push", "pull_request", "check_run", "check_suite", "status"];

/// What deliveries are checked with, and whom they wake.
pub struct Webhook {
    secret: Option<Secret>,
    changed: Arc<Notify>,
    taken: Mutex<VecDeque<String>>,
}

impl Webhook {
    /// Without a secret no delivery is taken.
    pub fn new(secret: Option<Secret>, changed: Arc<Notify>) -> Self {
        Self { secret, changed, taken: Mutex::default() }
    }

    fn verify(&self, signature: &str, body: &[u8]) -> Result<(), Problem> {
        let refuse = |status, detail: &str| Err(Problem::new(status, detail));
        let Some(secret) = &self.secret else {
            return refuse(
                StatusCode::FORBIDDEN,
                "webhooks are off: set GITHUB_WEBHOOK_SECRET to the webhook's secret",
            );
        };
        let wrong = || refuse(StatusCode::UNAUTHORIZED, "X-Hub-Signature-256 is not the body's HMAC-SHA256");
        let Some(sent) = signature.strip_prefix("sha256=").and_then(hex::bytes) else { return wrong() };
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.bare().as_bytes()) else { return wrong() };
        if mac.chain_update(body).verify_slice(&sent).is_ok() { Ok(()) } else { wrong() }
    }

    /// Whether this delivery is new; one without an id always is.
    fn is_new(&self, delivery: &str) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if delivery.is_empty() {
            return true;
        }
        if taken.iter().any(|known| known == delivery) {
            return false;
        }
        taken.push_back(delivery.chars().take(64).collect());
        if taken.len() > MOST_REMEMBERED {
            taken.pop_front();
        }
        true
    }
}

/// Takes one delivery.
pub(super) async fn take(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    desk.webhook.verify(text("x-hub-signature-256"), &body)?;
    let wakes = TELLING.contains(&text("x-github-event")) && desk.webhook.is_new(text("x-github-delivery"));
    if wakes {
        desk.webhook.changed.notify_waiters();
    }
    Ok((StatusCode::ACCEPTED, Json(json!({"looked_again": wakes}))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Secret, payload and signature of GitHub's own documentation.
    const SECRET: &str = "It's a Secret to Everybody";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn webhook(secret: Option<&str>) -> Webhook {
        Webhook::new(secret.map(Secret::new), Arc::default())
    }

    #[test]
    fn the_documented_signature_is_taken_and_no_other() {
        let webhook = webhook(Some(SECRET));
        assert!(webhook.verify(SIGNATURE, b"Hello, World!").is_ok());
        assert!(webhook.verify(SIGNATURE, b"Hello, World?").is_err());
        for wrong in ["", "sha256=", &SIGNATURE[7..], &SIGNATURE[..70], "sha1=00", "sha256=zz"] {
            assert!(webhook.verify(wrong, b"Hello, World!").is_err(), "{wrong}");
        }
    }

    #[test]
    fn without_a_secret_nothing_is_taken() {
        assert!(webhook(None).verify(SIGNATURE, b"Hello, World!").is_err());
    }

    #[test]
    fn a_delivery_that_comes_again_is_known_and_few_are_remembered() {
        let webhook = webhook(None);
        assert!(webhook.is_new("a") && !webhook.is_new("a"));
        assert!(webhook.is_new("") && webhook.is_new(""));
        assert!((0..2 * MOST_REMEMBERED).all(|number| webhook.is_new(&number.to_string())));
        assert_eq!(webhook.taken.lock().expect("the list").len(), MOST_REMEMBERED);
    }
}
