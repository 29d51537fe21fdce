"""What `doctor` looks at below the workspace: the database's server, clock, files, storage.

Reads and writes nothing but one small stored file; each finding says what to do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from waremill.app.keeping import storage_at
from waremill.errors import WaremillError
from waremill.store.runs import clock

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

Line = tuple[str, bool, str]
SKEW_SECONDS = 2.0
"""More than this between two machines' clocks makes logs and times of runs hard to read."""
CONNECTIONS = 50
"""A server of ours opens about a dozen connections, a run four."""
FILES = 1024
SAFE = ("fsync", "full_page_writes", "synchronous_commit")


async def look_below(workspace: Workspace) -> list[Line]:
    """Look at the database, the clock, open files and the storage: what, whether fine, detail."""
    database = workspace.database
    lines = list(await database.read(_server)) if database.dialect == "postgresql" else []
    before = time.time()
    now = await database.read(clock)
    skew = abs(now - (before + time.time()) / 2)
    said = f"{skew:.1f} s from the database's"
    fine = skew <= SKEW_SECONDS
    lines.append(("clock", fine, said if fine else f"{said}; keep both by NTP"))
    lines += _open_files()
    try:
        await storage_at(workspace.settings.pictures.storage).keep(b"doctor", "text/plain")
        lines.append(("storage", True, "pictures can be kept"))
    except WaremillError:  # its sentence has a path, which not everybody who asks may know
        detail = "pictures cannot be kept; look at pictures.storage, its room and its rights"
        lines.append(("storage", False, detail))
    return lines


def _server(conn: Connection) -> Iterator[Line]:
    """Say what of a PostgreSQL server's settings loses data or turns connections away."""

    def shown(name: str) -> str:
        return str(conn.exec_driver_sql(f"SHOW {name}").scalar_one())

    found: list[Line] = [("postgresql", True, f"version {shown('server_version')}")]
    off = [name for name in SAFE if shown(name) == "off"]
    detail = f"{', '.join(off)} off: a crash may lose what was paid for; set on" if off else "on"
    found.append(("postgresql durability", not off, detail))
    most = int(shown("max_connections"))
    enough = most >= CONNECTIONS
    detail = f"{most} connections" + ("" if enough else f"; set max_connections to {CONNECTIONS}")
    found.append(("postgresql connections", enough, detail))
    return iter(found)


def _open_files() -> Iterator[Line]:
    with suppress(ImportError):  # Windows
        import resource

        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        enough = most == resource.RLIM_INFINITY or most >= FILES
        shown = "no limit" if most == resource.RLIM_INFINITY else f"{most} at once"
        yield ("open files", enough, shown if enough else f"{shown}; say ulimit -n {FILES}")
