"""Logs in JSON, the metrics of `x-metrics`, and traces."""

import logging
import sys
import time
from contextvars import ContextVar
from itertools import product
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from pythonjsonlogger.json import JsonFormatter

from .settings import OPENAPI, SERVICE, settings

fields: ContextVar[dict[str, Any]] = ContextVar("fields")
"""What every log line of the current request has."""


def add_fields(record: logging.LogRecord) -> bool:
    span = trace.get_current_span().get_span_context()
    ids = {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"} if span.is_valid else {}
    record.__dict__.update(fields.get({}) | ids)
    return True


for position, level in enumerate(("trace", "debug", "info", "warn", "error", "fatal", "silent")):
    logging.addLevelName(position * 10 or 5, level)
names = {"levelname": "level", "message": "msg"}
output = logging.StreamHandler(sys.stdout)
output.addFilter(add_fields)
output.setFormatter(
    JsonFormatter(list(names), rename_fields=names, static_fields={"service": SERVICE}, timestamp="time")
)
logging.basicConfig(handlers=[output])
log = logging.getLogger(SERVICE)
log.setLevel(settings.LOG_LEVEL)

disable_created_metrics()
metrics: dict[str, Any] = {}
for declared in OPENAPI["x-metrics"]:
    kind: Any = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}[declared["type"]]
    buckets = {"buckets": declared["buckets"]} if "buckets" in declared else {}
    metric = metrics[declared["name"]] = kind(
        declared["name"], declared["help"], declared["labels"], **buckets
    )
    if all(isinstance(values, list) for values in declared["labels"].values()):
        for values in product(*declared["labels"].values()):
            metric.labels(*values)


class RootSampler(Sampler):
    """Decides about the traces that start in this process, by the settings of this moment."""

    second = started = 0

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        second = int(time.monotonic())
        self.second, self.started = second, self.started + 1 if second == self.second else 1
        ratios = {
            "parentbased_always_on": 1,
            "parentbased_always_off": 0,
            "parentbased_traceidratio": float(settings.OTEL_TRACES_SAMPLER_ARG or 1),
            None: self.started <= settings.TRACES_PER_SECOND,
        }
        return TraceIdRatioBased(ratios[settings.OTEL_TRACES_SAMPLER]).should_sample(*args, **kwargs)

    def get_description(self) -> str:
        return "RootSampler"


resource = Resource.create({"service.name": settings.OTEL_SERVICE_NAME or SERVICE})
tracing = TracerProvider(ParentBased(RootSampler()), resource)
if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=5)))
elif settings.ZIPKIN_ENDPOINT:
    tracing.add_span_processor(
        BatchSpanProcessor(ZipkinExporter(endpoint=settings.ZIPKIN_ENDPOINT, timeout=5))
    )
trace.set_tracer_provider(tracing)
