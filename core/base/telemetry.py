"""What operators see of the app: fields on every log record, metrics, and spans.

Without `APPLICATIONINSIGHTS_CONNECTION_STRING` nothing of OpenTelemetry is imported, and a metric or a span costs a
comparison. Logs go to the host, which passes on their text only; so the fields stand at the end of it as well.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from core.base.settings import Settings, settings

FIELDS = ("job", "owner", "slice", "invocation", "trace")


@dataclass(frozen=True)
class Instrument:
    kind: Literal["counter", "histogram"]
    unit: str
    description: str


# Names follow OpenTelemetry's habit: dots between nouns, the unit apart. They keep away from those of its conventions
# (`http.server.…`): Azure's exporter takes these for its own metrics and drops our attributes.
INSTRUMENTS: Mapping[str, Instrument] = {
    "api.request.duration": Instrument("histogram", "s", "Time to an answer, by route, method and status."),
    "jobs.entered": Instrument("counter", "{job}", "Jobs that came into a state, by kind of job and state."),
    "jobs.queue.duration": Instrument("histogram", "s", "From a job's making to its first activity, by kind of job."),
    "training.activity.duration": Instrument("histogram", "s", "One activity of a training, by its stage and end."),
    "training.epochs.rate": Instrument("histogram", "{epoch}/s", "Epochs a second within one slice."),
    "child.memory": Instrument("histogram", "By", "Anonymous memory of a child at the end of a command, by command."),
    "checkpoint.size": Instrument("histogram", "By", "Size of a checkpoint that was uploaded."),
    "checkpoint.upload.duration": Instrument("histogram", "s", "Time to upload a checkpoint."),
    "prediction.duration": Instrument("histogram", "s", "A prediction with its model's loading, by rows' magnitude."),
    "uploads.rejected": Instrument("counter", "{file}", "Uploads that were refused, by reason."),
    "upkeep.found": Instrument("counter", "{item}", "What upkeep looked at, by rule and what came of it."),
}


class _Telemetry:
    """The instruments and the tracer, once there are any."""

    def __init__(self) -> None:
        self.asked = False
        self.tracer: Any = None
        self.instruments: dict[str, Any] = {}


_telemetry = _Telemetry()
_bound: ContextVar[Mapping[str, str]] = ContextVar("telemetry", default=MappingProxyType[str, str]({}))


def record(name: str, value: float, **attributes: str | int) -> None:
    """A measurement of one of INSTRUMENTS."""
    _ask()
    if instrument := _telemetry.instruments.get(name):
        instrument(value, attributes)


@contextmanager
def bound(**fields: str) -> Iterator[None]:
    """Log records of the block, also of tasks that it starts, carry these fields beside those around it."""
    token = _bound.set({**_bound.get(), **{name: value for name, value in fields.items() if value}})
    try:
        yield
    finally:
        _bound.reset(token)


@contextmanager
def span(name: str, parent: str = "", **attributes: str | int) -> Iterator[None]:
    """A span around the block, below the span that the W3C traceparent `parent` names, else below the current one."""
    _ask()
    if _telemetry.tracer is None:
        yield
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    above = TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None
    with _telemetry.tracer.start_as_current_span(name, context=above, attributes=attributes):
        yield


def traceparent() -> str:
    """The W3C traceparent that leads back to the current span; without spans to the bound trace, or ""."""
    if _telemetry.tracer is None:
        trace = _bound.get().get("trace", "")
        return f"00-{trace}-{trace[:16]}-01" if len(trace) == 32 else ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


def use(tracer_provider: Any, meter_provider: Any) -> None:
    """Send spans and metrics to these providers of OpenTelemetry."""
    meter = meter_provider.get_meter("network-canvas")
    for name, instrument in INSTRUMENTS.items():
        create = getattr(meter, f"create_{instrument.kind}")
        made = create(name, unit=instrument.unit, description=instrument.description)
        _telemetry.instruments[name] = made.add if instrument.kind == "counter" else made.record
    _telemetry.tracer = tracer_provider.get_tracer("network-canvas")
    _telemetry.asked = True


def _ask() -> None:
    """Begin to send to Application Insights if the settings name one; asked once, at the first use."""
    if _telemetry.asked:
        return
    _telemetry.asked = True
    if connection := settings().applicationinsights_connection_string.get_secret_value():
        use(*_application_insights(connection, settings()))


def _application_insights(connection: str, chosen: Settings) -> tuple[Any, Any]:
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": chosen.task_hub_name})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(AzureMonitorTraceExporter(connection_string=connection)))
    reader = PeriodicExportingMetricReader(AzureMonitorMetricExporter(connection_string=connection))
    return tracers, MeterProvider([reader], resource=resource)


def _install(make_record: Any) -> Any:
    """A factory of log records that carry the bound fields; those of the app say them in their text too."""

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made = make_record(*args, **kwargs)
        fields = _bound.get()
        for name in FIELDS:
            setattr(made, name, fields.get(name, ""))
        if fields and made.name.startswith("core."):
            told = " ".join(f"{name}={fields[name]}" for name in FIELDS if name in fields)
            made.msg = f"{made.msg} [{told.replace('%', '')}]"
        return made

    return factory


logging.setLogRecordFactory(_install(logging.getLogRecordFactory()))
