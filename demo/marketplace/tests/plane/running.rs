//! A running marketplace and what can be seen of it from outside.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use marketplace::platform::{Platform, Ports};
use serde_json::Value;

use crate::owners::Owners;

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

/// Every process of a marketplace in a folder of its own; they end with it.
pub struct Marketplace {
    platform: Platform,
    parent: Child,
    /// The port spans are sent to; nobody listens there.
    pub collector: u16,
    _dir: tempfile::TempDir,
}

impl Marketplace {
    /// Opens one and waits for the first served customers.
    pub fn open(load: f64) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let collector = free_port();
        let platform = Platform {
            dir: dir.path().to_owned(),
            repo: dir.path().join("marketplace.git"),
            exe: PathBuf::from(env!("CARGO_BIN_EXE_marketplace")),
            exe_args: Vec::new(),
            ports: Ports::default().settle().expect("free ports"),
            otlp_endpoint: format!("http://127.0.0.1:{collector}"),
            ingest_tokens: BTreeMap::new(),
            load,
            is_uneven: false,
            dirty_share: 0.0,
        };
        let file = dir.path().join("platform.json");
        platform.write(&file).expect("the platform file");
        marketplace::seed::ensure(&platform).expect("the repository");
        let log = fs::File::create(dir.path().join("log")).expect("a log");
        let parent = Command::new(&platform.exe)
            .args(["up", "--platform"])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("the marketplace starts");
        let shop = Self { platform, parent, collector, _dir: dir };
        shop.until("the first customers", || (shop.served() > 0).then_some(()));
        shop
    }

    /// Its owners.
    pub fn owners(&self) -> Owners {
        Owners::at(&self.platform.repo)
    }

    /// What its processes printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.platform.dir.join("log")).unwrap_or_default()
    }

    /// Customers served in time so far, by the traffic's own count.
    pub fn served(&self) -> u64 {
        self.seconds().iter().map(|second| count(second, "ok")).sum()
    }

    /// Customers turned away or kept waiting so far.
    pub fn unserved(&self) -> u64 {
        self.seconds().iter().map(unserved).sum()
    }

    /// The same in the newest second.
    pub fn unserved_lately(&self) -> u64 {
        self.seconds().last().map_or(0, unserved)
    }

    /// Whether the last three seconds served everybody.
    pub fn is_quiet(&self) -> bool {
        let seconds = self.seconds();
        seconds.iter().rev().take(3).all(|second| unserved(second) == 0 && count(second, "ok") > 0)
    }

    fn seconds(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.platform.dir.join("traffic.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Status of a POST to the web server.
    pub fn post(&self, path: &str) -> u16 {
        let answer = self.ask("POST", path);
        answer.split_whitespace().nth(1).and_then(|status| status.parse().ok()).expect("a status line")
    }

    /// Body of a GET from the web server.
    pub fn get(&self, path: &str) -> String {
        self.ask("GET", path).split_once("\r\n\r\n").expect("a body").1.to_owned()
    }

    fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.platform.ports.web)).expect("the web server listens");
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("a sent request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// Command lines of its living processes.
    pub fn processes(&self) -> Vec<String> {
        let ours = self.platform.dir.to_string_lossy().into_owned();
        let listed = fs::read_dir("/proc")
            .expect("a /proc")
            .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
        // A process that has ended and is not yet waited for has no command line.
        let lines = listed.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| line.contains(&ours)).collect()
    }

    /// Kills the parent of them all with SIGKILL.
    pub fn kill(&mut self) {
        self.parent.kill().expect("a kill");
        self.parent.wait().expect("its end");
    }

    /// Waits until something is seen.
    pub fn until<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}:\n{}", self.log());
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Marketplace {
    fn drop(&mut self) {
        _ = self.parent.kill();
        _ = self.parent.wait();
    }
}

fn count(second: &Value, what: &str) -> u64 {
    second[what].as_u64().unwrap_or_default()
}

fn unserved(second: &Value) -> u64 {
    count(second, "failed") + count(second, "slow")
}

/// A port nobody listens on just now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
