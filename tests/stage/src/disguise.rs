//! Stands between the services and the control plane: renames everything, strips what is no semantic convention, loses spans.

use std::hash::{DefaultHasher, Hasher as _};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};

/// What is done to the telemetry on its way.
#[derive(Debug, Clone, Default)]
pub struct Disguise {
    /// Replace every name and message by a word made from this seed.
    pub words: Option<u64>,
    /// Share of spans that never arrive, 0..=1.
    pub lost: f64,
    /// Where what arrives is written down.
    pub record: Option<Recording>,
}

/// What is written down: every n-th trace, as `sre-space replay` reads it.
#[derive(Debug, Clone)]
pub struct Recording {
    /// File.
    pub file: PathBuf,
    /// One trace in so many is kept, whole.
    pub one_in: u64,
}

impl Recording {
    /// Appends the kept part of a request behind its length.
    fn keep(&self, request: &ExportTraceServiceRequest) -> std::io::Result<()> {
        let mut kept = request.clone();
        for batch in &mut kept.resource_spans {
            for scope in &mut batch.scope_spans {
                scope.spans.retain(|span| hash(&span.trace_id).is_multiple_of(self.one_in));
            }
            batch.scope_spans.retain(|scope| !scope.spans.is_empty());
        }
        kept.resource_spans.retain(|batch| !batch.scope_spans.is_empty());
        if kept.resource_spans.is_empty() {
            return Ok(());
        }
        let body = kept.encode_to_vec();
        let length = u32::try_from(body.len()).map_err(std::io::Error::other)?;
        let mut file = std::fs::File::options().create(true).append(true).open(&self.file)?;
        file.write_all(&[&length.to_be_bytes(), body.as_slice()].concat())
    }
}

impl Disguise {
    /// The word that stands for a text.
    pub fn word(&self, text: &str) -> String {
        match self.words {
            Some(seed) => format!("w{:012x}", hash(&(seed, text)) & 0xffff_ffff_ffff),
            None => text.to_owned(),
        }
    }

    fn rewrite(&self, request: &mut ExportTraceServiceRequest) {
        for batch in &mut request.resource_spans {
            if let Some(resource) = &mut batch.resource {
                self.attributes(&mut resource.attributes);
            }
            for scope in &mut batch.scope_spans {
                scope.spans.retain(|span| !self.loses(span));
                scope.spans.iter_mut().for_each(|span| self.span(span));
            }
        }
    }

    fn loses(&self, span: &Span) -> bool {
        (hash(&span.span_id) % 10_000) as f64 / 10_000.0 < self.lost
    }

    fn span(&self, span: &mut Span) {
        if self.words.is_none() {
            return;
        }
        span.name = self.word(&span.name);
        if let Some(status) = &mut span.status {
            status.message = self.word(&status.message);
        }
        self.attributes(&mut span.attributes);
        span.events.iter_mut().for_each(|event| self.attributes(&mut event.attributes));
    }

    fn attributes(&self, attributes: &mut Vec<KeyValue>) {
        if self.words.is_none() {
            return;
        }
        attributes.retain(|attribute| is_conventional(&attribute.key));
        for attribute in attributes.iter_mut().filter(|attribute| is_worded(&attribute.key)) {
            let value = attribute.value.as_mut().and_then(|value| value.value.as_mut());
            if let Some(Value::StringValue(text)) = value {
                *text = self.word(text);
            }
        }
    }
}

fn hash(value: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Namespaces of the OpenTelemetry semantic conventions that appear here.
fn is_conventional(key: &str) -> bool {
    let namespaces =
        ["service.", "vcs.", "http.", "url.", "server.", "error.", "exception.", "db.", "telemetry.", "network."];
    namespaces.iter().any(|namespace| key.starts_with(namespace))
}

/// Attributes whose text is a name or a message of the application.
fn is_worded(key: &str) -> bool {
    let worded = [
        "service.name",
        "http.route",
        "url.path",
        "url.full",
        "exception.message",
        "exception.type",
        "exception.stacktrace",
        "db.query.text",
        "db.collection.name",
        "db.namespace",
        "db.operation.name",
    ];
    worded.contains(&key)
}

struct Proxy {
    disguise: Disguise,
    writing: tokio::sync::Mutex<()>,
    upstream: TraceServiceClient<Channel>,
}

#[tonic::async_trait]
impl TraceService for Proxy {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let token = request.metadata().get("authorization").cloned();
        let mut body = request.into_inner();
        self.disguise.rewrite(&mut body);
        if let Some(recording) = &self.disguise.record {
            // Requests of several services arrive at once.
            let _turn = self.writing.lock().await;
            recording.keep(&body).map_err(|error| Status::internal(error.to_string()))?;
        }
        let mut onward = Request::new(body);
        if let Some(token) = token {
            onward.metadata_mut().insert("authorization", token);
        }
        self.upstream.clone().export(onward).await
    }
}

/// Listens on a free port and passes everything on to `upstream`; answers the port.
pub async fn stand_between(disguise: Disguise, upstream: u16) -> u16 {
    let channel = Channel::from_shared(format!("http://127.0.0.1:{upstream}")).expect("an address").connect_lazy();
    let proxy = Arc::new(Proxy { disguise, writing: Default::default(), upstream: TraceServiceClient::new(channel) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let service = TraceServiceServer::from_arc(proxy);
    #[expect(clippy::disallowed_methods, reason = "a test has no crew; the task ends with the test's runtime")]
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    port
}
