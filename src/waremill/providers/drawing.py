"""What model endpoints that make pictures share, and how the two kinds of request are told apart.

Bytes in and out of `data:` URLs, what a file is by its first bytes, seeds that repeat. Must not
decode a picture, and must not do any I/O.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from waremill.domain import Blob, Chat, ImageRequest, Model
from waremill.errors import ConfigError, SourceError

LARGEST_SEED = 2**31
"""Seeds stay below: some servers keep them in 32 bits with a sign."""
_TAKES = 1_000
_STARTS: Mapping[bytes, str] = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}


def chat_of(request: Chat | ImageRequest, model: Model) -> Chat:
    """Give a request for text; raise ConfigError for one for a picture."""
    if isinstance(request, Chat):
        return request
    raise ConfigError(
        f"model “{model.alias}” ({model.use}) writes text; a picture needs a model that makes "
        "pictures"
    )


def picture_of(request: Chat | ImageRequest, model: Model) -> ImageRequest:
    """Give a request for a picture; raise ConfigError for one for text."""
    if isinstance(request, ImageRequest):
        return request
    raise ConfigError(
        f"model “{model.alias}” ({model.use}) makes pictures; text needs a model that writes"
    )


def seed_of(request: ImageRequest) -> int:
    """Give the seed of a request: its own, or one made of its words, so that asking again repeats.

    Samples and takes of one request have different seeds.
    """
    own = request.options.get("seed")
    if own is None:
        words = f"{request.prompt}\0{request.negative}".encode()
        own = int.from_bytes(blake2b(words, digest_size=4).digest(), "big")
    return (int(own) + request.sample + _TAKES * request.take) % LARGEST_SEED


def options_of(request: ImageRequest, reserved: Iterable[str], model: Model) -> dict[str, Any]:
    """Give the settings handed on to the model as they are, without the seed.

    Raises ConfigError for one that the request itself decides.
    """
    found = {name: value for name, value in request.options.items() if name != "seed"}
    if taken := sorted(found.keys() & set(reserved)):
        raise ConfigError(
            f"model “{model.alias}”: “{taken[0]}” cannot be set in options; the request decides it"
        )
    return found


def read_data_url(url: str) -> Blob:
    """Give a `data:` URL's bytes and media type; raise SourceError for anything else."""
    content = decode(base64_of(url))
    if content is None:
        raise SourceError("a picture for a model is not valid base64")
    return Blob(url[5:].partition(";")[0], content)


def base64_of(url: str) -> str:
    """Give a `data:` URL's bytes as the base64 they are in; raise SourceError for anything else."""
    head, _, data = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        raise SourceError("a picture for a model must be a stored file, and this one is none")
    return data


def decode(text: Any) -> bytes | None:
    """Read base64, bare or in a `data:` URL; None for what is neither."""
    if not isinstance(text, str):
        return None
    bare = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(bare, validate=True)
    except (binascii.Error, ValueError):
        return None


def blob_of(content: bytes | None) -> Blob | None:
    """Give a picture's bytes with their media type, told by how they begin; None for no picture."""
    if not content:
        return None
    for start, kind in _STARTS.items():
        if content.startswith(start):
            return Blob(kind, content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return Blob("image/webp", content)
    if content[4:12] in (b"ftypavif", b"ftypavis"):
        return Blob("image/avif", content)
    return None


def multipart(parts: Iterable[tuple[str, str | tuple[str, Blob]]]) -> tuple[bytes, str]:
    """Write a form as `multipart/form-data` (RFC 7578): the body, and its content type.

    A part is a name with its text, or with a file's name and bytes. The boundary is made of the
    content, so equal forms are equal bytes.
    """
    heads: list[tuple[bytes, bytes]] = []
    mark = blake2b(digest_size=16)
    for name, value in parts:
        if isinstance(value, str):
            head, content = f'form-data; name="{name}"\r\n', value.encode()
        else:
            file, blob = value
            head = f'form-data; name="{name}"; filename="{file}"\r\nContent-Type: {blob.media_type}'
            head, content = f"{head}\r\n", blob.content
        heads.append((head.encode(), content))
        mark.update(head.encode())
        mark.update(content)
    boundary = f"waremill-{mark.hexdigest()}"
    body = b"".join(
        b"--%b\r\nContent-Disposition: %b\r\n%b\r\n" % (boundary.encode(), head, content)
        for head, content in heads
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
