//! Who is told what while whole loops play: every channel on a stand-in that checks and counts.

use serde_json::{Value, json};
use sre_space_peers::recipients::Fault;
use sre_space_peers::recipients::mail::MailServer;
use sre_space_peers::recipients::pagerduty::{PagerDuty, ROUTING_KEY};
use sre_space_peers::recipients::slack::{CHANNEL, Slack, TOKEN};
use sre_space_peers::recipients::webhook::{Receiver, SECRET};
use sre_space_stage::{ENDS, PATIENCE, Setup, Stage, text};

/// Everybody who is told.
struct Told {
    slack: Slack,
    pagerduty: PagerDuty,
    receiver: Receiver,
    mail: MailServer,
}

impl Told {
    fn start() -> Self {
        Self {
            slack: Slack::start(),
            pagerduty: PagerDuty::start(),
            receiver: Receiver::start(),
            mail: MailServer::start(),
        }
    }

    fn setup(&self) -> Setup {
        let env = vec![
            ("SLACK_API_URL", self.slack.api()),
            ("SLACK_BOT_TOKEN", TOKEN.to_owned()),
            ("SLACK_CHANNEL", CHANNEL.to_owned()),
            ("PAGERDUTY_API_URL", self.pagerduty.url()),
            ("PAGERDUTY_ROUTING_KEY", ROUTING_KEY.to_owned()),
            ("SMTP_URL", self.mail.url()),
            ("ALERT_EMAIL", "ann@example.org".to_owned()),
            ("SRE_SPACE_WEBHOOK_URL", self.receiver.url()),
            ("SRE_SPACE_WEBHOOK_SECRET", SECRET.to_owned()),
        ];
        Setup { env, ..Setup::of(env!("CARGO_BIN_EXE_sre-space")) }
    }

    /// What the webhook was told of an incident, once the last of it is there.
    async fn until_told(&self, stage: &Stage, what: &Value) -> Vec<Value> {
        stage
            .until(&format!("a delivery of {what}"), PATIENCE, async || {
                let took = self.receiver.0.took();
                let told: Vec<Value> = took.iter().map(|delivery| delivery.body["notice"]["what"].clone()).collect();
                (told.last() == Some(what)).then_some(told)
            })
            .await
    }

    /// Every channel's own log against the books in the journal, once these channels were told the last of it: each notice once.
    async fn agrees_with_the_journal(&self, stage: &Stage, id: &str, to_the_end: &[&str]) {
        stage
            .until("books that agree", PATIENCE, async || {
                let rows = stage.events(id).await;
                let took = self.receiver.0.took();
                let last = &took.last()?.body["notice"]["step"];
                let is_at_end = |channel: &&str| {
                    let notices = rows.iter().map(|row| &row["data"]["notice"]);
                    notices.filter(|notice| notice["channel"] == **channel).any(|notice| notice["step"] == *last)
                };
                to_the_end.iter().all(is_at_end).then_some(())?;
                let booked = |channel: &str| {
                    let of = |row: &&Value| row["data"]["notice"]["channel"] == channel;
                    rows.iter().filter(of).filter(|row| row["data"]["notice"]["failed"].is_null()).count()
                };
                let calls = self.slack.calls();
                let replies = self.slack.0.took().iter().filter(|call| !call.body["thread_ts"].is_null()).count();
                let heard = [
                    ("slack", calls.len() - replies),
                    ("pagerduty", self.pagerduty.events().len()),
                    ("mail", self.mail.0.took().len()),
                    ("webhook", self.receiver.0.took().len()),
                ];
                heard.iter().all(|(channel, count)| booked(channel) == *count).then_some(())
            })
            .await;
        let mut ids: Vec<String> = self.receiver.0.took().into_iter().map(|delivery| delivery.id).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all, "each delivery once");
        let posts = self.slack.0.took().into_iter().filter(|call| call.method == "chat.postMessage");
        assert_eq!(posts.filter(|call| call.body["thread_ts"].is_null()).count(), 1, "one message an incident");
    }
}

fn pairs(expected: &[&str], id: &str) -> Vec<(String, String)> {
    expected.iter().map(|action| ((*action).to_owned(), id.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_heals_by_itself_is_told_and_wakes_nobody() {
    let told = Told::start();
    let stage = Stage::set(told.setup()).await;
    stage.inject("500").await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "resolved", "{incident:#}");
    let heard = told.until_told(&stage, &json!("over")).await;
    assert_eq!(heard.first(), Some(&json!("opened")));
    assert!(heard[1..heard.len() - 1].iter().all(|what| *what == "moved"), "{heard:?}");
    told.agrees_with_the_journal(&stage, text(&incident, "/id"), &["slack", "webhook"]).await;
    assert_eq!((told.pagerduty.0.asked(), told.mail.0.took().len()), (0, 0));
    let status = stage.get("/status").await.expect("the status");
    let names: Vec<&Value> = status["breakers"].as_array().into_iter().flatten().map(|one| &one["name"]).collect();
    for name in ["slack", "pagerduty", "mail", "webhook"] {
        assert!(names.contains(&&json!(name)), "{status:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_needed_is_called_once_and_told_when_it_is_over() {
    let told = Told::start();
    // Everybody is away or busy when first told.
    told.slack.0.fail([Fault::Status(503)]);
    told.receiver.0.fail([Fault::Busy(1)]);
    told.pagerduty.0.fail([Fault::Status(500), Fault::Busy(1)]);
    told.mail.0.fail([Fault::Status(451)]);
    let edit_rules = |rules: String| rules.replace("db-pool-size: 30", "db-pool-size: 0");
    let stage = Stage::set(Setup { edit_rules, ..told.setup() }).await;
    stage.inject("500").await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "awaiting_human", "{incident:#}");
    let (id, digest) = (text(&incident, "/id"), text(&incident, "/proposal/digest"));
    told.until_told(&stage, &json!({"call": "approval-required"})).await;
    let asked = told.receiver.0.took().pop().expect("a delivery").body["notice"]["question"].clone();
    assert_eq!(asked["digest"], digest);
    let page = text(&asked, "/approve");
    assert!(page.ends_with(&format!("/monitor?incident={id}#approve")), "{page}");
    sre_space_tls::client().get(page).send().await.expect("the page");
    let unmoved = stage.get(&format!("/api/v1/incidents/{id}")).await.expect("the incident");
    assert_eq!(unmoved["state"], "awaiting_human", "a link decides nothing");
    assert_eq!(stage.command(&["approve", id, "--digest", digest]).0, Some(0));
    stage.incident_in(&["resolved"], PATIENCE).await;
    told.until_told(&stage, &json!("over")).await;
    told.agrees_with_the_journal(&stage, id, &["slack", "pagerduty", "mail", "webhook"]).await;
    assert_eq!(told.pagerduty.events(), pairs(&["trigger", "acknowledge", "resolve"], id));
    assert_eq!(told.pagerduty.0.asked(), 5, "twice in vain");
    assert_eq!(told.mail.0.took().len(), 2, "the call, and that it is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_judged_waits_for_a_person_and_wakes_nobody() {
    let told = Told::start();
    let edit_rules =
        |rules: String| rules.replace("timeout_s: 60", "timeout_s: 12").replace("settle_s: 2", "settle_s: 8");
    let stage = Stage::set(Setup { edit_rules, ..told.setup() }).await;
    stage.inject("500").await;
    stage.incident_in(&["verifying", "deploying"], PATIENCE).await;
    stage.kill_role("traffic");
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/recovery/verdict"), "INCONCLUSIVE", "{incident:#}");
    told.until_told(&stage, &json!({"call": "inconclusive"})).await;
    told.agrees_with_the_journal(&stage, text(&incident, "/id"), &["slack", "mail", "webhook"]).await;
    assert_eq!(told.pagerduty.0.asked(), 0);
    assert_eq!(told.mail.0.took().len(), 1);
    let rings = told.slack.0.took().into_iter().filter(|call| call.body["reply_broadcast"] == true).count();
    assert_eq!(rings, 1);
}
