"""The use case *init*: make a workspace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from waremill.errors import ConfigError, Conflict, Where
from waremill.rules.document import suggestion

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
