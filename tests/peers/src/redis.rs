//! redis-server.

use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use crate::{Missing, Process, find, free_port, peer};

const PROGRAM: &str = "redis-server";
/// Databases of one server, so that tests do not meet.
const DATABASES: u16 = 200;

/// A Redis server that syncs every write, so that a kill loses nothing it answered for.
pub struct Redis {
    process: Process,
    dir: TempDir,
    port: u16,
    given: AtomicU16,
}

peer!(Redis);

impl Redis {
    /// Whether it is installed.
    pub fn find() -> Result<(), Missing> {
        find(PROGRAM, &[]).map(|_| ())
    }

    /// Starts one.
    pub fn start() -> Self {
        let program = find(PROGRAM, &[]).expect("an installed server");
        let (dir, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let mut command = Command::new(program);
        command.current_dir(dir.path()).args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--databases", &DATABASES.to_string()]);
        let process = Process::start(command, port, &dir.path().join("log"));
        Self { process, dir, port, given: AtomicU16::new(0) }
    }

    /// URL of a database that nobody else was given.
    pub fn url(&self) -> String {
        let database = self.given.fetch_add(1, Ordering::Relaxed);
        assert!(database < DATABASES, "more tests than databases");
        format!("redis://127.0.0.1:{}/{database}", self.port)
    }
}
