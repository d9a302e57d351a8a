//! OpenTelemetry as any service has it: the stock SDK, semantic conventions, W3C trace context.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::Histogram;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::usage;

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

/// Starts telling how the process does, when an endpoint is configured by the standard `OTEL_*` variables.
pub fn measure() -> anyhow::Result<Option<SdkMeterProvider>> {
    if std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").is_err() {
        return Ok(None);
    }
    let exporter = opentelemetry_otlp::MetricExporter::builder().with_tonic().build()?;
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter).build();
    global::set_meter_provider(provider.clone());
    let meter = global::meter(SCOPE);
    meter
        .i64_observable_up_down_counter("process.memory.usage")
        .with_unit("By")
        .with_callback(|memory| {
            usage::resident(std::process::id()).into_iter().for_each(|used| memory.observe(used, &[]))
        })
        .build();
    let cpu = Mutex::new(usage::Cpu::begins());
    meter
        .f64_observable_gauge("process.cpu.utilization")
        .with_unit("1")
        .with_callback(move |gauge| {
            let share = cpu.lock().unwrap_or_else(PoisonError::into_inner).share();
            share.into_iter().for_each(|share| gauge.observe(share, &[]));
        })
        .build();
    Ok(Some(provider))
}

/// Records how long a call to another service took, and how it ended.
pub fn called(took: Duration, attributes: &[KeyValue]) {
    static DURATION: OnceLock<Histogram<f64>> = OnceLock::new();
    let build = || global::meter(SCOPE).f64_histogram("http.client.request.duration").with_unit("s").build();
    DURATION.get_or_init(build).record(took.as_secs_f64(), attributes);
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
