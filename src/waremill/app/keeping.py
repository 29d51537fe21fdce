"""The wiring of files: where pictures are kept, which ones products may name, which threads work.

A product names a picture by a path inside the workspace (or a folder that `pictures.folders` adds)
or by a web address. Whoever can import a sheet can write such names, so nothing else is opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

from waremill.app.reaching import open_session
from waremill.errors import ConfigError, SourceError
from waremill.runs.files import RunFiles
from waremill.settings import Settings
from waremill.store.assets import Assets
from waremill.store.database import Database
from waremill.store.journal import Journal
from waremill.weights import HUGGING_FACE, default_folder, resolve

LARGEST = 256 * 1024**2
"""Most bytes a picture's file may have."""
ADDRESS_SECONDS = 60.0
IMAGES = "pictures need the extra “images”: pip install 'waremill[images]'"


@lru_cache(maxsize=8)
def storage_at(place: str) -> Assets:
    """Open the storage at a place, once a process."""
    return Assets(place)


@lru_cache(maxsize=8)
def threads(count: int) -> ThreadPoolExecutor:
    """Give the threads pictures are worked on, once a process for each number of them."""
    return ThreadPoolExecutor(max_workers=count, thread_name_prefix="picture")


def open_files(settings: Settings, database: Database, journal: Journal) -> RunFiles:
    """Open the files of a workspace for whoever works with this journal."""
    pictures = settings.pictures
    return RunFiles(
        database, journal, storage_at(pictures.storage), Bringer(settings),
        threads(pictures.threads), pictures.threads,
    )  # fmt: skip


class Bringer:
    """Gets the picture a product names: called with a path or an address."""

    def __init__(self, settings: Settings) -> None:
        self._folders = (settings.root, *settings.pictures.folders)
        self._storage = Path(settings.pictures.storage).resolve()

    async def __call__(self, source: str) -> tuple[bytes, str]:
        """Give a picture's content and media type; raises SourceError with what is wrong."""
        if urlsplit(source).scheme in ("http", "https"):
            content = await _download(source)
        else:
            content = await asyncio.to_thread(self._read, source)
        return content, await asyncio.to_thread(_media_type, content, source)

    def _read(self, source: str) -> bytes:
        """Read a file inside one of the folders; links may not lead out of them."""
        for name in dict.fromkeys((source, unquote(source))):
            for folder in self._folders:
                path = _inside(folder, name)
                if path is None or path.is_relative_to(self._storage):
                    continue  # stored pictures of everybody's are no product's photos
                if path.stat().st_size > LARGEST:
                    raise SourceError(f"the picture “{source}” is larger than {LARGEST >> 20} MB")
                return path.read_bytes()
        raise SourceError(
            f"there is no picture “{source}” in the workspace; name a path inside it, or add its "
            "folder to pictures.folders in waremill.toml"
        )


def _inside(folder: Path, name: str) -> Path | None:
    if not name or "\0" in name:
        return None
    try:
        root = folder.resolve()
        path = (root / name).resolve()
        usable = path.is_relative_to(root) and path.is_file()
        # The workspace's own state lies in hidden folders: uploads, and stored pictures.
        usable = usable and not any(one.startswith(".") for one in path.relative_to(root).parts)
    except (OSError, ValueError):
        return None
    return path if usable else None


async def _download(address: str) -> bytes:
    import aiohttp

    try:
        async with (
            open_session(private=False, timeout=ADDRESS_SECONDS) as session,
            session.get(address, max_redirects=3) as reply,
        ):
            if reply.status != 200:
                raise SourceError(f"the picture at {address} answers with status {reply.status}")
            content = bytearray()
            async for chunk in reply.content.iter_chunked(1 << 16):
                content += chunk
                if len(content) > LARGEST:
                    raise SourceError(f"the picture at {address} is larger than {LARGEST >> 20} MB")
            return bytes(content)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        # Why is not said: whoever writes addresses could ask which machines there are.
        raise SourceError(f"the picture at {address} cannot be fetched") from None


def _media_type(content: bytes, source: str) -> str:
    images("reading a picture")
    from waremill.images.reading import identify

    try:
        return identify(content).media_type
    except SourceError as error:
        raise SourceError(f"“{source}”: {error.message}") from None


def images(what: str) -> None:
    """Raise ConfigError where what pictures need is not installed; `what` is what needs it."""
    try:
        for one in ("cv2", "PIL"):
            import_module(one)  # one that is there and cannot be loaded counts as missing
    except ImportError as error:
        raise ConfigError(f"{what}: {IMAGES}") from error


def weights_of(settings: Settings) -> Callable[[str], Path]:
    """Give what finds the weights of picture models: the models folder, else their sources."""

    def find(name: str) -> Path:
        return resolve(
            name, folder=settings.models_folder or default_folder(),
            hub=settings.hub or HUGGING_FACE, root=settings.root,
        )  # fmt: skip

    return find
