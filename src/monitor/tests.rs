//! The routes over real embedded parts: no gap in the events, errors that say what to do, nothing open that should not be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use sre_space_domain::journal::{Agent, Draft, Phase};
use sre_space_domain::secret::Secret;
use sre_space_ports::bus::{BusError, BusStatus, Feed as BusFeed, Message, Topic};
use sre_space_ports::store::{Store, Write};
use tower::ServiceExt as _;

use super::feed::Feed;
use super::*;
use crate::app::Parts;
use crate::config::Given;

/// A bus that can be down.
#[derive(Default)]
struct Switch {
    is_down: AtomicBool,
}

#[async_trait::async_trait]
impl Bus for Switch {
    async fn publish(&self, _topic: Topic, _message: Message) -> Result<(), BusError> {
        Err(BusError::Closed)
    }

    async fn health(&self) -> Result<(), BusError> {
        if self.is_down.load(Ordering::Relaxed) { Err(BusError::Closed) } else { Ok(()) }
    }

    fn status(&self) -> BusStatus {
        BusStatus { backend: "local", held: 0, trouble: None }
    }

    async fn subscribe(&self, _topic: Topic, _group: &str) -> Result<Box<dyn BusFeed>, BusError> {
        Err(BusError::Closed)
    }
}

pub(super) struct Server {
    store: Arc<dyn Store>,
    feed: Arc<Feed>,
    pub(super) router: Router,
    bus: Arc<Switch>,
    draining: CancellationToken,
    changed: Arc<tokio::sync::Notify>,
    dir: tempfile::TempDir,
}

async fn server() -> Server {
    server_with(&[]).await
}

/// A server with these settings.
pub(super) async fn server_with(settings: &[(&str, &str)]) -> Server {
    let dir = tempfile::tempdir().expect("a folder");
    let mut given = Given::default();
    git2::Repository::init_bare(dir.path().join("watched.git")).expect("a repository");
    given.set("SRE_SPACE_REPO", dir.path().join("watched.git").display());
    given.set("SRE_SPACE_DATA_DIR", dir.path().join("data").display());
    settings.iter().for_each(|(name, value)| given.set(name, value));
    let settings = given.settings().expect("settings");
    let parts = Parts::open(&settings).await.expect("parts");
    let feed = Arc::new(Feed::new(Arc::clone(&parts.store)));
    let changed = Arc::<tokio::sync::Notify>::default();
    let (bus, draining) = (Arc::new(Switch::default()), CancellationToken::new());
    let desk = Desk {
        store: Arc::clone(&parts.store),
        feed: Arc::clone(&feed),
        bus: Arc::clone(&bus) as Arc<dyn Bus>,
        draining: draining.clone(),
        issues: parts.issues,
        recollection: parts.recollection,
        policy: parts.policy,
        services: Arc::new(|| json!({"nodes": [], "edges": []})),
        status: Arc::new(|| json!({"mode": "NOMINAL"})),
        webhook: Webhook::new(Some(Secret::new("s3cret")), Arc::clone(&changed)),
        guard: Guard::default(),
        people: tokio::sync::mpsc::channel(1).0,
        autonomy: Autonomy::new(true, dir.path().join("autonomy-off")),
        coherence: crate::app::engine(&settings, parts.coherence),
        demo: None,
    };
    Server { store: parts.store, feed, router: router(Arc::new(desk)), bus, draining, changed, dir }
}

impl Server {
    async fn say(&self, count: usize) {
        let row = |number: usize| Draft {
            at: Timestamp::UNIX_EPOCH,
            incident: None,
            agent: Agent::Scout,
            phase: Phase::Observe,
            state: None,
            text: format!("row {number}"),
            data: json!({}),
        };
        let write = Write { rows: (0..count).map(row).collect(), ..Write::default() };
        let entries = self.store.commit(write).await.expect("committed");
        self.feed.show(&entries);
    }

    pub(super) fn data_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

#[tokio::test]
async fn a_watcher_that_comes_back_misses_nothing() {
    let server = server().await;
    server.say(5).await;
    let mut watched = Box::pin(Arc::clone(&server.feed).follow(Some(2)).await);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(watched.next().await.expect("a row").seq);
    }
    // More than is read at once, in several writes, while nobody reads.
    for count in [1, 450, 3] {
        server.say(count).await;
    }
    while seen.len() < 457 {
        seen.push(watched.next().await.expect("a row").seq);
    }
    assert_eq!(seen, (3..=459).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_new_watcher_sees_recent_history() {
    let server = server().await;
    server.say(300).await;
    let mut watched = Box::pin(Arc::clone(&server.feed).follow(None).await);
    assert_eq!(watched.next().await.expect("a row").seq, 101);
}

#[tokio::test]
async fn events_resume_after_the_last_event_id() {
    let server = server().await;
    server.say(6).await;
    let request = Request::get("/events").header("last-event-id", "4").body(Body::empty()).expect("a request");
    let answer = server.router.clone().oneshot(request).await.expect("an answer");
    assert_eq!(answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()), Some("text/event-stream"));
    let frame = answer.into_body().frame().await.expect("a frame").expect("bytes").into_data().expect("data");
    let text = String::from_utf8_lossy(&frame);
    assert!(text.contains("\"seq\":5"), "{text}");
    assert!(text.contains("id: 5\n"), "{text}");
}

#[tokio::test]
async fn errors_are_problems_that_say_what_to_do() {
    let server = server().await;
    let cases = [
        ("/api/v1/incidents/inc_0", StatusCode::NOT_FOUND, "GET /api/v1/incidents lists them"),
        ("/api/v1/incidents?state=sleeping", StatusCode::BAD_REQUEST, "state: "),
    ];
    for (path, status, words) in cases {
        let (answered, problem) = server.get(path).await;
        assert_eq!((answered, problem["status"].as_u64()), (status, Some(u64::from(status.as_u16()))), "{path}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{problem}");
    }
}

#[tokio::test]
async fn every_agent_is_shown_with_what_it_said_last() {
    let server = server().await;
    server.say(2).await;
    let (status, agents) = server.get("/api/v1/agents").await;
    assert_eq!((status, agents.as_array().map(Vec::len)), (StatusCode::OK, Some(7)));
    assert_eq!((&agents[0]["agent"], &agents[0]["last"]["text"]), (&json!("scout"), &json!("row 1")));
    assert_eq!(agents[1]["last"], Value::Null);
}

#[tokio::test]
async fn without_a_user_plane_there_are_no_demo_routes() {
    let server = server().await;
    for path in ["/demo/inject-failure?type=500", "/demo/resolve"] {
        let request = Request::post(path).header("host", "localhost").body(Body::empty()).expect("a request");
        let answer = server.router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn the_page_allows_no_script_but_its_own() {
    let server = server().await;
    let request = Request::get("/").body(Body::empty()).expect("a request");
    let answer = server.router.clone().oneshot(request).await.expect("an answer");
    let policy = answer.headers().get("content-security-policy").and_then(|value| value.to_str().ok());
    assert!(policy.is_some_and(|policy| policy.contains("default-src 'self'") && !policy.contains("unsafe")));
}

#[tokio::test]
async fn health_and_metrics_tell_what_is_there() {
    let server = server().await;
    server.say(3).await;
    let (status, health) = server.get("/system/health").await;
    assert_eq!((status, &health["status"], &health["journal"]["rows"]), (StatusCode::OK, &json!("NOMINAL"), &json!(3)));
    let request = Request::get("/metrics").body(Body::empty()).expect("a request");
    let answer = server.router.clone().oneshot(request).await.expect("an answer");
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    let text = String::from_utf8_lossy(&body);
    assert!(text.contains("# TYPE sre_space_ingest_spans_total counter\n"), "{text}");
    assert!(text.lines().all(|line| line.starts_with('#') || line.starts_with("sre_space_")), "{text}");
}

#[tokio::test]
async fn not_ready_without_a_bus_nor_while_draining() {
    let ready = async |server: &Server| {
        let (status, told) = server.get("/ready").await;
        (status, told["detail"].as_str().unwrap_or_default().to_owned())
    };
    let first = server().await;
    assert_eq!(ready(&first).await.0, StatusCode::OK);
    first.bus.is_down.store(true, Ordering::Relaxed);
    let (status, why) = ready(&first).await;
    assert_eq!((status, why.contains("bus")), (StatusCode::SERVICE_UNAVAILABLE, true), "{why}");
    let second = server().await;
    second.draining.cancel();
    let (status, why) = ready(&second).await;
    assert_eq!((status, why.contains("draining")), (StatusCode::SERVICE_UNAVAILABLE, true), "{why}");
    assert_eq!(second.get("/health").await.0, StatusCode::OK, "alive all the same");
}

#[tokio::test]
async fn a_signed_delivery_wakes_whoever_waits_for_the_forge() {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let server = server().await;
    let send = async |secret: &str, event: &str, delivery: &str| {
        let mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("a key").chain_update("{}");
        let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = Request::post("/webhook/github")
            .header("x-hub-signature-256", format!("sha256={digits}"))
            .header("x-github-event", event)
            .header("x-github-delivery", delivery)
            .body(Body::from("{}"))
            .expect("a request");
        let answer = server.router.clone().oneshot(request).await.expect("an answer");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice::<Value>(&body).expect("JSON")["looked_again"].as_bool())
    };
    assert_eq!(send("wrong", "push", "1").await.0, StatusCode::UNAUTHORIZED);
    let waiting = server.changed.notified();
    tokio::pin!(waiting);
    assert!(futures::poll!(&mut waiting).is_pending());
    assert_eq!(send("s3cret", "ping", "1").await, (StatusCode::ACCEPTED, Some(false)));
    assert!(futures::poll!(&mut waiting).is_pending());
    assert_eq!(send("s3cret", "push", "2").await, (StatusCode::ACCEPTED, Some(true)));
    assert!(futures::poll!(&mut waiting).is_ready());
    assert_eq!(send("s3cret", "push", "2").await, (StatusCode::ACCEPTED, Some(false)), "sent again");
}
