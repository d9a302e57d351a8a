//! PostgreSQL.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use tempfile::TempDir;

use crate::{EVERY, Missing, PATIENCE, Process, find, free_port, peer};

/// The program that makes a new server; the one that runs it is beside it.
const PROGRAM: &str = "initdb";
const USER: &str = "sre";

/// A PostgreSQL server. It refuses to run as root, and is run as the user its package made then.
pub struct Postgres {
    process: Process,
    dir: TempDir,
    programs: PathBuf,
    port: u16,
    given: AtomicU16,
}

peer!(Postgres);

impl Postgres {
    /// Whether it is installed.
    pub fn find() -> Result<(), Missing> {
        find(PROGRAM, &packaged()).map(|_| ())
    }

    /// Starts one.
    pub fn start() -> Self {
        // The one that is found may be a link to where all of them are.
        let initdb = find(PROGRAM, &packaged()).expect("an installed server").canonicalize().expect("a file");
        let programs = initdb.parent().expect("a folder").to_owned();
        let (dir, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let data = dir.path().join("data");
        fs::create_dir(&data).expect("a folder");
        let owner = owner(dir.path());
        if let Some((user, group)) = owner {
            [dir.path(), &data].iter().for_each(|path| chown(path, Some(user), Some(group)).expect("its folder"));
        }
        let data = data.to_string_lossy().into_owned();
        let made = as_owner(Command::new(&initdb), owner)
            .args(["--auth", "trust", "--username", USER, "--no-sync", "--pgdata", &data])
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut command = as_owner(Command::new(programs.join("postgres")), owner);
        command.args(["-D", &data, "-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""]);
        let process = Process::start(command, port, &dir.path().join("log"));
        let mut this = Self { process, dir, programs, port, given: AtomicU16::new(0) };
        this.await_ready();
        this
    }

    /// It listens before it is ready.
    fn await_ready(&mut self) {
        let began = Instant::now();
        let mut ask = Command::new(self.programs.join("pg_isready"));
        ask.args(["--quiet", "--host", "127.0.0.1", "--port", &self.port.to_string()]);
        while !ask.status().expect("pg_isready runs").success() {
            let ended = self.process.child.try_wait().expect("our child");
            let told = || fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "Postgres is not ready: {ended:?}: {}", told());
            std::thread::sleep(EVERY);
        }
    }

    /// URL of a new database.
    pub fn url(&self) -> String {
        let name = format!("test{}", self.given.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        let mut create = Command::new(self.programs.join("createdb"));
        create.args(["--host", "127.0.0.1", "--port", &port, "--username", USER, &name]);
        let made = create.output().expect("createdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        format!("postgres://{USER}@127.0.0.1:{port}/{name}")
    }
}

/// Where distributions put the programs that are not for everybody.
fn packaged() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin")).collect()
}

/// The user to run as, where this process is root.
fn owner(ours: &Path) -> Option<(u32, u32)> {
    let is_root = fs::metadata(ours).expect("our folder").uid() == 0;
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = users.lines().find(|line| line.starts_with("postgres:")).filter(|_| is_root)?;
    let mut fields = entry.split(':').skip(2).map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

fn as_owner(mut command: Command, owner: Option<(u32, u32)>) -> Command {
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}
