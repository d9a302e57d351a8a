//! An insurance marketplace: the application that the demo watches, breaks and heals.
//!
//! Three services over HTTP with a real SQL database behind a real connection pool, their owners' deployer and check runner,
//! and a traffic generator. It knows nothing of who watches it: it speaks OpenTelemetry and keeps its configuration, pricing
//! rules and migrations in a git repository.
#![expect(
    clippy::disallowed_methods,
    reason = "an application of its own: its settings are the environment of its processes, its tasks end with them"
)]

mod cage;
mod checks;
mod deployer;
mod faults;
mod git;
mod http;
mod lifeline;
pub mod platform;
mod process;
mod reproduce;
pub mod seed;
mod services;
mod telemetry;
mod traffic;
mod up;
mod usage;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::platform::Platform;
use crate::services::{Release, quote_engine, rating_provider, web};

#[derive(Parser)]
#[command(name = "marketplace", version, about = "An insurance marketplace, its deployer, its checks and its traffic")]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Deployer, check runner and traffic together.
    Up(Place),
    /// Deploys whatever the repository's main is.
    Deployer(Place),
    /// Checks every pull request.
    Checks(Place),
    /// Asks for quotes.
    Traffic(Place),
    /// The web server.
    Web(Release),
    /// The quote engine.
    QuoteEngine(Release),
    /// The rating provider: stands in for a third party.
    RatingProvider(Release),
}

#[derive(clap::Args)]
struct Place {
    /// The platform file.
    #[arg(long)]
    platform: PathBuf,
}

/// Runs one role; `args` are what follows the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = Cli::parse_from(std::iter::once(OsString::from("marketplace")).chain(args));
    match play(cli.role) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("marketplace: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn play(role: Role) -> anyhow::Result<()> {
    let platform = |place: &Place| Platform::read(&place.platform);
    match role {
        Role::Up(place) => up::run(&platform(&place)?, &place.platform),
        Role::Deployer(place) => deployer::run(platform(&place)?),
        Role::Checks(place) => checks::run(&platform(&place)?),
        Role::Traffic(place) => traffic::run(&platform(&place)?),
        Role::Web(release) => services::serve(web::start(release)),
        Role::QuoteEngine(release) => services::serve(quote_engine::start(release)),
        Role::RatingProvider(release) => services::serve(rating_provider::start(release)),
    }
}
