//! What every process of the user plane is told: where things are and who listens where.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// Where a free port is looked for: below those that outgoing connections are given, so that none of them takes it before the
/// service is started.
const FREE: Range<u16> = 10_000..15_000;
const TRIES: usize = 100;

/// Ports of the services on the loopback interface; 0 means: pick a free one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// marketplace-web.
    pub web: u16,
    /// quote-engine.
    pub quote_engine: u16,
    /// rating-provider.
    pub rating_provider: u16,
}

impl Ports {
    /// Keeps each port that is free and replaces the others.
    pub fn settle(self) -> Result<Self> {
        let held: Vec<TcpListener> = [self.web, self.quote_engine, self.rating_provider]
            .into_iter()
            .map(|port| if port == 0 { free() } else { listen(port).or_else(|_| free()) })
            .collect::<Result<_, _>>()?;
        let mut ports = held.iter().map(|listener| listener.local_addr().map(|address| address.port()));
        let mut next = || ports.next().context("three ports")?.context("a bound port");
        Ok(Self { web: next()?, quote_engine: next()?, rating_provider: next()? })
    }

    /// The port of a service by its name.
    pub fn of(self, service: &str) -> Option<u16> {
        match service {
            "marketplace-web" => Some(self.web),
            "quote-engine" => Some(self.quote_engine),
            "rating-provider" => Some(self.rating_provider),
            _ => None,
        }
    }
}

/// The name under which the deployer sends telemetry of the processes it runs: that of its ingest token.
pub const DEPLOYER: &str = "deployer";

/// Listens on a port of the loopback interface; 0 is any.
pub(crate) fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

/// Listens on a port that nobody listens on.
fn free() -> io::Result<TcpListener> {
    (0..TRIES).find_map(|_| listen(rand::random_range(FREE)).ok()).map_or_else(|| listen(0), Ok)
}

/// The platform file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Platform {
    /// Folder of everything the processes write.
    pub dir: PathBuf,
    /// The bare git repository.
    pub repo: PathBuf,
    /// Program that plays the roles.
    pub exe: PathBuf,
    /// Arguments before the role.
    pub exe_args: Vec<String>,
    /// Who listens where.
    pub ports: Ports,
    /// OTLP/gRPC endpoint the services export to.
    pub otlp_endpoint: String,
    /// Ingest token per service.
    pub ingest_tokens: BTreeMap<String, String>,
    /// Quotes asked for per second.
    pub load: f64,
    /// Bursts and near silence, minute by minute, instead of a steady rate.
    #[serde(default)]
    pub is_uneven: bool,
    /// Share of requests for customers whose stored record is malformed.
    pub dirty_share: f64,
}

impl Platform {
    /// Reads the platform file.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("{} is no platform file", path.display()))
    }

    /// Writes the platform file; it holds tokens, so only its owner may read it.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }

    /// Where a service answers.
    pub fn url(&self, service: &str) -> String {
        format!("http://127.0.0.1:{}", self.ports.of(service).unwrap_or_default())
    }

    /// Where services keep their data.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }
}
