"""Diffusion models in this process, through `diffusers`: Stable Diffusion 1.5 and XL, FLUX.

The name is a folder with a saved pipeline, or a repository on the hub. Without a picture to start
from one is made of words; with one it is repainted, with a mask only where that is white. One
thread does all the work, on a CUDA device where there is one. The same request gives the same
picture on the same machine. PyTorch and `diffusers` are an extra and are imported on first use.
Must not price, retry or fetch without being told: `waremill models --check` fetches.

Weights are safetensors only, and no code that comes with them is run (see `diffusion_files`).
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import io
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from waremill.domain import Blob, Chat, Emit, ImageRequest, Model, Outcome, Response, Usage
from waremill.errors import (
    AccessDenied,
    ConfigError,
    Rejected,
    SourceError,
    UserError,
)
from waremill.providers import diffusion_files as files
from waremill.providers.cores import physical_cores
from waremill.providers.drawing import options_of, picture_of, read_data_url, seed_of
from waremill.providers.local import let_idle_threads_sleep, weights_from
from waremill.providers.probe import Check

VENDORS: frozenset[str] = frozenset({"diffusers"})
INSTALL = 'pip install "waremill[diffusion]"'
_NEEDED = ("torch", "diffusers", "transformers", "PIL")
_RESERVED = (
    "prompt", "negative_prompt", "width", "height", "image", "mask_image", "strength", "generator",
    "output_type", "return_dict", "num_images_per_prompt", "callback_on_step_end",
)  # fmt: skip
_INPAINTING_CHANNELS = 9
"""Channels a U-Net made for inpainting takes: the latents, the mask, the masked latents."""
_FLAGGED = "the model's safety checker objects to the picture it made"


def open_provider(model: Model) -> Diffusion:
    """Open a pipeline; nothing is fetched or loaded yet.

    Raises ConfigError where the extra is missing, NotFound where the name is none.
    """
    if any(find_spec(name) is None for name in _NEEDED):
        raise ConfigError(f"model “{model.alias}” needs diffusers and PyTorch: {INSTALL}")
    if not model.name:
        raise ConfigError(f"model “{model.alias}”: write diffusers:OWNER/NAME or diffusers:FOLDER")
    return Diffusion(model)


class Diffusion:
    """A provider whose pipeline runs in this process; see `waremill.domain.Provider`.

    The model's `timeout` does not apply: a request waits for the thread as long as it takes.
    """

    slots = 1

    def __init__(self, model: Model) -> None:
        self._model = model
        self._source = files.source_of(model.name, weights_from())
        self._identity: str | None = None
        self._engine: _Engine | None = None

    def __repr__(self) -> str:
        return f"Diffusion({self._model.use})"

    @property
    def identity(self) -> str:
        """`diffusers:` and a sha256 over those of every file, wherever they lie.

        Raises ConfigError where the files are not here yet.
        """
        if self._identity is None:
            if not self._source.here:
                raise ConfigError(
                    f"the files of model “{self._model.alias}” ({self._model.use}) are not here "
                    "yet: `waremill models --check` fetches them"
                )
            self._identity = f"diffusers:{files.digest_of(self._source.folder)}"
        return self._identity

    async def __call__(self, request: Chat | ImageRequest, emit: Emit | None = None) -> Response:
        """Make one picture; see `waremill.domain.Provider`. Nothing is streamed.

        Cancelling ends the work at its next step. Raises Rejected for what the pipeline cannot do,
        AccessDenied where it cannot be loaded.
        """
        request = picture_of(request, self._model)
        options_of(request, _RESERVED, self._model)
        blobs = [read_data_url(one) for one in request.images]
        mask = None if request.mask is None else read_data_url(request.mask)
        work = _Work(request, blobs[0] if blobs else None, mask, self._model)
        loop = asyncio.get_running_loop()
        try:
            if self._engine is None:
                identity = self.identity
                self._engine = await loop.run_in_executor(_thread, self._load, identity)
            outcome, pictures = await loop.run_in_executor(_thread, self._engine.make, work)
        except asyncio.CancelledError:
            work.stopped = True
            raise
        text = _FLAGGED if outcome == "refused" else ""
        return Response(text, outcome, Usage(), self._model.name, None, pictures)

    async def aclose(self) -> None:
        """Let the pipeline go; the last to go frees its memory."""
        self._engine = None
        # A request that was cancelled while the pipeline was loading never got to see the engine.
        await asyncio.get_running_loop().run_in_executor(_thread, _release, self)

    async def check(self) -> tuple[Check, ...]:
        """Fetch the files where they are missing, and say what is wrong with them."""
        folder = self._source.folder
        try:
            await asyncio.to_thread(files.fetch, self._source, weights_from())
            await asyncio.to_thread(files.require_safe, folder)
        except UserError as error:
            return (Check("weights", False, error.message),)
        return (Check("weights", True, f"in {folder}"),)

    def _load(self, identity: str) -> _Engine:
        """Give the pipeline's engine; runs on the thread."""
        engine = _engines.get(identity)
        if engine is None:
            try:
                engine = _Engine(self._source.folder, identity)
            except UserError:
                raise
            except Exception as error:  # whatever the libraries say about files they cannot use
                raise AccessDenied(
                    f"the pipeline in {self._source.folder} cannot be loaded: {error}"[:500],
                    provider="diffusers",
                    model=self._model.use,
                ) from error
            _engines[identity] = engine
        engine.holders.add(self)
        return engine


# ----------------------------------------------------------------------------------- the engine


class _Work:
    """One picture to make: what is asked, and whether anybody still waits for it."""

    def __init__(
        self, request: ImageRequest, start: Blob | None, mask: Blob | None, model: Model
    ) -> None:
        self.request, self.start, self.mask, self.model = request, start, mask, model
        self.stopped = False

    @property
    def kind(self) -> str:
        """What is to be done: words, picture or mask."""
        return "words" if self.start is None else "picture" if self.mask is None else "mask"

    def rejected(self, words: str) -> Rejected:
        """Make the error for what a pipeline cannot do."""
        return Rejected(words[:500], provider="diffusers", model=self.model.use)


_engines: dict[str, _Engine] = {}
_thread = ThreadPoolExecutor(1, thread_name_prefix="diffusion")


class _Engine:
    """A loaded pipeline, and the ones for other tasks that share its parts."""

    def __init__(self, folder: Path, identity: str) -> None:
        files.require_safe(folder)
        torch, diffusers = _libraries()
        self.holders: set[Diffusion] = set()
        self._identity = identity
        self._auto = {
            "words": diffusers.AutoPipelineForText2Image,
            "picture": diffusers.AutoPipelineForImage2Image,
            "mask": diffusers.AutoPipelineForInpainting,
        }
        cuda = torch.cuda.is_available()
        torch.set_num_threads(physical_cores())
        parts = files.components(folder)
        half = torch.bfloat16 if "transformer" in parts else torch.float16
        kind = "mask" if _inpaints(folder) else "words"
        pipeline = self._auto[kind].from_pretrained(
            str(folder),
            dtype=half if cuda else torch.float32,
            variant=files.variant_of(folder),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
        pipeline = pipeline.to("cuda" if cuda else "cpu")
        pipeline.set_progress_bar_config(disable=True)
        self._only_masks = kind == "mask"
        self._pipelines: dict[str, Any] = {kind: pipeline}
        self._step = 16 if "transformer" in parts else 8

    def release(self, holder: Diffusion) -> None:
        """Free the pipeline after its last holder; runs on the thread."""
        self.holders.discard(holder)
        if not self.holders and _engines.pop(self._identity, None) is not None:
            self._pipelines.clear()
            torch, _ = _libraries()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def make(self, work: _Work) -> tuple[Outcome, tuple[Blob, ...]]:
        """Make one picture; runs on the thread."""
        if work.stopped:
            return "complete", ()
        torch, _ = _libraries()
        pipeline = self._pipeline(work)
        arguments = self._arguments(work, pipeline)
        try:
            with torch.inference_mode():
                made = pipeline(**arguments)
        except torch.OutOfMemoryError as error:
            raise work.rejected(
                "the picture needs more memory than there is: ask for a smaller one"
            ) from error
        except (ValueError, TypeError, RuntimeError) as error:
            raise work.rejected(f"the pipeline refused the request: {error}") from error
        if any(getattr(made, "nsfw_content_detected", None) or ()):
            return "refused", ()
        return "complete", tuple(Blob("image/png", _png(one)) for one in made.images)

    def _pipeline(self, work: _Work) -> Any:
        """Give the pipeline for a kind of work."""
        if work.kind not in self._pipelines:
            first = next(iter(self._pipelines.values()))
            if self._only_masks:
                raise work.rejected("this pipeline is made for masks: give a picture and a mask")
            try:
                pipeline = self._auto[work.kind].from_pipe(first)
            except ValueError as error:
                raise work.rejected(f"this pipeline cannot start from a picture: {error}") from None
            pipeline.set_progress_bar_config(disable=True)
            self._pipelines[work.kind] = pipeline
        return self._pipelines[work.kind]

    def _arguments(self, work: _Work, pipeline: Any) -> dict[str, Any]:
        torch, _ = _libraries()
        request = work.request
        known = inspect.signature(pipeline.__call__).parameters
        width, height = (
            max(self._step, side // self._step * self._step)
            for side in (request.width, request.height)
        )

        def stop_if_nobody_waits(pipe: Any, _step: int, _time: Any, values: Any) -> Any:
            pipe._interrupt = work.stopped
            return values

        wishes: dict[str, Any] = {
            **options_of(request, _RESERVED, work.model),
            "prompt": request.prompt,
            "negative_prompt": request.negative or None,
            "num_inference_steps": request.steps,
            "guidance_scale": request.guidance,
            "strength": request.strength if work.start is not None else None,
            "generator": torch.Generator("cpu").manual_seed(seed_of(request)),
            "callback_on_step_end": stop_if_nobody_waits,
        }
        if work.start is not None:
            wishes["image"] = _opened(work.start, "RGB", (width, height))
        if work.mask is not None:
            wishes["mask_image"] = _opened(work.mask, "L", (width, height))
        found = {name: value for name, value in wishes.items() if value is not None}
        if unknown := sorted(found.keys() - set(known)):
            raise work.rejected(f"{type(pipeline).__name__} has no setting “{unknown[0]}”")
        size = {"width": width, "height": height}
        return {**found, **{name: side for name, side in size.items() if name in known}}


def _release(holder: Diffusion) -> None:
    """Let go of whatever a provider holds; runs on the thread."""
    for engine in [one for one in _engines.values() if holder in one.holders]:
        engine.release(holder)


@cache
def _libraries() -> tuple[Any, Any]:
    """Give PyTorch and diffusers, kept from talking; the first time takes seconds."""
    let_idle_threads_sleep()
    for name in ("diffusers", "transformers"):
        words = importlib.import_module(f"{name}.utils.logging")
        words.set_verbosity_error()
        words.disable_progress_bar()
    return importlib.import_module("torch"), importlib.import_module("diffusers")


def _inpaints(folder: Path) -> bool:
    """Say whether a pipeline is made for masks and can do nothing else."""
    import json

    config = folder / "unet" / "config.json"
    if not config.is_file():
        return False
    channels = json.loads(config.read_text("utf-8")).get("in_channels")
    return bool(channels == _INPAINTING_CHANNELS)


def _opened(blob: Blob, mode: str, size: tuple[int, int]) -> Any:
    """Decode a picture and bring it to the size that is made."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(blob.content)) as opened:
            picture = opened.convert("RGBA") if "A" in opened.getbands() else opened.convert(mode)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise SourceError(f"a picture for a model cannot be read: {error}") from None
    if picture.mode == "RGBA":
        ground = Image.new("RGBA", picture.size, (128, 128, 128, 255))
        picture = Image.alpha_composite(ground, picture).convert(mode)
    return picture.resize(size, Image.Resampling.LANCZOS) if picture.size != size else picture


def _png(picture: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
