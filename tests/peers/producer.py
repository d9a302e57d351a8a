"""Exports failing requests of a service to Kafka as the OpenTelemetry Collector's Kafka exporter does: plain OTLP protobuf.

Usage: producer.py BROKERS SERVICE REQUESTS
"""

import sys
import time

from kafka import KafkaProducer
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode


class ToKafka(SpanExporter):
    def __init__(self, brokers):
        self.producer = KafkaProducer(bootstrap_servers=brokers, acks="all")

    def export(self, spans):
        self.producer.send("otlp_spans", encode_spans(spans).SerializeToString()).get(30)
        return SpanExportResult.SUCCESS

    def shutdown(self):
        self.producer.close()


brokers, service, requests = sys.argv[1], sys.argv[2], int(sys.argv[3])
provider = TracerProvider(resource=Resource.create({"service.name": service}))
provider.add_span_processor(BatchSpanProcessor(ToKafka(brokers), schedule_delay_millis=500))
tracer = provider.get_tracer("producer")
for _ in range(requests):
    with tracer.start_as_current_span("GET /stock", kind=SpanKind.SERVER) as span:
        span.set_attribute("http.response.status_code", 500)
        span.set_status(Status(StatusCode.ERROR, "no such table"))
    time.sleep(0.1)
provider.shutdown()
print(requests)
