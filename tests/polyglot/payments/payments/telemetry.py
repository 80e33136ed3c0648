"""Logs in JSON, metrics of the document, and traces."""

import json
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import product
from typing import Any

import prometheus_client
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from .contract import OPENAPI

prometheus_client.disable_created_metrics()
tracer = trace.get_tracer("payments")
_fields: ContextVar[dict[str, str]] = ContextVar("fields")
LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"]
least = "info"


def fields() -> dict[str, str]:
    """What every log line of the current request has."""
    return _fields.get({})


def begin_request(request_id: str) -> None:
    _fields.set({"request_id": request_id})


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def log(level: str, message: str, **more: object) -> None:
    if LEVELS.index(level) < LEVELS.index(least):
        return
    span = trace.get_current_span().get_span_context()
    ids = {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"} if span.is_valid else {}
    line = {"level": level, "time": now(), "service": "payments"} | ids | fields() | more | {"msg": message}
    print(json.dumps(line), flush=True)


def create_metrics() -> dict[str, Any]:
    kinds = {"counter": prometheus_client.Counter, "gauge": prometheus_client.Gauge}
    created: dict[str, Any] = {}
    for declared in OPENAPI["x-metrics"]:
        name, labels = declared["name"], declared["labels"]
        if declared["type"] == "histogram":
            metric: Any = prometheus_client.Histogram(
                name, declared["help"], labels, buckets=declared["buckets"]
            )
        else:
            metric = kinds[declared["type"]](name, declared["help"], labels)
        # Series whose labels are known start at zero.
        if labels and all(isinstance(values, list) for values in labels.values()):
            for combination in product(*labels.values()):
                metric.labels(*combination)
        created[name] = metric
    return created


metrics = create_metrics()


def start_tracing(settings: Mapping[str, str]) -> TracerProvider:
    global least
    least = settings["LOG_LEVEL"]
    # Every request has the trace of the sidecar, so no trace starts here unless a sampler is set.
    sampler = None if settings["OTEL_TRACES_SAMPLER"] else ParentBased(ALWAYS_OFF)
    name = settings["OTEL_SERVICE_NAME"] or "payments"
    provider = TracerProvider(sampler=sampler, resource=Resource.create({"service.name": name}))
    exporter: SpanExporter | None = None
    if settings["OTEL_EXPORTER_OTLP_ENDPOINT"]:
        exporter = OTLPSpanExporter(timeout=5)
    elif settings["ZIPKIN_ENDPOINT"]:
        exporter = ZipkinExporter(endpoint=settings["ZIPKIN_ENDPOINT"], timeout=5)
    if exporter:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider
