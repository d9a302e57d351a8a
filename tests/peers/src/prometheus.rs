//! Prometheus, as its package brings it, and a small program for it to scrape.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::{Missing, Process, find, peer};

const PROGRAM: &str = "prometheus";
/// Comes with it, and writes what was measured long ago.
const TOOL: &str = "promtool";
/// Every second; and a value counts only until the next one is due, so that what is told is what was measured.
const CONFIG: &str = "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n";

/// A Prometheus server.
pub struct Prometheus {
    process: Process,
    dir: TempDir,
}

peer!(Prometheus);

impl Prometheus {
    /// Whether it is installed.
    pub fn find() -> Result<(), Missing> {
        find(PROGRAM, &[]).and(find(TOOL, &[])).map(|_| ())
    }

    /// Starts one on this port that holds what an OpenMetrics text says, and scrapes one exporter.
    pub fn start(port: u16, measured: &str, exporter: Option<&Exporter>) -> Self {
        let (program, tool) = (find(PROGRAM, &[]).expect("installed"), find(TOOL, &[]).expect("installed"));
        let dir = tempfile::tempdir().expect("a folder");
        let (data, text, config) = (dir.path().join("data"), dir.path().join("text"), dir.path().join("config.yml"));
        fs::write(&text, format!("{measured}# EOF\n")).expect("a file");
        let job = |exporter: &Exporter| {
            format!("  - job_name: exporter\n    static_configs: [{{targets: ['{}']}}]\n", exporter.address())
        };
        fs::write(&config, format!("{CONFIG}{}", exporter.map_or("  []\n".to_owned(), job))).expect("a file");
        if !measured.is_empty() {
            let mut backfill = Command::new(tool);
            backfill.args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&text).arg(&data);
            let done = backfill.output().expect("promtool runs");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        let mut command = Command::new(program);
        command.current_dir(dir.path()).arg("--config.file").arg(&config).arg("--storage.tsdb.path").arg(&data);
        command.args(["--storage.tsdb.retention.time", "100y", "--query.lookback-delta", "59s"]);
        command.args(["--web.listen-address", &format!("127.0.0.1:{port}")]);
        let process = Process::start(command, port, &dir.path().join("log"));
        Self { process, dir }
    }
}

/// A program that tells one text to whoever scrapes it, and counts how often; it ends with the process.
pub struct Exporter {
    port: u16,
    scrapes: Arc<AtomicUsize>,
}

impl Exporter {
    /// Starts one; the text is made anew for each scrape, of its number from 0.
    pub fn start(text: fn(usize) -> String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let scrapes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&scrapes);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                _ = stream.and_then(|stream| tell(stream, &text(counted.fetch_add(1, Ordering::Relaxed))));
            }
        });
        Self { port, scrapes }
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How often it was scraped.
    pub fn scrapes(&self) -> usize {
        self.scrapes.load(Ordering::Relaxed)
    }
}

fn tell(mut stream: TcpStream, text: &str) -> std::io::Result<()> {
    let mut asked = [0; 8_192];
    if stream.read(&mut asked)? == 0 {
        return Ok(());
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{text}", text.len())
}
