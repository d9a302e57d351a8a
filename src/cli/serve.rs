//! `serve`: the control plane alone, for real use.

use std::io::Write as _;

use anyhow::Result;
use clap::Args as ClapArgs;

use super::{BAD, GOOD, interrupted, on_runtime};
use crate::app::{App, Doors, Parts};
use crate::config::Given;
use crate::monitor::DemoPlane;

/// Arguments of `serve`.
#[derive(ClapArgs)]
pub struct Args {
    /// Port of the monitor and the API.
    #[arg(long)]
    port: Option<u16>,
}

/// Serves until interrupted.
pub fn run(args: Args, mut given: Given) -> Result<u8> {
    if let Some(port) = args.port {
        given.set("SRE_SPACE_HTTP_ADDR", format!("127.0.0.1:{port}"));
    }
    let settings = given.settings()?;
    on_runtime(async move {
        let doors = Doors::open(&settings, false).await?;
        let parts = Parts::open(&settings).await?;
        let interrupted = interrupted();
        // That nobody reads what it prints is no reason not to serve.
        _ = std::io::stdout().write_all(where_it_serves(&doors)?.as_bytes());
        let app = App::build(&settings, parts, doors, settings.demo.clone().map(DemoPlane::new)).await?;
        Ok(if app.run(interrupted).await { GOOD } else { BAD })
    })
}

fn where_it_serves(doors: &Doors) -> std::io::Result<String> {
    let mut told = format!("sre-space serves http://{}\n", doors.http.local_addr()?);
    for (name, listener) in [("OTLP/gRPC", &doors.otlp_grpc), ("OTLP/HTTP", &doors.otlp_http)] {
        told += &match listener {
            Some(listener) => format!("{name} on {}\n", listener.local_addr()?),
            None => format!("{name} is off\n"),
        };
    }
    Ok(told)
}
