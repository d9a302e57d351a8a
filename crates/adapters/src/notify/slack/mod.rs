//! Slack: with a bot's token one message an incident, edited as it moves, and a reply in its thread when a person is needed, since
//! an edit rings no bell; with an incoming webhook alone, which cannot edit, one message for each important change.
//!
//! Methods: <https://docs.slack.dev/reference/methods/chat.postMessage>, `chat.update`, `conversations.history`, `auth.test`.

mod blocks;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sre_space_ports::notify::{Before, Notice, Notifier, NotifyError, What};

use self::blocks::{Kind, message};
use super::wire::Wire;
use crate::upstream::Upstream;

/// Marks a message as ours, with the incident it is about.
const EVENT_TYPE: &str = "sre_space_incident";
/// Messages that are looked through for one that may be ours.
const MOST_LOOKED_AT: u32 = 100;
/// What a limited bot waits that was not told for how long.
const USUAL_PAUSE: Duration = Duration::from_secs(30);
/// Errors of the Web API after which trying again can help.
const TRANSIENT: [&str; 5] =
    ["internal_error", "fatal_error", "service_unavailable", "request_timeout", "rollup_error"];

/// A bot in a channel.
pub struct SlackBot {
    wire: Wire,
    api: String,
    token: String,
    channel: String,
}

impl SlackBot {
    /// The bot of a token, which writes into one channel; `api` is Slack's Web API.
    pub fn new(api: &str, (token, channel): (String, String), upstream: Arc<Upstream>) -> Result<Self, reqwest::Error> {
        let api = api.trim_end_matches('/').to_owned();
        Ok(Self { wire: Wire::new(upstream, &token)?, api, token, channel })
    }

    /// Calls a method. Slack answers 200 to what it refuses, and says so in the body.
    async fn call(&self, method: &str, body: Value) -> Result<Value, Refusal> {
        let request = self.wire.client().post(format!("{}/{method}", self.api)).bearer_auth(&self.token).json(&body);
        let answer = self.wire.send(request).await.map_err(Refusal::Other)?;
        let unread = || Refusal::Other(NotifyError::Unreachable(format!("{method}: no JSON in the answer")));
        let mut said: Value = serde_json::from_str(&answer.body).map_err(|_| unread())?;
        if said["ok"] == true {
            said["scopes"] = json!(answer.headers.get("x-oauth-scopes").and_then(|scopes| scopes.to_str().ok()));
            return Ok(said);
        }
        let why = said["error"].as_str().unwrap_or("no reason given").to_owned();
        let detail = said["response_metadata"]["messages"].as_array().map(|told| json!(told).to_string());
        Err(self.refused(method, why, detail.unwrap_or_default()))
    }

    fn refused(&self, method: &str, why: String, detail: String) -> Refusal {
        let told = super::cut(&format!("{method}: {why} {detail}"), 300).trim().to_owned();
        match why.as_str() {
            "message_not_found" | "missing_scope" => Refusal::Lacking(NotifyError::Refused(told)),
            "ratelimited" => {
                self.wire.pause(USUAL_PAUSE, &told);
                Refusal::Other(NotifyError::Later { wait: USUAL_PAUSE, why: told })
            }
            other if TRANSIENT.contains(&other) => Refusal::Other(NotifyError::Unreachable(told)),
            _ => Refusal::Other(NotifyError::Refused(told)),
        }
    }

    async fn post(&self, notice: &Notice) -> Result<Place, NotifyError> {
        let mut body = message(notice, Kind::Standing);
        body["channel"] = json!(self.channel);
        body["unfurl_links"] = json!(false);
        body["metadata"] = json!({"event_type": EVENT_TYPE, "event_payload": {"incident": notice.subject}});
        let posted = self.call("chat.postMessage", body).await?;
        Place::of(&posted).ok_or_else(|| NotifyError::Refused("chat.postMessage: no ts in the answer".to_owned()))
    }

    async fn update(&self, notice: &Notice, place: &Place) -> Result<(), Refusal> {
        let mut body = message(notice, Kind::Standing);
        body["channel"] = json!(place.channel);
        body["ts"] = json!(place.ts);
        self.call("chat.update", body).await.map(drop)
    }

    /// Rings the bell of everybody in the channel.
    async fn reply(&self, notice: &Notice, place: &Place) -> Result<(), NotifyError> {
        let mut body = message(notice, Kind::Call);
        body["channel"] = json!(place.channel);
        body["thread_ts"] = json!(place.ts);
        body["reply_broadcast"] = json!(true);
        body["unfurl_links"] = json!(false);
        Ok(self.call("chat.postMessage", body).await.map(drop)?)
    }

    /// A message about the incident that was posted, while its answer was lost. Without the right to read the channel nobody can
    /// tell, and it is posted again.
    async fn found(&self, notice: &Notice) -> Result<Option<Place>, NotifyError> {
        let asked = json!({"channel": self.channel, "limit": MOST_LOOKED_AT, "include_all_metadata": true});
        let history = match self.call("conversations.history", asked).await {
            Ok(history) => history,
            Err(Refusal::Lacking(_)) => return Ok(None),
            Err(Refusal::Other(error)) => return Err(error),
        };
        let is_ours = |message: &&Value| {
            let metadata = &message["metadata"];
            metadata["event_type"] == EVENT_TYPE && metadata["event_payload"]["incident"] == notice.subject.as_str()
        };
        let ours = history["messages"].as_array().into_iter().flatten().find(is_ours);
        let ts = ours.and_then(|message| message["ts"].as_str());
        Ok(ts.map(|ts| Place { channel: self.channel.clone(), ts: ts.to_owned() }))
    }

    async fn stand(&self, notice: &Notice, before: &Before) -> Result<Place, NotifyError> {
        let known = match before.receipt().and_then(Place::read) {
            Some(place) => Some(place),
            None if before.in_doubt => self.found(notice).await?,
            None => None,
        };
        let Some(place) = known else { return self.post(notice).await };
        match self.update(notice, &place).await {
            Ok(()) => Ok(place),
            // Somebody deleted it.
            Err(Refusal::Lacking(_)) => self.post(notice).await,
            Err(Refusal::Other(error)) => Err(error),
        }
    }
}

#[async_trait]
impl Notifier for SlackBot {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn carries(&self, _notice: &Notice, _before: &Before) -> bool {
        true
    }

    async fn tell(&self, notice: &Notice, before: &Before) -> Result<Option<String>, NotifyError> {
        let place = self.stand(notice, before).await?;
        if matches!(notice.what, What::Call(_)) {
            self.reply(notice, &place).await?;
        }
        Ok(Some(place.written()))
    }

    async fn look(&self) -> Result<String, NotifyError> {
        let known = self.call("auth.test", json!({})).await?;
        let text = |name: &str| known[name].as_str().unwrap_or("?").to_owned();
        let scopes = known["scopes"].as_str().unwrap_or_default();
        if !scopes.is_empty() && !scopes.split(',').any(|scope| scope.trim() == "chat:write") {
            return Err(NotifyError::Refused(
                "the token lacks the scope chat:write: add it and install the app again".into(),
            ));
        }
        let reads = scopes.split(',').any(|scope| scope.trim() == "channels:history");
        let doubt =
            if reads { "" } else { "; with the scope channels:history a lost answer would make no second message" };
        Ok(format!("{} in {}, writes to {}{doubt}", text("user"), text("team"), self.channel))
    }
}

/// A refusal, and whether there is a way around it.
enum Refusal {
    /// The message is gone, or a right is missing that can be done without.
    Lacking(NotifyError),
    /// Any other.
    Other(NotifyError),
}

impl From<Refusal> for NotifyError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Lacking(error) | Refusal::Other(error) => error,
        }
    }
}

/// Where a message stands.
struct Place {
    channel: String,
    ts: String,
}

impl Place {
    fn of(posted: &Value) -> Option<Self> {
        Some(Self { channel: posted["channel"].as_str()?.to_owned(), ts: posted["ts"].as_str()?.to_owned() })
    }

    fn read(receipt: &str) -> Option<Self> {
        let (channel, ts) = receipt.split_once('/')?;
        Some(Self { channel: channel.to_owned(), ts: ts.to_owned() })
    }

    fn written(&self) -> String {
        format!("{}/{}", self.channel, self.ts)
    }
}

/// An incoming webhook. Its address is its secret.
pub struct SlackWebhook {
    wire: Wire,
    url: String,
}

impl SlackWebhook {
    /// The webhook at an address.
    pub fn new(url: String, upstream: Arc<Upstream>) -> Result<Self, reqwest::Error> {
        Ok(Self { wire: Wire::new(upstream, &url)?, url })
    }
}

#[async_trait]
impl Notifier for SlackWebhook {
    fn name(&self) -> &'static str {
        "slack"
    }

    /// Each of them is a message of its own, so only what matters.
    fn carries(&self, notice: &Notice, _before: &Before) -> bool {
        match notice.what {
            What::Opened | What::Call(_) | What::Over | What::Risk => true,
            What::Moved | What::Decided => false,
        }
    }

    async fn tell(&self, notice: &Notice, _before: &Before) -> Result<Option<String>, NotifyError> {
        let body = message(notice, Kind::Standing);
        let answer = self.wire.send(self.wire.client().post(&self.url).json(&body)).await?;
        if answer.status.is_success() { Ok(None) } else { Err(NotifyError::Refused(answer.quoted())) }
    }

    /// A webhook cannot be asked anything without a message.
    async fn look(&self) -> Result<String, NotifyError> {
        Ok("an incoming webhook cannot edit: one message for each important change; set SLACK_BOT_TOKEN and SLACK_CHANNEL for \
            one message that moves with the incident"
            .to_owned())
    }
}
