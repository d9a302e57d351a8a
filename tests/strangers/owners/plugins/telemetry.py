"""OpenTelemetry's stock ASGI middleware around Datasette."""

from datasette import hookimpl
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware


@hookimpl
def asgi_wrapper(datasette):
    return OpenTelemetryMiddleware
