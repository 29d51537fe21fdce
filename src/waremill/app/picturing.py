"""The use case *operate*: one operation on one picture, or on a folder of them, without a run.

The same code as the steps: what a pipeline would store comes out as files. Reading, operating and
encoding of several pictures overlap on as many threads as there are cores. A file is written whole
or not at all, and one that cannot be used keeps nobody from the others.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from waremill.app.keeping import IMAGES
from waremill.catalog.publishers import whole_file
from waremill.errors import ConfigError, SourceError, UserError, Where
from waremill.rules.document import suggestion
from waremill.settings import find_workspace, weights_place, workspace_files
from waremill.weights import HUGGING_FACE, default_folder, resolve

if TYPE_CHECKING:
    from waremill.images.operation import Operation, Tools
    from waremill.images.picture import Encoded

SUFFIXES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
    ".avif": "image/avif",
}  # fmt: skip
"""What can be written, by suffix."""
WRITTEN = tuple(dict.fromkeys(SUFFIXES.values()))
"""The media types a result may be written as."""
READ = {*SUFFIXES, ".gif", ".tif", ".tiff", ".bmp"}
"""What is taken of a folder; a single file may be called anything."""


@dataclass(slots=True)
class Operated:
    """What was made: pairs of source and result, and what could not be used, with why."""

    made: list[tuple[Path, Path]] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)
    error: UserError | None = None
    """The last failure, as it was raised."""
    skipped: int = 0


def operation_named(name: str) -> Operation[Any]:
    """Give an operation by name; raises ConfigError with a suggestion."""
    known = all_operations()
    if name not in known:
        raise ConfigError(f"there is no image operation “{name}”{suggestion(name, known)}")
    return known[name]


def all_operations() -> Mapping[str, Operation[Any]]:
    """Give every operation by name; raises ConfigError where pictures' libraries are missing."""
    try:
        from waremill.images.operation import operations

        return operations()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("waremill"):
            raise
        raise ConfigError(IMAGES) from error


def operate(
    name: str,
    source: Path,
    target: Path,
    settings: Mapping[str, Any],
    *,
    folder: str | Path | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Operated:
    """Apply an operation to a file, or to every picture of a folder and the folders in it.

    `settings` are the operation's options as text or values; those that are pictures themselves are
    paths. In a folder each result keeps its source's name; one with transparency ends in `.png`
    where its own ending cannot hold it. `folder` is where to look for a workspace, whose presets
    and fonts are used; there need be none. `progress` is called with how many are done of how many.

    Raises ConfigError for what cannot work at all; a picture that cannot be used is in `failed`.
    """
    operation = operation_named(name)
    given = dict(settings)
    pictures = {one: Path(str(given.pop(one))) for one in operation.pictures if given.get(one)}
    jobs, skipped = _jobs(source, target)
    found = Operated(skipped=skipped)
    count = threads or os.cpu_count() or 1
    # Many pictures keep the cores busy one each; a single one takes them all.
    tools = _tools(folder, count if len(jobs) == 1 else 1)
    read = frozenset(path.resolve() for path in (*(job[0] for job in jobs), *pictures.values()))
    work = _Work(operation, given, pictures, tools, read)
    done = 0
    with ThreadPoolExecutor(max_workers=count, thread_name_prefix="picture") as pool:
        try:
            for (origin, _), future in _overlapping(pool, work, jobs, count + 2):
                done += 1
                try:
                    found.made += [(origin, one) for one in future.result()]
                except UserError as error:
                    found.failed.append((origin, error.message))
                    found.error = error
                if progress is not None:
                    progress(done, len(jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    # As they were done, they would stand in another order each time.
    found.made.sort(key=lambda one: one[0])
    found.failed.sort(key=lambda one: one[0])
    if source.is_file() and found.error is not None:
        if found.error.where is not None:  # it says itself what it is about
            raise found.error
        raise SourceError(found.error.message, Where(file=str(source)))
    return found


Job = tuple[Path, Path]
"""A picture's file, and the file its result is written to; its ending may still change."""


def _overlapping(
    pool: ThreadPoolExecutor, work: _Work, jobs: Sequence[Job], most: int
) -> Iterator[tuple[Job, Future[list[Path]]]]:
    """Hand out jobs, never more than `most` at once, and give each when it is done."""
    waiting: dict[Future[list[Path]], Job] = {}
    rest = iter(jobs)
    exhausted = False
    while waiting or not exhausted:
        while not exhausted and len(waiting) < most:
            job = next(rest, None)
            if job is None:
                exhausted = True
            else:
                waiting[pool.submit(work, *job)] = job
        if waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), future


class _Work:
    """An operation with its options, ready to be called from several threads with a job."""

    def __init__(
        self,
        operation: Operation[Any],
        settings: Mapping[str, Any],
        pictures: Mapping[str, Path],
        tools: Tools,
        sources: frozenset[Path],
    ) -> None:
        from waremill.images.operation import read_options
        from waremill.images.reading import read_picture

        self._operation = operation
        self._tools = tools
        others = {
            name: read_picture(_content(path), name=str(path)) for name, path in pictures.items()
        }
        self._others = tuple(others.values())
        self._options = read_options(operation.options, {**settings, **others}, operation.name)
        if preset := getattr(self._options, "preset", ""):
            from waremill.images.presets import find_preset, presets

            find_preset(preset, presets(tools.files))
        self._sources = sources
        self._written: dict[Path, Path] = {}
        self._lock = Lock()

    def __call__(self, source: Path, target: Path) -> list[Path]:
        from waremill.images.applying import apply
        from waremill.images.reading import read_picture

        picture = read_picture(_content(source), name=str(source))
        kind = SUFFIXES.get(target.suffix.lower(), "image/png")
        parts = apply(self._operation, picture, self._options, self._tools, self._others, kind)
        written = []
        for number, part in enumerate(parts, 1):
            place = target
            if len(parts) > 1:
                place = target.with_name(f"{target.stem}-{number}{target.suffix}")
            written.append(self._write(part, place, source))
        return written

    def _write(self, file: Encoded, target: Path, source: Path) -> Path:
        """Write one result; refuse a source's place, and another picture's result's in this call.

        What a result is called is known only now: its ending and number depend on what was made.
        """
        path = target.with_suffix(_suffix(file, target))
        if path.resolve() in self._sources:
            raise SourceError(
                f"its result would be {path.name}, which is a picture that is read; choose another "
                "name or folder for the results"
            )
        with self._lock:
            other = self._written.setdefault(path, source)
        if other != source:
            raise SourceError(
                f"its result would be {path.name}, which is that of {other.name}; rename one"
            )
        with whole_file(path) as temporary:
            temporary.write_bytes(file.content)
        return path


def _suffix(made: Encoded, target: Path) -> str:
    if SUFFIXES.get(target.suffix.lower()) == made.media_type:
        return target.suffix
    return next(suffix for suffix, kind in SUFFIXES.items() if kind == made.media_type)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise SourceError(
            f"the picture cannot be opened: {reason}", Where(file=str(path))
        ) from None


def _jobs(source: Path, target: Path) -> tuple[list[Job], int]:
    """Pair sources with targets; also say how many files of a folder are no pictures."""
    if source.is_dir():
        if target.is_file():
            raise ConfigError("this is a file; name a folder for the results", Where(str(target)))
        inside = target.resolve().is_relative_to(source.resolve())
        if inside:
            raise ConfigError(
                "the results cannot go into the folder the pictures are read from",
                Where(str(target)),
            )
        every = sorted(path for path in source.rglob("*") if path.is_file())
        chosen = [
            path
            for path in every
            if path.suffix.lower() in READ and not _hidden(path.relative_to(source))
        ]
        if not chosen:
            raise SourceError("there is no picture in this folder", Where(file=str(source)))
        return _named(source, target, chosen), len(every) - len(chosen)
    if not source.exists():
        raise SourceError("there is no such file or folder", Where(file=str(source)))
    if target.is_dir():
        target = target / source.name
    elif target.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"name the result with one of the endings {', '.join(SUFFIXES)}", Where(str(target))
        )
    if target.resolve() == source.resolve():
        raise ConfigError("the result would replace its source", Where(file=str(target)))
    return [(source, target)], 0


def _hidden(path: Path) -> bool:
    """Say whether a part of a path is hidden: a workspace's own files, what other systems leave."""
    return any(part.startswith(".") for part in path.parts)


def _named(source: Path, target: Path, chosen: Sequence[Path]) -> list[Job]:
    """Name each picture's result as the picture; those that differ in their ending alone keep it.

    `a.jpg` and `a.webp` become `a-jpg` and `a-webp`, whatever the results' endings.
    """
    often = Counter((path.parent, path.stem.casefold()) for path in chosen)
    jobs = []
    for path in chosen:
        place = target / path.relative_to(source)
        if often[path.parent, path.stem.casefold()] > 1:
            place = place.with_name(f"{path.stem}-{path.suffix[1:]}{path.suffix}")
        jobs.append((path, place))
    return jobs


def _tools(folder: str | Path | None, threads: int) -> Tools:
    """Give what operations use: models' files, and a workspace's presets and fonts where one is."""
    from waremill.images.operation import Tools

    place, hub = weights_place(folder)

    def weights(name: str) -> Path:
        return resolve(name, folder=place or default_folder(), hub=hub or HUGGING_FACE)

    start = Path.cwd() if folder is None else Path(folder)
    with suppress(ConfigError):
        root = find_workspace(start)
        return Tools(weights, threads, (root / "fonts",), workspace_files(root))
    return Tools(weights, threads)
