//! Who is told, and where.

use std::fmt;

use reqwest::Url;

use super::{Reader, accepts};

/// How Slack is reached.
#[derive(Clone, PartialEq, Eq)]
pub enum Slack {
    /// A bot: one message an incident, edited as it moves.
    Bot {
        /// Its token.
        token: String,
        /// The channel it writes to.
        channel: String,
        /// Base URL of the Web API.
        api: String,
    },
    /// An incoming webhook by its secret address, which cannot edit.
    Webhook(String),
}

/// A PagerDuty integration.
#[derive(Clone, PartialEq, Eq)]
pub struct PagerDuty {
    /// Its routing key.
    pub routing_key: String,
    /// Base URL of the Events API.
    pub api: String,
}

/// Mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The server; may hold a password.
    pub url: String,
    /// Sender.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
}

/// A webhook of the user's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its address, which may hold a secret.
    pub url: String,
    /// What deliveries are signed with.
    pub secret: String,
}

/// Every channel that is set, beside the log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Channels {
    /// Slack.
    pub slack: Option<Slack>,
    /// PagerDuty.
    pub pagerduty: Option<PagerDuty>,
    /// Mail.
    pub mail: Option<Mail>,
    /// A webhook.
    pub webhook: Option<Webhook>,
    /// The monitor as people reach it, where that is not the address it listens on.
    pub monitor: Option<String>,
}

impl fmt::Debug for Channels {
    /// Which are set; nearly all that is in them is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            ("slack", self.slack.is_some()),
            ("pagerduty", self.pagerduty.is_some()),
            ("mail", self.mail.is_some()),
            ("webhook", self.webhook.is_some()),
        ];
        f.debug_list().entries(all.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name)).finish()
    }
}

impl Reader<'_> {
    pub(super) fn channels(&mut self) -> Channels {
        Channels {
            slack: self.slack(),
            pagerduty: self.pagerduty(),
            mail: self.mail(),
            webhook: self.outgoing_webhook(),
            monitor: self.monitor_url(),
        }
    }

    fn slack(&mut self) -> Option<Slack> {
        let api = self.web_url("SLACK_API_URL");
        let hook = self.web_url("SLACK_WEBHOOK_URL");
        let Some(token) = self.secret("SLACK_BOT_TOKEN") else { return hook.map(Slack::Webhook) };
        match self.optional("SLACK_CHANNEL") {
            Some(channel) => Some(Slack::Bot { token, channel, api: api? }),
            None => {
                self.mistake("SLACK_CHANNEL", "", "the channel that SLACK_BOT_TOKEN writes to, by its id");
                None
            }
        }
    }

    fn pagerduty(&mut self) -> Option<PagerDuty> {
        let api = self.web_url("PAGERDUTY_API_URL");
        let routing_key = self.secret("PAGERDUTY_ROUTING_KEY")?;
        if routing_key.len() != 32 || !routing_key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            self.mistake("PAGERDUTY_ROUTING_KEY", "***", accepts("PAGERDUTY_ROUTING_KEY"));
        }
        Some(PagerDuty { routing_key, api: api? })
    }

    fn mail(&mut self) -> Option<Mail> {
        let url = self.secret("SMTP_URL")?;
        let is_mail = |url: &Url| matches!(url.scheme(), "smtp" | "smtps") && url.has_host() && url.query().is_none();
        if !Url::parse(&url).is_ok_and(|url| is_mail(&url)) {
            self.mistake("SMTP_URL", "***", accepts("SMTP_URL"));
        }
        let to = self.list("ALERT_EMAIL");
        let from = self.optional("SMTP_FROM").or_else(|| to.first().cloned()).unwrap_or_default();
        let is_address =
            |text: &String| text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
        if to.is_empty() || !to.iter().all(is_address) {
            self.mistake("ALERT_EMAIL", &to.join(","), accepts("ALERT_EMAIL"));
        }
        if !is_address(&from) && !to.is_empty() {
            self.mistake("SMTP_FROM", &from, accepts("SMTP_FROM"));
        }
        Some(Mail { url, from, to })
    }

    fn outgoing_webhook(&mut self) -> Option<Webhook> {
        let url = self.web_url("SRE_SPACE_WEBHOOK_URL")?;
        let secret = self.secret("SRE_SPACE_WEBHOOK_SECRET");
        if secret.is_none() {
            self.mistake(
                "SRE_SPACE_WEBHOOK_SECRET",
                "",
                "a secret that deliveries to SRE_SPACE_WEBHOOK_URL are signed with",
            );
        }
        Some(Webhook { url, secret: secret? })
    }

    fn monitor_url(&mut self) -> Option<String> {
        let hosted = || (self.get)("RENDER_EXTERNAL_URL");
        let text = self.optional("SRE_SPACE_PUBLIC_URL").or_else(hosted)?;
        let is_web =
            Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none());
        if !is_web {
            self.mistake("SRE_SPACE_PUBLIC_URL", &text, accepts("SRE_SPACE_PUBLIC_URL"));
        }
        Some(text)
    }

    /// An address that secrets are sent to: over TLS, except within this machine.
    pub(super) fn web_url(&mut self, name: &str) -> Option<String> {
        let text = self.secret(name).or_else(|| self.optional(name))?;
        let is_safe = Url::parse(&text).is_ok_and(|url| match url.scheme() {
            "https" => url.has_host(),
            "http" => matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")),
            _ => false,
        });
        if !is_safe {
            self.mistake(name, "***", accepts(name));
            return None;
        }
        Some(text)
    }
}
