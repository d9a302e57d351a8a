//! PagerDuty, Events API v2: trigger, acknowledge and resolve one alert an incident
//! (<https://developer.pagerduty.com/docs/events-api-v2/overview/>).
//!
//! The incident's id is the `dedup_key`: however often an event is sent, there is one alert.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use sre_space_ports::notify::{Before, Notice, Notifier, NotifyError, What};

use super::wire::Wire;
use super::{cut, said};
use crate::upstream::Upstream;

/// Characters of a summary.
const MOST_SUMMARY: usize = 1_024;
/// Characters of any other text.
const MOST_TEXT: usize = 1_024;

/// One integration of a PagerDuty service.
pub struct PagerDuty {
    wire: Wire,
    url: String,
    routing_key: String,
}

impl PagerDuty {
    /// The integration of a routing key, at the service with this base URL.
    pub fn new(base: &str, routing_key: String, upstream: Arc<Upstream>) -> Result<Self, reqwest::Error> {
        let url = format!("{}/v2/enqueue", base.trim_end_matches('/'));
        Ok(Self { wire: Wire::new(upstream, &routing_key)?, url, routing_key })
    }

    fn event(&self, notice: &Notice, action: &str) -> Value {
        let mut event = json!({
            "routing_key": self.routing_key, "event_action": action, "dedup_key": notice.subject,
        });
        if action == "trigger" {
            event["payload"] = payload(notice);
            event["client"] = json!("SRE-Space");
            event["client_url"] = json!(notice.page);
            event["links"] = links(notice);
        }
        event
    }
}

fn payload(notice: &Notice) -> Value {
    let facts: Map<String, Value> =
        notice.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(cut(value, MOST_TEXT)))).collect();
    json!({
        "summary": said(&notice.title, MOST_SUMMARY), "severity": notice.severity.as_str(), "source": said(&notice.service, MOST_TEXT),
        "timestamp": notice.at.to_string(), "component": cut(&notice.service, MOST_TEXT), "class": notice.state,
        "custom_details": {"text": cut(&notice.text, MOST_TEXT), "facts": facts},
    })
}

fn links(notice: &Notice) -> Value {
    let page = [(notice.page.as_str(), "the incident")].into_iter();
    let asked = notice.question.iter().flat_map(|asked| {
        [(asked.approve.as_str(), "look at the change and approve it"), (asked.reject.as_str(), "reject it")]
    });
    page.chain(asked).map(|(href, text)| json!({"href": href, "text": text})).collect()
}

/// What PagerDuty is told: it is woken for what needs somebody, and told of the rest only where it was.
fn action(notice: &Notice, before: &Before) -> Option<&'static str> {
    let follows = match notice.what == What::Over {
        true => Some("resolve"),
        false => notice.what.acknowledges().then_some("acknowledge"),
    };
    if notice.what.pages() { Some("trigger") } else { follows.filter(|_| before.is_paged()) }
}

#[async_trait]
impl Notifier for PagerDuty {
    fn name(&self) -> &'static str {
        "pagerduty"
    }

    fn carries(&self, notice: &Notice, before: &Before) -> bool {
        action(notice, before).is_some()
    }

    async fn tell(&self, notice: &Notice, before: &Before) -> Result<Option<String>, NotifyError> {
        let Some(action) = action(notice, before) else { return Ok(None) };
        let answer = self.wire.send(self.wire.client().post(&self.url).json(&self.event(notice, action))).await?;
        match answer.status {
            StatusCode::ACCEPTED => Ok(None),
            _ => Err(NotifyError::Refused(answer.quoted())),
        }
    }

    /// An integration cannot be asked without an event, and an event is an alert.
    async fn look(&self) -> Result<String, NotifyError> {
        Ok("a routing key of the right form; whether PagerDuty knows it shows with the first page".to_owned())
    }
}
