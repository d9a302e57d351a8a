//! Where people are told.

use std::sync::Arc;

use anyhow::Result;
use sre_space_adapters::notify::log::LogNotifier;
use sre_space_adapters::notify::pagerduty::PagerDuty;
use sre_space_adapters::notify::slack::{SlackBot, SlackWebhook};
use sre_space_adapters::notify::smtp::Smtp;
use sre_space_adapters::notify::webhook::Webhook;
use sre_space_adapters::upstream::Upstream;
use sre_space_ports::notify::Notifier;

use crate::config::{self, Channels};

/// Channels, and the servers behind them.
type Open = (Vec<Arc<dyn Notifier>>, Vec<Arc<Upstream>>);

/// Where people are told: the log always, and what is set. Each has a breaker.
pub(super) fn open(channels: &Channels) -> Result<Open> {
    let mut all: Vec<Arc<dyn Notifier>> = vec![Arc::new(LogNotifier)];
    let mut upstreams = Vec::new();
    let mut upstream = |name| {
        let upstream = Upstream::new(name);
        upstreams.push(Arc::clone(&upstream));
        upstream
    };
    match &channels.slack {
        Some(config::Slack::Bot { token, channel, api }) => {
            all.push(Arc::new(SlackBot::new(api, (token.clone(), channel.clone()), upstream("slack"))?));
        }
        Some(config::Slack::Webhook(url)) => all.push(Arc::new(SlackWebhook::new(url.clone(), upstream("slack"))?)),
        None => {}
    }
    if let Some(pager) = &channels.pagerduty {
        all.push(Arc::new(PagerDuty::new(&pager.api, pager.routing_key.clone(), upstream("pagerduty"))?));
    }
    if let Some(mail) = &channels.mail {
        all.push(Arc::new(Smtp::new(&mail.url, &mail.from, &mail.to, upstream("mail"))?));
    }
    if let Some(hook) = &channels.webhook {
        all.push(Arc::new(Webhook::new(hook.url.clone(), &hook.secret, upstream("webhook"))?));
    }
    Ok((all, upstreams))
}

/// What each channel says of itself, asked without telling anybody; or what is wrong, and which setting to look at.
pub async fn look_at_channels(channels: &Channels) -> Vec<(&'static str, Result<String, String>)> {
    let all = match open(channels) {
        Ok((all, _)) => all,
        Err(error) => return vec![("notices", Err(format!("{error:#}")))],
    };
    let mut found = Vec::new();
    for channel in all {
        let mend = match channel.name() {
            "slack" => "mend SLACK_BOT_TOKEN, SLACK_CHANNEL or SLACK_WEBHOOK_URL",
            "mail" => "start the server or mend SMTP_URL",
            _ => "mend its settings",
        };
        found.push((channel.name(), channel.look().await.map_err(|error| format!("{error}; {mend}"))));
    }
    found
}
