//! The requests of the Data Coherence Engine as spans, with its log lines as their events, to the OTLP endpoint that the standard
//! `OTEL_*` variables name. gRPC; without an endpoint nothing is sent.
//!
//! Only this engine's spans leave: a control plane that reported all it does would sooner or later be watched by itself, and for
//! the same reason its own receiver is refused as an endpoint.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;
use tonic::transport::ClientTlsConfig;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Given, Mistake, Mistakes};

/// Name of the service and of the instrumentation scope, where `OTEL_SERVICE_NAME` gives no other.
const NAME: &str = "sre-space";
/// Where the spans and their events come from.
const TARGETS: [&str; 2] = ["sre_space::coherence", "sre_space::monitor::coherence"];

/// Where spans go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Nowhere,
    /// Nowhere, for this variable names the server's own receiver.
    Itself(&'static str),
    Endpoint(String),
}

/// An exporter at work. What is still held is sent when this is dropped.
pub(super) struct Export {
    provider: SdkTracerProvider,
    /// The exporter's connection lives on it; the command's own runtime does not exist yet when the log begins.
    _runtime: Runtime,
}

impl Export {
    /// Starts it, where there is an endpoint.
    ///
    /// # Errors
    /// The endpoint cannot be used.
    pub(super) fn begin(given: &Given, to: &Destination) -> anyhow::Result<Option<Self>> {
        let Destination::Endpoint(endpoint) = to else { return Ok(None) };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let entered = runtime.enter();
        sre_space_tls::install();
        let mut exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint);
        if endpoint.starts_with("https:") {
            exporter = exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
        }
        let exporter = exporter.build()?;
        drop(entered);
        let name = set(given, "OTEL_SERVICE_NAME").unwrap_or(NAME).to_owned();
        let resource = Resource::builder().with_service_name(name).build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Some(Self { provider, _runtime: runtime }))
    }

    /// What takes the spans from the log.
    pub(super) fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(&self) -> impl Layer<S> + use<S> {
        let ours = Targets::new().with_targets(TARGETS.map(|target| (target, LevelFilter::INFO)));
        tracing_opentelemetry::layer().with_tracer(self.provider.tracer(NAME)).with_filter(ours)
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown() {
            eprintln!("sre-space: not every span could be sent to OTEL_EXPORTER_OTLP_ENDPOINT: {error}");
        }
    }
}

fn set<'a>(given: &'a Given, name: &str) -> Option<&'a str> {
    given.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

impl Destination {
    /// As the variables say.
    ///
    /// # Errors
    /// The endpoint is no URL of HTTP, or another setting is wrong: [`Mistakes`] either way.
    pub(super) fn of(given: &Given) -> anyhow::Result<Self> {
        let is_off =
            set(given, "OTEL_SDK_DISABLED") == Some("true") || set(given, "OTEL_TRACES_EXPORTER") == Some("none");
        let names = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
        let named = names.into_iter().find_map(|name| Some((name, set(given, name)?)));
        let Some((name, endpoint)) = named.filter(|_| !is_off) else { return Ok(Self::Nowhere) };
        let url = endpoint.parse().ok().filter(|url: &http::Uri| matches!(url.scheme_str(), Some("http" | "https")));
        let url = url.ok_or_else(|| refused(name))?;
        let receiver = given.settings()?.otlp_grpc;
        let is_here = matches!(url.host(), Some("127.0.0.1" | "localhost" | "[::1]" | "0.0.0.0"));
        let is_own = receiver.is_some_and(|receiver| is_here && url.port_u16() == Some(receiver.port()));
        Ok(if is_own { Self::Itself(name) } else { Self::Endpoint(endpoint.to_owned()) })
    }
}

/// The endpoint is not shown: it may hold a password.
fn refused(name: &str) -> Mistakes {
    let (key, value, wanted) = (name.to_owned(), "***".to_owned(), "http(s)://host:port".to_owned());
    Mistakes(vec![Mistake { key, value, wanted }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(set: &[(&str, &str)]) -> Result<Destination, String> {
        let given = Given(set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        Destination::of(&given).map_err(|error| error.to_string())
    }

    #[test]
    fn spans_go_where_they_are_wanted_and_never_back_here() {
        const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let to = |endpoint: &str| Ok(Destination::Endpoint(endpoint.to_owned()));
        let collector = (ALL, "http://collector:4317");
        assert_eq!(asked(&[]), Ok(Destination::Nowhere));
        assert_eq!(asked(&[(ALL, "")]), Ok(Destination::Nowhere));
        assert_eq!(asked(&[collector]), to("http://collector:4317"));
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317");
        assert_eq!(asked(&[collector, traces]), to("http://traces:4317"));
        assert_eq!(asked(&[collector, ("OTEL_TRACES_EXPORTER", "none")]), Ok(Destination::Nowhere));
        assert_eq!(asked(&[collector, ("OTEL_SDK_DISABLED", "true")]), Ok(Destination::Nowhere));
        let own = (ALL, "http://localhost:4317");
        assert_eq!(asked(&[own]), Ok(Destination::Itself(ALL)));
        assert_eq!(asked(&[own, ("SRE_SPACE_OTLP_GRPC_ADDR", "127.0.0.1:14317")]), to("http://localhost:4317"));
        for wrong in ["not a url", "collector:4317", "grpc://me:s3cret@collector"] {
            let why = asked(&[(ALL, wrong)]).expect_err("refused");
            assert_eq!(
                why,
                "the settings are wrong:\n  OTEL_EXPORTER_OTLP_ENDPOINT=\"***\" is refused: http(s)://host:port"
            );
        }
    }
}
