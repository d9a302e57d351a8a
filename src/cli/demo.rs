//! `demo`: control plane, insurance marketplace and local forge, everything embedded.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use jiff::Timestamp;
use tokio::process::{Child, ChildStdin};

use super::plane::Plane;
use super::timeline::{self, Marketplace};
use super::{BAD, GOOD, interrupted, on_runtime};
use crate::app::{App, Doors, Parts};
use crate::config::Given;
use crate::host;
use crate::monitor::DemoPlane;
use crate::orchestrator::Context;

/// What can be broken.
pub const TYPES: [&str; 6] = ["500", "latency", "dependency", "memory", "bad-deploy", "retry-storm"];
/// How long the marketplace may take to serve its first healthy quotes.
pub const BASELINE_PATIENCE: Duration = Duration::from_secs(120);

/// Arguments of `demo`.
#[derive(ClapArgs)]
pub struct Args {
    /// Break the marketplace by itself: `500` (connection pool), `latency` (a missing index), `dependency` (a provider
    /// that hangs), `memory` (a cache without a bound), `bad-deploy` (a pricing rule that fails) or `retry-storm` (retries
    /// without a cap).
    #[arg(long, value_name = "TYPE", value_parser = TYPES)]
    inject: Option<String>,
    /// With --inject: wait until recovery is verified and the lesson stored, print the timeline, exit 0; exit 1 otherwise.
    #[arg(long, requires = "inject")]
    until_healed: bool,
    /// Give up after this many seconds.
    #[arg(long, value_name = "SECS", default_value_t = 180)]
    timeout: u64,
    /// Folder of the demo: repository, journal, memory. Kept between runs.
    #[arg(long, value_name = "DIR", default_value = ".sre-space/demo")]
    dir: PathBuf,
    /// Port of the monitor and the API (the next free one when it is taken).
    #[arg(long)]
    port: Option<u16>,
    /// Quotes asked for per second.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 150.0)]
    load: f64,
}

/// Runs the demo until interrupted, or until the injected fault is healed.
pub fn run(args: Args, given: Given) -> Result<u8> {
    if !(1.0..=1_000.0).contains(&args.load) {
        bail!("--load {} is refused: 1 to 1000 quotes per second", args.load);
    }
    on_runtime(demo(args, given))
}

async fn demo(args: Args, given: Given) -> Result<u8> {
    let demo = Demo::open(given, &args.dir, args.port, args.load).await?;
    demo.run(async |context, marketplace| {
        let Some(kind) = &args.inject else { return std::future::pending().await };
        marketplace.baseline(&context, "marketplace-web", BASELINE_PATIENCE).await?;
        let injected: Timestamp = marketplace.inject(kind).await?;
        println!("injected {kind}");
        if !args.until_healed {
            return std::future::pending().await;
        }
        let store = context.parts.store.as_ref();
        let healed = timeline::follow(store, injected, Duration::from_secs(args.timeout)).await?;
        println!("faults still switched on: {:?}", marketplace.faults().await?);
        println!("control plane: {}", host::memory());
        Ok(if healed.is_some() { GOOD } else { BAD })
    })
    .await
}

/// A control plane with a user plane to watch, built and started.
pub struct Demo {
    app: App,
    plane: Plane,
    processes: Child,
    lifeline: ChildStdin,
}

impl Demo {
    /// Prepares the folder, opens the doors, starts the user plane.
    pub async fn open(mut given: Given, dir: &Path, port: Option<u16>, load: f64) -> Result<Self> {
        if let Some(port) = port {
            given.set("SRE_SPACE_HTTP_ADDR", format!("127.0.0.1:{port}"));
        }
        given.set("SRE_SPACE_DATA_DIR", dir.join("control-plane").display());
        let doors = Doors::open(&given.settings()?, true).await?;
        let Some(otlp) = doors.otlp_grpc.as_ref().map(|listener| listener.local_addr()).transpose()? else {
            bail!("the demo needs OTLP over gRPC: SRE_SPACE_OTLP_GRPC_ADDR must not be off");
        };
        let plane = Plane::prepare(dir, format!("http://{otlp}"), load)?;
        given.set("SRE_SPACE_HTTP_ADDR", doors.http.local_addr()?);
        given.set("SRE_SPACE_FORGE", "local");
        given.set("SRE_SPACE_REPO", plane.platform.repo.display());
        given.set("SRE_SPACE_INGEST_TOKENS", plane.ingest_tokens());
        let settings = given.settings()?;
        let parts = Parts::open(&settings).await?;
        greet(&settings.http.to_string(), &plane);
        let app = App::build(&settings, parts, doors, Some(DemoPlane::new(plane.web()))).await?;
        let (processes, lifeline) = plane.start()?;
        Ok(Self { app, plane, processes, lifeline })
    }

    /// Runs the server beside the story; whichever ends first ends the demo.
    pub async fn run(self, story: impl AsyncFnOnce(Arc<Context>, Marketplace) -> Result<u8>) -> Result<u8> {
        let Self { app, plane, mut processes, lifeline } = self;
        let story = story(Arc::clone(&app.context), Marketplace::at(plane.web()));
        let mut told: Result<u8> = Ok(GOOD);
        let shutdown = async {
            tokio::select! {
                () = interrupted() => {}
                code = story => told = code,
                status = processes.wait() => {
                    told = Err(anyhow::anyhow!("the user plane ended ({status:?}): see user-plane.log in the demo's folder"));
                }
            }
        };
        let asked = app.run(shutdown).await;
        drop(lifeline);
        _ = tokio::time::timeout(Duration::from_secs(10), processes.wait()).await;
        if asked { told } else { Ok(BAD) }
    }
}

fn greet(address: &str, plane: &Plane) {
    println!("SRE-Space   http://{address}");
    println!("marketplace {}", plane.web());
    println!("repository  {}", plane.platform.repo.display());
    println!("Open the first address and press Inject Chaos; Ctrl-C ends everything.\n");
}
