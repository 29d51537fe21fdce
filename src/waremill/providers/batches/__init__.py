"""Vendors' batch endpoints: many requests at once, answered within a day, for half the price.

One file per wire protocol. A file with a module-level `BATCHED` (vendor to terms) and
`open_batches(model)` serves the vendors it names. They send, look and read once: they must not
retry, wait, count money or know what a run is.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal, Protocol

from waremill.domain import Chat, Model, Price, Response
from waremill.errors import ConfigError, Unavailable
from waremill.providers.http import Connection

BatchState = Literal["running", "ended", "failed"]
SKEW_SECONDS = 900
"""By how much the vendor's clock may differ from ours."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a vendor takes in one batch, and what it charges.

    `requests` and `size` (bytes) bound a batch, `line` the bytes of one request. `share` of the
    list price is paid in per cent; `cached` says whether cached input is cheaper there too.
    """

    requests: int
    size: int
    line: int
    share: int
    cached: bool
    source: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a batch was not begun: a code, the vendor's words, and the line (from 1) if it is one."""

    code: str
    words: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class BatchLook:
    """A batch as the vendor tells of it.

    `outcome` is the vendor's word for how it ended, `expires_at` in Unix seconds. `done` and
    `failed` count requests as far as the vendor tells. `files` hold its results. One that is not
    `certain` was found by its size and time alone, and may be somebody else's.
    """

    id: str
    state: BatchState
    outcome: str = ""
    total: int = 0
    done: int = 0
    failed: int = 0
    expires_at: float | None = None
    files: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """One request's result: an HTTP status and body; None where the vendor did not get to it.

    `name` is what the request was called, `words` say why there is no status.
    """

    name: str
    status: int | None
    body: Any = field(default=None, repr=False)
    request_id: str | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Intent:
    """What is known of a batch that was meant to be sent.

    `key` is ours and unique, `file` what was uploaded for it, `count` its requests, `since` when it
    was meant to be sent (Unix seconds). `others` are ids known to be other batches.
    """

    key: str
    file: str | None
    count: int
    since: float
    others: Collection[str] = ()


class Batches(Protocol):
    """One model's batch endpoint; every method raises `ProviderError` for what goes wrong outside.

    A request's name is its batch's key, a hyphen and a number, so that results tell whose they are.
    """

    terms: Terms

    async def line(self, name: str, request: Chat) -> bytes:
        """Write one request as it goes into a batch, with its line break."""

    async def upload(self, key: str, lines: bytes) -> str | None:
        """Bring a batch's requests to the vendor without beginning it; give the file, if any."""

    async def begin(self, key: str, file: str | None, lines: bytes) -> BatchLook:
        """Begin a batch: from here on it costs money."""

    async def find(self, intent: Intent) -> BatchLook | None:
        """Find a batch that was meant to be sent among those the vendor has; None: it has none.

        Where a vendor keeps no name of ours with a batch, one of the same size and time is given,
        and only its results say whether it is the one.
        """

    async def look(self, id: str) -> BatchLook:
        """Say how a batch is."""

    def results(self, look: BatchLook) -> AsyncIterator[Line]:
        """Give the results of an ended batch, in any order; raises Unavailable where they break
        off, and after all others where some cannot be read.
        """

    def read(self, line: Line, request: Chat) -> Response:
        """Make the reply of a line with a status; raises a `ProviderError` where it is none."""

    async def cancel(self, id: str) -> None:
        """Ask the vendor to stop a batch; what is done stays."""

    async def forget(self, look: BatchLook, file: str | None) -> None:
        """Delete what was left at the vendor, where it keeps files for good."""

    async def aclose(self) -> None:
        """Close connections."""


@contextmanager
def understanding(connection: Connection) -> Iterator[None]:
    """Say that a reply is broken, where it has not the shape that the vendor documents."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError):
        raise connection.broken("sent a batch that cannot be read") from None


def rows_of(connection: Connection, page: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the batches of a page of a vendor's list; raises Unavailable where it holds others."""
    rows = page.get("data") or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise connection.broken("sent a list of batches that cannot be read")
    return rows


def terms_of(model: Model) -> Terms | None:
    """Give the terms of a model's vendor; None where it has no batches we can use."""
    found = _protocols().get(model.vendor)
    return None if found is None else found[1]


def batch_price(model: Model, price: Price) -> Price:
    """Give what a model costs in a batch: the vendor's share of the list price, rounded up."""
    terms = terms_of(model)
    if terms is None:
        return price
    cached = price.cached if terms.cached else None
    return replace(
        price,
        input=_part(price.input, terms.share),
        output=_part(price.output, terms.share),
        cached=None if cached is None else _part(cached, terms.share),
        source=f"{price.source}; {terms.share} % of it in a batch ({terms.source})",
    )


def _part(amount: int, share: int) -> int:
    return -(-amount * share // 100)


async def read_lines(
    connection: Connection, paths: Iterable[str], parse: Callable[[bytes], Line]
) -> AsyncIterator[Line]:
    """Give the lines of files of results, one file after the other.

    Those after one that cannot be read are paid for as well: it is raised after them.
    """
    broken: Unavailable | None = None
    for path in paths:
        async with aclosing(connection.lines(path)) as lines:
            async for raw in lines:
                try:
                    line = parse(raw)
                except Unavailable as error:
                    broken = error
                else:
                    yield line
    if broken is not None:
        raise broken


def open_batches(model: Model) -> Batches:
    """Open a model's batch endpoint; raises ConfigError where it has none."""
    found = _protocols().get(model.vendor)
    if found is None:
        raise ConfigError(f"model “{model.alias}” ({model.use}) has no batches")
    opened: Batches = importlib.import_module(found[0]).open_batches(model)
    return opened


@cache
def _protocols() -> Mapping[str, tuple[str, Terms]]:
    """Give the module and terms of each vendor that has batches."""
    found: dict[str, tuple[str, Terms]] = {}
    for entry in pkgutil.iter_modules(__path__):
        name = f"{__name__}.{entry.name}"
        for vendor, terms in importlib.import_module(name).BATCHED.items():
            found[vendor] = (name, terms)
    return found
