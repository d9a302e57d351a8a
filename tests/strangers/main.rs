//! Applications nobody here wrote: Datasette (Python) and http-server (Node) under OpenTelemetry's own auto-instrumentation,
//! watched by the product with nothing but their exporters pointed at it. `make strangers` installs them.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod apps;
mod control;
mod owners;

use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use sre_space_stage::{ENDS, PATIENCE, text};

use self::apps::{App, Protocol, Tools};
use self::control::Control;
use self::owners::Owners;

/// Requests made of each application.
const REQUESTS: u64 = 100;
/// What exporters and a busy machine may take to show them.
const SHOWN: Duration = Duration::from_secs(60);

fn main() {
    let arguments = Arguments::from_args();
    let tools = Tools::find();
    let python = trial("datasette/a_bad_commit_is_found_and_reverted", tools.missing_python(), || run(heals()));
    let missing = tools.missing_python().or(tools.missing_node());
    let both = trial("strangers/are_counted_request_by_request", missing, || run(counts()));
    libtest_mimic::run(&arguments, vec![both, python]).exit();
}

/// A trial, or the reason why it cannot be made here.
fn trial(name: &str, missing: Option<&str>, play: fn() -> Result<(), Failed>) -> Trial {
    match missing {
        None => Trial::test(name, play),
        Some(what) => Trial::test(format!("{name} (skipped: no {what})"), play).with_ignored_flag(true),
    }
}

fn run(play: impl Future<Output = ()>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(play);
    Ok(())
}

async fn counts() {
    let dir = tempfile::tempdir().expect("a folder");
    let control = Control::start(dir.path(), &dir.path().join("nothing.git")).await;
    let tools = Tools::find();
    let release = dir.path().join("release");
    owners::lay_out(&tools, &release);
    let python = |protocol| App::datasette(&tools, &release, &control.endpoints, protocol, None);
    let node = |protocol| App::http_server(&tools, &release, &control.endpoints, protocol);
    let apps = vec![
        python(Protocol::Grpc),
        python(Protocol::HttpProtobuf),
        node(Protocol::Grpc),
        node(Protocol::HttpProtobuf),
        node(Protocol::HttpJson),
    ];
    let http = sre_space_tls::client();
    for app in &apps {
        app.listening().await;
        for request in 0..REQUESTS {
            let answer = http.get(app.url(request)).send().await.expect("an answer");
            assert!(answer.status().is_success(), "{}: {}", app.service, answer.status());
        }
    }
    let all = |services: &Value| apps.iter().all(|app| control::requests(services, &app.service) >= REQUESTS);
    let services = control.until("every request", SHOWN, "/api/v1/services", all).await;
    for app in &apps {
        assert_eq!(control::requests(&services, &app.service), REQUESTS, "{}", app.service);
    }
    let heard = |services: &Value| apps.iter().all(|app| control::node(services, &app.service)["data_points"] != 0);
    control.until("metrics of each", SHOWN, "/api/v1/services", heard).await;
    assert_eq!(control.get("/api/v1/incidents").await, serde_json::json!([]));
}

async fn heals() {
    let dir = tempfile::tempdir().expect("a folder");
    let repo = dir.path().join("datasette.git");
    let control = Control::start(dir.path(), &repo).await;
    let owners = Owners::at_work(dir.path(), &repo, &control);
    let traffic = owners.customers(&control).await;
    sre_space_stage::edit(&repo, "settings.json", |text| text.replace("50,", "\"50\","));
    let incident = control.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "resolved", "{incident:#}");
    assert_eq!(text(&incident, "/recovery/verdict"), "RECOVERED");
    assert_eq!(text(&incident, "/diagnosis/kind"), "bad-change");
    assert_eq!(text(&incident, "/proposal/remedy"), "revert");
    assert!(owners.file("settings.json").contains("\"default_page_size\": 50,"));
    assert!(traffic.is_well().await, "its customers are served");
    control.proves_every_pull_request().await;
}
