"""Traces of single items for an OpenTelemetry collector: the item, its steps, its calls.

Names of attributes are those of OpenTelemetry's semantic conventions for generative AI (v1.37,
development), and `waremill.*` for what is ours. No prompt, reply or product data goes into them.
What cannot be sent is dropped: a collector that is away holds nothing up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from waremill import __version__
from waremill.domain import Answer, Item
from waremill.errors import ConfigError
from waremill.settings import Settings
from waremill.store.runs import Run

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

INSTALL = "traces need the extra “telemetry”: pip install 'waremill[telemetry]'"
SPREAD = 2_654_435_761
"""Spreads row ids evenly over 32 bits (Knuth, The Art of Computer Programming, 6.4)."""
FLUSH_MILLISECONDS = 5_000


def tracer_of(settings: Settings, run: Run) -> Tracer | None:
    """Open what traces a run; None where nothing is traced.

    Raises ConfigError where the extra is missing.
    """
    wanted = settings.telemetry
    if wanted.traces is None or not wanted.sample:
        return None
    return Tracer(run, wanted.traces, wanted.sample)


class Tracer:
    """Traces a share of a run's items; `watch` is handed to its workers."""

    def __init__(self, run: Run, collector: str, sample: float) -> None:
        self._run = run
        self._below = sample * 2**32
        self._provider = _provider(collector)
        self._tracer = self._provider.get_tracer("waremill", __version__)

    def watch(self, item: Item, target: str) -> Watched | None:
        """Begin an item's trace; None for one that is not traced. It is always the same items."""
        if item.id * SPREAD % 2**32 >= self._below:
            return None
        span = self._tracer.start_span(
            f"item {self._run.pipeline}",
            attributes={"waremill.run": self._run.name, "waremill.item": item.id,
                        "waremill.target": target},
        )  # fmt: skip
        return Watched(self._tracer, span)

    def close(self) -> None:
        """Send what is left, for some seconds at most."""
        self._provider.force_flush(FLUSH_MILLISECONDS)
        self._provider.shutdown()


class Watched:
    """One item's trace."""

    def __init__(self, tracer: Any, span: Span) -> None:
        self._tracer = tracer
        self._item = span
        self._step = span

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Trace a step."""
        with self._below(self._item, f"step {name}", {"waremill.step": name}) as span:
            self._step = span
            try:
                yield
            finally:
                self._step = self._item

    @contextmanager
    def call(self, alias: str) -> Iterator[Callable[[Answer], None]]:
        """Trace a call, or the look-up that answered it; what is yielded is handed the answer."""
        asked = {"gen_ai.operation.name": "chat", "gen_ai.request.model": alias}
        with self._below(self._step, f"chat {alias}", asked) as span:

            def answered(answer: Answer) -> None:
                reply = answer.response
                span.set_attributes(
                    {"gen_ai.response.model": reply.model,
                     "gen_ai.response.finish_reasons": [reply.outcome],
                     "gen_ai.usage.input_tokens": reply.usage.input,
                     "gen_ai.usage.output_tokens": reply.usage.output,
                     "waremill.replayed": answer.replayed}
                )  # fmt: skip
                if answer.list_cost is not None:
                    span.set_attribute("waremill.cost_usd", answer.list_cost / 1e9)

            yield answered

    def end(self, attempt: int, findings: int) -> None:
        """End the trace of an attempt."""
        self._item.set_attributes({"waremill.attempt": attempt, "waremill.findings": findings})
        self._item.end()

    @contextmanager
    def _below(self, parent: Span, name: str, attributes: dict[str, Any]) -> Iterator[Span]:
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        span = self._tracer.start_span(name, set_span_in_context(parent), attributes=attributes)
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            span.end()


def _provider(collector: str) -> TracerProvider:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigError(INSTALL) from None
    resource = Resource.create({"service.name": "waremill", "service.version": __version__})
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=f"{collector.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


__all__ = ["Tracer", "tracer_of"]
