//! PagerDuty's Events API v2.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::{Books, Fault, Recipient, faulty, mistakes, unheard, validator};

/// The routing key of the one integration.
pub const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

struct Service {
    books: Arc<Books<Value>>,
    schema: Validator,
}

/// A service with one integration.
pub struct PagerDuty(pub Recipient<Value>);

impl PagerDuty {
    /// Starts one.
    pub fn start() -> Self {
        Self(Recipient::http(|books| {
            let schema = validator(include_str!("../../schemas/pagerduty-event.json"));
            Router::new().route("/v2/enqueue", post(enqueue)).with_state(Arc::new(Service { books, schema }))
        }))
    }

    /// Base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address())
    }

    /// The events it took: action and `dedup_key`.
    pub fn events(&self) -> Vec<(String, String)> {
        let word = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
        self.0.took().iter().map(|event| (word(event, "event_action"), word(event, "dedup_key"))).collect()
    }

    /// Alerts by `dedup_key`, as PagerDuty would show them: how each stands.
    pub fn alerts(&self) -> BTreeMap<String, String> {
        let mut alerts = BTreeMap::new();
        for (action, key) in self.events() {
            match (action.as_str(), alerts.contains_key(&key)) {
                ("trigger", _) => _ = alerts.insert(key, "triggered".to_owned()),
                (_, false) => {}
                (action, true) => _ = alerts.insert(key, format!("{action}d")),
            }
        }
        alerts
    }
}

async fn enqueue(State(service): State<Arc<Service>>, body: Bytes) -> Response {
    let fault = service.books.fault();
    match fault {
        Some(Fault::Status(status)) => return faulty(status, None),
        Some(Fault::Busy(wait)) => return faulty(429, Some(wait)),
        Some(Fault::Unheard) | None => {}
    }
    let invalid = |errors: Vec<String>| {
        let said = json!({"status": "invalid event", "message": "Event object is invalid", "errors": errors});
        (StatusCode::BAD_REQUEST, axum::Json(said)).into_response()
    };
    let Ok(event) = serde_json::from_slice::<Value>(&body) else { return invalid(vec!["JSON parse error".to_owned()]) };
    let wrong = mistakes(&service.schema, &event);
    if !wrong.is_empty() {
        return invalid(wrong);
    }
    if event["routing_key"] != ROUTING_KEY {
        return invalid(vec!["Invalid routing key".to_owned()]);
    }
    let key = event["dedup_key"].clone();
    service.books.take(event);
    if fault == Some(Fault::Unheard) {
        return unheard().await;
    }
    let said = json!({"status": "success", "message": "Event processed", "dedup_key": key});
    (StatusCode::ACCEPTED, axum::Json(said)).into_response()
}
