"""Who calls: by a bearer token, by a session's cookie, or the person at the machine.

A request that offers a token is never answered by its cookie; a wrong token is nobody.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from typing import Literal

from starlette.requests import HTTPConnection

from waremill.app import Workspace
from waremill.app.accounts import Accounts
from waremill.app.acting import LOCAL, Actor
from waremill.web.security.hosts import LOOPBACK_NAMES, host_of, is_loopback, name_of

COOKIE = "waremill"
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who is known, and by what; `csrf` is what a session's changes must carry."""

    actor: Actor
    by: Literal["local", "session", "token"]
    csrf: str = field(default="", repr=False)

    def carries(self, token: str | None) -> bool:
        """Say whether a CSRF token is the session's."""
        return token is not None and hmac.compare_digest(token.encode(), self.csrf.encode())


def cookie_name(secure: bool) -> str:
    """Give the session cookie's name; behind TLS, one that no subdomain can set (`__Host-`)."""
    return f"__Host-{COOKIE}" if secure else COOKIE


async def identify(workspace: Workspace, connection: HTTPConnection) -> Caller | None:
    """Say who a request or a socket comes from; None for nobody we know.

    Its state has the session cookie's name, and whether a trusted proxy handed it on.
    """
    accounts = Accounts(workspace)
    address = connection.client.host if connection.client else None
    token = bearer(connection)
    if token is not None:
        holder = await accounts.actor_of_token(token, address)
        return None if holder is None else Caller(holder, "token")
    if secret := connection.cookies.get(connection.state.cookie):
        found = await accounts.actor_of_session(secret, address)
        if found is not None:
            return Caller(found[0], "session", found[1])
    if _at_the_machine(connection) and not await accounts.any_accounts():
        return Caller(replace(LOCAL, address=address), "local")
    return None


async def actor_now(workspace: Workspace, connection: HTTPConnection) -> Actor | None:
    """Say who a page's request comes from as things are now; None once the session has ended.

    For pages that live on: what stood in `request.state.actor` when the page was opened may be
    over (signed out, disabled, another role).
    """
    caller = await identify(workspace, connection)
    return None if caller is None else caller.actor


def bearer(connection: HTTPConnection) -> str | None:
    """Give the text of a bearer token; None where none is offered."""
    for value in connection.headers.getlist("authorization"):
        scheme, _, text = value.strip().partition(" ")
        if scheme.casefold() == "bearer":
            return text.strip()
    return None


def _at_the_machine(connection: HTTPConnection) -> bool:
    """Say whether a request comes from this machine to a loopback name, through no proxy."""
    headers = connection.headers
    host = host_of(headers)
    return (
        host is not None
        and not connection.state.proxied
        and name_of(host) in LOOPBACK_NAMES
        and connection.client is not None
        and is_loopback(connection.client.host)
        and not any(name in headers for name in _FORWARDED)
    )
