"""What `doctor` looks at around the workspace: database, clock, disk, storage, cluster, extras.

Reads, and writes nothing but one small stored file that it takes away again. Each line says what to
do where something is not as it should be. Where a line could name the machine's folders or
addresses, which not everybody who asks may know, it does not.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from sqlalchemy import Connection

from waremill.app.keeping import storage_at
from waremill.errors import WaremillError
from waremill.settings import Settings
from waremill.store.backups import sqlite_file
from waremill.store.database import SCHEMA_VERSION, Database, schema_version
from waremill.store.metering import schedules_worked
from waremill.store.runs import clock

Level = Literal["ok", "warning", "error"]
SKEW_SECONDS = 2.0
"""More than this between two machines' clocks makes logs and times of runs hard to read."""
FAR_SECONDS = 60.0
"""More than this, and sessions, uploads and retention end at the wrong time."""
CONNECTIONS = 50
"""A server of ours opens about a dozen connections, a run four."""
FILES = 1024
FREE, LITTLE = 5.0, 1.0
"""GB a disk should have free, and has to: a run writes some KB an item and more to logs."""
ANSWER_SECONDS = 3.0
SAFE = ("fsync", "full_page_writes", "synchronous_commit")
EXTRAS = {
    "diffusion": "diffusers", "images": "onnxruntime", "knowledge": "lancedb",
    "langchain": "langchain", "ocr": "rapidocr", "ray": "ray", "s3": "s3fs",
    "telemetry": "opentelemetry.sdk", "web": "fastapi",
}  # fmt: skip
"""A module that is there where an extra is installed."""
SAMPLES = {"zh": ("中", "Hani"), "ja": ("あ", "Hira"), "ko": ("한", "Hang"), "ar": ("ع", "Arab"),
           "he": ("א", "Hebr"), "th": ("ก", "Thai"), "hi": ("क", "Deva")}  # fmt: skip
"""A letter of each language that the usual Latin fonts have not, and its script."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing `doctor` looked at; `detail` says what to do where the level is not ok."""

    what: str
    level: Level
    detail: str

    @property
    def fine(self) -> bool:
        """Say whether nothing has to be done."""
        return self.level != "error"


def ok(what: str, detail: str) -> Examined:
    """Give a line about what is as it should be."""
    return Examined(what, "ok", detail)


async def look_at_database(database: Database, teams: Collection[int] | None) -> list[Examined]:
    """Look at the schema, the server where there is one, its clock, and who works schedules.

    Of schedules are counted those of `teams`, all where it is None.
    """
    schema = await database.read(schema_version)
    found = [ok("schema", f"version {schema}, the newest this program knows")]
    if schema != SCHEMA_VERSION:
        detail = f"version {schema}, and this program knows {SCHEMA_VERSION}; run any command again"
        found = [Examined("schema", "error", detail)]
    if database.dialect == "postgresql":
        found += await database.read(lambda conn: list(_server(conn)))
    before = time.time()
    now = await database.read(clock)
    skew = abs(now - (before + time.time()) / 2)
    said = f"{skew:.1f} s from the database's"
    if skew <= SKEW_SECONDS:
        found.append(ok("clock", said))
    else:
        level: Level = "error" if skew > FAR_SECONDS else "warning"
        found.append(Examined("clock", level, f"{said}; keep both by NTP"))
    active, led = await database.read(schedules_worked, teams)
    if active:
        # How many there are is no other team's business.
        idle = "nobody works them; start waremill serve, or waremill schedule work"
        level = "ok" if led else "warning"
        found.append(Examined("schedules", level, "somebody works them" if led else idle))
    return found


def _server(conn: Connection) -> Iterator[Examined]:
    """Say what of a PostgreSQL server's settings loses data or turns connections away."""

    def shown(name: str) -> str:
        return str(conn.exec_driver_sql(f"SHOW {name}").scalar_one())

    yield ok("postgresql", f"version {shown('server_version')}")
    off = [name for name in SAFE if shown(name) == "off"]
    detail = f"{', '.join(off)} off: a crash may lose what was paid for; set on"
    what = "postgresql durability"
    yield Examined(what, "error", detail) if off else ok(what, "on")
    most, what = int(shown("max_connections")), "postgresql connections"
    if most >= CONNECTIONS:
        yield ok(what, f"{most} connections")
    else:
        detail = f"{most} connections; set max_connections to {CONNECTIONS} or more"
        yield Examined(what, "warning", detail)


async def look_at_machine(settings: Settings, *, here: bool) -> list[Examined]:
    """Look at open files, disks, the pictures' storage, the cluster, extras and fonts.

    `here` says that whoever asks may know the machine's folders and addresses.
    """
    found = [*_open_files(), *_disks(settings)]
    storage = storage_at(settings.pictures.storage)
    try:
        await storage.forget(await storage.keep(os.urandom(16), "application/octet-stream"))
        found.append(ok("storage", "pictures can be kept"))
    except (WaremillError, OSError) as error:
        detail = "pictures cannot be kept; look at pictures.storage, its room and its rights"
        found.append(Examined("storage", "error", f"{detail} ({error})" if here else detail))
    found += [*_extras(settings), *await _cluster(settings, here=here)]
    return found + await asyncio.to_thread(_fonts, settings)


def _open_files() -> Iterator[Examined]:
    with suppress(ImportError):  # Windows
        import resource

        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        shown = "no limit" if most == resource.RLIM_INFINITY else f"{most} at once"
        enough = most == resource.RLIM_INFINITY or most >= FILES
        short = Examined("open files", "warning", f"{shown}; say ulimit -n {FILES}")
        yield ok("open files", shown) if enough else short


def _disks(settings: Settings) -> Iterator[Examined]:
    """Look at each disk once: the workspace's, the database's, the pictures'."""
    places = {"disk": settings.root}
    if (file := sqlite_file(settings.database)) is not None:
        places["disk of the database"] = file.parent
    if "://" not in settings.pictures.storage:
        places["disk of the pictures"] = Path(settings.pictures.storage)
    seen = set()
    for what, place in places.items():
        with suppress(OSError):
            nearest = next(one for one in (place, *place.parents) if one.is_dir())
            if (device := nearest.stat().st_dev) in seen:
                continue
            seen.add(device)
            free = shutil.disk_usage(nearest).free / 1e9
            if free >= FREE:
                yield ok(what, f"{free:.1f} GB free")
            else:
                level: Level = "error" if free < LITTLE else "warning"
                detail = f"{free:.1f} GB free; make room, or let waremill retain delete what is old"
                yield Examined(what, level, detail)


def is_installed(extra: str) -> bool:
    """Say whether an extra's libraries are there, without loading them."""
    try:
        return find_spec(EXTRAS[extra]) is not None
    except ModuleNotFoundError:
        return False


def _extras(settings: Settings) -> Iterator[Examined]:
    there = {extra for extra in EXTRAS if is_installed(extra)}
    wanted = {
        "telemetry": settings.telemetry.traces is not None and "telemetry.traces",
        "ray": settings.ray.address is not None and "ray.address",
        "s3": settings.pictures.storage.startswith("s3://") and "pictures.storage",
        "langchain": any(m.vendor == "langchain" for m in settings.models.values()) and "a model",
        "diffusion": any(m.vendor == "diffusion" for m in settings.models.values()) and "a model",
    }
    for extra, by in wanted.items():
        if by and extra not in there:
            detail = f"{by} needs it; pip install 'waremill[{extra}]'"
            yield Examined(f"extra {extra}", "error", detail)
    names = ", ".join(sorted(there)) or "none"
    missing = ", ".join(sorted(EXTRAS.keys() - there))
    yield ok("extras", names + (f"; not installed: {missing}" if missing else ""))


async def _cluster(settings: Settings, *, here: bool) -> list[Examined]:
    """Look whether the Ray cluster of the settings takes connections."""
    address = settings.ray.address
    if address is None:
        return []
    if settings.database.startswith("sqlite"):
        detail = (
            "ray.address is set, and runs on Ray need PostgreSQL; set database.url, or unset it"
        )
        return [Examined("cluster", "error", detail)]
    place = urlsplit(address if "://" in address else f"//{address}")
    shown = address if here else "the address of ray.address"
    try:
        host, port = place.hostname, place.port or (10001 if place.scheme == "ray" else 6379)
    except ValueError:
        return [Examined("cluster", "error", f"{shown} is no HOST:PORT; correct ray.address")]
    if host is None or address == "auto":
        return [ok("cluster", "the one Ray finds on this machine")]
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except (OSError, TimeoutError):
        detail = f"nobody answers at {shown}; start the cluster (ray start --head), or correct it"
        return [Examined("cluster", "error", detail)]
    return [ok("cluster", f"{shown} takes connections")]


def _fonts(settings: Settings) -> list[Examined]:
    """Look whether a font has the letters of the workspace's languages."""
    wanted = [one for one in settings.languages if one.partition("-")[0] in SAMPLES]
    if not wanted or not is_installed("images"):
        return []
    from waremill.images.fonts import Fonts, Style

    fonts, missing = Fonts((settings.root / "fonts",)), {}
    for language in wanted:
        letter, script = SAMPLES[language.partition("-")[0]]
        try:
            fonts.choose(letter, script, Style(language=language))
        except WaremillError as error:
            missing[language] = str(error)
    if not missing:
        return [ok("fonts", f"letters of {', '.join(wanted)} can be set")]
    told = "; ".join(f"{language}: {said}" for language, said in missing.items())
    return [Examined("fonts", "warning", f"for text in pictures: {told}")]
