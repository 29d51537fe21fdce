"""What a server says about itself: health, readiness, figures for Prometheus, and its log.

A line of the log and a figure name the route, never the address that was asked for, a body, a
header or a key.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
import traceback
from collections.abc import Iterable
from itertools import accumulate
from typing import IO, Any

import orjson
from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from waremill.app.measuring import WAITS, Figures, figures, is_ready
from waremill.web.rest import problems
from waremill.web.rest.acting import acting

HEALTH, READINESS, METRICS = "/healthz", "/readyz", "/metrics"
OPEN_PATHS = (HEALTH, READINESS)
LOG = logging.getLogger("waremill.requests")
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_GIVEN_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_QUIET = frozenset({HEALTH, READINESS, METRICS})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Meters:
    """The figures of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "waremill_requests", "Requests answered.", ("method", "route", "status"),
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "waremill_request_seconds", "Seconds until a request was answered.",
            ("method", "route"), buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.open = Gauge(
            "waremill_open_requests", "Requests being answered.", registry=self.registry
        )

    def render(self, found: Figures, currency: str) -> bytes:
        """Write all figures in Prometheus' text format."""
        whole = CollectorRegistry()
        whole.register(_Found(found, currency))
        return generate_latest(self.registry) + generate_latest(whole)


class _Found:
    """The workspace's figures as families of gauges and counters."""

    def __init__(self, found: Figures, currency: str) -> None:
        self._found = found
        self._currency = currency

    def collect(self) -> Iterable[Metric]:
        """Give the families."""
        runs = GaugeMetricFamily("waremill_runs", "Runs by state.", labels=("kind", "state"))
        for labels, count in sorted(self._found.runs.items()):
            runs.add_metric(labels, count)
        items = GaugeMetricFamily(
            "waremill_running_items", "Items of running runs by state.", labels=("state",)
        )
        for state, count in sorted(self._found.items.items()):
            items.add_metric((state,), count)
        spent = GaugeMetricFamily(
            "waremill_spent_this_month", "Paid since the month began (UTC).", labels=("currency",)
        )
        spent.add_metric((self._currency,), self._found.spent)
        due = GaugeMetricFamily("waremill_webhook_messages_due", "Messages to send now.")
        due.add_metric((), self._found.due)
        return (
            *(runs, items, spent, due),
            *self._work(), *self._ledger(), self._waits(), *self._schedules(), *self._outside(),
        )  # fmt: skip

    def _work(self) -> Iterable[Metric]:
        found = self._found
        pace = "waremill_items_per_second", "Items that running runs finish a second."
        yield GaugeMetricFamily(*pace, value=found.items_per_second)
        messages = "waremill_webhook_messages_waiting", "Messages to send, now or later."
        yield GaugeMetricFamily(*messages, value=found.messages)
        left = GaugeMetricFamily(
            "waremill_running_budget_left", "What running runs with a budget may still spend.",
            labels=("currency",),
        )  # fmt: skip
        left.add_metric((self._currency,), found.budget_left)
        yield left
        teams = GaugeMetricFamily(
            "waremill_team_budget_left", "What is left of a team's monthly budget.",
            labels=("team", "currency"),
        )  # fmt: skip
        for name, amount in sorted(found.teams_left.items()):
            teams.add_metric((name, self._currency), amount)
        yield teams

    def _ledger(self) -> Iterable[Metric]:
        ended = ("model", "outcome")
        calls = CounterMetricFamily("waremill_calls", "Calls by how they ended.", labels=ended)
        seconds = CounterMetricFamily(
            "waremill_call_seconds", "Seconds of calls together.", labels=ended
        )
        tokens = CounterMetricFamily(
            "waremill_tokens", "Tokens; cached and reasoning ones are among input and output.",
            labels=("model", "kind"),
        )  # fmt: skip
        paid = CounterMetricFamily("waremill_paid", "Paid.", labels=("model", "currency"))
        models: dict[str, dict[str, float]] = {}
        for (model, outcome), sums in sorted(self._found.calls.items()):
            calls.add_metric((model, outcome), sums["calls"])
            seconds.add_metric((model, outcome), sums["seconds"])
            whole = models.setdefault(model, dict.fromkeys(sums, 0.0))
            for name, amount in sums.items():
                whole[name] += amount
        for model, whole in models.items():
            for kind in ("input", "cached", "output", "reasoning"):
                tokens.add_metric((model, kind), whole[kind])
            paid.add_metric((model, self._currency), whole["paid"])
        return (calls, seconds, tokens, paid)

    def _waits(self) -> Metric:
        """Give how long calls waited under our own limits before they were sent."""
        waits = HistogramMetricFamily(
            "waremill_rate_wait_seconds", "Seconds calls waited for a rate limit, before sending.",
            labels=("model",),
        )  # fmt: skip
        bounds = [*(str(one) for one in WAITS), "+Inf"]
        for model, (counts, seconds) in sorted(self._found.waits.items()):
            waits.add_metric((model,), list(zip(bounds, accumulate(counts), strict=True)), seconds)
        return waits

    def _schedules(self) -> Iterable[Metric]:
        found = self._found
        slots = GaugeMetricFamily(
            "waremill_schedule_slots", "Schedules' moments not settled yet.", labels=("state",)
        )
        for state, count in sorted(found.slots.items()):
            slots.add_metric((state,), count)
        yield slots
        settled = CounterMetricFamily(
            "waremill_schedule_settled", "Schedules' moments by what came of them.",
            labels=("state",),
        )  # fmt: skip
        for state, count in sorted(found.settled.items()):
            settled.add_metric((state,), count)
        yield settled
        late = "waremill_schedule_overdue_seconds", "By how much the latest schedule is late."
        yield GaugeMetricFamily(*late, value=found.overdue)
        led = "waremill_schedule_leader", "Whether somebody works the schedules."
        yield GaugeMetricFamily(*led, value=found.led)

    def _outside(self) -> Iterable[Metric]:
        """Give what is at vendors in batches, and what was published."""
        found, labels = self._found, ("model", "state")
        batches = GaugeMetricFamily("waremill_batches", "Batches by state.", labels=labels)
        waiting = GaugeMetricFamily(
            "waremill_batch_requests_open", "Requests in batches that are not settled.",
            labels=("model",),
        )  # fmt: skip
        unanswered: dict[str, int] = {}
        for (model, state), (count, left) in sorted(found.batches.items()):
            batches.add_metric((model, state), count)
            unanswered[model] = unanswered.get(model, 0) + (left if state != "settled" else 0)
        for model, left in unanswered.items():
            waiting.add_metric((model,), left)
        yield batches
        yield waiting
        oldest = "waremill_oldest_batch_seconds", "How long the oldest batch has been out."
        yield GaugeMetricFamily(*oldest, value=found.oldest_batch)
        publications = GaugeMetricFamily(
            "waremill_publications", "Publications by state.", labels=("channel", "state")
        )
        for names, count in sorted(found.publications.items()):
            publications.add_metric(names, count)
        yield publications


def install(app: FastAPI) -> None:
    """Add the addresses for probes and Prometheus."""
    app.state.meters = Meters()

    @app.get(HEALTH, include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get(READINESS, include_in_schema=False)
    async def readyz(request: Request) -> Response:
        if request.app.state.closing.is_set() or not await is_ready(request.app.state.workspace):
            return PlainTextResponse("not ready\n", status_code=503)
        return PlainTextResponse("ok\n")

    @app.get(METRICS, include_in_schema=False)
    async def metrics(request: Request) -> Response:
        workspace = await acting(request)
        found = await figures(workspace)
        text = request.app.state.meters.render(found, workspace.settings.currency)
        return Response(text, media_type=CONTENT_TYPE_LATEST)


def watch(app: FastAPI) -> None:
    """Put the log around everything: nothing passes it unseen, and no bug passes it unanswered."""
    app.add_middleware(Watch, meters=app.state.meters)


class Watch:
    """Gives each request an id, measures it, logs it, and answers a bug of ours as a problem."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; sockets are the console's, which logs none of their messages."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        started = time.perf_counter()
        failure: Exception | None = None
        self._meters.open.inc()
        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            failure = error
            if not answer.status:
                await problems.respond(problems.bug(request_id))(scope, receive, answer)
        finally:
            self._meters.open.dec()
            self._note(scope, answer.status or 499, time.perf_counter() - started, failure)

    def _note(self, scope: Scope, status: int, seconds: float, failure: Exception | None) -> None:
        route = route_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._meters.requests.labels(method, route, str(status)).inc()
        self._meters.seconds.labels(method, route).observe(seconds)
        state, params = scope["state"], scope.get("path_params") or {}
        actor = state.get("actor")
        line = {
            "event": "request", "request": state["request_id"], "method": method, "route": route,
            "status": status, "seconds": round(seconds, 4),
            "user": None if actor is None else actor.name,
            "run": _short(params.get("run")), "item": _short(params.get("item")),
        }  # fmt: skip
        if failure is not None:
            LOG.error("", extra={"fields": line | _trace(failure)})
        elif route in _QUIET:
            LOG.debug("", extra={"fields": line})
        else:
            LOG.info("", extra={"fields": line})


class _Answer:
    """Sends an answer with the request's id, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id = request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            header = (b"x-request-id", self._id.encode("latin-1"))
            message = {**message, "headers": [*message.get("headers", ()), header]}
        await self._send(message)


def route_of(scope: Scope) -> str:
    """Give the pattern of the route that answered, so that figures stay few.

    What the console answers is counted as one; what nobody did, too.
    """
    own = scope.get("route")
    path = getattr(own, "path_format", None) or getattr(own, "path", None)
    if isinstance(path, str) and path and "endpoint" in scope:
        context = (scope.get("fastapi") or {}).get("effective_route_context")
        return str(getattr(context, "path_format", None) or path)
    return "console" if "endpoint" in scope else "none"


def _short(value: Any) -> str | None:
    return None if value is None else str(value)[:64]


def _trace(error: Exception) -> dict[str, Any]:
    """Say where a bug is; its message stays out, for it may hold what was sent."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    at = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(error).__name__, "traceback": at}


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line: time, level, and what is said or the fields."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if message := record.getMessage():
            line["message"] = message
        line.update(getattr(record, "fields", {}))
        if record.exc_info and isinstance(record.exc_info[1], Exception):
            line.update(_trace(record.exc_info[1]))
        return orjson.dumps(
            {name: value for name, value in line.items() if value is not None}, default=str
        ).decode()


def log_to(stream: IO[str] | None = None) -> None:
    """Write every logger's lines as JSON to a stream (default: stderr)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("waremill").setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


__all__ = ["OPEN_PATHS", "JsonLines", "Meters", "install", "log_to", "route_of", "watch"]
