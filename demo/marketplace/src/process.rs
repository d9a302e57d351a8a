//! One service process: its inherited socket, its environment, its lifeline.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use command_fds::{CommandFdExt as _, FdMapping};

use crate::platform::Platform;

/// What a service prints when it accepts requests.
pub const READY: &str = "READY";
/// What it may take to get there.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running service; it ends when this is dropped.
pub struct Process {
    child: Child,
    lifeline: Option<ChildStdin>,
}

impl Process {
    /// Starts `role` from a release on a socket, and waits until it is ready.
    pub fn start(
        platform: &Platform,
        role: &str,
        (release, data): (&Path, &Path),
        socket: &TcpListener,
        environment: &[(&str, String)],
    ) -> Result<Self> {
        let parent_fd = OwnedFd::from(socket.try_clone()?);
        let mut child = Command::new(&platform.exe)
            .args(&platform.exe_args)
            .arg(role)
            .arg("--release")
            .arg(release)
            .arg("--data")
            .arg(data)
            .env("LISTEN_FDS", "1")
            .env("QUOTE_ENGINE_URL", platform.url("quote-engine"))
            .env("RATING_PROVIDER_URL", platform.url("rating-provider"))
            .env("MARKETPLACE_REPO", &platform.repo)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .fd_mappings(vec![FdMapping { parent_fd, child_fd: 3 }])?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {role}"))?;
        let lifeline = child.stdin.take();
        let mut process = Self { child, lifeline };
        process.await_ready(role)?;
        Ok(process)
    }

    fn await_ready(&mut self, role: &str) -> Result<()> {
        let stdout = self.child.stdout.take().context("a piped standard output")?;
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line == READY { _ = tell.send(()) } else { println!("{line}") }
            }
        });
        if told.recv_timeout(PATIENCE).is_err() {
            _ = self.child.kill();
            bail!("{role} did not get ready");
        }
        Ok(())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, whatever it is doing.
    pub fn kill(&mut self) {
        // It has ended by itself where this fails.
        _ = self.child.kill();
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().map_or(true, |status| status.is_some())
    }

    /// Lets go: the service finishes what it has accepted and ends. Waits for that on a thread of its own.
    pub fn let_go(mut self) {
        self.lifeline = None;
        std::thread::spawn(move || _ = self.child.wait());
    }
}
