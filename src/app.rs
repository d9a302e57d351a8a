//! Builds a server from the settings.

mod parts;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use sre_space_agents::scout::{Limits, Scout};
use sre_space_domain::incident::Rules;
use sre_space_domain::journal::Agent;
use sre_space_ports::bus::Topic;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use self::parts::{
    Coherent, Heard, Parts, SIGNAL_TABLES, Sourced, csv_rows, look_at_bus, look_at_channels, look_at_memory,
    look_at_model, look_at_postgres, look_at_signals, look_at_sources, look_at_summaries, memory, metric_source,
    policies, reembed, repository, signals, watched,
};
use crate::autonomy::Autonomy;
use crate::calm::CalmTimes;
use crate::coherence::{Engine, Setup};
use crate::config::Settings;
use crate::crew::{Crew, OnEnd, Stage};
use crate::http;
use crate::ingest::admit::Admission;
use crate::ingest::telemetry::Telemetry;
use crate::ingest::tokens::IngestTokens;
use crate::ingest::{self, Ears};
use crate::monitor::feed::Feed;
use crate::monitor::guard::Guard;
use crate::monitor::{self, DemoPlane, Desk, Webhook};
use crate::notices::{self, Courier};
use crate::orchestrator::context::Patience;
use crate::orchestrator::people::Asked;
use crate::orchestrator::{Context, Orchestrator};
use crate::signals::{Levels, Patrol};
use crate::watch;

/// Sightings that may wait for the orchestrator.
const SIGHTINGS: usize = 64;
/// Decisions of people that may wait for the orchestrator.
const DECISIONS: usize = 16;
/// What each shutdown stage may take.
const GRACE: Duration = Duration::from_secs(10);

/// The sockets a server listens on, bound before anything is told.
pub struct Doors {
    /// Monitor and API.
    pub http: TcpListener,
    /// OTLP/gRPC.
    pub otlp_grpc: Option<TcpListener>,
    /// OTLP/HTTP.
    pub otlp_http: Option<TcpListener>,
}

impl Doors {
    /// Binds what the settings say. A taken port is an error that names it, or, when `roam`, the next free one is taken.
    pub async fn open(settings: &Settings, roam: bool) -> Result<Self> {
        Ok(Self {
            http: bind(settings.http, roam).await?,
            otlp_grpc: optionally(settings.otlp_grpc, roam).await?,
            otlp_http: optionally(settings.otlp_http, roam).await?,
        })
    }
}

async fn optionally(address: Option<SocketAddr>, roam: bool) -> Result<Option<TcpListener>> {
    match address {
        Some(address) => bind(address, roam).await.map(Some),
        None => Ok(None),
    }
}

async fn bind(address: SocketAddr, roam: bool) -> Result<TcpListener> {
    let last = if roam { address.port().saturating_add(100) } else { address.port() };
    for port in address.port()..=last {
        if let Ok(listener) = TcpListener::bind(SocketAddr::new(address.ip(), port)).await {
            return Ok(listener);
        }
    }
    bail!("{address} is taken: stop what listens there, or set another address (`sre-space serve --help` lists them)")
}

/// A server that is built but not yet running.
pub struct App {
    /// Its tasks.
    pub crew: Crew,
    /// What the loop works with.
    pub context: Arc<Context>,
}

impl App {
    /// Wires the parts together and hires every task.
    pub async fn build(settings: &Settings, parts: Parts, doors: Doors, demo: Option<DemoPlane>) -> Result<Self> {
        let limits = Limits { latency_ms: settings.latency_ms, coherence: settings.second_sense, ..Limits::default() };
        let context = Arc::new(Context {
            feed: Arc::new(Feed::new(parts.store.clone())),
            rules: Rules {
                confidence_threshold: settings.confidence_threshold,
                max_attempts: settings.max_attempts,
                asks_model: parts.adviser.is_some(),
                asks_for_patches: settings.model.as_ref().is_some_and(|model| model.patches),
                ..Rules::default()
            },
            patience: Patience::default(),
            scout: Arc::new(Mutex::new(Scout::new(limits))),
            forge_changed: Arc::default(),
            vetoes: Arc::default(),
            autonomy: Autonomy::new(settings.autonomy, settings.data_dir.join("autonomy-off")),
            parts: parts.clone(),
        });
        let mut crew = Crew::default();
        let ears = Arc::new(Ears {
            bus: parts.bus.clone(),
            tokens: IngestTokens::new(settings.ingest_tokens.clone()),
            admission: Admission::default(),
            now: Arc::new(|| Timestamp::now().as_millisecond()),
            stats: Arc::default(),
        });
        let levels = Arc::default();
        let people = hire_loop(&mut crew, &context, CalmTimes::new(&settings.data_dir), &levels).await?;
        hire_patrol(&mut crew, &context, settings, levels);
        parts::hire_sentinel(&mut crew, &context, settings).await?;
        hire_couriers(&mut crew, &context, settings);
        hire_ears(&mut crew, &ears, doors.otlp_grpc, doors.otlp_http);
        let draining = crew.stopping(Stage::Edge);
        let router = monitor::router(desk(&context, &ears, settings, (people, demo, draining)))
            .merge(ingest::http::router(Arc::clone(&ears)));
        serve_http(&mut crew, "monitor", doors.http, router);
        Ok(Self { crew, context })
    }

    /// Runs until `shutdown`; answers whether the end was asked for.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> bool {
        self.crew.run(shutdown, GRACE).await
    }
}

/// Starts Scout's feed and the loop; answers where people's decisions go.
async fn hire_loop(
    crew: &mut Crew,
    context: &Arc<Context>,
    calm: CalmTimes,
    levels: &Arc<Levels>,
) -> Result<mpsc::Sender<Asked>> {
    let (people, decisions) = mpsc::channel(DECISIONS);
    let (tell, told) = mpsc::channel(SIGHTINGS);
    let feed = context.parts.bus.subscribe(Topic::Spans, "scout").await?;
    let scout = Arc::clone(&context.scout);
    watch::recollect(&scout, &calm);
    crew.hire(Stage::Core, "scout", OnEnd::StopServer, |stop| watch::run(scout, feed, calm, tell, stop));
    for (telemetry, name) in [(Telemetry::Metrics, "metrics"), (Telemetry::Logs, "logs")] {
        let feed = context.parts.bus.subscribe(telemetry.topic(), "scout").await?;
        let (scout, levels) = (Arc::clone(&context.scout), Arc::clone(levels));
        crew.hire(Stage::Core, name, OnEnd::StopServer, |stop| watch::listen(scout, telemetry, feed, levels, stop));
    }
    let bus = Arc::clone(&context.parts.bus);
    crew.hire(Stage::Sink, "bus", OnEnd::StopServer, |stop| async move {
        stop.run_until_cancelled(bus.tend()).await;
    });
    let orchestrator = Orchestrator::resume(Arc::clone(context)).await?;
    crew.hire(Stage::Core, "orchestrator", OnEnd::StopServer, |stop| orchestrator.run(told, decisions, stop));
    Ok(people)
}

/// The monitor as people reach it.
fn monitor_url(settings: &Settings) -> String {
    settings.channels.monitor.clone().unwrap_or_else(|| format!("http://{}", settings.http))
}

/// Starts the patrol over signals, unless it is off.
fn hire_patrol(crew: &mut Crew, context: &Arc<Context>, settings: &Settings, levels: Arc<Levels>) {
    let Some(every) = settings.look_every else { return };
    let patrol = Patrol {
        store: Arc::clone(&context.parts.signals),
        journal: Some(Arc::clone(&context.parts.store)),
        sources: context.parts.sources.clone(),
        metrics: settings.sources.metrics.clone(),
        levels,
        channels: context.parts.notifiers.clone(),
        monitor: monitor_url(settings),
        every,
    };
    crew.hire(Stage::Core, "patrol", OnEnd::Log, |stop| patrol.run(stop));
}

/// Starts a courier for each channel.
fn hire_couriers(crew: &mut Crew, context: &Arc<Context>, settings: &Settings) {
    let monitor = monitor_url(settings);
    for channel in &context.parts.notifiers {
        let courier = Courier {
            channel: Arc::clone(channel),
            store: Arc::clone(&context.parts.store),
            feed: Arc::clone(&context.feed),
            monitor: monitor.clone(),
            patience: notices::Patience::default(),
            keeps_books: channel.name() != "log",
        };
        crew.hire(Stage::Core, channel.name(), OnEnd::Log, |stop| courier.run(stop));
    }
}

fn hire_ears(crew: &mut Crew, ears: &Arc<Ears>, grpc: Option<TcpListener>, http: Option<TcpListener>) {
    if let Some(listener) = grpc {
        let ears = Arc::clone(ears);
        crew.hire(Stage::Edge, "otlp-grpc", OnEnd::StopServer, |stop| async move {
            if let Err(error) = ingest::grpc::serve(listener, ears, stop.cancelled_owned()).await {
                tracing::error!(%error, "OTLP over gRPC stopped");
            }
        });
    }
    if let Some(listener) = http {
        serve_http(crew, "otlp-http", listener, ingest::http::router(Arc::clone(ears)));
    }
}

/// What the monitor shows.
fn desk(
    context: &Arc<Context>,
    ears: &Arc<Ears>,
    settings: &Settings,
    (people, demo, draining): (mpsc::Sender<Asked>, Option<DemoPlane>, CancellationToken),
) -> Arc<Desk> {
    let parts = context.parts.clone();
    let seen = Arc::clone(context);
    let status = status(settings, ears, Arc::clone(context), draining.clone());
    Arc::new(Desk {
        store: parts.store,
        feed: Arc::clone(&context.feed),
        bus: parts.bus,
        draining,
        issues: parts.issues,
        recollection: parts.recollection,
        policy: parts.policy,
        services: Arc::new(move || serde_json::json!(seen.scout().graph(seen.now_ms()))),
        status,
        webhook: Webhook::new(settings.webhook_secret.clone(), Arc::clone(&context.forge_changed)),
        guard: Guard {
            token: settings.token.clone(),
            allowed_origins: settings.allowed_origins.clone(),
            public_read: settings.public_read,
        },
        people,
        autonomy: context.autonomy.clone(),
        coherence: engine(settings, parts.coherence),
        demo,
    })
}

/// The Data Coherence Engine.
pub(crate) fn engine(settings: &Settings, open: Coherent) -> Arc<Engine> {
    let (windows, version) = (settings.coherence.windows.clone(), settings.coherence.engine_version.clone());
    Engine::new(Setup { summaries: open.summaries, rolling: open.rolling, windows, version })
}

/// The server's own state. It is degraded while it drains or the bus is in trouble, and once there were more names than Scout
/// tells apart.
fn status(settings: &Settings, ears: &Arc<Ears>, seen: Arc<Context>, draining: CancellationToken) -> monitor::Reading {
    let (began, profile, ears) = (Timestamp::now(), settings.profile.clone(), Arc::clone(ears));
    let (confirming_s, rates_s) = Scout::windows_s();
    Arc::new(move || {
        let uptime = Timestamp::now().duration_since(began).as_secs();
        let overflowed = seen.scout().overflowed();
        let bus = seen.parts.bus.status();
        let is_degraded = draining.is_cancelled() || overflowed > 0 || bus.trouble.is_some();
        serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"), "uptime_s": uptime, "profile": profile,
            "mode": if is_degraded { "DEGRADED" } else { "NOMINAL" }, "bus": bus, "ingest": ears.stats.snapshot(),
            "windows": {"confirming_s": confirming_s, "rates_s": rates_s}, "names_overflowed": overflowed,
            "knows_usual": seen.scout().knows_usual(), "vetoes": seen.standing_vetoes(),
            "agents": Agent::AT_WORK, "breakers": seen.parts.breakers(),
            "model": seen.parts.adviser.as_ref().map(|adviser| adviser.llm.name()),
        })
    })
}

fn serve_http(crew: &mut Crew, name: &'static str, listener: TcpListener, router: axum::Router) {
    crew.hire(Stage::Edge, name, OnEnd::StopServer, |stop| http::serve(listener, router, stop));
}
