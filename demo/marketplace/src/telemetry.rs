//! OpenTelemetry as any service has it: the stock SDK, semantic conventions, W3C trace context.

use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;

/// Name of the instrumentation scope.
const SCOPE: &str = "marketplace";

/// Starts exporting when an endpoint is configured by the standard `OTEL_*` variables.
pub fn start() -> anyhow::Result<Option<SdkTracerProvider>> {
    global::set_text_map_propagator(TextMapCompositePropagator::new(vec![Box::new(TraceContextPropagator::new())]));
    if std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").is_err() {
        return Ok(None);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().build()?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    global::set_tracer_provider(provider.clone());
    Ok(Some(provider))
}

/// A span of the current context.
pub fn span(name: String, kind: SpanKind, parent: &Context, attributes: Vec<KeyValue>) -> Context {
    let tracer = global::tracer(SCOPE);
    let span =
        tracer.span_builder(name).with_kind(kind).with_attributes(attributes).start_with_context(&tracer, parent);
    parent.with_span(span)
}

/// Records an exception as an event, and the span as failed.
pub fn fail(context: &Context, kind: &str, message: &str) {
    let span = context.span();
    span.add_event(
        "exception",
        vec![KeyValue::new("exception.type", kind.to_owned()), KeyValue::new("exception.message", message.to_owned())],
    );
    span.set_attribute(KeyValue::new("error.type", kind.to_owned()));
    span.set_status(Status::error(message.to_owned()));
}

/// Runs a database call in a client span.
pub async fn database<T>(
    (operation, table): (&'static str, &'static str),
    statement: &'static str,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let attributes = vec![
        KeyValue::new("db.system.name", "sqlite"),
        KeyValue::new("db.operation.name", operation),
        KeyValue::new("db.collection.name", table),
        KeyValue::new("db.query.text", statement),
    ];
    let context = span(format!("{operation} {table}"), SpanKind::Client, &Context::current(), attributes);
    let outcome = call.await;
    if let Err(error) = &outcome {
        fail(&context, "sqlx::Error", &error.to_string());
    }
    context.span().end();
    outcome
}

/// Ends the span of a context.
pub fn end(context: &Context) {
    context.span().end();
}
