"""Model hubs over HTTP: the Hugging Face hub, its mirrors, ModelScope."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from waremill.weights.download import CHUNK, Download, SourceFailed
from waremill.weights.registry import Weights

HUGGING_FACE = "https://huggingface.co"
MODELSCOPE = "https://modelscope.cn"

CONNECT_SECONDS = 3.0
"""How long a hub may take to accept a connection before it is passed over for the session."""

READ_SECONDS = 20.0
_ATTEMPTS = 3
_unreachable: set[str] = set()


def hugging_face_url(hub: str, weights: Weights) -> str:
    """Give a file's address on the Hugging Face hub or a mirror of it."""
    return f"{hub.rstrip('/')}/{weights.repository}/resolve/{weights.revision}/{_path(weights)}"


def modelscope_url(hub: str, weights: Weights) -> str:
    """Give a file's address on ModelScope, which mirrors under revisions of its own."""
    return f"{hub.rstrip('/')}/models/{weights.repository}/resolve/master/{_path(weights)}"


def _path(weights: Weights) -> str:
    return weights.path or weights.file


def download_url(url: str, download: Download) -> None:
    """Append a URL's bytes from where the download stands, trying again while it goes forward.

    Raises SourceFailed where that does not make the file whole.
    """
    address = urlsplit(url).netloc
    if address in _unreachable or not _accepts_connections(url):
        _unreachable.add(address)
        raise SourceFailed("cannot be reached")
    for attempt in range(1, _ATTEMPTS + 1):
        before = download.done
        try:
            _read(url, download)
            return
        except SourceFailed:
            if attempt == _ATTEMPTS or download.done <= before:
                raise


def _read(url: str, download: Download) -> None:
    with _open(url, download.done) as response:
        if download.done and response.status != 206:
            download.cut(0)  # the server does not go on from the middle
        length = int(response.headers.get("Content-Length") or 0)
        if length and download.done + length != download.size:
            raise SourceFailed(f"what it has is another file ({download.done + length} bytes)")
        while chunk := _chunk(response):
            download.append(chunk)
    if download.done < download.size:
        raise SourceFailed(f"broke off after {download.done} of {download.size} bytes")


def _open(url: str, done: int) -> Any:
    headers = {"User-Agent": "waremill"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        return urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=READ_SECONDS
        )
    except urllib.error.HTTPError as error:
        error.close()
        raise SourceFailed(f"answered {error.code}") from error
    except (OSError, http.client.HTTPException) as error:
        raise SourceFailed("broke off") from error


def _chunk(response: Any) -> bytes:
    # A broken connection is an OSError, as a full disk is: told apart here.
    try:
        data: bytes = response.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise SourceFailed("broke off") from error
    return data


def _accepts_connections(url: str) -> bool:
    """Say whether a URL's server, or the proxy before it, takes a connection in time.

    In a thread, because looking up a name has no time limit of its own.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    connected = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=CONNECT_SECONDS).close()
        except OSError:
            return
        connected.set()

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    return connected.is_set()
