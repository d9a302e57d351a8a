//! The commands, one file each.

mod analyze;
mod chaos;
mod check;
mod client;
mod demo;
mod export;
mod marketplace_alone;
mod memory;
mod people;
mod plane;
mod replay;
mod sentinel;
mod serve;
mod simulate;
mod timeline;
mod verify_proof;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::export::{Destination, Export};
use crate::config::{Given, KEYS, Mistakes};

/// Exit code: done and good.
const GOOD: u8 = 0;
/// Exit code: the outcome is bad.
const BAD: u8 = 1;
/// Exit code: wrong usage or configuration.
const WRONG: u8 = 2;

/// A self-hosted, autonomous reliability engineer: it hears an application's OpenTelemetry, finds what broke and why,
/// merges a fix that policy allows, and proves from telemetry that it helped.
#[derive(Parser)]
#[command(name = "sre-space", version, after_help = settings_help())]
struct Cli {
    /// Settings file (default: sre-space.toml, when it is there).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Control plane, an insurance marketplace to watch, and a local git forge: all embedded, no key, no container.
    Demo(demo::Args),
    /// The demo's marketplace alone, for a control plane that runs elsewhere on this machine.
    Marketplace(marketplace_alone::Args),
    /// Breaks the demo's marketplace: one fault of a running server's, or the whole suite, one after another, with a score.
    Chaos(chaos::Args),
    /// The control plane alone.
    Serve(serve::Args),
    /// Recorded OTLP, told again in event time to the same Scout and Brain; acts on nothing.
    Replay(replay::Args),
    /// Looks at 48 hours of metrics and errors once: what is not as it should be, and what preceded each incident.
    Analyze(analyze::Args),
    /// A simulated flight: two hosts over 48 hours, one with a leak, bursts of load and an hour of errors.
    Simulate(simulate::Args),
    /// The Variance Sentinel: how unstable a host is, watched live; advises, and changes nothing.
    Sentinel(sentinel::Args),
    /// Incidents of a running server.
    Incidents(people::Incidents),
    /// Merge a change that waits for a person; of a merged one whose effect could not be judged: keep it.
    Approve(people::Decide),
    /// Reject a change that waits for a person; of a merged one whose effect could not be judged: revert it.
    Reject(people::Decide),
    /// Whether a running server may write to repositories; the kill switch.
    Autonomy(people::Switch),
    /// What was learned: search it, take it out, bring it in.
    Memory(memory::Args),
    /// Computes every number of a pull request's proof again, offline: its JSON, or the pull request's body.
    VerifyProof(verify_proof::Args),
    /// Whether every configured part can be used, and how to mend what cannot.
    Doctor,
    /// Settings.
    Config {
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Version of this binary.
    Version,
    #[command(hide = true, disable_help_flag = true)]
    UserPlane {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Shows the settings as resolved, secrets masked; refuses what would be refused at start.
    Check,
    /// Prints every setting with its default, as a `.env` file.
    Example,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = parsed();
    let code = match cli.command {
        Command::UserPlane { args } => return marketplace::run(args),
        Command::Version => {
            println!("sre-space {}", env!("CARGO_PKG_VERSION"));
            GOOD
        }
        Command::VerifyProof(args) => with_settings(cli.config, |_| verify_proof::run(&args)),
        Command::Incidents(args) => with_settings(cli.config, |given| people::incidents(args, &given)),
        Command::Memory(args) => with_settings(cli.config, |given| memory::run(args, &given)),
        Command::Approve(args) => with_settings(cli.config, |given| people::decide("approve", args, &given)),
        Command::Reject(args) => with_settings(cli.config, |given| people::decide("reject", args, &given)),
        Command::Autonomy(args) => with_settings(cli.config, |given| people::autonomy(args, &given)),
        Command::Config { what: ConfigCommand::Check } => with_settings(cli.config, |given| check::config(&given)),
        Command::Config { what: ConfigCommand::Example } => {
            print!("{}", crate::config::example());
            GOOD
        }
        Command::Replay(args) => with_settings(cli.config, |given| replay::run(&args, &given)),
        Command::Analyze(args) => with_settings(cli.config, |given| analyze::run(&args, &given)),
        Command::Simulate(args) => with_settings(cli.config, |given| simulate::run(&args, &given)),
        Command::Sentinel(args) => with_settings(cli.config, |given| sentinel::run(args, &given)),
        Command::Doctor => with_settings(cli.config, |given| check::doctor(&given)),
        Command::Serve(args) => serving(cli.config, |given| serve::run(args, given)),
        Command::Marketplace(args) => with_settings(cli.config, |given| marketplace_alone::run(&args, &given)),
        Command::Chaos(args) => with_settings(cli.config, |given| chaos::run(args, given)),
        Command::Demo(args) => serving(cli.config, |given| demo::run(args, given)),
    };
    ExitCode::from(code)
}

/// The command line. Where a value is wrong clap names those that are right and leaves out the usage.
fn parsed() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        if error.kind() == ErrorKind::InvalidValue {
            eprintln!("{error}\n{}", usage());
            std::process::exit(WRONG.into());
        }
        error.exit()
    })
}

/// The usage of the command that was named.
fn usage() -> String {
    let mut command = Cli::command();
    command.build();
    for word in std::env::args().skip(1) {
        if let Some(named) = command.find_subcommand(&word).cloned() {
            command = named;
        }
    }
    command.render_usage().to_string()
}

fn with_settings(file: Option<PathBuf>, command: impl FnOnce(Given) -> anyhow::Result<u8>) -> u8 {
    logged(file, |_| Ok(Destination::Nowhere), command)
}

/// The same for a command that serves the Data Coherence Engine, whose spans may be wanted elsewhere.
fn serving(file: Option<PathBuf>, command: impl FnOnce(Given) -> anyhow::Result<u8>) -> u8 {
    logged(file, Destination::of, command)
}

fn logged(
    file: Option<PathBuf>,
    spans: fn(&Given) -> anyhow::Result<Destination>,
    command: impl FnOnce(Given) -> anyhow::Result<u8>,
) -> u8 {
    let given = Given::collect(file.as_deref()).map_err(anyhow::Error::from);
    let done = given.and_then(|given| {
        let to = spans(&given)?;
        let export = Export::begin(&given, &to)?;
        log(given.0.get("SRE_SPACE_LOG").map_or("auto", String::as_str), export.as_ref());
        if let Destination::Itself(name) = to {
            tracing::warn!("{name} names this server's own receiver: it does not watch itself, and sends no spans");
        }
        command(given)
    });
    done.unwrap_or_else(|error| {
        eprintln!("sre-space: {error:#}");
        if error.is::<Mistakes>() { WRONG } else { BAD }
    })
}

/// Starts the log: warnings, and what the Data Coherence Engine computes for whom. JSON, unless a person reads it.
fn log(form: &str, export: Option<&Export>) {
    use std::io::{IsTerminal as _, stderr};
    let usual =
        || tracing_subscriber::EnvFilter::new("warn,sre_space::coherence=info,sre_space::monitor::coherence=info");
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| usual());
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    let lines = if form == "json" || (form == "auto" && !stderr().is_terminal()) {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).with_filter(filter).boxed()
    } else {
        lines.with_filter(filter).boxed()
    };
    tracing_subscriber::registry().with(lines).with(export.map(Export::layer)).init();
}

fn settings_help() -> String {
    let line = |key: &crate::config::Key| {
        let default = if key.default.is_empty() { String::new() } else { format!(" [{}]", key.default) };
        format!("  {:<34} {}{default}", key.name, key.about)
    };
    let lines: Vec<String> = KEYS.iter().map(line).collect();
    format!(
        "Settings (environment, .env, or sre-space.toml with the names in lower case without prefix):\n{}",
        lines.join("\n")
    )
}

/// Resolves on the first interrupt or termination signal that comes after this call: from here on neither ends the process by itself.
fn interrupted() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Builds the runtime and runs a command on it.
fn on_runtime(work: impl Future<Output = anyhow::Result<u8>>) -> anyhow::Result<u8> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
