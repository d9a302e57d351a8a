//! Every channel on a stand-in that checks what it is sent, refuses what does not fit, and keeps a log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use sre_space_adapters::notify::log::LogNotifier;
use sre_space_adapters::notify::pagerduty::PagerDuty as Pager;
use sre_space_adapters::notify::slack::{SlackBot, SlackWebhook};
use sre_space_adapters::notify::smtp::Smtp;
use sre_space_adapters::notify::webhook::Webhook;
use sre_space_adapters::upstream::Upstream;
use sre_space_domain::ids::Digest;
use sre_space_domain::incident::EscalationReason;
use sre_space_peers::recipients::Fault;
use sre_space_peers::recipients::mail::MailServer;
use sre_space_peers::recipients::pagerduty::{PagerDuty, ROUTING_KEY};
use sre_space_peers::recipients::slack::{CHANNEL, Slack, TOKEN};
use sre_space_peers::recipients::webhook::{Receiver, SECRET};
use sre_space_ports::contract::notify::{
    a_person_who_is_needed_is_told, long_and_hostile_words_are_taken, notice, telling_again_is_harmless,
};
use sre_space_ports::notify::{Before, Notifier, NotifyError, Told, What};

use crate::run;

const NEEDED: What = What::Call(EscalationReason::ApprovalRequired);
const UNDECIDED: What = What::Call(EscalationReason::Inconclusive);

fn bot(slack: &Slack) -> SlackBot {
    let credentials = (TOKEN.to_owned(), CHANNEL.to_owned());
    SlackBot::new(&slack.api(), credentials, Upstream::new("slack")).expect("a client")
}

fn hook(slack: &Slack) -> SlackWebhook {
    SlackWebhook::new(slack.hook(), Upstream::new("slack")).expect("a client")
}

fn pager(pagerduty: &PagerDuty) -> Pager {
    Pager::new(&pagerduty.url(), ROUTING_KEY.to_owned(), Upstream::new("pagerduty")).expect("a client")
}

fn webhook(receiver: &Receiver) -> Webhook {
    Webhook::new(receiver.url(), SECRET, Upstream::new("webhook")).expect("a client")
}

fn mail(server: &MailServer) -> Smtp {
    let to = ["ann@example.org".to_owned(), "ben@example.org".to_owned()];
    Smtp::new(&server.url(), "sre@example.org", &to, Upstream::new("mail")).expect("a client")
}

/// Each channel × every promise, on a stand-in of its own.
async fn promises(promise: usize) {
    let (slack, pagerduty, receiver, server) =
        (Slack::start(), PagerDuty::start(), Receiver::start(), MailServer::start());
    let (bot, hook) = (bot(&slack), hook(&slack));
    let (pager, webhook, mail) = (pager(&pagerduty), webhook(&receiver), mail(&server));
    let channels: [&dyn Notifier; 6] = [&LogNotifier, &bot, &hook, &pager, &webhook, &mail];
    for channel in channels {
        match promise {
            0 => a_person_who_is_needed_is_told(channel).await,
            1 => telling_again_is_harmless(channel).await,
            _ => long_and_hostile_words_are_taken(channel).await,
        }
    }
}

/// Tells one notice after the other, as the courier does, and keeps the receipts.
async fn tell_all(channel: &dyn Notifier, what: &[What]) {
    let mut before = Before::default();
    for (step, what) in (1..).zip(what) {
        let notice = notice(step, *what);
        if channel.carries(&notice, &before) {
            let receipt = channel.tell(&notice, &before).await.expect("told");
            before.told.push(Told { step, what: *what, receipt });
        }
    }
}

const HEALED: [What; 4] = [What::Opened, What::Moved, What::Moved, What::Over];
const CALLED: [What; 5] = [What::Opened, What::Moved, NEEDED, What::Decided, What::Over];
const UNPROVEN: [What; 4] = [What::Opened, UNDECIDED, What::Call(EscalationReason::Kept), What::Over];

/// Every trial.
pub fn trials() -> Vec<Trial> {
    let named = ["a_person_who_is_needed_is_told", "telling_again_is_harmless", "long_and_hostile_words_are_taken"];
    let promised = named
        .into_iter()
        .enumerate()
        .map(|(index, name)| Trial::test(format!("notify/every_channel/{name}"), move || run(promises(index))));
    let own = [
        trial("slack/one_message_moves_with_the_incident", one_message),
        trial("slack/a_lost_answer_makes_no_second_message", lost_answer),
        trial("slack/a_message_that_was_deleted_is_posted_again", deleted),
        trial("slack/a_webhook_alone_tells_what_matters", webhook_alone),
        trial("slack/names_are_not_mark_up", escaped),
        trial("pagerduty/an_incident_that_heals_by_itself_wakes_nobody", nobody_woken),
        trial("pagerduty/one_alert_from_call_to_end", one_alert),
        trial("pagerduty/a_page_sent_twice_is_one_alert", paged_twice),
        trial("webhook/is_signed_and_keeps_its_delivery_id", signed),
        trial("webhook/a_redirect_is_not_followed", redirected),
        trial("mail/calls_and_ends_are_one_thread", one_thread),
        trial("every_channel/a_refusal_is_for_good_and_a_failure_is_not", faults),
        trial("every_channel/a_pause_is_kept_and_a_breaker_opens", breakers),
        trial("every_channel/no_error_holds_a_secret", secrets),
        trial("every_channel/is_asked_without_telling_anybody", looked),
    ];
    promised.chain(own).collect()
}

fn trial<Play: Future<Output = ()>>(name: &str, play: impl Fn() -> Play + Send + 'static) -> Trial {
    Trial::test(format!("notify/{name}"), move || -> Result<(), Failed> { run(play()) })
}

fn calls(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(method, ts)| ((*method).to_owned(), (*ts).to_owned())).collect()
}

async fn one_message() {
    let slack = Slack::start();
    tell_all(&bot(&slack), &HEALED).await;
    let (first, second) = ("1700000000.000001", "1700000000.000002");
    let healed = [("chat.postMessage", first), ("chat.update", first), ("chat.update", first), ("chat.update", first)];
    assert_eq!(slack.calls(), calls(&healed));
    let slack = Slack::start();
    tell_all(&bot(&slack), &[What::Opened, UNDECIDED]).await;
    let called = [("chat.postMessage", first), ("chat.update", first), ("chat.postMessage", second)];
    assert_eq!(slack.calls(), calls(&called));
    let ring = slack.0.took().pop().expect("a reply").body;
    assert_eq!((&ring["thread_ts"], &ring["reply_broadcast"]), (&json!(first), &json!(true)));
    let text = ring.to_string();
    assert!(
        text.contains("monitor?incident=inc_1#approve|Approve>") && text.contains("sre-space approve inc_1"),
        "{text}"
    );
}

async fn lost_answer() {
    let slack = Slack::start();
    let bot = bot(&slack);
    slack.0.fail([Fault::Unheard]);
    let opened = notice(1, What::Opened);
    let lost = tokio::time::timeout(Duration::from_secs(2), bot.tell(&opened, &Before::default())).await;
    assert!(lost.is_err() && slack.calls().len() == 1, "taken, and not answered");
    let receipt = bot.tell(&opened, &Before { told: vec![], in_doubt: true }).await.expect("told");
    assert_eq!(receipt.as_deref(), Some("C0STUB/1700000000.000001"));
    let expected = [("chat.postMessage", "1700000000.000001"), ("chat.update", "1700000000.000001")];
    assert_eq!(slack.calls(), calls(&expected));
}

async fn deleted() {
    let slack = Slack::start();
    let told = vec![Told { step: 1, what: What::Opened, receipt: Some("C0STUB/1600000000.000009".to_owned()) }];
    let receipt = bot(&slack).tell(&notice(2, What::Moved), &Before { told, in_doubt: false }).await.expect("told");
    assert_eq!(receipt.as_deref(), Some("C0STUB/1700000000.000001"));
}

async fn webhook_alone() {
    let slack = Slack::start();
    tell_all(&hook(&slack), &CALLED).await;
    let headers: Vec<String> = slack.0.took().iter().map(|call| header(&call.body)).collect();
    let title = "shop: 45.2 % of 118 requests failing (inc_1)";
    let expected = [
        format!(":large_blue_circle: Incident: {title}"),
        format!(":rotating_light: A person is needed: {title}"),
        format!(":white_check_mark: Over: {title}"),
    ];
    assert_eq!(headers, expected);
}

fn header(message: &Value) -> String {
    message["blocks"][0]["text"]["text"].as_str().unwrap_or_default().to_owned()
}

async fn escaped() {
    let slack = Slack::start();
    let mut hostile = notice(1, NEEDED);
    hostile.text = "<!channel> & <https://evil.example|click>".to_owned();
    bot(&slack).tell(&hostile, &Before::default()).await.expect("told");
    let said = slack.0.took()[0].body["blocks"][1]["text"].clone();
    let text = "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;";
    assert_eq!(said, json!({"type": "mrkdwn", "text": text, "verbatim": true}));
}

async fn nobody_woken() {
    let pagerduty = PagerDuty::start();
    let pager = pager(&pagerduty);
    for story in [&HEALED[..], &UNPROVEN] {
        tell_all(&pager, story).await;
    }
    assert_eq!((pagerduty.0.asked(), pagerduty.events()), (0, vec![]), "not even asked");
}

async fn one_alert() {
    let pagerduty = PagerDuty::start();
    tell_all(&pager(&pagerduty), &CALLED).await;
    let expected = [("trigger", "inc_1"), ("acknowledge", "inc_1"), ("resolve", "inc_1")];
    assert_eq!(pagerduty.events(), calls(&expected));
    let first = pagerduty.0.took().remove(0);
    assert_eq!(first["payload"]["severity"], "critical");
    assert_eq!(first["payload"]["summary"], "shop: 45.2 % of 118 requests failing (inc_1)");
    assert_eq!(first["payload"]["source"], "shop");
    assert_eq!(first["links"][1]["href"], "http://127.0.0.1:8001/monitor?incident=inc_1#approve");
    assert_eq!(pagerduty.alerts(), BTreeMap::from([("inc_1".to_owned(), "resolved".to_owned())]));
}

async fn paged_twice() {
    let pagerduty = PagerDuty::start();
    let pager = pager(&pagerduty);
    pagerduty.0.fail([Fault::Unheard]);
    let call = notice(1, NEEDED);
    let lost = tokio::time::timeout(Duration::from_secs(2), pager.tell(&call, &Before::default())).await;
    assert!(lost.is_err());
    pager.tell(&call, &Before { told: vec![], in_doubt: true }).await.expect("told");
    assert_eq!(pagerduty.events(), calls(&[("trigger", "inc_1"), ("trigger", "inc_1")]));
    assert_eq!(pagerduty.alerts(), BTreeMap::from([("inc_1".to_owned(), "triggered".to_owned())]));
}

async fn signed() {
    let receiver = Receiver::start();
    tell_all(&webhook(&receiver), &HEALED).await;
    let took = receiver.0.took();
    let ids: Vec<&str> = took.iter().map(|delivery| delivery.id.as_str()).collect();
    assert_eq!(ids, ["inc_1-1", "inc_1-2", "inc_1-3", "inc_1-4"]);
    assert_eq!(took[0].body["schema"], 1);
    assert_eq!(took[0].body["notice"]["what"], "opened");
    let forger = Webhook::new(receiver.url(), "another secret", Upstream::new("webhook")).expect("a client");
    let refused = forger.tell(&notice(1, What::Opened), &Before::default()).await.expect_err("a wrong signature");
    assert_eq!(refused, NotifyError::Refused("401: the signature is wrong".to_owned()));
}

async fn redirected() {
    let receiver = Receiver::start();
    receiver.0.fail([Fault::Status(307)]);
    let refused = webhook(&receiver).tell(&notice(1, What::Opened), &Before::default()).await.expect_err("a redirect");
    assert!(!refused.is_transient(), "{refused}");
    assert_eq!((receiver.0.asked(), receiver.0.took().len()), (1, 0));
}

async fn one_thread() {
    let server = MailServer::start();
    tell_all(&mail(&server), &CALLED).await;
    let took = server.0.took();
    let ids: Vec<String> = took.iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!(ids, ["<inc_1-3@example.org>", "<inc_1-5@example.org>"]);
    for mail in &took {
        assert_eq!(mail.to, ["ann@example.org", "ben@example.org"]);
        assert_eq!(mail.header("References"), "<inc_1@example.org>");
        assert!(mail.header("Subject").starts_with("[SRE-Space] shop: 45.2 % of 118"), "{}", mail.text);
    }
    let text = took[0].text.replace("=\n", "").replace("=3D", "=");
    assert!(text.contains("To approve: http://127.0.0.1:8001/monitor?incident=inc_1#approve"), "{text}");
    assert!(text.contains(&format!("sre-space approve inc_1 --digest {}", Digest::of([b"plan".as_slice()]))), "{text}");
}

async fn faults() {
    let (slack, pagerduty, receiver, server) =
        (Slack::start(), PagerDuty::start(), Receiver::start(), MailServer::start());
    let (slack_bot, pager, webhook, mail) = (bot(&slack), pager(&pagerduty), webhook(&receiver), mail(&server));
    let call = notice(1, NEEDED);
    let told = async |channel: &dyn Notifier| channel.tell(&call, &Before::default()).await;
    let busy = Err(NotifyError::Later { wait: Duration::from_secs(7), why: "429: ".to_owned() });
    for status in [500, 503, 408] {
        let down = Err(NotifyError::Unreachable(format!("{status}: ")));
        slack.0.fail([Fault::Status(status)]);
        pagerduty.0.fail([Fault::Status(status)]);
        receiver.0.fail([Fault::Status(status)]);
        let channels: [&dyn Notifier; 3] = [&slack_bot, &pager, &webhook];
        for channel in channels {
            assert_eq!(told(channel).await, down, "{}", channel.name());
        }
    }
    server.0.fail([Fault::Status(451), Fault::Status(550)]);
    assert_eq!(told(&mail).await, Err(NotifyError::Unreachable("the mail server cannot now (451)".to_owned())));
    assert_eq!(told(&mail).await, Err(NotifyError::Refused("the mail server says no (550)".to_owned())));
    slack.0.fail([Fault::Busy(7)]);
    pagerduty.0.fail([Fault::Busy(7)]);
    assert_eq!(told(&slack_bot).await, busy);
    assert_eq!(told(&pager).await, busy);
    let strange = Pager::new(&pagerduty.url(), "f".repeat(32), Upstream::new("pagerduty")).expect("a client");
    let refused = told(&strange).await.expect_err("an unknown key");
    let said = "400: {\"status\":\"invalid event\",\"message\":\"Event object is invalid\",\"errors\":[\"Invalid routing key\"]}";
    assert_eq!(refused, NotifyError::Refused(said.to_owned()));
}

async fn breakers() {
    let pagerduty = PagerDuty::start();
    let upstream = Upstream::new("pagerduty");
    let pager = Pager::new(&pagerduty.url(), ROUTING_KEY.to_owned(), Arc::clone(&upstream)).expect("a client");
    let call = notice(1, NEEDED);
    pagerduty.0.fail([Fault::Status(500); 5]);
    for _ in 0..5 {
        pager.tell(&call, &Before::default()).await.expect_err("down");
    }
    let refused = pager.tell(&call, &Before::default()).await.expect_err("left alone");
    assert!(refused.wait().is_some_and(|wait| wait > Duration::from_secs(20)), "{refused}");
    assert_eq!(pagerduty.0.asked(), 5, "nobody was asked a sixth time");
    assert_eq!(upstream.status().failures, 5);
}

async fn secrets() {
    let nobody = "http://127.0.0.1:9/services/T0/B0/s3cret";
    let hook = SlackWebhook::new(nobody.to_owned(), Upstream::new("slack")).expect("a client");
    let error = hook.tell(&notice(1, NEEDED), &Before::default()).await.expect_err("nobody there");
    assert_eq!(error, NotifyError::Unreachable("no connection".to_owned()));
    let slack = Slack::start();
    let credentials = ("xoxb-wr0ng".to_owned(), CHANNEL.to_owned());
    let stranger = SlackBot::new(&slack.api(), credentials, Upstream::new("slack")).expect("a client");
    let error = stranger.tell(&notice(1, NEEDED), &Before::default()).await.expect_err("a wrong token");
    assert_eq!(error, NotifyError::Refused("chat.postMessage: invalid_auth".to_owned()));
}

async fn looked() {
    let (slack, server) = (Slack::start(), MailServer::start());
    assert_eq!(bot(&slack).look().await.expect("known"), "sre-space in Stub, writes to C0STUB");
    assert_eq!(mail(&server).look().await.expect("ready"), "the server takes mail from sre@example.org");
    assert_eq!((slack.0.took().len(), server.0.took().len()), (0, 0));
}
