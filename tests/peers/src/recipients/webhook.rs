//! A receiver of signed webhooks, as a user would write it: it checks the signature and the age before it looks at the body.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde_json::Value;
use sha2::Sha256;

use super::{Books, Fault, Recipient, faulty, unheard};

/// The shared secret.
pub const SECRET: &str = "a secret that both know";
/// What is older was recorded by somebody and sent again.
const MOST_AGE_S: u64 = 300;

/// A delivery that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// Its body.
    pub body: Value,
}

/// A receiver.
pub struct Receiver(pub Recipient<Delivery>);

impl Receiver {
    /// Starts one.
    pub fn start() -> Self {
        Self(Recipient::http(|books| Router::new().route("/hook", post(hook)).with_state(books)))
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.0.address())
    }
}

async fn hook(State(books): State<Arc<Books<Delivery>>>, headers: HeaderMap, body: Bytes) -> Response {
    let fault = books.fault();
    match fault {
        Some(Fault::Status(status)) => return faulty(status, None),
        Some(Fault::Busy(wait)) => return faulty(429, Some(wait)),
        Some(Fault::Unheard) | None => {}
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_signed(text("sre-space-timestamp"), text("sre-space-signature"), &body) {
        return (StatusCode::UNAUTHORIZED, "the signature is wrong").into_response();
    }
    let Ok(body) = serde_json::from_slice(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    books.take(Delivery { id: text("sre-space-delivery").to_owned(), body });
    if fault == Some(Fault::Unheard) { unheard().await } else { StatusCode::NO_CONTENT.into_response() }
}

fn is_signed(timestamp: &str, signature: &str, body: &[u8]) -> bool {
    let now = Timestamp::now().as_second();
    let is_fresh = timestamp.parse::<i64>().is_ok_and(|sent| now.abs_diff(sent) <= MOST_AGE_S);
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    is_fresh && signature == format!("v1={expected}")
}
