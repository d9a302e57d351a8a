//! A notice in Block Kit (<https://docs.slack.dev/reference/block-kit/blocks>), within its limits.

use serde_json::{Value, json};
use sre_space_ports::notify::{Notice, Severity, What};

use super::super::{cut, said};

/// Characters of a header.
const MOST_HEADER: usize = 150;
/// Characters of a section's text; Slack takes 3,000, and escaping makes five of one.
const MOST_SECTION: usize = 600;
/// Characters of a field; Slack takes 2,000.
const MOST_FIELD: usize = 400;
/// Fields of a section.
const MOST_FIELDS: usize = 10;

/// Which message of an incident it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The one that tells how it stands.
    Standing,
    /// The one that calls a person.
    Call,
}

/// Text and blocks of a message.
pub fn message(notice: &Notice, kind: Kind) -> Value {
    let mut blocks = vec![header(notice), section(&notice.text)];
    if kind == Kind::Standing && !notice.facts.is_empty() {
        blocks.push(fields(notice));
    }
    blocks.extend(question(notice));
    blocks.push(footer(notice));
    let text = cut(&format!("{}: {}", word(notice), notice.title), MOST_SECTION);
    json!({"text": escaped(&text), "blocks": blocks})
}

fn header(notice: &Notice) -> Value {
    // A header is plain text: nothing in it is mark-up.
    let text = cut(&format!("{} {}: {}", sign(notice), word(notice), notice.title), MOST_HEADER);
    json!({"type": "header", "text": {"type": "plain_text", "text": text, "emoji": true}})
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": markdown(&said(text, MOST_SECTION))})
}

fn fields(notice: &Notice) -> Value {
    let state = [("state", notice.state.as_str())].into_iter();
    let facts = notice.facts.iter().map(|(name, value)| (*name, value.as_str()));
    let fields: Vec<Value> = state
        .chain(facts)
        .take(MOST_FIELDS)
        .map(|(name, value)| json!({"type": "mrkdwn", "text": format!("*{name}*\n{}", escaped(&said(value, MOST_FIELD)))}))
        .collect();
    json!({"type": "section", "fields": fields})
}

/// Links to where a person may decide: none of them decides anything.
fn question(notice: &Notice) -> Option<Value> {
    let asked = notice.question.as_ref()?;
    let text = format!(
        "<{}|Approve> or <{}|reject> on the monitor's page, or with `sre-space approve {}`. Digest `{}`",
        escaped(&asked.approve),
        escaped(&asked.reject),
        escaped(&notice.subject),
        asked.digest.as_str().get(..12).unwrap_or_default(),
    );
    Some(json!({"type": "section", "text": {"type": "mrkdwn", "text": text}}))
}

fn footer(notice: &Notice) -> Value {
    let text =
        format!("<{}|{}> · {}", escaped(&notice.page), escaped(&notice.subject), notice.at.strftime("%F %T UTC"));
    json!({"type": "context", "elements": [{"type": "mrkdwn", "text": text}]})
}

fn markdown(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": escaped(text), "verbatim": true})
}

/// The three characters that Slack gives a meaning.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn word(notice: &Notice) -> &'static str {
    match notice.what {
        What::Opened => "Incident",
        What::Moved => "Under way",
        What::Call(_) => "A person is needed",
        What::Decided => "Decided",
        What::Over => "Over",
        What::Risk => "Risk",
    }
}

fn sign(notice: &Notice) -> &'static str {
    match notice.severity {
        Severity::Critical => ":rotating_light:",
        Severity::Error => ":red_circle:",
        Severity::Warning => ":warning:",
        Severity::Info if notice.what == What::Over => ":white_check_mark:",
        Severity::Info => ":large_blue_circle:",
    }
}
