//! `config check` and `doctor`: what is set, and whether every part of it can be used.

use std::path::Path;

use anyhow::Result;
use sre_space_agents::catalogue;
use tokio::net::TcpListener;

use super::{BAD, GOOD, on_runtime};
use crate::app;
use crate::config::{self, Given, KEYS, Key, Settings};

/// Prints the settings as resolved.
pub fn config(given: &Given) -> Result<u8> {
    given.settings()?;
    for key in KEYS {
        println!("{}", resolved(key, given));
    }
    Ok(GOOD)
}

fn resolved(key: &Key, given: &Given) -> String {
    match given.0.get(key.name) {
        Some(value) => format!("{}={}", key.name, key.shown(value)),
        None if key.default.is_empty() => format!("{} is not set", key.name),
        None => format!("{}={} (default)", key.name, key.default),
    }
}

/// A part, and what was found: how it is, or what is wrong and how to mend it.
type Finding = (&'static str, Result<String, String>);

/// Looks at every configured part; exit code 1 when one cannot be used.
pub fn doctor(given: &Given) -> Result<u8> {
    let settings = given.settings()?;
    on_runtime(async move {
        sre_space_tls::install();
        let mut findings = vec![
            ("data directory", data_dir(&settings.data_dir)),
            ("database", database(&settings).await),
            ("bus", app::look_at_bus(&settings).await),
            ("model", app::look_at_model(&settings).await),
            ("memory", app::look_at_memory(&settings).await),
            ("signals", app::look_at_signals(&settings).await),
            ("repository", repository(&settings).await),
            ("policies", policies(&settings)),
            ("monitor and API", port(&settings.http.to_string()).await),
            ("OTLP/gRPC", optional_port(settings.otlp_grpc.map(|address| address.to_string())).await),
            ("OTLP/HTTP", optional_port(settings.otlp_http.map(|address| address.to_string())).await),
            ("ingest tokens", Ok(tokens(&settings))),
            ("summaries", app::look_at_summaries(&settings).await),
        ];
        findings.extend(app::look_at_channels(&settings.channels).await);
        findings.extend(app::look_at_sources(&settings).await);
        let bad = findings.iter().filter(|(_, found)| found.is_err()).count();
        findings.iter().for_each(|finding| println!("{}", told(finding)));
        Ok(if bad == 0 { GOOD } else { BAD })
    })
}

fn told((part, found): &Finding) -> String {
    match found {
        Ok(how) => format!("ok   {part:<16} {how}"),
        Err(wrong) => format!("BAD  {part:<16} {wrong}"),
    }
}

fn data_dir(dir: &Path) -> Result<String, String> {
    let mend = |error: std::io::Error| {
        format!("{} cannot be written: {error}; set SRE_SPACE_DATA_DIR to a folder that can", dir.display())
    };
    std::fs::create_dir_all(dir).map_err(mend)?;
    tempfile_in(dir).map_err(mend)?;
    Ok(format!("{} can be written", dir.display()))
}

fn tempfile_in(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(format!("doctor-{}", std::process::id()));
    std::fs::write(&path, b"")?;
    std::fs::remove_file(path)
}

async fn database(settings: &Settings) -> Result<String, String> {
    match &settings.database {
        config::Database::Sqlite(path) => Ok(format!("SQLite in {}", path.display())),
        config::Database::Postgres(url) => {
            let shown = config::without_password(url);
            match app::look_at_postgres(url).await {
                Ok(version) => Ok(format!("Postgres {version} at {shown}")),
                Err(error) => Err(format!("{shown}: {error}; start it or mend DATABASE_URL")),
            }
        }
    }
}

async fn repository(settings: &Settings) -> Result<String, String> {
    let (repository, about) = app::repository(settings).await.map_err(|error| format!("{error:#}"))?;
    let wrong = |error| {
        format!("{about}: {error}: its deployed branch has to carry a .sre-space.yaml, or nothing will be written")
    };
    let head = repository.head().await.map_err(wrong)?;
    let rules = repository.file(&head, ".sre-space.yaml").await.map_err(wrong)?;
    let rules = catalogue::parse(&rules).map_err(|error| format!(".sre-space.yaml is refused: {error}"))?;
    let services: Vec<&str> = rules.services.keys().map(String::as_str).collect();
    Ok(format!("{about}; at {}; its owners declare {}", head.short(), services.join(", ")))
}

fn policies(settings: &Settings) -> Result<String, String> {
    let policies = app::policies(settings.policy_dir.as_deref()).map_err(|error| format!("{error:#}"))?;
    let rules = sre_space_ports::policy::Policy::rules(&policies).len();
    let from = settings.policy_dir.as_ref().map_or("built in".to_owned(), |dir| dir.display().to_string());
    Ok(format!("{rules} rules, {from}"))
}

async fn optional_port(address: Option<String>) -> Result<String, String> {
    match address {
        Some(address) => port(&address).await,
        None => Ok("off".to_owned()),
    }
}

async fn port(address: &str) -> Result<String, String> {
    match TcpListener::bind(address).await {
        Ok(_) => Ok(format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Ok(format!("{address} is taken: a server runs there already, or `serve` will refuse to start"))
        }
        Err(error) => Err(format!("{address}: {error}")),
    }
}

fn tokens(settings: &Settings) -> String {
    match settings.ingest_tokens.len() {
        0 => "none: all telemetry is one source, so autonomy `auto` needs a probe as second signal".to_owned(),
        count => format!("{count}: each a source of its own"),
    }
}
