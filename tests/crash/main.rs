//! kill -9 before and after each write of the loop, and in each of its states; then a restart, and exactly one of each.
//!
//! The control plane that dies is this very program, called again: the product's own parts, with a deadly one in place of one of
//! them. The one that takes over is the product. The user plane runs on meanwhile.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod deadly;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

use self::deadly::Point;
use sre_space_peers::recipients::pagerduty::{PagerDuty, ROUTING_KEY};
use sre_space_peers::recipients::slack::{CHANNEL, Slack, TOKEN};
use sre_space_stage::{ENDS, PATIENCE, Setup, Stage};

/// Plays at once; each leaves most of a core idle.
const AT_ONCE: usize = 3;

fn small() -> Setup {
    Setup::of(env!("CARGO_BIN_EXE_sre-space"))
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, point] = arguments.as_slice()
        && flag == "--die-at"
    {
        deadly::serve(Point::parse(point).expect("a crash point"));
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    libtest_mimic::run(&arguments, trials()).exit();
}

const WRITES: [&str; 6] = ["branch", "commit", "pull-request", "merge", "memory", "proof"];
const STATES: [&str; 8] =
    ["detected", "matching", "diagnosing", "deciding", "acting", "deploying", "verifying", "learning"];
/// Faults; the states of the others are walked through on demand, since that takes a quarter of an hour.
const FAULTS: [&str; 4] = ["500", "latency", "dependency", "bad-deploy"];

fn trials() -> Vec<Trial> {
    let places = |what: &'static str| ["before", "after"].map(|when| format!("{what}:{when}"));
    let recovery = |fault: &'static str, point: String| {
        Trial::test(format!("kill/{fault}/{point}/recovers_with_one_of_each"), move || run(recovers(fault, point)))
    };
    let writes = WRITES.into_iter().flat_map(places).map(|point| recovery("500", point));
    let states = FAULTS.into_iter().flat_map(|fault| {
        STATES.into_iter().map(move |state| recovery(fault, format!("state:{state}")).with_ignored_flag(fault != "500"))
    });
    let calls = places("escalation")
        .into_iter()
        .map(|point| Trial::test(format!("kill/{point}/calls_a_person_once"), move || run(calls_once(point))));
    let notices = ["pagerduty", "slack"].into_iter().flat_map(|channel| {
        places(if channel == "slack" { "telling-slack" } else { "telling-pagerduty" })
            .map(|point| Trial::test(format!("kill/{point}/tells_once"), move || run(tells_once(point))))
    });
    writes.chain(states).chain(calls).chain(notices).collect()
}

fn run(play: impl Future<Output = ()>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(play);
    Ok(())
}

fn dying_at(point: &str) -> Vec<String> {
    let this = std::env::current_exe().expect("this program");
    vec![this.to_string_lossy().into_owned(), "--die-at".to_owned(), point.to_owned()]
}

async fn recovers(fault: &'static str, point: String) {
    let setup = Setup { control: dying_at(&point), alone: fault == "latency", ..small() };
    let mut stage = Stage::set(setup).await;
    let before = stage.git_log().len();
    stage.inject(fault).await;
    let injected = stage.git_log().len() - before;
    stage.restart_control(PATIENCE).await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(incident["state"], "resolved", "{incident:#}");
    assert_eq!(incident["recovery"]["verdict"], "RECOVERED");
    assert_eq!(stage.references("refs/heads/sre-space/*").len(), 1, "one branch");
    let log = stage.git_log();
    let ours = |message: &&String| message.lines().next().is_some_and(|title| title.contains("from sre-space/"));
    assert_eq!(log.iter().filter(ours).count(), 1, "one merge: {log:#?}");
    assert_eq!(log.len(), before + injected + 2, "one commit and one merge: {log:#?}");
    let activity = stage.get("/api/git-activity").await.expect("the activity");
    let pulls = activity["pull_requests"].as_array().cloned().unwrap_or_default();
    let ours = |pull: &&Value| pull["branch"].as_str().is_some_and(|branch| branch.starts_with("sre-space/"));
    assert_eq!(pulls.iter().filter(ours).count(), 1, "one pull request: {pulls:#?}");
    let tickets = activity["issues"].as_array().map_or(0, Vec::len);
    assert_eq!(tickets, 1, "one ticket: {:#}", stage.get("/api/v1/incidents").await.unwrap_or_default());
    let lessons = stage.get("/api/v1/memory/search?q=failure&k=50").await.expect("the memory");
    assert_eq!(lessons.as_array().map(Vec::len), Some(1), "one lesson");
    stage.proven().await;
}

const FREEZE: &str =
    r#"@id("freeze") @reason("frozen") forbid (principal, action, resource == Service::"quote-engine");"#;

/// Killed between the telling and the journal's knowing of it: one page, and one message that both lives edit.
async fn tells_once(point: String) {
    let (pagerduty, slack) = (PagerDuty::start(), Slack::start());
    let env = vec![
        ("PAGERDUTY_API_URL", pagerduty.url()),
        ("PAGERDUTY_ROUTING_KEY", ROUTING_KEY.to_owned()),
        ("SLACK_API_URL", slack.api()),
        ("SLACK_BOT_TOKEN", TOKEN.to_owned()),
        ("SLACK_CHANNEL", CHANNEL.to_owned()),
    ];
    let mut stage = Stage::set(Setup { control: dying_at(&point), extra_policy: Some(FREEZE), env, ..small() }).await;
    stage.inject("500").await;
    stage.restart_control(PATIENCE).await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(incident["state"], "escalated", "{incident:#}");
    let id = incident["id"].as_str().expect("an id").to_owned();
    let reason = incident["escalation"]["reason"].clone();
    stage
        .until("both channels in the books", PATIENCE, async || {
            let rows = stage.events(&id).await;
            let call = |row: &&Value| row["data"]["notice"]["what"] == serde_json::json!({"call": reason});
            (rows.iter().filter(call).count() == 2).then_some(())
        })
        .await;
    let alerts: Vec<(String, String)> = pagerduty.alerts().into_iter().collect();
    assert_eq!(alerts, [(id, "triggered".to_owned())], "{:?}", pagerduty.events());
    let posts = slack.0.took().into_iter().filter(|call| call.method == "chat.postMessage");
    assert_eq!(posts.filter(|call| call.body["thread_ts"].is_null()).count(), 1, "{:?}", slack.calls());
}

async fn calls_once(point: String) {
    let setup = Setup { control: dying_at(&point), extra_policy: Some(FREEZE), ..small() };
    let mut stage = Stage::set(setup).await;
    stage.inject("500").await;
    stage.restart_control(PATIENCE).await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(incident["state"], "escalated", "{incident:#}");
    stage.paged(incident["id"].as_str().expect("an id")).await;
    let activity = stage.get("/api/git-activity").await.expect("the activity");
    let issues: Vec<Value> = activity["issues"].as_array().cloned().unwrap_or_default();
    assert_eq!(issues.len(), 1, "one ticket: {issues:#?}");
    assert_eq!(issues[0]["comments"].as_array().map(Vec::len), Some(1), "one call: {issues:#?}");
}
