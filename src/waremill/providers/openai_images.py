"""OpenAI's images API, and every vendor and server that speaks it.

`/images/generations` makes a picture of words, `/images/edits` one of pictures and words, with a
mask where only part may change. `options` are further fields of the request, such as `quality`,
`background` or `input_fidelity`. Must not retry, cache or count.

The API knows no negative prompt, no seed, no strength, no steps and no guidance: what must not be
in the picture is said in words after the prompt, the others are left out. Its mask is a picture
that is transparent where it may change, and is made of ours; it guides the model and does not bind
it.

Sources, read 2026-11: OpenAI API reference (Create image, Create image edit), guide “Image
generation” (sizes, masks).
"""

from __future__ import annotations

import asyncio
import io
import math
import re
from typing import Any
from urllib.parse import urlsplit

import orjson

from waremill.domain import Blob, Chat, Emit, ImageRequest, Model, Response, Usage
from waremill.errors import ConfigError, ProviderError, Refused, SourceError
from waremill.providers.drawing import (
    blob_of,
    decode,
    multipart,
    options_of,
    picture_of,
    read_data_url,
)
from waremill.providers.http import Connection, Endpoint, base_urls, identity, require_key
from waremill.providers.probe import Check

VENDORS: frozenset[str] = frozenset({"openai-images"})
DEFAULT_URL = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"

_RESERVED = ("model", "prompt", "size", "image", "images", "mask", "stream", "partial_images")
_OWN = re.compile(r"(chat)?gpt-image")
"""OpenAI's own models: they always send bytes, and refuse to be asked for them."""
_FIXED = re.compile(r"gpt-image-1|chatgpt-image")
_FIXED_SIZES = ((1024, 1024), (1536, 1024), (1024, 1536))
_STEP, _LONGEST, _WIDEST = 16, 3840, 3.0
_LEAST, _MOST = 655_360, 8_294_400
"""What gpt-image-2 and later take: sides in steps of 16, the longest of them, the ratio of the
sides, and how many pixels (guide “Image generation”)."""


def open_provider(model: Model) -> OpenAIImages:
    """Open a model that speaks the images API; ConfigError says what its settings lack."""
    if not model.name:
        raise ConfigError(f"model “{model.alias}”: write {model.vendor}:NAME")
    urls = base_urls(model, DEFAULT_URL)
    require_key(model, urls, KEY)
    return OpenAIImages(model, urls)


class OpenAIImages:
    """One model behind the images API; see `waremill.domain.Provider`."""

    def __init__(self, model: Model, urls: tuple[str, ...]) -> None:
        self._model = model
        self._identity = identity(model, urls)
        self._connection = Connection(model, urls, {"Authorization": "Bearer {key}"})

    def __repr__(self) -> str:
        return f"OpenAIImages({self._model.use})"

    @property
    def identity(self) -> str:
        """The model's `use` and base URLs."""
        return self._identity

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.aclose()

    async def __call__(self, request: Chat | ImageRequest, emit: Emit | None = None) -> Response:
        """Send one request once; see `waremill.domain.Provider`. Nothing is streamed.

        A picture of another size than asked for is given as it came.
        """
        request = picture_of(request, self._model)
        fields = self._fields(request)
        if request.images:
            path = "/images/edits"
            body, kind = multipart([*_texts(fields), *await self._files(request)])
        else:
            path, body, kind = "/images/generations", orjson.dumps(fields), "application/json"
        endpoint = self._connection.pick()
        try:
            reply = await self._connection.send("POST", path, body, kind=kind, endpoint=endpoint)
        except Refused as error:
            return Response(error.message, "refused", Usage(), self._model.name, error.request_id)
        broken = self._connection.broken
        try:
            data = orjson.loads(reply.body)
            rows = data.get("data") or ()
            usage = _usage(data.get("usage"))
            pictures = [await self._picture(row, endpoint) for row in rows]
        except (ValueError, AttributeError, TypeError):
            raise broken("sent a reply of an unknown shape", reply.request_id) from None
        whole = tuple(one for one in pictures if one is not None)
        if not whole or len(whole) < len(pictures):
            raise broken("sent a reply without a whole picture", reply.request_id)
        return Response("", "complete", usage, self._model.name, reply.request_id, whole)

    def _fields(self, request: ImageRequest) -> dict[str, Any]:
        words = request.prompt
        if request.negative:
            words += f"\n\nThe picture must not show: {request.negative}"
        width, height = size_for(self._model.name, request.width, request.height)
        fields: dict[str, Any] = {
            "model": self._model.name,
            "prompt": words,
            "size": f"{width}x{height}",
            "n": 1,
        }
        if not _OWN.match(self._model.name):
            fields["response_format"] = "b64_json"
        return {**fields, **options_of(request, _RESERVED, self._model)}

    async def _files(self, request: ImageRequest) -> list[tuple[str, tuple[str, Blob]]]:
        blobs = [read_data_url(one) for one in request.images]
        name = "image" if len(blobs) == 1 else "image[]"
        parts = [
            (name, (f"image-{number}.{_ending(blob)}", blob))
            for number, blob in enumerate(blobs, 1)
        ]
        if request.mask is not None:
            given = read_data_url(request.mask)
            mask = await asyncio.to_thread(_transparent_mask, given, blobs[0], self._model)
            parts.append(("mask", ("mask.png", mask)))
        return parts

    async def _picture(self, row: dict[str, Any], endpoint: Endpoint) -> Blob | None:
        """Give a reply's picture, fetching it where the reply only says where it lies.

        Only from the endpoint's own address: whoever answers must not choose whom we call.
        """
        if row.get("b64_json"):
            return blob_of(decode(row["b64_json"]))
        url = urlsplit(str(row.get("url") or ""))
        if url.scheme == "data":
            return blob_of(decode(row["url"]))
        home = urlsplit(endpoint.url)
        if (url.scheme, url.netloc) != (home.scheme, home.netloc.rpartition("@")[2]):
            raise self._connection.broken(
                f"names a picture elsewhere ({url.netloc or 'no address'}), which is not fetched; "
                'set options = {response_format = "b64_json"} if the server knows it'
            )
        return blob_of((await self._connection.send("GET", row["url"], endpoint=endpoint)).body)

    async def list_models(self) -> tuple[str, ...]:
        """Give the names the endpoint offers."""
        reply = await self._connection.send("GET", "/models")
        try:
            return tuple(str(row["id"]) for row in orjson.loads(reply.body)["data"])
        except (ValueError, KeyError, TypeError):
            raise self._connection.broken("listed its models in an unknown shape") from None

    async def check(self) -> tuple[Check, ...]:
        """Say whether the endpoint answers, takes the key and lists the model; nothing is paid."""
        try:
            names = await self.list_models()
        except ProviderError as error:
            reached = error.status is not None
            return (Check("access" if reached else "reachable", False, error.message),)
        here = self._model.name in names
        # Not every server lists what it can do.
        told = Check("model", here or None, "" if here else "the endpoint does not list it")
        return (Check("reachable", True), Check("access", True), told)


def size_for(name: str, width: int, height: int) -> tuple[int, int]:
    """Give the size a model makes that comes nearest to one: same shape first, then area.

    Models that are not OpenAI's are asked for the size as it is.
    """
    if _FIXED.match(name):
        return min(_FIXED_SIZES, key=lambda one: abs(math.log(one[0] * height / one[1] / width)))
    if not _OWN.match(name):
        return width, height
    ratio = min(max(width / height, 1 / _WIDEST), _WIDEST)
    area = min(max(width * height, _LEAST), _MOST)
    sides = math.sqrt(area * ratio), math.sqrt(area / ratio)
    shrink = min(1.0, _LONGEST / max(sides))
    across, down = (_stepped(side * shrink) for side in sides)
    longer, shorter = max(across, down), min(across, down)
    while longer > _WIDEST * shorter:
        longer -= _STEP
    while longer * shorter < _LEAST:
        shorter += _STEP
    while longer * shorter > _MOST:
        longer -= _STEP
    return (longer, shorter) if across > down else (shorter, longer)


def _stepped(side: float) -> int:
    return max(_STEP, round(side / _STEP) * _STEP)


def _texts(fields: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, value if isinstance(value, str) else orjson.dumps(value).decode())
        for name, value in fields.items()
    ]


def _usage(data: Any) -> Usage:
    if not isinstance(data, dict):
        return Usage()
    return Usage(int(data.get("input_tokens") or 0), int(data.get("output_tokens") or 0))


def _ending(blob: Blob) -> str:
    return blob.media_type.rpartition("/")[2].replace("jpeg", "jpg")


def _transparent_mask(mask: Blob, start: Blob, model: Model) -> Blob:
    """Turn a mask, white where the picture may change, into one that is transparent there.

    It gets the size of the picture it is for, as the API wants.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ConfigError(
            f"model “{model.alias}”: masks need the extra “images”: pip install 'waremill[images]'"
        ) from None
    try:
        with Image.open(io.BytesIO(start.content)) as opened:
            size = opened.size
        with Image.open(io.BytesIO(mask.content)) as opened:
            grey = opened.convert("L")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise SourceError(f"a picture for a model cannot be read: {error}") from None
    if grey.size != size:
        grey = grey.resize(size, Image.Resampling.BILINEAR)
    made = Image.new("RGBA", size, (0, 0, 0, 255))
    made.putalpha(ImageOps.invert(grey))
    out = io.BytesIO()
    made.save(out, "PNG")
    return Blob("image/png", out.getvalue())
