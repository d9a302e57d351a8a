//! Slack: the Web API's methods that are used, and an incoming webhook.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::{Books, Fault, Recipient, faulty, mistakes, unheard, validator};

/// The token of the bot.
pub const TOKEN: &str = "xoxb-1111-2222-stub";
/// Its channel.
pub const CHANNEL: &str = "C0STUB";
/// The secret part of the webhook's path.
pub const HOOK: &str = "T0/B0/s3cret";

/// A call that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Method, or `webhook`.
    pub method: String,
    /// Body.
    pub body: Value,
    /// Timestamp of the message it made, or changed.
    pub ts: String,
}

struct Workspace {
    books: Arc<Books<Call>>,
    schema: Validator,
}

/// A workspace.
pub struct Slack(pub Recipient<Call>);

impl Slack {
    /// Starts one.
    pub fn start() -> Self {
        Self(Recipient::http(|books| {
            let schema = validator(include_str!("../../schemas/slack-message.json"));
            let workspace = Arc::new(Workspace { books, schema });
            Router::new()
                .route("/api/{method}", post(method))
                .route("/services/{*secret}", post(hook))
                .with_state(workspace)
        }))
    }

    /// Base URL of the Web API.
    pub fn api(&self) -> String {
        format!("http://{}/api", self.0.address())
    }

    /// URL of the webhook.
    pub fn hook(&self) -> String {
        format!("http://{}/services/{HOOK}", self.0.address())
    }

    /// The methods that were called, each with the timestamp of its message.
    pub fn calls(&self) -> Vec<(String, String)> {
        self.0.took().into_iter().map(|call| (call.method, call.ts)).collect()
    }
}

fn refused(error: &str, messages: &[String]) -> Response {
    let mut body = json!({"ok": false, "error": error});
    if !messages.is_empty() {
        body["errors"] = json!(messages);
        let told: Vec<String> = messages.iter().map(|message| format!("[ERROR] {message}")).collect();
        body["response_metadata"] = json!({"messages": told});
    }
    axum::Json(body).into_response()
}

async fn method(
    State(workspace): State<Arc<Workspace>>,
    Path(method): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fault = workspace.books.fault();
    match fault {
        Some(Fault::Status(status)) => return faulty(status, None),
        Some(Fault::Busy(wait)) => return faulty(429, Some(wait)),
        Some(Fault::Unheard) | None => {}
    }
    if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(&format!("Bearer {TOKEN}")) {
        return refused("invalid_auth", &[]);
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else { return refused("invalid_json", &[]) };
    let answer = workspace.answer(&method, body);
    if fault == Some(Fault::Unheard) { unheard().await } else { answer }
}

impl Workspace {
    fn answer(&self, method: &str, body: Value) -> Response {
        match method {
            "auth.test" => {
                let said = json!({"ok": true, "team": "Stub", "user": "sre-space", "bot_id": "B0"});
                ([("x-oauth-scopes", "chat:write,channels:history")], axum::Json(said)).into_response()
            }
            "conversations.history" => {
                let messages: Vec<Value> = self.messages().collect();
                axum::Json(json!({"ok": true, "messages": messages})).into_response()
            }
            "chat.postMessage" | "chat.update" => self.write(method, body),
            _ => refused("unknown_method", &[]),
        }
    }

    /// Messages of the channel, newest first, each as it was posted.
    fn messages(&self) -> impl Iterator<Item = Value> {
        let took = super::held(&self.books.took).clone();
        let posted = took.into_iter().rev().filter(|call| call.method == "chat.postMessage");
        posted.map(|call| json!({"ts": call.ts, "text": call.body["text"], "metadata": call.body["metadata"]}))
    }

    fn write(&self, method: &str, body: Value) -> Response {
        let wrong = mistakes(&self.schema, &body);
        if !wrong.is_empty() {
            return refused("invalid_blocks", &wrong);
        }
        if body["channel"] != CHANNEL {
            return refused("channel_not_found", &[]);
        }
        let is_there = |ts: &Value| self.messages().any(|message| message["ts"] == *ts);
        let ts = match method {
            "chat.update" if !is_there(&body["ts"]) => return refused("message_not_found", &[]),
            "chat.update" => body["ts"].as_str().unwrap_or_default().to_owned(),
            _ if !body["thread_ts"].is_null() && !is_there(&body["thread_ts"]) => {
                return refused("thread_not_found", &[]);
            }
            _ => format!("1700000000.{:06}", self.messages().count() + 1),
        };
        self.books.take(Call { method: method.to_owned(), body, ts: ts.clone() });
        axum::Json(json!({"ok": true, "channel": CHANNEL, "ts": ts})).into_response()
    }
}

async fn hook(State(workspace): State<Arc<Workspace>>, Path(secret): Path<String>, body: Bytes) -> Response {
    match workspace.books.fault() {
        Some(Fault::Status(status)) => return faulty(status, None),
        Some(Fault::Busy(wait)) => return faulty(429, Some(wait)),
        Some(Fault::Unheard) => return unheard().await,
        None => {}
    }
    if secret != HOOK {
        return (StatusCode::FORBIDDEN, "invalid_token").into_response();
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "invalid_payload").into_response();
    };
    if !mistakes(&workspace.schema, &body).is_empty() {
        return (StatusCode::BAD_REQUEST, "invalid_blocks").into_response();
    }
    workspace.books.take(Call { method: "webhook".to_owned(), body, ts: String::new() });
    "ok".into_response()
}
