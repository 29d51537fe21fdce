"""The files of a diffusion pipeline: where they lie, whether they are safe, how they are fetched.

A pipeline is a folder with `model_index.json` and a folder for each component, as `diffusers` saves
it. Weights must be safetensors: pickles, which can run code when they are read, are neither fetched
nor loaded, and neither is Python code. What is fetched from a hub is checked against the hub's
sha256 (small files: git's own hash). Must not import torch or diffusers.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from waremill import weights
from waremill.errors import ConfigError, NotFound

INDEX = "model_index.json"
_REPOSITORY = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_SMALL = (".json", ".txt", ".model")
_SAFE = ".safetensors"
_PICKLED = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
_LARGEST_SMALL = 64 << 20
_LARGEST_LISTING = 16 << 20
_SECONDS = 20.0
_WHOLE = ".whole"
"""Written last, so that a folder that has it is complete."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a pipeline's files are: a folder, or a hub's repository that is or will be there."""

    folder: Path
    repository: str | None = None
    revision: str = "main"

    @property
    def here(self) -> bool:
        """Whether the files are on this machine."""
        return (self.folder / (_WHOLE if self.repository else INDEX)).is_file()


def source_of(name: str, place: Mapping[str, Any]) -> Source:
    """Give where a model's files are: a folder, relative to the workspace's, or `OWNER/NAME`.

    `OWNER/NAME@REVISION` names a commit, a tag or a branch. Raises NotFound for neither.
    """
    given = (place.get("root") or Path.cwd()) / Path(name).expanduser()
    if (given / INDEX).is_file():
        return Source(given.resolve())
    match = _REPOSITORY.fullmatch(name)
    if match is None or name.startswith((".", "~")):
        raise NotFound(
            f"“{given}” is no folder with a {INDEX}; name one, or a repository as OWNER/NAME"
        )
    revision = match["revision"] or "main"
    label = f"{match['name']}@{revision}".replace("/", "--")
    return Source(Path(place["folder"]) / "diffusers" / label, match["name"], revision)


def components(folder: Path) -> dict[str, str]:
    """Give a pipeline's components with the library each comes from, from its index.

    Raises ConfigError where the index cannot be used.
    """
    try:
        index = json.loads((folder / INDEX).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder / INDEX} cannot be read: {error}") from None
    if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str):
        raise ConfigError(f"{folder / INDEX} names no pipeline; code of one's own is never run")
    return _components(index)


def _components(index: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(value[0])
        for name, value in index.items()
        if isinstance(value, list) and len(value) == 2 and value[0] is not None
    }


def require_safe(folder: Path) -> None:
    """Raise ConfigError where a component has its weights as a pickle only."""
    for name in components(folder):
        inside = folder / name
        if not inside.is_dir():
            continue
        endings = {path.suffix for path in inside.iterdir()}
        if _SAFE not in endings and endings & set(_PICKLED):
            raise ConfigError(
                f"{inside} has its weights as a pickle, which could run code; save the pipeline "
                "with safetensors"
            )


def variant_of(folder: Path) -> str | None:
    """Give the variant the weights are named with, `fp16` where some lie there as that alone."""
    for name in components(folder):
        names = [path.name for path in (folder / name).glob(f"*{_SAFE}")]
        if names and all(".fp16" in one for one in names):
            return "fp16"
    return None


def digest_of(folder: Path) -> str:
    """Give one sha256 over the sha256 of every file that decides what a pipeline makes."""
    whole = hashlib.sha256()
    for path in sorted(_files(folder)):
        if path.suffix == _SAFE:
            digest = weights.sha256_of(path)
        else:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()} {digest}\n".encode())
    return whole.hexdigest()


def _files(folder: Path) -> Iterable[Path]:
    yield folder / INDEX
    for name in components(folder):
        for path in (folder / name).glob("*"):
            if path.suffix in (_SAFE, *_SMALL) and path.is_file():
                yield path


def fetch(source: Source, place: Mapping[str, Any]) -> None:
    """Fetch a repository's files into its folder where they are not there yet.

    Raises NotFound where the hub does not give them, ConfigError where they cannot be written or
    would not be safe.
    """
    if source.here or source.repository is None:
        return
    hub = str(place.get("hub") or weights.HUGGING_FACE).rstrip("/")
    repository = source.repository
    rows = _listed(f"{hub}/api/models/{repository}/tree/{quote(source.revision, safe='')}", source)
    by_path = {str(row["path"]): row for row in rows if row.get("type") == "file"}
    if INDEX not in by_path:
        raise NotFound(f"{repository} is no diffusers pipeline: it has no {INDEX}")
    try:
        index = json.loads(_small(hub, source, by_path[INDEX]))
        for path in wanted(by_path, _components(index)):
            _bring(hub, source, by_path[path], place)
        (source.folder / _WHOLE).write_text(f"{repository} {source.revision}\n", "utf-8")
    except OSError as error:
        raise ConfigError(f"{source.folder} cannot be written: {error.strerror or error}") from None


def wanted(paths: Iterable[str], parts: Mapping[str, str]) -> list[str]:
    """Choose the files a pipeline needs: its configuration, and one safe version of its weights.

    Half precision goes before full where both are there: it is half as long, and what a graphics
    processor computes in. Raises ConfigError for a component whose weights are pickles only.
    """
    found = [INDEX]
    for name in parts:
        inside = [one for one in paths if str(PurePosixPath(one).parent) == name]
        found += [one for one in inside if one.endswith(_SMALL) and not _is_index(one)]
        safe = [one for one in inside if one.endswith(_SAFE) and "non_ema" not in one]
        if not safe and any(one.endswith(_PICKLED) for one in inside):
            raise ConfigError(
                f"the weights of “{name}” are there as a pickle only, which could run code; take "
                "a repository with safetensors"
            )
        half = [one for one in safe if ".fp16" in one]
        plain = [one for one in safe if PurePosixPath(one).name.count(".") == 1]
        chosen = half or plain or safe
        lists = [one for one in inside if _is_index(one) and (".fp16" in one) == bool(half)]
        found += chosen + lists
    return found


def _is_index(path: str) -> bool:
    """Say whether a file lists the pieces of weights, `model.safetensors.index.json` for one."""
    return ".index." in path or path.endswith(".index.json")


def _listed(url: str, source: Source) -> list[dict[str, Any]]:
    """List a repository's files, page by page."""
    rows: list[dict[str, Any]] = []
    following: str | None = f"{url}?recursive=true"
    while following:
        content, headers = _get(following, source, _LARGEST_LISTING)
        try:
            rows += json.loads(content)
        except ValueError:
            raise NotFound(f"the hub lists {source.repository} in an unknown shape") from None
        link = re.search(r"<([^>]+)>;\s*rel=\"next\"", headers.get("Link") or "")
        following = link[1] if link else None
    return rows


def _bring(hub: str, source: Source, row: Mapping[str, Any], place: Mapping[str, Any]) -> None:
    path = PurePosixPath(row["path"])
    target = source.folder / path
    if (lfs := row.get("lfs")) is None:
        content = _small(hub, source, row)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.partial")
        temporary.write_bytes(content)
        temporary.replace(target)
        return
    file = weights.Weights(
        use=f"diffusers:{source.repository}",
        title=path.name,
        repository=str(source.repository),
        revision=source.revision,
        file=path.name,
        sha256=str(lfs["oid"]),
        size=int(lfs["size"]),
        licence="",
        path=str(path),
    )
    progress = place.get("progress")
    weights.resolve(
        file, folder=target.parent, hub=hub, modelscope=None, index=False, progress=progress
    )


def _small(hub: str, source: Source, row: Mapping[str, Any]) -> bytes:
    """Fetch a small file and check it against git's hash of it."""
    path = str(row["path"])
    url = f"{hub}/{source.repository}/resolve/{quote(source.revision, safe='')}/{quote(path)}"
    content, _ = _get(url, source, _LARGEST_SMALL)
    # Git's name of a file's content (git-hash-object): what the hub lists for small files.
    named = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    if named.hexdigest() != row.get("oid"):
        raise NotFound(f"the hub sent another {path} of {source.repository} than it lists")
    return content


def _get(url: str, source: Source, most: int) -> tuple[bytes, Mapping[str, str]]:
    request = urllib.request.Request(url, headers={"User-Agent": "waremill"})
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:
            content: bytes = response.read(most + 1)
            headers = dict(response.headers)
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"the hub answered {error.code}"
    except (OSError, http.client.HTTPException):
        reason = "the hub cannot be reached"
    else:
        if len(content) <= most:
            return content, headers
        reason = "the hub sent more than such a file can have"
    raise NotFound(
        f"the files of {source.repository} could not be fetched ({reason}); put the pipeline's "
        "folder on this machine and name it as diffusers:FOLDER"
    )
