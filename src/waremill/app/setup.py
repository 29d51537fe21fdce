"""The use cases *init* and *doctor*: make a workspace, and look whether one is sound."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from waremill.app.operations.examining import look_below
from waremill.errors import ConfigError, Conflict, UserError, Where
from waremill.pipeline import pipeline_names
from waremill.rules.document import suggestion

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

EXAMPLES = ("perfume",)
_EMPTY = """\
# Settings of this workspace. Keys never stand here: they come from the environment or a .env file.
currency = "USD"
languages = ["en", "zh", "de", "fr"]

[models.default]
use = "local"
"""
_IGNORED = ".waremill/\n.env\n"


@dataclass(frozen=True, slots=True)
class Made:
    """A workspace that was made: its folder, its files, and what to do next."""

    root: Path
    files: list[str]
    next: str


def make_workspace(folder: Path, example: str | None) -> Made:
    """Make a workspace; raise Conflict rather than overwrite a file."""
    if example is not None and example not in EXAMPLES:
        raise ConfigError(f"there is no example “{example}”{suggestion(example, EXAMPLES)}")
    contents = dict(_example_files(example)) if example else {"waremill.toml": _EMPTY.encode()}
    contents.setdefault(".gitignore", _IGNORED.encode())
    for name in contents:
        if (folder / name).exists():
            raise Conflict(
                "this file is here already and is not overwritten", Where(f"{folder / name}")
            )
    if example is None:
        for name in ("templates", "pipelines", "schemas", "channels", "examples"):
            with _plainly(folder):
                (folder / name).mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        path = folder / name
        with _plainly(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    change = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    step = "waremill import perfumes.xlsx --key sku --group group"
    if example is None:
        step = "write templates/NAME.yaml, then waremill import FILE --key COL"
    return Made(folder.resolve(), sorted(contents), change + step)


class _plainly:
    """Turn a refused write into one sentence."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigError(
                f"this cannot be written: {reason}", Where(str(self._path))
            ) from error


def _example_files(name: str) -> Iterator[tuple[str, bytes]]:
    def walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
        for entry in folder.iterdir():
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from walk(entry, f"{prefix}{entry.name}/")
            elif not entry.name.endswith((".py", ".pyc")):
                yield prefix + entry.name, entry.read_bytes()

    yield from walk(resources.files("waremill") / "example" / name, "")


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing `doctor` looked at."""

    what: str
    fine: bool
    detail: str


async def examine(workspace: Workspace) -> list[Examined]:
    """Look at settings, database, pipelines, templates and keys; call no model.

    For admins, of what they may know of; where the workspace lies is told at the machine alone.
    """
    actor = workspace.actor
    actor.need_somewhere("admin", "looking through the workspace")
    workspace = await workspace.seen()
    settings = workspace.settings
    place = "waremill.toml" if actor.everywhere is None else f"{settings.root / 'waremill.toml'}"
    found = [Examined("settings", True, f"{place} can be read")]
    catalogs = await workspace.catalogs()
    names = ", ".join(catalog.name for catalog in catalogs) or "nothing imported yet"
    found.append(Examined("database", True, f"{workspace.database.dialect}, catalogues: {names}"))
    for name in pipeline_names(settings.files()):
        try:
            assembly = workspace.assemble(name)
        except UserError as error:
            found.append(Examined(f"pipeline {name}", False, str(error)))
        else:
            fields = ", ".join(assembly.fields) or "fields of the category's schema"
            found.append(Examined(f"pipeline {name}", True, f"writes {fields}"))
    for alias in settings.models:
        missing = settings.missing_keys(alias)
        detail = f"set {' or '.join(missing)}" if missing else "has what it needs"
        found.append(Examined(f"model {alias}", not missing, detail))
    found += [Examined(*line) for line in await look_below(workspace)]
    with suppress(OSError):
        space = os.statvfs(settings.root)
        free = space.f_bavail * space.f_frsize / 1e9
        found.append(Examined("disk", free > 1, f"{free:.1f} GB free"))
    return found
