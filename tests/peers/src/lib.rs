//! Real servers for tests: found on this machine, started on a free loopback port with a folder of their own, killed, paused
//! and started again. One that is not installed is [`Missing`], with the name a skipped test reports.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod cloudwatch;
mod kafka;
pub mod monitors;
pub mod openai;
mod port;
mod postgres;
mod prometheus;
mod qdrant;
pub mod recipients;
mod redis;
mod sentence;

use std::fmt;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

pub use self::cloudwatch::CloudWatch;
pub use self::kafka::Kafka;
pub use self::port::free_port;
pub use self::postgres::Postgres;
pub use self::prometheus::{Exporter, Prometheus};
pub use self::qdrant::{Books, Qdrant};
pub use self::redis::Redis;
pub use self::sentence::sentence_model;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_millis(20);

/// A server that is not installed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(pub &'static str);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {}", self.0)
    }
}

/// A program in `PATH`, or in one of these folders.
fn find(program: &'static str, folders: &[PathBuf]) -> Result<PathBuf, Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::split_paths(&path).chain(folders.iter().cloned());
    all.map(|folder| folder.join(program)).find(|file| file.is_file()).ok_or(Missing(program))
}

/// A server process with its children, in a group of their own.
struct Process {
    command: Command,
    port: u16,
    child: Child,
}

impl Process {
    fn start(mut command: Command, port: u16, log: &Path) -> Self {
        let told = std::fs::File::options().create(true).append(true).open(log).expect("a log");
        command.stdin(Stdio::null()).stdout(told.try_clone().expect("a log")).stderr(told).process_group(0);
        let child = command.spawn().expect("the server starts");
        let mut this = Self { command, port, child };
        this.await_listening(log);
        this
    }

    fn await_listening(&mut self, log: &Path) {
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.child.try_wait().expect("our child");
            let told = || std::fs::read_to_string(log).unwrap_or_default();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "{ended:?}: {}", told());
            std::thread::sleep(EVERY);
        }
    }

    fn signal(&self, signal: Signal) {
        let group = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("a pid");
        _ = kill_process_group(group, signal);
    }

    /// SIGKILL to all of it.
    fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("our child");
    }

    /// The same command again, on the same port and folder.
    fn start_again(&mut self, log: &Path) {
        self.child = self.command.spawn().expect("the server starts");
        self.await_listening(log);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        self.kill();
    }
}

/// What is done to a server while something goes on.
pub trait Peer {
    /// SIGKILL; nothing is said to anybody.
    fn kill(&mut self);
    /// Starts it again where it was, after [`Peer::kill`].
    fn start_again(&mut self);
    /// Stops it from running, with its connections open.
    fn pause(&self);
    /// Lets it run again.
    fn resume(&self);
}

macro_rules! peer {
    ($server:ty) => {
        impl crate::Peer for $server {
            fn kill(&mut self) {
                self.process.kill();
            }

            fn start_again(&mut self) {
                self.process.start_again(&self.dir.path().join("log"));
            }

            fn pause(&self) {
                self.process.signal(rustix::process::Signal::STOP);
            }

            fn resume(&self) {
                self.process.signal(rustix::process::Signal::CONT);
            }
        }
    };
}
use peer;
