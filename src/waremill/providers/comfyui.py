"""ComfyUI: a workflow is filled in, queued, waited for, and its pictures are fetched.

`POST /upload/image` for every picture the workflow starts from, `POST /prompt`, `GET /history/ID`
until it is done, `GET /view` for what the SaveImage nodes wrote. The model's `workflow` setting
names the file; what it says is part of the model's identity. A prompt that nobody waits for any
more is taken out of the queue. Must not retry, cache or count.

Sources, read 2026-11: docs.comfy.org (“Routes”), `server.py` and `execution.py` of ComfyUI.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from waremill.domain import Blob, Chat, Emit, ImageRequest, Model, Response, Usage
from waremill.errors import ConfigError, ProviderError, Rejected, Unavailable
from waremill.providers.drawing import (
    blob_of,
    multipart,
    options_of,
    picture_of,
    read_data_url,
    seed_of,
)
from waremill.providers.failures import detail_of, error_for
from waremill.providers.http import Connection, Endpoint, base_urls, identity
from waremill.providers.probe import Check
from waremill.providers.workflow import Workflow

VENDORS: frozenset[str] = frozenset({"comfyui"})
DEFAULT_URL = "http://127.0.0.1:8188"
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
"""Seconds between two looks at whether a picture is done: grown by half each time, up to this."""
LOOKS_A_QUEUE = 5
"""After so many looks the queue is asked whether it still has the prompt."""
WITHDRAW_SECONDS = 5.0

_RESERVED = ("prompt", "negative", "width", "height", "image", "mask")


def open_provider(model: Model) -> ComfyUI:
    """Open a workflow of a server; ConfigError says what its settings lack."""
    if not model.name:
        raise ConfigError(f"model “{model.alias}”: write {model.vendor}:NAME")
    if model.workflow is None:
        raise ConfigError(
            f"model “{model.alias}” ({model.use}) needs a workflow: the name of a file in the "
            "workspace, such as workflows/scene.json"
        )
    try:
        workflow = Workflow.read(model.workflow)
    except ConfigError as error:
        raise ConfigError(f"model “{model.alias}”: {error.message}") from None
    return ComfyUI(model, workflow, base_urls(model, DEFAULT_URL))


class ComfyUI:
    """One workflow on one server; see `waremill.domain.Provider`."""

    def __init__(self, model: Model, workflow: Workflow, urls: tuple[str, ...]) -> None:
        self._model = model
        self._workflow = workflow
        digest = sha256((model.workflow or "").encode()).hexdigest()
        self._identity = f"{identity(model, urls)} workflow={digest}"
        self._connection = Connection(model, urls, {"Authorization": "Bearer {key}"})
        self.slots = 2 * len(urls)
        """A server works on one picture at a time; a second waits there, so that it never idles."""

    def __repr__(self) -> str:
        return f"ComfyUI({self._model.use})"

    @property
    def identity(self) -> str:
        """The model's `use`, base URLs, and the sha256 of its workflow."""
        return self._identity

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.aclose()

    async def __call__(self, request: Chat | ImageRequest, emit: Emit | None = None) -> Response:
        """Send one request once; see `waremill.domain.Provider`. Nothing is streamed.

        The model's `timeout` bounds the whole: waiting in the server's queue, too.
        """
        request = picture_of(request, self._model)
        values = self._values(request)
        self._workflow.filled(values)  # what is missing is said before anything is sent
        endpoint = self._connection.pick()
        number = str(uuid.uuid4())
        try:
            async with asyncio.timeout(self._model.timeout):
                values.update(await self._upload(request, endpoint))
                nodes = self._workflow.filled(values)
                number = await self._queue(nodes, number, endpoint)
                done = await self._wait(number, endpoint)
                pictures = await self._fetch(done, endpoint)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise self._connection.broken("sent a reply of an unknown shape", number) from None
        except TimeoutError:
            await self._withdraw(number, endpoint)
            raise self._connection.source.unavailable(
                f"did not finish the picture within {self._model.timeout:g} s"
            ) from None
        except asyncio.CancelledError:
            await self._withdraw(number, endpoint)
            raise
        return Response("", "complete", Usage(), self._model.name, number, pictures)

    def _values(self, request: ImageRequest) -> dict[str, Any]:
        """Give what may be filled in; pictures have the names they will have once uploaded."""
        alias, places = self._model.alias, self._workflow.places
        if (request.sample or request.take) and "seed" not in places:
            raise ConfigError(
                f'model “{alias}”: the workflow has no "{{{{seed}}}}", so another picture of the '
                "same prompt would be the same"
            )
        names = _names(request)
        if unused := sorted(names.keys() - places):
            raise ConfigError(
                f'model “{alias}”: the request has a picture for "{{{{{unused[0]}}}}}", and the '
                "workflow has no such place"
            )
        wishes = (
            ("steps", request.steps),
            ("guidance", request.guidance),
            ("strength", request.strength),
        )
        return {
            **options_of(request, _RESERVED, self._model),
            "prompt": request.prompt,
            "negative": request.negative,
            "width": request.width,
            "height": request.height,
            "seed": seed_of(request),
            **{name: value for name, value in wishes if value is not None},
            **names,
        }

    async def _upload(self, request: ImageRequest, endpoint: Endpoint) -> dict[str, str]:
        """Send the pictures to start from; give the names the server knows them by."""
        found = {}
        for place, url in _names(request).items():
            blob = read_data_url(url)
            ending = blob.media_type.rpartition("/")[2]
            # Named by content: sending it again changes nothing.
            name = f"waremill-{sha256(blob.content).hexdigest()}.{ending}"
            body, kind = multipart(
                (("image", (name, blob)), ("type", "input"), ("overwrite", "true"))
            )
            reply = await self._json("POST", "/upload/image", endpoint, body, kind)
            folder = reply.get("subfolder")
            found[place] = f"{folder}/{reply['name']}" if folder else str(reply["name"])
        return found

    async def _queue(self, nodes: dict[str, Any], number: str, endpoint: Endpoint) -> str:
        body = orjson.dumps({"prompt": nodes, "prompt_id": number, "client_id": "waremill"})
        reply = await self._json("POST", "/prompt", endpoint, body)
        if reply.get("node_errors"):  # some outputs are valid, others are not and would be missing
            await self._withdraw(str(reply.get("prompt_id")), endpoint)
            raise error_for(self._connection.source, 400, {}, detail_of(reply), number)
        return str(reply["prompt_id"])  # older servers choose it themselves

    async def _wait(self, number: str, endpoint: Endpoint) -> Mapping[str, Any]:
        """Give the finished prompt's entry in the history."""
        pause, looks = FIRST_PAUSE, 0
        while True:
            gone = looks % LOOKS_A_QUEUE == LOOKS_A_QUEUE - 1 and not await self._waiting(
                number, endpoint
            )
            history = await self._json("GET", f"/history/{number}", endpoint)
            if (entry := history.get(number)) is not None:
                self._judge(entry, number)
                return dict(entry)
            if gone:
                raise self._connection.broken("lost the prompt; was it restarted?", number)
            await asyncio.sleep(pause)
            pause, looks = min(pause * 1.5, LONGEST_PAUSE), looks + 1

    def _judge(self, entry: Mapping[str, Any], number: str) -> None:
        status = entry.get("status") or {}
        if status.get("status_str", "success") != "error":
            return
        messages = dict(one for one in status.get("messages") or () if len(one) == 2)
        error = messages.get("execution_error") or {}
        kind = str(error.get("exception_type") or "")
        source = self._connection.source
        if "execution_interrupted" in messages or "outofmemory" in kind.lower():
            why = "ran out of memory" if kind else "was interrupted"
            raise source.unavailable(why, status=200, request_id=number)
        words = str(error.get("exception_message") or "no reason given")
        raise Rejected(
            source.clean(f"{source.vendor} failed in node {error.get('node_type')}: {words}"),
            provider=source.vendor,
            model=source.model,
            status=200,
            request_id=number,
        )

    async def _fetch(self, entry: Mapping[str, Any], endpoint: Endpoint) -> tuple[Blob, ...]:
        """Fetch what was saved, node by node in their order; previews where nothing was."""
        outputs = entry.get("outputs") or {}
        images = [
            image
            for number in sorted(outputs, key=lambda one: (len(one), one))
            for image in outputs[number].get("images") or ()
        ]
        saved = [one for one in images if one.get("type") == "output"] or images
        if not saved:
            raise Rejected(
                f"{self._model.vendor} made no picture: the workflow has no SaveImage node",
                provider=self._model.vendor,
                model=self._model.name,
                status=200,
            )
        found = []
        for one in saved:
            wanted = {name: one.get(name) or "" for name in ("filename", "subfolder", "type")}
            reply = await self._connection.send(
                "GET", f"/view?{urlencode(wanted)}", endpoint=endpoint
            )
            blob = blob_of(reply.body)
            if blob is None:
                raise self._connection.broken("sent something that is no picture")
            found.append(blob)
        return tuple(found)

    async def _waiting(self, number: str, endpoint: Endpoint, parts: tuple[str, ...] = ()) -> bool:
        """Say whether the server's queue has a prompt, running or pending."""
        queue = await self._json("GET", "/queue", endpoint)
        entries = (
            one for part in parts or ("queue_running", "queue_pending") for one in queue[part]
        )
        return any(len(one) > 1 and one[1] == number for one in entries)

    async def _withdraw(self, number: str, endpoint: Endpoint) -> None:
        """Take a prompt out of the queue, and stop it if it is being worked on.

        Only then: an older server stops whatever it works on, and that may be somebody else's.
        """
        with suppress(ProviderError, TimeoutError):
            async with asyncio.timeout(WITHDRAW_SECONDS):
                send = self._connection.send
                dropped = orjson.dumps({"delete": [number]})
                await send("POST", "/queue", dropped, endpoint=endpoint)
                if await self._waiting(number, endpoint, ("queue_running",)):
                    stopped = orjson.dumps({"prompt_id": number})
                    await send("POST", "/interrupt", stopped, endpoint=endpoint)

    async def _json(
        self,
        method: str,
        path: str,
        endpoint: Endpoint,
        body: bytes = b"",
        kind: str = "application/json",
    ) -> dict[str, Any]:
        reply = await self._connection.send(method, path, body, kind=kind, endpoint=endpoint)
        try:
            data = orjson.loads(reply.body)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise self._connection.broken("sent a reply that is not JSON")
        return data

    async def check(self) -> tuple[Check, ...]:
        """Say whether the server answers and has every kind of node; no picture is made."""
        endpoint = self._connection.pick()
        try:
            await self._json("GET", "/system_stats", endpoint)
            missing = [
                kind
                for kind in self._workflow.kinds
                if not await self._json("GET", f"/object_info/{quote(kind, safe='')}", endpoint)
            ]
        except ProviderError as error:
            return (Check("reachable", not isinstance(error, Unavailable), error.message),)
        words = f"the server has no {', '.join(missing)}" if missing else ""
        return (Check("reachable", True), Check("model", not missing, words))


def _names(request: ImageRequest) -> dict[str, str]:
    """Give the `data:` URLs by place: image, image_2 …, mask."""
    found = {
        "image" if number == 1 else f"image_{number}": url
        for number, url in enumerate(request.images, 1)
    }
    return found if request.mask is None else {**found, "mask": request.mask}
