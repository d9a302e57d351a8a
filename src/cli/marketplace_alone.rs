//! `marketplace`: the demo's user plane as a service of its own, beside a control plane that `serve` runs.
//!
//! Both are on one machine (or in one network namespace) and see one folder, since the forge is a local git repository in it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use marketplace::platform::DEPLOYER;

use super::plane::{Plane, SERVICES};
use super::{BAD, GOOD, interrupted, on_runtime};
use crate::config::Given;

/// Arguments of `marketplace`.
#[derive(ClapArgs)]
pub struct Args {
    /// Folder of the marketplace: its repository is DIR/marketplace.git, for the control plane's SRE_SPACE_REPO.
    #[arg(long, value_name = "DIR", default_value = ".sre-space/demo")]
    dir: PathBuf,
    /// Where its services send telemetry: OTLP over gRPC.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4317")]
    otlp: String,
    /// Port of its web server, for the control plane's SRE_SPACE_DEMO_URL.
    #[arg(long, default_value_t = 7101)]
    port: u16,
    /// Quotes asked for per second.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 150.0)]
    load: f64,
    /// Make the repository and end: a control plane wants it when it starts.
    #[arg(long)]
    prepare: bool,
}

/// Runs the marketplace until interrupted. `SRE_SPACE_INGEST_TOKENS` has to be the control plane's, with a token for each service,
/// and one for the deployer, which tells of their memory from outside.
pub fn run(args: &Args, given: &Given) -> Result<u8> {
    let tokens = given.settings()?.ingest_tokens;
    let tokens: BTreeMap<String, String> =
        tokens.into_iter().map(|(service, token)| (service, token.bare().to_owned())).collect();
    if let Some(service) = SERVICES.iter().find(|service| !tokens.contains_key(**service)) {
        bail!(
            "no ingest token for {service}: give marketplace and control plane the same SRE_SPACE_INGEST_TOKENS, as in {}",
            example()
        );
    }
    let plane = Plane::prepare_as(&args.dir, args.otlp.clone(), args.load, Some((args.port, tokens)))?;
    println!("marketplace {}", plane.web());
    println!("repository  {}", plane.platform.repo.display());
    if args.prepare {
        return Ok(GOOD);
    }
    if plane.platform.ports.web != args.port {
        bail!("port {} is taken: stop what listens there, or name another with --port", args.port);
    }
    on_runtime(async move {
        let (mut processes, lifeline) = plane.start()?;
        let ended = tokio::select! {
            () = interrupted() => false,
            _ = processes.wait() => true,
        };
        drop(lifeline);
        _ = processes.wait().await;
        Ok(if ended { BAD } else { GOOD })
    })
}

fn example() -> String {
    let senders = SERVICES.iter().chain([&DEPLOYER]);
    senders.map(|sender| format!("{sender}=TOKEN")).collect::<Vec<_>>().join(",")
}
