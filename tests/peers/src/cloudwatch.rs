//! moto, which plays Amazon's services (`make peers`): CloudWatch with its own store of metrics.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Missing, Process, find, free_port, peer};

const PROGRAM: &str = "moto_server";
/// It tells services apart by the scope of a signature, and checks none.
const SCOPE: &str =
    "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=0";

/// A CloudWatch of one account.
pub struct CloudWatch {
    process: Process,
    dir: TempDir,
    port: u16,
}

peer!(CloudWatch);

impl CloudWatch {
    /// Whether it is installed.
    pub fn find() -> Result<(), Missing> {
        find(PROGRAM, &[scripts()]).map(|_| ())
    }

    /// Starts one.
    pub fn start() -> Self {
        let program = find(PROGRAM, &[scripts()]).expect("an installed server");
        let (dir, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let mut command = Command::new(program);
        command.current_dir(dir.path()).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let process = Process::start(command, port, &dir.path().join("log"));
        Self { process, dir, port }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Forgets everything.
    pub fn forget(&self) {
        self.post("/moto-api/reset", "");
    }

    /// Puts a value of an instance's metric, at a moment as RFC 3339.
    pub fn put(&self, (namespace, metric): (&str, &str), instance: &str, (at, value): (&str, f64)) {
        let member = "MetricData.member.1";
        let body = format!(
            "Action=PutMetricData&Version=2010-08-01&Namespace={namespace}&{member}.MetricName={metric}&{member}.Value={value}\
             &{member}.Timestamp={at}&{member}.Dimensions.member.1.Name=InstanceId&{member}.Dimensions.member.1.Value={instance}"
        );
        self.post("/", &body);
    }

    fn post(&self, path: &str, body: &str) {
        let mut asking = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: {SCOPE}\r\n");
        let form = "Content-Type: application/x-www-form-urlencoded";
        let request = format!("{head}{form}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        asking.write_all(request.as_bytes()).expect("asked");
        let mut answer = String::new();
        asking.read_to_string(&mut answer).expect("an answer");
        assert!(answer.contains(" 200 "), "{answer}");
    }
}

/// Where `make peers` puts what comes from PyPI.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin")
}
