//! The user plane of the demo: prepares its folder and keeps its processes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use marketplace::platform::{DEPLOYER, Platform, Ports};
use tokio::process::{Child, ChildStdin, Command};
use ulid::Ulid;

/// Services that send telemetry; each gets an ingest token, and so is a source of its own.
pub const SERVICES: [&str; 3] = ["marketplace-web", "quote-engine", "rating-provider"];

/// The prepared user plane.
pub struct Plane {
    /// Its settings, as written to disk.
    pub platform: Platform,
    file: PathBuf,
}

impl Plane {
    /// Prepares `dir`: platform file, ingest tokens, seeded repository. What is already there stays.
    pub fn prepare(dir: &Path, otlp_endpoint: String, load: f64) -> Result<Self> {
        Self::prepare_as(dir, otlp_endpoint, load, None)
    }

    /// As `prepare`, where somebody else needs to know the web server's port and the ingest tokens beforehand.
    pub fn prepare_as(
        dir: &Path,
        otlp_endpoint: String,
        load: f64,
        agreed: Option<(u16, BTreeMap<String, String>)>,
    ) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let file = dir.join("platform.json");
        let kept = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Platform>(&bytes).ok());
        let (ports, ingest_tokens) = match kept {
            Some(mut kept) => {
                // A folder of before the deployer sent anything.
                kept.ingest_tokens.entry(DEPLOYER.to_owned()).or_insert_with(|| Ulid::generate().to_string());
                (kept.ports, kept.ingest_tokens)
            }
            None => (Ports::default(), tokens()),
        };
        let (ports, ingest_tokens) = match agreed {
            Some((web, agreed)) => (Ports { web, ..ports }, agreed),
            None => (ports, ingest_tokens),
        };
        let platform = Platform {
            repo: dir.join("marketplace.git"),
            exe: std::env::current_exe().context("cannot find this program's own file")?,
            exe_args: vec!["user-plane".to_owned()],
            ports: ports.settle()?,
            otlp_endpoint,
            ingest_tokens,
            load,
            is_uneven: false,
            dirty_share: 0.0,
            dir,
        };
        platform.write(&file)?;
        marketplace::seed::ensure(&platform)?;
        Ok(Self { platform, file })
    }

    /// `name=token` pairs, as `SRE_SPACE_INGEST_TOKENS` wants them.
    pub fn ingest_tokens(&self) -> String {
        let pairs: Vec<String> =
            self.platform.ingest_tokens.iter().map(|(name, token)| format!("{name}={token}")).collect();
        pairs.join(",")
    }

    /// Base URL of the marketplace's own web server.
    pub fn web(&self) -> String {
        format!("http://127.0.0.1:{}", self.platform.ports.web)
    }

    /// Starts the processes; they end when the lifeline is dropped: with this process, however it ends.
    pub fn start(&self) -> Result<(Child, ChildStdin)> {
        let log = std::fs::File::create(self.platform.dir.join("user-plane.log"))?;
        let mut child = Command::new(&self.platform.exe)
            .args(&self.platform.exe_args)
            .args(["up", "--platform"])
            .arg(&self.file)
            .stdin(Stdio::piped())
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the user plane")?;
        // Taken out, because waiting for a child closes the input it still holds.
        let lifeline = child.stdin.take().context("the user plane has no standard input")?;
        Ok((child, lifeline))
    }
}

fn tokens() -> BTreeMap<String, String> {
    SERVICES.iter().chain([&DEPLOYER]).map(|name| ((*name).to_owned(), Ulid::generate().to_string())).collect()
}
