//! The spans of the Data Coherence Engine, as an OTLP receiver of someone else's gets them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use reqwest::StatusCode;
use sre_space_peers::free_port;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

struct Receiver(mpsc::UnboundedSender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send(request.into_inner()).expect("the test listens");
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A receiver on a port of its own, and what it gets.
async fn receiver() -> (u16, mpsc::UnboundedReceiver<ExportTraceServiceRequest>) {
    let (told, got) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let service = TraceServiceServer::new(Receiver(told));
    let serving = tonic::transport::Server::builder().add_service(service);
    #[expect(clippy::disallowed_methods, reason = "the crew is the product's; this is somebody else's receiver")]
    tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
    (port, got)
}

/// The control plane on a recording of one signal, with its spans sent to this port.
fn plane(folder: &Path, http: u16, otlp: u16) -> Child {
    let row =
        r#"{"timestamp":"2025-10-29T17:00:00Z","signal_id":"s-1","coherenceScore":87,"agentStates":{},"eventCount":1}"#;
    let next = row.replace("17:00", "17:01").replace("87", "91");
    std::fs::write(folder.join("mock.json"), format!("[{row},{next}]")).expect("a recording");
    git2::Repository::init_bare(folder.join("nothing.git")).expect("a repository");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sre-space"));
    command.arg("serve").current_dir(folder).env_clear().stdout(Stdio::piped());
    command.env("SRE_SPACE_HTTP_ADDR", format!("127.0.0.1:{http}"));
    command.envs([("SRE_SPACE_OTLP_GRPC_ADDR", "off"), ("SRE_SPACE_OTLP_HTTP_ADDR", "off")]);
    command.envs([("SRE_SPACE_REPO", "nothing.git"), ("SRE_SPACE_DATA_DIR", "data"), ("MOCK_PATH", "mock.json")]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{otlp}"));
    let mut child = command.spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    assert!(!line.is_empty(), "it did not start: {:?}", child.wait());
    child
}

async fn asked(port: u16, path: &str) -> StatusCode {
    let request = sre_space_tls::client().get(format!("http://127.0.0.1:{port}{path}")).header("X-Request-Id", "r-7");
    request.send().await.expect("it serves").status()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?;
    let Value::StringValue(text) = value.value.as_ref()? else { return None };
    Some(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_the_coherence_engine_is_a_span_with_its_steps_and_nothing_else_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let (otlp, mut got) = receiver().await;
    let http = free_port();
    let mut plane = plane(folder.path(), http, otlp);
    assert_eq!(asked(http, "/health").await, StatusCode::OK);
    assert_eq!(asked(http, "/coherence/metrics?window=1h").await, StatusCode::OK);
    let pid = rustix::process::Pid::from_child(&plane);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it may be ended");
    assert!(plane.wait().expect("it ends").success());
    let sent = tokio::time::timeout(Duration::from_secs(10), got.recv()).await.expect("in time").expect("spans");
    assert!(got.try_recv().is_err(), "one batch");
    let resource = sent.resource_spans[0].resource.as_ref().expect("a resource");
    assert_eq!(text(&resource.attributes, "service.name"), Some("sre-space"));
    let spans = sent.resource_spans.iter().flat_map(|batch| &batch.scope_spans).flat_map(|scope| &scope.spans);
    let spans: Vec<_> = spans.collect();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["GET /coherence/metrics"]);
    assert_eq!(text(&spans[0].attributes, "request_id"), Some("r-7"));
    let steps: Vec<_> = spans[0].events.iter().map(|step| text(&step.attributes, "event")).collect();
    assert_eq!(steps, [Some("ingest"), Some("compute"), Some("request")]);
}
