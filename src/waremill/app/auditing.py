"""The audit log: every change is recorded in the transaction that makes it.

A secret must never come in here: passwords, tokens, session secrets and keys are refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from waremill.app.acting import ROLES, Actor
from waremill.app.paging import Page, bad_cursor, decode_cursor, encode_cursor, page_size
from waremill.store import auditing as store
from waremill.store.auditing import AuditEntry, Entered

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

SECRET_NAMES = frozenset({"password", "secret", "token", "csrf", "hash", "api_key", "cookie"})
"""Names under which no detail may be recorded."""


def record(
    conn: Connection,
    actor: Actor,
    action: str,
    subject: str,
    team: int | None = None,
    **detail: Any,
) -> None:
    """Record a change in the audit log, inside the caller's write transaction.

    `action` is `noun.verb` as in `run.start`; `subject` names the thing as people do, as in
    `run 1122-ab12cd`; `detail` is small JSON: old and new values, counts, conditions. What came
    with an API token says which: `via`. Raises ValueError, a bug of the caller's, for a detail
    under a name that only secrets have.
    """
    if secret := SECRET_NAMES & detail.keys():
        raise ValueError(f"the audit log takes no {sorted(secret)[0]}")
    if actor.via is not None:
        detail["via"] = actor.via
    store.append(conn, Entered(actor.name, team, action, subject, actor.address), detail)


async def entries(
    workspace: Workspace,
    *,
    team: int | None = None,
    after: str | None = None,
    size: int = 50,
    action: str | None = None,
    by: str | None = None,
) -> Page[AuditEntry]:
    """Page through the audit log, newest first.

    An admin sees the entries of the own teams; who manages users sees all, those that concern no
    team included. `after` is the cursor of the page before. Raises NotFound for a foreign team and
    Forbidden for a role below admin.
    """
    size = page_size(size)
    before = None
    if after is not None:
        before = decode_cursor(after).get("id")
        if type(before) is not int or not 0 <= before < 2**63:
            raise bad_cursor()
    teams = _visible(workspace.actor, team)
    found = await workspace.database.read(
        store.newest, teams, before=before, limit=size + 1, action=action, by=by
    )
    more = encode_cursor({"id": found[size - 1].id}) if len(found) > size else None
    return Page(tuple(found[:size]), more)


def _visible(actor: Actor, team: int | None) -> list[int] | None:
    """Say whose entries an actor sees: of these teams, or None for all."""
    if team is not None:
        if not actor.manages:
            actor.need("admin", team, f"audit log of team {team}")
        return [team]
    if actor.manages or actor.everywhere == ROLES[-1]:
        return None
    actor.need_somewhere("admin", "the audit log")
    return [one for one, role in actor.teams.items() if role == "admin"]


__all__ = ["AuditEntry", "entries", "record"]
