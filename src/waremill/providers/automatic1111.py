"""The web API of AUTOMATIC1111's Stable Diffusion web UI, which Forge and others speak too.

`/sdapi/v1/txt2img` without a picture to start from, `/sdapi/v1/img2img` with one, with a mask where
only part may change. The server must run with `--api`. The model's name is a checkpoint's, as the
server lists it; `options` are further fields of the request, by the API's own names. Must not
retry, cache or count.

Source: `modules/api/models.py`, `modules/api/api.py` and `modules/processing.py` of version 1.10,
read 2026-11. Forge keeps these fields and adds some.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import orjson

from waremill.domain import Blob, Chat, Emit, ImageRequest, Model, Response, Usage
from waremill.errors import AccessDenied, ConfigError, ProviderError
from waremill.providers.drawing import (
    base64_of,
    blob_of,
    decode,
    options_of,
    picture_of,
    seed_of,
)
from waremill.providers.http import Connection, base_urls, identity
from waremill.providers.probe import Check

VENDORS: frozenset[str] = frozenset({"automatic1111", "forge"})
DEFAULT_URL = "http://127.0.0.1:7860"

_RESERVED = (
    "prompt", "negative_prompt", "width", "height", "init_images", "mask", "send_images",
)  # fmt: skip
_ENDINGS = (".safetensors", ".ckpt", ".pt", ".gguf")


def open_provider(model: Model) -> Automatic1111:
    """Open a checkpoint of such a server; ConfigError says what its settings lack."""
    if not model.name:
        raise ConfigError(f"model “{model.alias}”: write {model.vendor}:CHECKPOINT")
    return Automatic1111(model, base_urls(model, DEFAULT_URL))


class Automatic1111:
    """One checkpoint of one server; see `waremill.domain.Provider`."""

    def __init__(self, model: Model, urls: tuple[str, ...]) -> None:
        self._model = model
        self._identity = identity(model, urls)
        self.slots = len(urls)
        """A server works on one picture at a time; what waits there would only time out."""
        login = {"Authorization": "Bearer {key}"}
        known = model
        if any(":" in key for key in model.keys):  # --api-auth takes a name with a password
            login = {"Authorization": "Basic {key}"}
            keys = (base64.b64encode(key.encode()).decode("ascii") for key in model.keys)
            known = replace(model, keys=tuple(keys))
        self._connection = Connection(known, urls, login)

    def __repr__(self) -> str:
        return f"Automatic1111({self._model.use})"

    @property
    def identity(self) -> str:
        """The model's `use` and base URLs."""
        return self._identity

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.aclose()

    async def __call__(self, request: Chat | ImageRequest, emit: Emit | None = None) -> Response:
        """Send one request once; see `waremill.domain.Provider`. Nothing is streamed."""
        request = picture_of(request, self._model)
        body = self._body(request)
        kind = "img2img" if request.images else "txt2img"
        reply = await self._connection.send("POST", f"/sdapi/v1/{kind}", orjson.dumps(body))
        try:
            data = orjson.loads(reply.body)
            info = orjson.loads(data.get("info") or "{}")
            pictures = _pictures(data["images"], info)
        except (ValueError, AttributeError, KeyError, TypeError):
            raise self._connection.broken("sent a reply of an unknown shape") from None
        if not pictures:
            raise self._connection.broken("sent a reply without a whole picture")
        made_by = str(info.get("sd_model_name") or "")
        if made_by and _bare(made_by) != _bare(self._model.name):
            raise AccessDenied(
                f"{self._model.vendor} has no checkpoint “{self._model.name}”: it took the one it "
                f"had loaded, “{made_by}”",
                provider=self._model.vendor,
                model=self._model.name,
                status=200,
            )
        return Response("", "complete", Usage(), made_by or self._model.name, None, pictures)

    def _body(self, request: ImageRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            **options_of(request, _RESERVED, self._model),
            "prompt": request.prompt,
            "negative_prompt": request.negative,
            "width": request.width,
            "height": request.height,
            "seed": seed_of(request),
            "send_images": True,
            # Put back after each picture, the checkpoint would be loaded anew for the next one.
            "override_settings_restore_afterwards": False,
        }
        if request.steps is not None:
            body["steps"] = request.steps
        if request.guidance is not None:
            body["cfg_scale"] = request.guidance
        if request.images:
            body["init_images"] = [base64_of(one) for one in request.images]
            if request.strength is not None:
                body["denoising_strength"] = request.strength
            if request.mask is not None:
                body["mask"] = base64_of(request.mask)
                # Begin with what is there, and see the whole picture: not only the masked part,
                # enlarged, which knows nothing of the light around it.
                body.setdefault("inpainting_fill", 1)
                body.setdefault("inpaint_full_res", False)
        wanted = body.get("override_settings")
        own = wanted if isinstance(wanted, dict) else {}
        body["override_settings"] = {**own, "sd_model_checkpoint": self._model.name}
        return body

    async def list_models(self) -> tuple[str, ...]:
        """Give the checkpoints the server has."""
        reply = await self._connection.send("GET", "/sdapi/v1/sd-models")
        try:
            rows = orjson.loads(reply.body)
            return tuple(str(row.get("model_name") or row["title"]) for row in rows)
        except (ValueError, AttributeError, KeyError, TypeError):
            raise self._connection.broken("listed its checkpoints in an unknown shape") from None

    async def check(self) -> tuple[Check, ...]:
        """Say whether the server answers and has the checkpoint; no picture is made."""
        try:
            names = await self.list_models()
        except ProviderError as error:
            return (Check("reachable", False, error.message),)
        here = _bare(self._model.name) in map(_bare, names)
        detail = "" if here else f"it has {', '.join(names[:5]) or 'none'}"
        return (Check("reachable", True), Check("model", here, detail))


def _pictures(images: list[Any], info: dict[str, Any]) -> tuple[Blob, ...]:
    """Give the pictures of a reply, without the grid before them and what extensions add after."""
    first = int(info.get("index_of_first_image") or 0)
    count = len(info.get("all_seeds") or images)
    found = [blob_of(decode(image)) for image in images[first : first + count]]
    whole = tuple(one for one in found if one is not None)
    return whole if len(whole) == len(found) else ()


def _bare(name: str) -> str:
    """Give the bare name of a checkpoint listed as `folder/base.safetensors [31e35c80fc]`."""
    bare = name.partition(" [")[0].replace("\\", "/").rpartition("/")[2]
    for ending in _ENDINGS:
        bare = bare.removesuffix(ending)
    return bare.strip().lower()
