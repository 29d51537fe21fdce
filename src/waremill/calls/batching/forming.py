"""Form a batch: take a model's waiting requests up to every limit, and write its intent down.

Nothing is sent here. What cannot go into any batch is told apart and settled at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from waremill.calls.assets import IN_BODY, filled, is_plain
from waremill.calls.batching.decoding import chat_from
from waremill.calls.batching.lanes import BatchRules, Lane, Stock
from waremill.calls.caller import PICTURE_TOKENS
from waremill.domain import Chat, Usage
from waremill.errors import ConfigError, LimitReached, UserError
from waremill.store import batches as store
from waremill.store.batches import Asked, Batch, Settled

PAGE = 500
"""Requests read at once."""
BYTES_PER_TOKEN = 3
"""Bytes a token for the vendor's limit on enqueued tokens: about right for Chinese (3 bytes, one
token), and more than needed for English (4 to 5), so that the limit is kept."""


@dataclass(slots=True)
class Draft:
    """A batch being formed: its requests, their lines, what they may cost at most."""

    key: str
    asked: list[Asked] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    costs: list[int] = field(default_factory=list)
    size: int = 0
    tokens: int = 0

    def cut(self, count: int) -> None:
        """Keep the first requests."""
        del self.asked[count:], self.lines[count:], self.costs[count:]
        self.size = sum(map(len, self.lines))
        self.tokens = sum(tokens_of(one) for one in self.asked)


@dataclass(frozen=True, slots=True)
class Room:
    """How many tokens may still be enqueued (None: any number), and whether others are already.

    Where none are, a single request above the whole limit goes alone: the vendor has the last word.
    """

    tokens: int | None = None
    shared: bool = False

    def holds(self, before: int, more: int) -> bool:
        """Say whether a request of `more` tokens has room beside `before` ones of its batch."""
        if self.tokens is None or before + more <= self.tokens:
            return True
        return not before and not self.shared


@dataclass(frozen=True, slots=True)
class Formed:
    """What came of forming: a batch with its lines, if any; the items woken on the way.

    `held` requests are in another run's batch, and wait for what it brings. `short` says that the
    budget did not cover another request, `exceptions` which requests go into no batch, by hash:
    `live` or `failed`, and why.
    """

    batch: Batch | None = None
    lines: bytes = b""
    woken: int = 0
    held: int = 0
    short: bool = False
    exceptions: Mapping[bytes, tuple[str, str]] = field(default_factory=dict)


def tokens_of(asked: Asked) -> int:
    """Say how many input tokens a request counts for as long as it is in a batch."""
    return len(asked.body) // BYTES_PER_TOKEN + PICTURE_TOKENS * asked.body.count(IN_BODY)


def key_of(name: str) -> tuple[str, int]:
    """Take a request's name apart: the key of its batch, and the request's number."""
    key, _, number = name.rpartition("-")
    return key, int(number) if number.isdecimal() else -1


async def line_of(stock: Stock, lane: Lane, key: str, asked: Asked) -> bytes:
    """Write one request as it goes into a batch; raises UserError where a picture is gone."""
    request = chat_from(asked.body)
    if not is_plain(request):
        whole = await filled(request, stock.assets)
        assert isinstance(whole, Chat)
        request = whole
    return await lane.batches.line(f"{key}-{asked.id}", request)


async def lines_of(stock: Stock, lane: Lane, batch: Batch) -> bytes:
    """Write an intended batch's lines once more, as they were."""
    found: list[bytes] = []
    after = 0
    while page := await stock.database.read(store.requests_of, batch.id, after, PAGE):
        after = page[-1].id
        for asked in page:
            try:
                found.append(await line_of(stock, lane, batch.key, asked))
            except UserError as error:
                failed = Settled(asked, state="failed", error=str(error))
                await stock.database.write(store.settle, stock.run, [failed], batch)
    return b"".join(found)


async def form(stock: Stock, lane: Lane, rules: BatchRules, room: Room) -> Formed:
    """Form the next batch of a model.

    Raises ConfigError where a budget is kept and the model's price is unknown.
    """
    draft = Draft(f"wm{secrets.token_hex(10)}")
    aside: dict[bytes, tuple[str, str]] = {}
    woken, held = await _gather(stock, lane, (rules, room), draft, aside)
    if not draft.asked:
        return Formed(woken=woken, held=held, exceptions=aside)
    reserved, short = await _afford(stock, draft)
    if not draft.asked:
        return Formed(woken=woken, held=held, short=True, exceptions=aside)
    row = {
        "key": draft.key, "model": lane.name, "requests": len(draft.asked), "bytes": draft.size,
        "tokens": draft.tokens, "reserved": reserved,
    }  # fmt: skip
    batch = await stock.database.write(store.intend, stock.run, row, draft.asked[-1].id)
    return Formed(batch, b"".join(draft.lines), woken, held, short, aside)


async def _gather(
    stock: Stock,
    lane: Lane,
    limits: tuple[BatchRules, Room],
    draft: Draft,
    aside: dict[bytes, tuple[str, str]],
) -> tuple[int, int]:
    """Fill a draft up to the limits; give how many items were woken by what needs no batch, and
    how many requests are in another run's.

    What goes into none for good is noted in `aside`.
    """
    woken = held = after = 0
    while page := await stock.database.read(
        store.new_requests, stock.run.id, lane.name, after, PAGE
    ):
        after = page[-1].id
        settled, full = await _sort(stock, lane, limits, page, draft)
        if settled:
            woken += (await stock.database.write(store.settle, stock.run, settled)).woken
        for one in settled:
            if one.state == "held":
                held += 1
            elif one.state is not None:
                aside[one.asked.hash] = (one.state, one.error or "")
        if full:
            break
    return woken, held


async def _sort(
    stock: Stock,
    lane: Lane,
    limits: tuple[BatchRules, Room],
    page: Sequence[Asked],
    draft: Draft,
) -> tuple[list[Settled], bool]:
    """Add a page's requests to a draft; give what needs no batch, and whether it is full."""
    rules, room = limits
    terms = lane.batches.terms
    most, size = min(rules.requests, terms.requests), min(rules.size, terms.size)
    aside: list[Settled] = []
    hashes = [one.hash for one in page]
    there = await stock.database.read(store.answered, hashes)
    elsewhere = await stock.database.read(store.sent_elsewhere, stock.run.id, hashes)
    for asked in page:
        if asked.hash in there:  # another run, or a call outside, had it answered meanwhile
            aside.append(Settled(asked))
            continue
        if asked.hash in elsewhere:  # it is paid for there, and answered to both
            aside.append(Settled(asked, state="held"))
            continue
        try:
            line = await line_of(stock, lane, draft.key, asked)
        except UserError as error:
            aside.append(Settled(asked, state="failed", error=str(error)))
            continue
        if len(line) > min(size, terms.line):
            aside.append(Settled(asked, state="live", error="it is too long for a batch"))
            continue
        tokens = tokens_of(asked)
        full = len(draft.asked) >= most or draft.size + len(line) > size
        if full or not room.holds(draft.tokens, tokens):
            return aside, True
        draft.asked.append(asked)
        draft.lines.append(line)
        draft.costs.append(_most(stock, lane, asked))
        draft.size += len(line)
        draft.tokens += tokens
    return aside, False


def _most(stock: Stock, lane: Lane, asked: Asked) -> int:
    """Give what a request can cost at most in a batch; nothing where no budget is kept."""
    if stock.budget is None:
        return 0
    if lane.price is None:
        raise ConfigError(
            f"the price of “{lane.name}” is unknown, so the budget cannot be kept; give it in "
            "waremill.toml, then resume"
        )
    given = len(asked.body) + PICTURE_TOKENS * asked.body.count(IN_BODY)
    output = chat_from(asked.body).max_tokens + lane.endpoint.allowance
    return lane.price.cost(Usage(given, output))


async def _afford(stock: Stock, draft: Draft) -> tuple[int, bool]:
    """Reserve what a draft may cost, cut to what the budget covers; say whether it was cut."""
    if stock.budget is None:
        return 0, False
    short = False
    while draft.asked:
        amount = sum(draft.costs)
        if await stock.budget.offer(amount):
            return amount, short
        short = True
        draft.cut(len(draft.asked) // 2)
    return 0, True


def refuse_short(stock: Stock) -> LimitReached:
    """Make the error for a budget that does not cover another request."""
    whose = stock.budget.whose if stock.budget is not None else "the budget"
    return LimitReached(f"{whose} does not cover the next batch", limit="budget")
