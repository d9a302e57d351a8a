//! The applications, started as their own documentation says.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::control::Endpoints;

/// How an exporter speaks.
#[derive(Debug, Clone, Copy)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, protobuf.
    HttpProtobuf,
    /// OTLP over HTTP, JSON.
    HttpJson,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
            Self::HttpJson => "http/json",
        }
    }
}

/// What `make strangers` installs.
pub struct Tools {
    venv: PathBuf,
    modules: PathBuf,
}

impl Tools {
    /// Looks where it is installed.
    pub fn find() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/strangers");
        Self { venv: here.join(".venv/bin"), modules: here.join("node_modules") }
    }

    /// What is missing of Datasette.
    pub fn missing_python(&self) -> Option<&'static str> {
        let present = self.venv.join("datasette").exists() && self.venv.join("opentelemetry-instrument").exists();
        (!present).then_some("datasette: make strangers")
    }

    /// What is missing of the Node application.
    pub fn missing_node(&self) -> Option<&'static str> {
        (!self.modules.join("http-server").exists()).then_some("http-server: make strangers")
    }

    /// A command of the Python environment.
    pub fn python(&self, program: &str) -> Command {
        Command::new(self.venv.join(program))
    }
}

/// A running application; it ends with this.
pub struct App {
    /// Its `service.name`.
    pub service: String,
    port: u16,
    paths: &'static [&'static str],
    child: Child,
}

impl App {
    /// Datasette over a release's folder; with a revision it is a deployment, and answers on the port it is given.
    pub fn datasette(
        tools: &Tools,
        release: &Path,
        endpoints: &Endpoints,
        protocol: Protocol,
        deployed: Option<(u16, &str)>,
    ) -> Self {
        let service = deployed.map_or_else(|| format!("datasette {}", protocol.name()), |_| "datasette".to_owned());
        let port = deployed.map_or_else(sre_space_stage::free_port, |(port, _)| port);
        let mut command = tools.python("opentelemetry-instrument");
        command.arg(tools.venv.join("datasette")).arg(".").arg("-p").arg(port.to_string());
        if let Some((_, revision)) = deployed {
            command.env("OTEL_RESOURCE_ATTRIBUTES", format!("vcs.ref.head.revision={revision}"));
        }
        Self::start(command, release, endpoints, (service, port, protocol), &["/shop/items.json", "/shop/items/7.json"])
    }

    /// http-server over a release's folder.
    pub fn http_server(tools: &Tools, release: &Path, endpoints: &Endpoints, protocol: Protocol) -> Self {
        let port = sre_space_stage::free_port();
        let mut command = Command::new("node");
        command
            .arg("--require")
            .arg(tools.modules.join("@opentelemetry/auto-instrumentations-node/build/src/register.js"))
            .arg(tools.modules.join("http-server/bin/http-server"))
            .args([".", "-s", "-a", "127.0.0.1", "-p", &port.to_string()]);
        let service = format!("http-server {}", protocol.name());
        Self::start(
            command,
            release,
            endpoints,
            (service, port, protocol),
            &["/settings.json", "/plugins/telemetry.py"],
        )
    }

    fn start(
        mut command: Command,
        release: &Path,
        endpoints: &Endpoints,
        (service, port, protocol): (String, u16, Protocol),
        paths: &'static [&'static str],
    ) -> Self {
        let endpoint = match protocol {
            Protocol::Grpc => &endpoints.grpc,
            Protocol::HttpProtobuf | Protocol::HttpJson => &endpoints.http,
        };
        let log = std::fs::File::options().create(true).append(true).open(release.with_extension("log"));
        let log = log.expect("a log");
        command
            .current_dir(release)
            .env("OTEL_SERVICE_NAME", &service)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.name())
            .envs([("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_LOGS_EXPORTER", "otlp")])
            .envs([("OTEL_BSP_SCHEDULE_DELAY", "250"), ("OTEL_METRIC_EXPORT_INTERVAL", "1000")])
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone().expect("a log")))
            .stderr(Stdio::from(log));
        let child = command.spawn().unwrap_or_else(|error| panic!("{service} does not start: {error}"));
        Self { service, port, paths, child }
    }

    /// Waits until it takes connections; asks nothing of it.
    pub async fn listening(&self) {
        let began = Instant::now();
        let mut look = tokio::time::interval(Duration::from_millis(100));
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            look.tick().await;
            assert!(began.elapsed() < Duration::from_secs(60), "{} does not listen", self.service);
        }
    }

    /// Where the n-th request goes.
    pub fn url(&self, n: u64) -> String {
        let path = self.paths[usize::try_from(n).expect("small") % self.paths.len()];
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
