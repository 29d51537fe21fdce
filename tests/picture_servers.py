"""Servers that make pictures, on the loopback interface: real HTTP in the real ones' shapes.

`WebUI` speaks AUTOMATIC1111's API, `Comfy` ComfyUI's, `OpenAIImagesServer` OpenAI's images API.
The pictures are plain colours made of the seed or the prompt. They say no where the real ones do:
to fields of the wrong kind, unknown nodes, sizes and masks that do not fit, keys.

`faults` are met one after the other by the requests that make a picture; then all goes well:
`rate_limited`, `unavailable`, `refused`, `malformed` (JSON cut off, with a length that fits),
`truncated` (the picture's base64 cut off), `cut` (the connection), `slow` (`slow_seconds` late).
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from typing import Any

from aiohttp import web

FAULT = web.RequestKey("fault", str)
LARGEST = 64 << 20


def png(width: int, height: int, colour: tuple[int, ...] = (200, 80, 40)) -> bytes:
    """A PNG of one colour, RGB or RGBA."""
    kind = 6 if len(colour) == 4 else 2
    rows = (b"\0" + bytes(colour) * width) * height

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )  # fmt: skip


def png_head(content: bytes) -> tuple[int, int, bool]:
    """A PNG's width, height, and whether it has transparency."""
    assert content.startswith(b"\x89PNG"), content[:8]
    width, height, _, kind = struct.unpack(">IIBB", content[16:26])
    return width, height, kind == 6


def data_url(content: bytes) -> str:
    """A picture as providers are handed it."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def colour_of(text: str) -> tuple[int, int, int]:
    """A colour that stands for a text."""
    red, green, blue = sha256(text.encode()).digest()[:3]
    return red, green, blue


class Server:
    """What the three have in common: running, faults, and what was seen.

    `bodies` are the requests that make a picture, as JSON or form; `answered` counts whole replies
    by what was asked.
    """

    makes: tuple[str, ...] = ()

    def __init__(
        self, faults: Iterable[str] = (), *, slow_seconds: float = 1.0, key: str | None = None
    ) -> None:
        self.faults = list(faults)
        self.slow_seconds, self.key = slow_seconds, key
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.answered: dict[str, int] = {}
        self.calls = 0
        self.url = ""

    async def __aenter__(self) -> Any:
        app = web.Application(client_max_size=LARGEST, middlewares=[self._watch])
        self.add_routes(app.router)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        raise NotImplementedError

    def wrong(self, status: int, words: str) -> web.Response:
        """An error in the server's own shape."""
        raise NotImplementedError

    @web.middleware
    async def _watch(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.paths.append(f"{request.method} {request.path}")
        if self.key is not None and request.headers.get("Authorization") != self.key:
            return self.wrong(401, "Incorrect API key provided")
        if request.path not in self.makes or request.method != "POST":
            return await handler(request)
        self.calls += 1
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "rate_limited":
            return self.wrong(429, "Rate limit reached")
        if fault == "unavailable":
            return self.wrong(500, "something broke")
        if fault == "slow":
            await asyncio.sleep(self.slow_seconds)
        request[FAULT] = fault
        reply = await handler(request)
        if fault == "cut" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{")
            request.transport.close()
        elif fault == "malformed":
            return web.Response(body=reply.body[: len(reply.body) * 2 // 3])
        return reply

    def made(self, asked: dict[str, Any], fault: str) -> None:
        """Note a request, and that it was answered unless something goes wrong with the reply."""
        self.bodies.append(asked)
        if fault in ("", "slow"):
            text = json.dumps(asked, sort_keys=True, default=str)
            self.answered[text] = self.answered.get(text, 0) + 1


def in_base64(content: bytes, fault: str = "") -> str:
    """A picture as base64, cut off where that is the fault."""
    text = base64.b64encode(content).decode()
    return text[: len(text) // 3 * 2 + 1] if fault == "truncated" else text


class WebUI(Server):
    """AUTOMATIC1111's web UI with `--api`; `loaded` is the checkpoint it has loaded.

    As the real one does, it takes the loaded checkpoint where it does not know the one asked for.
    """

    makes = ("/sdapi/v1/txt2img", "/sdapi/v1/img2img")
    whole = ("width", "height", "seed", "steps")

    def __init__(
        self,
        faults: Iterable[str] = (),
        *,
        checkpoints: tuple[str, ...] = ("base", "inpaint"),
        **more: Any,
    ) -> None:
        super().__init__(faults, **more)
        self.checkpoints = checkpoints
        self.loaded = checkpoints[0]
        self.grid = False

    def add_routes(self, router: web.UrlDispatcher) -> None:
        for path in self.makes:
            router.add_post(path, self._make)
        router.add_get("/sdapi/v1/sd-models", self._list)

    def wrong(self, status: int, words: str) -> web.Response:
        body = {"error": "HTTPException", "detail": words, "body": "", "errors": ""}
        return web.json_response(body, status=status)

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response(
            [
                {"title": f"{one}.safetensors [0123456789]", "model_name": one,
                 "hash": "0123456789", "sha256": None, "filename": f"{one}.safetensors"}
                for one in self.checkpoints
            ]
        )  # fmt: skip

    async def _make(self, request: web.Request) -> web.Response:
        body = await request.json()
        for name in self.whole:
            if name in body and not isinstance(body[name], int):
                detail = [{"loc": ["body", name], "msg": "value is not a valid integer"}]
                return web.json_response({"detail": detail}, status=422)
        if request.path.endswith("img2img"):
            if not body.get("init_images"):
                return self.wrong(404, "Init image not found")
            for one in (*body["init_images"], *filter(None, [body.get("mask")])):
                if not base64.b64decode(one).startswith(b"\x89PNG"):
                    return self.wrong(500, "Invalid encoded image")
        self.made(body, request[FAULT])
        wanted = body["override_settings"]["sd_model_checkpoint"]
        if wanted in self.checkpoints:
            self.loaded = wanted
        count = body.get("batch_size", 1)
        seeds = [body["seed"] + number for number in range(count)]
        made = [
            in_base64(png(body["width"], body["height"], colour_of(str(seed))), request[FAULT])
            for seed in seeds
        ]
        first = int(self.grid)
        grid = [in_base64(png(body["width"] * count, body["height"]))] * first
        info = {
            "prompt": body["prompt"], "seed": seeds[0], "all_seeds": seeds,
            "width": body["width"], "height": body["height"], "sd_model_name": self.loaded,
            "index_of_first_image": first,
        }  # fmt: skip
        detected = [in_base64(png(8, 8))] * first  # what an extension appends
        return web.json_response(
            {"images": grid + made + detected, "parameters": body, "info": json.dumps(info)}
        )


class OpenAIImagesServer(Server):
    """OpenAI's images API. `links` says where pictures lie instead of sending them: `here` or the
    host of another server.
    """

    makes = ("/images/generations", "/images/edits")
    sizes = ("1024x1024", "1536x1024", "1024x1536")

    def __init__(
        self,
        faults: Iterable[str] = (),
        *,
        models: tuple[str, ...] = ("gpt-image-1.5", "own-model"),
        links: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__(faults, **more)
        self.models, self.links = models, links
        self.size: tuple[int, int] | None = None
        self._kept: dict[str, bytes] = {}

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/images/generations", self._generate)
        router.add_post("/images/edits", self._edit)
        router.add_get("/models", self._list)
        router.add_get("/made/{name}", self._give)

    def wrong(self, status: int, words: str, code: str | None = None) -> web.Response:
        error = {"message": words, "type": "image_generation_user_error", "code": code}
        return web.json_response({"error": error}, status=status)

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": one} for one in self.models]})

    async def _give(self, request: web.Request) -> web.Response:
        return web.Response(body=self._kept[request.match_info["name"]], content_type="image/png")

    async def _generate(self, request: web.Request) -> web.Response:
        return self._made(await request.json(), request[FAULT])

    async def _edit(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked: dict[str, Any] = {}
        for name, value in form.items():
            if isinstance(value, web.FileField):
                asked.setdefault(name, []).append(value.file.read())
            else:
                asked[name] = value
        images = asked.get("image") or asked.get("image[]")
        if not images:
            return self.wrong(400, "Missing required parameter: 'image'.")
        for mask in asked.get("mask", ()):
            width, height, transparent = png_head(mask)
            if not transparent or (width, height) != png_head(images[0])[:2]:
                return self.wrong(400, "Invalid mask image format", "invalid_image_file")
        return self._made(asked, request[FAULT])

    def _made(self, asked: dict[str, Any], fault: str) -> web.Response:
        own = asked["model"].startswith("gpt-image")
        if asked["model"] not in self.models:
            return self.wrong(
                404, f"The model `{asked['model']}` does not exist", "model_not_found"
            )
        if own and "response_format" in asked:
            return self.wrong(400, "Unknown parameter: 'response_format'.", "unknown_parameter")
        if own and asked["size"] not in self.sizes:
            return self.wrong(400, f"Invalid size '{asked['size']}'.", "invalid_value")
        if fault == "refused":
            words = "Your request was rejected by the safety system."
            return self.wrong(400, words, "moderation_blocked")
        self.made(asked, fault)
        width, height = self.size or tuple(int(one) for one in asked["size"].split("x"))
        rows = []
        for number in range(int(asked["n"])):
            picture = png(width, height, colour_of(asked["prompt"] + str(number)))
            if self.links is None:
                rows.append({"b64_json": in_base64(picture, fault)})
            else:
                name = f"{len(self._kept)}.png"
                self._kept[name] = picture
                host = self.url if self.links == "here" else self.links
                rows.append({"url": f"{host}/made/{name}?sig=a%2Fb"})
        usage = {"input_tokens": 50, "output_tokens": 4160, "total_tokens": 4210,
                 "input_tokens_details": {"text_tokens": 50, "image_tokens": 0}}  # fmt: skip
        return web.json_response(
            {"created": 1, "data": rows, **({"usage": usage} if own else {})},
            headers={"x-request-id": f"req_{self.calls}"},
        )


class Comfy(Server):
    """ComfyUI. `work_seconds` is how long a picture takes; they are made one after the other.

    `ending` is how prompts end: `success`, `error`, `out_of_memory`, `interrupted`, or `lost` (the
    server was restarted). `old` chooses the prompt's number itself, as servers before 2025 do.
    """

    makes = ("/prompt",)
    known = ("CheckpointLoaderSimple", "CLIPTextEncode", "KSampler", "LoadImage", "LoadImageMask",
             "SaveImage", "PreviewImage", "VAEDecode")  # fmt: skip

    def __init__(
        self,
        faults: Iterable[str] = (),
        *,
        ending: str = "success",
        work_seconds: float = 0.0,
        old: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(faults, **more)
        self.ending, self.work_seconds, self.old = ending, work_seconds, old
        self.pending: list[tuple[str, dict[str, Any]]] = []
        self.running: tuple[str, dict[str, Any]] | None = None
        self.history: dict[str, Any] = {}
        self.inputs: dict[str, bytes] = {}
        self.outputs: dict[str, bytes] = {}
        self.interrupted: list[str] = []
        self._arrived = asyncio.Event()
        self._stopped = asyncio.Event()

    async def __aenter__(self) -> Comfy:
        self._worker = asyncio.create_task(self._work())
        await super().__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._worker.cancel()
        await super().__aexit__()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/prompt", self._prompt)
        router.add_post("/upload/image", self._upload)
        router.add_post("/queue", self._change_queue)
        router.add_post("/interrupt", self._interrupt)
        router.add_get("/queue", self._queue)
        router.add_get("/history/{number}", self._history)
        router.add_get("/view", self._view)
        router.add_get("/system_stats", self._stats)
        router.add_get("/object_info/{kind}", self._kind)

    def wrong(self, status: int, words: str) -> web.Response:
        error = {"type": "error", "message": words, "details": "", "extra_info": {}}
        return web.json_response({"error": error, "node_errors": {}}, status=status)

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        file = form["image"]
        assert isinstance(file, web.FileField) and form["overwrite"] == "true"
        self.inputs[file.filename] = file.file.read()
        return web.json_response({"name": file.filename, "subfolder": "", "type": "input"})

    async def _prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        nodes = body["prompt"]
        wrong = {}
        for number, node in nodes.items():
            found = self._wrong_node(node)
            if found:
                wrong[number] = {"errors": [found], "class_type": node["class_type"]}
        if wrong:
            error = {"type": "prompt_outputs_failed_validation", "details": "",
                     "message": "Prompt outputs failed validation"}  # fmt: skip
            return web.json_response({"error": error, "node_errors": wrong}, status=400)
        self.made(nodes, request[FAULT])
        number = f"own-{self.calls}" if self.old else body["prompt_id"]
        self.pending.append((number, nodes))
        self._arrived.set()
        return web.json_response({"prompt_id": number, "number": 1, "node_errors": {}})

    def _wrong_node(self, node: dict[str, Any]) -> dict[str, str] | None:
        inputs = node["inputs"]
        for name in ("seed", "steps", "width", "height"):
            if name in inputs and not isinstance(inputs[name], int):
                words = f"{name}, {inputs[name]}, invalid literal for int()"
                return {
                    "message": "Failed to convert an input value to a INT value",
                    "details": words,
                }
        image = inputs.get("image")
        if isinstance(image, str) and image not in self.inputs:
            return {"message": "Custom validation failed for node", "details": f"image - {image}"}
        return None

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self.pending:
                self.running = number, nodes = self.pending.pop(0)
                self._stopped.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), self.work_seconds)
                if self.ending != "lost":
                    self.history[number] = self._entry(number, nodes)
                self.running = None

    def _entry(self, number: str, nodes: dict[str, Any]) -> dict[str, Any]:
        messages: list[list[Any]] = [["execution_start", {"prompt_id": number}]]
        ending = "interrupted" if number in self.interrupted else self.ending
        if ending == "interrupted":
            messages.append(["execution_interrupted", {"prompt_id": number}])
        elif ending != "success":
            memory = ending == "out_of_memory"
            kind = "torch.OutOfMemoryError" if memory else "RuntimeError"
            about = {"node_type": "KSampler", "exception_type": kind,
                     "exception_message": "sizes of tensors must match"}  # fmt: skip
            messages.append(["execution_error", about])
        whole = ending == "success"
        status = {"status_str": "success" if whole else "error", "completed": whole,
                  "messages": messages}  # fmt: skip
        return {"prompt": [], "outputs": self._saved(nodes) if whole else {}, "status": status}

    def _saved(self, nodes: dict[str, Any]) -> dict[str, Any]:
        seed = next((one["inputs"]["seed"] for one in nodes.values() if "seed" in one["inputs"]), 0)
        kinds = {"SaveImage": "output", "PreviewImage": "temp"}
        found = {}
        for number, node in nodes.items():
            if node["class_type"] in kinds:
                name = f"made {len(self.outputs)}.png"
                self.outputs[name] = png(64, 48, colour_of(f"{seed}{number}"))
                image = {"filename": name, "subfolder": "", "type": kinds[node["class_type"]]}
                found[number] = {"images": [image]}
        return found

    async def _queue(self, _request: web.Request) -> web.Response:
        running = [[0, self.running[0], self.running[1], {}, []]] if self.running else []
        pending = [[0, number, nodes, {}, []] for number, nodes in self.pending]
        return web.json_response({"queue_running": running, "queue_pending": pending})

    async def _change_queue(self, request: web.Request) -> web.Response:
        dropped = (await request.json())["delete"]
        self.pending = [one for one in self.pending if one[0] not in dropped]
        return web.Response()

    async def _interrupt(self, request: web.Request) -> web.Response:
        self.interrupted.append((await request.json())["prompt_id"])
        self._stopped.set()
        return web.Response()

    async def _history(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        return web.json_response({number: self.history[number]} if number in self.history else {})

    async def _view(self, request: web.Request) -> web.Response:
        content = self.outputs.get(request.query["filename"])
        if content is None:
            return web.Response(status=404)
        return web.Response(body=content, content_type="image/png")

    async def _stats(self, _request: web.Request) -> web.Response:
        return web.json_response({"system": {"comfyui_version": "0.3.60"}, "devices": []})

    async def _kind(self, request: web.Request) -> web.Response:
        kind = request.match_info["kind"]
        return web.json_response({kind: {"input": {}}} if kind in self.known else {})
