"""Which team a template, pipeline or model belongs to: setting it. Who may is not known here."""

from __future__ import annotations

from pathlib import PurePosixPath

from sqlalchemy import Connection, delete, insert, select, update

from waremill.store.tables import versions
from waremill.store.tables_people import members, owners, users

_KINDS = {"templates": "template", "pipelines": "pipeline"}
_INCLUDES = "templates/includes/"


def set_owner(conn: Connection, kind: str, name: str, team: int | None) -> None:
    """Give something to a team, or with None to every team."""
    here = (owners.c.kind == kind) & (owners.c.name == name)
    if team is None:
        conn.execute(delete(owners).where(here))
    elif not conn.execute(update(owners).where(here).values(team_id=team)).rowcount:
        conn.execute(insert(owners).values(kind=kind, name=name, team_id=team))


def owned_place(path: str) -> tuple[str, str] | None:
    """Give the kind and name a file is owned by; None for what is no template or pipeline."""
    folder, _, rest = path.partition("/")
    if folder not in _KINDS or path.startswith(_INCLUDES) or not rest.endswith((".yaml", ".yml")):
        return None
    return _KINDS[folder], str(PurePosixPath(rest).with_suffix(""))


def claim_new(conn: Connection, path: str, author: str) -> int | None:
    """Give a template or pipeline without a version to its author's team, if in one team only.

    Gives the team; None where the file stays everybody's, or was somebody's before.
    """
    place = owned_place(path)
    if place is None:
        return None
    # The other ending is the same name: who has that one keeps it.
    stem = path.rpartition(".")[0]
    known = select(versions.c.id).where(versions.c.path.in_([f"{stem}.yaml", f"{stem}.yml"]))
    owned = select(owners.c.team_id).where(owners.c.kind == place[0], owners.c.name == place[1])
    if conn.execute(known.limit(1)).first() or conn.execute(owned).first():
        return None
    query = select(members.c.team_id).join(users, users.c.id == members.c.user_id)
    found = conn.execute(query.where(users.c.name == author)).scalars().all()
    if len(found) != 1:
        return None
    set_owner(conn, *place, found[0])
    return int(found[0])
