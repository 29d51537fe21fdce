"""Webhooks: who is told of ended runs and publications, accepted items, stopped schedules; how.

An event is written down in the transaction that makes it true, and delivered by a server later: at
least once, signed, retried with growing pauses. Nothing is ever sent to an address inside our own
network unless the workspace says so.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import random
import secrets
import socket
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from waremill.app import auditing
from waremill.app.paging import Page, bad_cursor, decode_cursor, encode_cursor, page_size
from waremill.errors import ConfigError, Conflict, NotFound, WaremillError
from waremill.store import webhooks as store
from waremill.store.tables import dumps, items, products, reviews
from waremill.store.webhooks import Delivery, Due, Webhook

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from waremill.app.workspace import Workspace
    from waremill.store.publishing import Publication
    from waremill.store.runs import Run

LOG = logging.getLogger("waremill.webhooks")
EVENTS = ("run.finished", "item.accepted", "schedule.stopped", "publication.finished")
PING = store.PING
ATTEMPTS = store.ATTEMPTS
"""With the pauses below the last one comes about eleven hours after the first."""
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 4 * 3600.0
TIMEOUT = 10.0
LEASE = 60.0
AT_ONCE = 32
POLL_SECONDS = 1.0
KEPT_DAYS = 30
ITEMS_A_BODY = 500
LONGEST_URL = 2000
MOST_WEBHOOKS = 100
"""Webhooks a team may have."""


@dataclass(frozen=True, slots=True)
class Added:
    """A new webhook with its secret, which is shown this once."""

    webhook: Webhook
    secret: str


def event(conn: Connection, team: int, name: str, body: Mapping[str, Any]) -> None:
    """Write an event down for a team's webhooks, in the caller's write transaction."""
    if numbers := store.subscribed(conn, team, name):
        store.enqueue(conn, numbers, name, _message(name, body))


def run_finished(conn: Connection, run: Run) -> None:
    """Tell that a run is done or cancelled."""
    event(
        conn, run.team_id, "run.finished",
        {"run": run.name, "kind": run.kind, "pipeline": run.pipeline, "state": run.state,
         "total": run.total},
    )  # fmt: skip


def schedule_stopped(conn: Connection, team: int, told: Mapping[str, Any]) -> None:
    """Tell that a slot of a schedule brought no run, or one that stopped; `told` says why."""
    event(conn, team, "schedule.stopped", told)


def publication_finished(conn: Connection, one: Publication) -> None:
    """Tell that a publication is done or failed; `rows` are counts of what became of them."""
    rows = (one.report or {}).get("rows", {})
    event(
        conn, one.team_id, "publication.finished",
        {"publication": one.name, "channel": one.channel, "stage": one.stage, "state": one.state,
         "reason": one.reason, "rows": rows},
    )  # fmt: skip


def items_accepted(conn: Connection, run: Run, items: Sequence[Mapping[str, Any]]) -> None:
    """Tell which items of a run were accepted; each is `{"item": id, "key": …, "target": …}`.

    Some hundred go into one message. Nothing is written for a team that nobody listens to.
    """
    numbers = store.subscribed(conn, run.team_id, "item.accepted")
    for first in range(0, len(items) if numbers else 0, ITEMS_A_BODY):
        body = {"run": run.name, "items": list(items[first : first + ITEMS_A_BODY])}
        store.enqueue(conn, numbers, "item.accepted", _message("item.accepted", body))


@contextmanager
def telling(conn: Connection, run: Run) -> Iterator[None]:
    """Tell of the items of a run that are accepted, or edited, inside of it.

    In the caller's write transaction; where nobody listens it costs one look.
    """
    if not wanted(conn, run):
        yield
        return
    newest = select(func.coalesce(func.max(reviews.c.id), 0))
    before = conn.execute(newest).scalar_one()
    yield
    said = (
        select(items.c.id, products.c.key, items.c.target)
        .join_from(reviews, items, items.c.id == reviews.c.item_id)
        .join(products, products.c.id == items.c.product_id)
        .where(reviews.c.id > before, items.c.run_id == run.id,
               reviews.c.verdict.in_(("accept", "edit")))
        .distinct()
        .order_by(items.c.id)
    )  # fmt: skip
    rows = conn.execute(said).all()
    items_accepted(conn, run, [{"item": n, "key": key, "target": t} for n, key, t in rows])


def wanted(conn: Connection, run: Run, name: str = "item.accepted") -> bool:
    """Say whether anybody is told of an event, before what it would say is put together."""
    return bool(store.subscribed(conn, run.team_id, name))


def sign(secret: str, body: bytes, moment: int) -> str:
    """Give the `Waremill-Signature` of a body sent at a moment (Unix seconds).

    HMAC-SHA256 over `MOMENT.BODY`, in hexadecimal.
    """
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, "sha256").hexdigest()
    return f"t={moment},v1={digest}"


class Webhooks:
    """The webhooks of the teams an actor may set up things for."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._sweep_at = time.monotonic()

    async def add(self, url: str, events: Sequence[str] = EVENTS, *, team: int = 1) -> Added:
        """Add a webhook for a team; its secret is made here and shown this once."""
        actor = self._workspace.actor
        actor.need("admin", team, f"team {team}")
        names = _events(events)
        await self._check(url)
        secret = f"whsec_{secrets.token_urlsafe(32)}"

        def write(conn: Connection) -> Webhook:
            if len(store.list_webhooks(conn, [team])) >= MOST_WEBHOOKS:
                raise Conflict(f"a team has at most {MOST_WEBHOOKS} webhooks; remove one first")
            made = store.insert_webhook(
                conn,
                {"team_id": team, "url": url, "secret": secret, "events": names, "active": True,
                 "by": actor.name},
            )  # fmt: skip
            auditing.record(
                conn, actor, "webhook.add", f"webhook {made.id}", team, url=url, events=names
            )
            return made

        return Added(await self._workspace.database.write(write), secret)

    async def list(self) -> list[Webhook]:
        """Give the webhooks of the teams the actor is an admin of."""
        actor = self._workspace.actor
        found = await self._workspace.database.read(store.list_webhooks, actor.sees)
        return [one for one in found if actor.may("admin", one.team_id)]

    async def find(self, number: int) -> Webhook:
        """Find a webhook by its id."""
        return await self._workspace.database.read(self._find, number)

    async def change(
        self,
        number: int,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        active: bool | None = None,
        was: Webhook | None = None,
    ) -> Webhook:
        """Change a webhook; raise Conflict when it is not as it `was` any more."""
        values: dict[str, Any] = {}
        if url is not None:
            await self._check(url)
            values["url"] = url
        if events is not None:
            values["events"] = _events(events)
        if active is not None:
            values["active"] = active

        def write(conn: Connection) -> Webhook:
            found = self._find(conn, number)
            if was is not None and found != was:
                raise Conflict(f"webhook {number} was changed meanwhile")
            if values:
                store.update_webhook(conn, number, values)
                auditing.record(
                    conn, self._workspace.actor, "webhook.change", f"webhook {number}",
                    found.team_id, **values,
                )  # fmt: skip
            return self._find(conn, number)

        return await self._workspace.database.write(write)

    async def remove(self, number: int) -> None:
        """Remove a webhook; what waits for it is not sent any more."""

        def write(conn: Connection) -> None:
            found = self._find(conn, number)
            store.delete_webhook(conn, number)
            auditing.record(
                conn, self._workspace.actor, "webhook.remove", f"webhook {number}", found.team_id,
                url=found.url,
            )  # fmt: skip

        await self._workspace.database.write(write)

    async def ping(self, number: int) -> Delivery:
        """Queue a test message for a webhook, active or not."""

        def write(conn: Connection) -> Delivery:
            found = self._find(conn, number)
            body = _message(PING, {"webhook": found.id})
            (made,) = store.enqueue(conn, [found.id], PING, body)
            delivery = store.find_delivery(conn, made)
            assert delivery is not None, "it was just written"
            return delivery

        return await self._workspace.database.write(write)

    async def deliveries(
        self, number: int, *, cursor: str | None = None, size: int = 50
    ) -> Page[Delivery]:
        """Page through what was sent to a webhook, newest first."""
        size = page_size(size)
        before = None
        if cursor is not None:
            before = decode_cursor(cursor).get("id")
            if not isinstance(before, int) or isinstance(before, bool):
                raise bad_cursor()

        def read(conn: Connection) -> list[Delivery]:
            self._find(conn, number)
            return store.list_deliveries(conn, number, before, size + 1)

        rows = await self._workspace.database.read(read)
        more = encode_cursor({"id": rows[size - 1].id}) if len(rows) > size else None
        return Page(tuple(rows[:size]), more)

    def _find(self, conn: Connection, number: int) -> Webhook:
        found = store.find_webhook(conn, number) if 0 < number < 2**63 else None
        if found is None:
            raise NotFound(f"there is no webhook {number}")
        self._workspace.actor.need("admin", found.team_id, f"webhook {number}")
        return found

    async def _check(self, url: str) -> None:
        await check_address(url, private=self._workspace.settings.server.allow_private_webhooks)

    # Delivering: a server's work, as nobody in particular.

    async def deliver(self) -> None:
        """Deliver what is due until cancelled; a failure of the loop itself is tried again."""
        from waremill.app.reaching import open_session

        private = self._workspace.settings.server.allow_private_webhooks
        async with open_session(private, TIMEOUT) as session:
            while True:
                try:
                    await self.deliver_due(session)
                except Exception as error:  # the database may be locked or away for a while
                    LOG.warning("webhooks wait: %s", type(error).__name__)
                await asyncio.sleep(POLL_SECONDS)

    async def deliver_due(self, session: ClientSession) -> int:
        """Send until nothing is due and nothing on its way; give how many were tried.

        Whatever ends makes room for the next one at once: nobody waits for the slowest.
        """
        flying: dict[asyncio.Task[None], Due] = {}
        tried = 0
        async with asyncio.TaskGroup() as group:
            while True:
                await self._sweep()
                for due in await self._claim(flying.values()):
                    flying[group.create_task(self._send(session, due))] = due
                    tried += 1
                if not flying:
                    return tried
                ended, _ = await asyncio.wait(
                    flying, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                for task in ended:
                    del flying[task]

    async def _claim(self, flying: Collection[Due]) -> Sequence[Due]:
        room, now = AT_ONCE - len(flying), time.time()
        busy = Counter(one for due in flying for one in due.takes)
        database = self._workspace.database
        if room <= 0 or not await database.read(store.is_due, now, busy):
            return []  # a look takes no lock
        return await database.write(store.claim_due, now, LEASE, room, busy)

    async def _sweep(self) -> None:
        """Give up what is hopeless and forget what is old, now and then."""
        if time.monotonic() < self._sweep_at:
            return
        self._sweep_at = time.monotonic() + 3600
        now = time.time()
        old = now - KEPT_DAYS * 86_400
        await self._workspace.database.write(store.give_up, now, old)
        await self._workspace.database.write(store.forget_before, old)

    async def _send(self, session: ClientSession, due: Due) -> None:
        delivery = due.delivery
        attempt = delivery.attempts + 1
        status, error = await _post(
            session, due, private=self._workspace.settings.server.allow_private_webhooks
        )
        state, next_at = store.DELIVERED, time.time()
        if error is not None:
            state = store.FAILED if attempt >= ATTEMPTS else store.WAITING
            next_at += pause_after(attempt)
        try:
            await self._workspace.database.write(
                store.settle, delivery.id, state, next_at=next_at, status=status, error=error
            )
        except (WaremillError, SQLAlchemyError) as problem:  # it is sent again after its lease
            LOG.warning("delivery %d is not settled: %s", delivery.id, type(problem).__name__)


def pause_after(attempt: int) -> float:
    """Give the seconds to wait after a failed attempt: doubled each time, a tenth of it chance."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempt - 1)) * random.uniform(0.9, 1.1)


async def _post(
    session: ClientSession, due: Due, *, private: bool
) -> tuple[int | None, str | None]:
    """Send one message; give the status and what went wrong, if anything."""
    from aiohttp import ClientError

    body, moment = due.delivery.body.encode(), int(time.time())
    headers = {
        "Content-Type": "application/json", "User-Agent": "Waremill",
        "Waremill-Event": due.delivery.event, "Waremill-Delivery": str(due.delivery.id),
        "Waremill-Signature": sign(due.webhook.secret, body, moment),
    }  # fmt: skip
    try:
        check_literal(due.webhook.url, private=private)
        # A redirect is not followed: it could lead into our own network.
        async with session.post(
            due.webhook.url, data=body, headers=headers, allow_redirects=False
        ) as reply:
            if 200 <= reply.status < 300:
                return reply.status, None
            return reply.status, f"it answered {reply.status}"
    except ConfigError as problem:
        return None, problem.message
    except TimeoutError:
        return None, f"it did not answer within {TIMEOUT:g} s"
    except (ClientError, OSError) as problem:
        return None, f"it cannot be reached: {type(problem).__name__}"


def check_literal(url: str, *, private: bool) -> str:
    """Check a webhook's address as far as no name is looked up; give its host.

    Raises ConfigError for what is not a plain http or https URL, and for a private address.
    """
    problem = ConfigError("a webhook's address is a URL that starts with https:// or http://")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise problem from None
    if parts.scheme not in ("http", "https") or not host or len(url) > LONGEST_URL:
        raise problem
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise problem
    if parts.username is not None or parts.password is not None:
        raise ConfigError("a webhook's address must hold no user and no password")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        if not private and not is_public(address):
            raise _inside()
    return host


async def check_address(url: str, *, private: bool) -> None:
    """Check a webhook's address, its name looked up; raise ConfigError for what is refused."""
    host = check_literal(url, private=private)
    if private:
        return
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ConfigError(f"the webhook's host {host[:200]} is not known") from None
    if not all(is_public(ipaddress.ip_address(one[4][0])) for one in found):
        raise _inside()


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Say whether an address is out on the internet, whatever it is wrapped in."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _translated(address)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    if any(address in network for network in _INSIDE):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


_INSIDE = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # IETF protocol assignments; Oracle's cloud has its metadata there
            "168.63.129.16/32",  # what Azure's machines reach their host by
            "192.88.99.0/24",  # 6to4 relays (RFC 7526)
            "fec0::/10",  # site-local, deprecated and still routed (RFC 3879)
            "3fff::/20",  # documentation (RFC 9637)
        ),
    )
)
"""What Python takes for global, or some versions of it do, and is not out on the internet."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _translated(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Give the IPv4 address inside one that is translated (RFC 6052)."""
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


def _inside() -> ConfigError:
    return ConfigError(
        "a webhook must not go to a private or loopback address; "
        "[server] allow_private_webhooks = true permits it"
    )


def _events(names: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in EVENTS]
    if unknown or not names:
        raise ConfigError(f"a webhook is told of {' or '.join(EVENTS)}")
    return tuple(dict.fromkeys(names))


def _message(name: str, body: Mapping[str, Any]) -> str:
    """Write a message: its id tells repeated deliveries apart from new ones."""
    return dumps({"id": f"evt_{secrets.token_hex(12)}", "event": name, "at": time.time(), **body})


__all__ = [
    "EVENTS",
    "Added",
    "Delivery",
    "Webhook",
    "Webhooks",
    "check_address",
    "event",
    "is_public",
    "items_accepted",
    "publication_finished",
    "run_finished",
    "schedule_stopped",
    "sign",
    "telling",
    "wanted",
]
