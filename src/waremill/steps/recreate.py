"""The `recreate` step (二创): a model repaints a picture around the product, which stays as it is.

    - cutout: {image: photo, into: cutout}
    - recreate: {template: beach, image: photo, product: cutout, model: painter, strength: 0.8}

The template's output is a picture; it says what to paint and in which size the model works. What
the product covers is protected: it is masked for models that take masks (`mode: inpaint`) and its
own pixels are laid over what comes back in any case. `product` names a cut-out of the same frame,
`mask` a picture that is black where nothing may change; without both the product is cut out here.
With `keep: false` everything may change. `samples` asks for several variants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from waremill.domain import Finding, ImageRequest, Item
from waremill.errors import ConfigError, SourceError, Where
from waremill.images.applying import STORED
from waremill.images.compositing import fitted, mask_of, recreated, restored
from waremill.images.encoding import encode
from waremill.images.operation import Tools, operations
from waremill.images.picture import Encoded, Picture
from waremill.images.reading import read_picture
from waremill.pipeline import BoundStep, Context, Derivation, StepSettings
from waremill.rules.document import suggestion
from waremill.steps import Kit
from waremill.steps.pictures import drawing
from waremill.steps.pictures.inputs import picture_of
from waremill.steps.pictures.operating import Work, operated
from waremill.templates import Template, load_template

_SETTINGS = (
    "template", "image", "product", "mask", "mode", "strength", "keep", "samples", "into",
)  # fmt: skip
_MODES = ("inpaint", "img2img")
STRENGTH = 0.75
"""How far a start is left behind where a step does not say: the usual setting of img2img."""
_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a step asks for."""

    image: str
    product: str | None
    mask: str | None
    mode: str
    strength: float
    keep: bool
    samples: int


def make(step: StepSettings, kit: Kit) -> BoundStep:
    """Build the step; refuse settings it does not know and templates that make no picture."""
    where = Where(step.file or None, line=step.line)
    for key in step.settings:
        if key not in _SETTINGS:
            raise ConfigError(f"recreate has no setting “{key}”{suggestion(key, _SETTINGS)}", where)
    if not isinstance(step.settings.get("template"), str):
        raise ConfigError("recreate needs a template whose output is a picture", where)
    template = load_template(kit.files, step.settings["template"])
    if template.picture is None:
        raise ConfigError(
            f"the template “{template.name}” makes no picture; give it output: "
            "{scene: {type: picture}}",
            where,
        )
    wanted = _read(step, where)
    into = str(step.settings.get("into", template.picture.name))
    one = _Recreation(step, kit, template, wanted, into)
    fields = (into,) if wanted.samples == 1 else (into, f"{into}_variants")
    return BoundStep(
        step.name, step.kind, step.per, one.recreate, model=one.model, preview=one.preview,
        calls=wanted.samples, fields=fields, needs_target=template.uses_target,
        provenance={"template": template.name, "version": template.version, "model": one.model,
                    "made_by_model": "edited" if wanted.keep else "made",
                    "pictures": [one for one in (wanted.image, wanted.product) if one]},
    )  # fmt: skip


def _read(step: StepSettings, where: Where) -> _Wanted:
    given = step.settings
    mode = str(given.get("mode", "inpaint"))
    if mode not in _MODES:
        raise ConfigError(f"mode must be {' or '.join(_MODES)}, not “{mode}”", where)
    try:
        strength = float(str(given.get("strength", STRENGTH)))
    except ValueError:
        strength = -1.0
    if not 0 <= strength <= 1:
        raise ConfigError(f"strength must be from 0 to 1, not “{given['strength']}”", where)
    keep = str(given.get("keep", "true")).lower()
    if keep not in ("true", "false"):
        raise ConfigError(f"keep must be true or false, not “{given['keep']}”", where)
    named = {name: str(given[name]) if name in given else None for name in ("product", "mask")}
    return _Wanted(
        str(given.get("image", "image")), named["product"], named["mask"], mode, strength,
        keep == "true", drawing.samples_of(step),
    )  # fmt: skip


class _Recreation:
    """One `recreate` step at work."""

    def __init__(
        self, step: StepSettings, kit: Kit, template: Template, wanted: _Wanted, into: str
    ) -> None:
        self.model = step.model or kit.model
        self._step = step
        self._template = template
        self._wanted = wanted
        self._into = into
        cutout = operations()["cutout"]
        self._cutout = Work(cutout, cutout.options(), Tools(kit.weights, kit.threads))

    def preview(self, item: Item, params: Mapping[str, Any]) -> ImageRequest:
        """Give the request as far as it is known before a picture is at hand."""
        values, target = drawing.view(item, self._step)
        request = drawing.asked(self._template, values, target, params)
        return replace(request, strength=self._wanted.strength)

    async def recreate(self, item: Item, ctx: Context) -> dict[str, Any]:
        """Ask for every variant, and lay over each what has to stay."""
        wanted = self._wanted
        source = await picture_of(item, ctx, wanted.image)
        protected = await self._protected(item, ctx, source) if wanted.keep else None
        request = self.preview(item, ctx.params)
        start, mask = await self._fitted(ctx, request, source, protected)
        request = replace(request, images=(start,), mask=mask if wanted.mode == "inpaint" else None)
        made = []
        notes: dict[str, None] = {}
        for answer in await drawing.drawn(item, ctx, request, self.model, wanted.samples):
            reference, said = await self._finished(ctx, request, (source, protected, answer))
            made.append(reference)
            notes.update(dict.fromkeys(said))
        ctx.report(
            item, [Finding(self._into, "recreate", "warning", f"{note[0].upper()}{note[1:]}.")
                   for note in notes],
        )  # fmt: skip
        return drawing.variants(self._into, made)

    async def _protected(self, item: Item, ctx: Context, source: str) -> str:
        """Give a picture of what has to stay: a mask, or a cut-out."""
        wanted = self._wanted
        if (name := wanted.mask or wanted.product) is not None:
            return await picture_of(item, ctx, name)
        cut = await operated(ctx, self._cutout, source, {})
        return cut if isinstance(cut, str) else cut[0]

    async def _fitted(
        self, ctx: Context, request: ImageRequest, source: str, protected: str | None
    ) -> tuple[str, str | None]:
        """Give the picture and mask as the model is shown them, in the size it works in."""
        size = (request.width, request.height)

        async def make_it() -> list[str]:
            parts = await self._contents(ctx, source, protected)
            made: list[Encoded] = await ctx.files.compute(_as_sent, *parts, self._is_mask, size)
            return [await ctx.files.keep(one.content, one.media_type) for one in made]

        inputs = (source,) if protected is None else (source, protected)
        options = {"size": list(size), "mask": self._is_mask}
        start, mask = await ctx.files.derive(
            Derivation("recreate: sent", _VERSION, options, inputs), make_it
        )
        return start, None if protected is None else mask

    async def _finished(
        self, ctx: Context, request: ImageRequest, parts: tuple[str, str | None, str]
    ) -> tuple[str, list[str]]:
        """Give a variant as it is kept, and what is to be said of it."""
        source, protected, made = parts
        size = (request.width, request.height)

        async def make_it() -> list[Any]:
            contents = await self._contents(ctx, source, protected)
            back = await ctx.files.read(made)
            finish = partial(_finish, *contents, self._is_mask, size, back)
            picture, notes = await ctx.files.compute(finish)
            return [await ctx.files.keep(picture.content, picture.media_type), list(notes)]

        inputs = tuple(one for one in (source, protected, made) if one is not None)
        options = {"size": list(size), "mask": self._is_mask}
        reference, notes = await ctx.files.derive(
            Derivation("recreate: kept", _VERSION, options, inputs), make_it
        )
        return reference, notes

    @property
    def _is_mask(self) -> bool:
        return self._wanted.mask is not None

    async def _contents(
        self, ctx: Context, source: str, protected: str | None
    ) -> tuple[bytes, bytes | None]:
        shield = await ctx.files.read(protected) if protected is not None else None
        return await ctx.files.read(source), shield


def _mask(source: Picture, protected: bytes | None, is_mask: bool) -> Picture:
    """Give the mask: black where something has to stay; all white where nothing has.

    Raises SourceError where what has to stay has another shape than the picture, and so would be
    laid in another place.
    """
    if protected is None:
        import numpy as np

        return Picture(np.full((source.height, source.width, 3), 255, np.uint8))
    shield = read_picture(protected)
    across, down = shield.width * source.height, shield.height * source.width
    # One may have been scaled, which rounds its sides by up to half a pixel; twice that is let be.
    if abs(across - down) > max(source.width + source.height, shield.width + shield.height):
        raise SourceError(
            f"what has to stay is {shield.width} × {shield.height} pixels and the picture "
            f"{source.width} × {source.height}: both must show the same frame, so cut out without "
            "margin and do not crop"
        )
    return shield if is_mask else mask_of(shield)


def _as_sent(
    content: bytes, protected: bytes | None, is_mask: bool, size: tuple[int, int]
) -> list[Encoded]:
    source = read_picture(content)
    sent = fitted(source, _mask(source, protected, is_mask), *size)
    return [encode(sent.picture, STORED), encode(sent.mask, STORED)]


def _finish(
    content: bytes, protected: bytes | None, is_mask: bool, size: tuple[int, int], made: bytes
) -> tuple[Encoded, tuple[str, ...]]:
    source = read_picture(content)
    mask = _mask(source, protected, is_mask)
    sent = fitted(source, mask, *size)
    picture, notes = restored(read_picture(made), sent, (source.width, source.height))
    if protected is not None:
        # A cut-out's edge has the product's own colours; the photo's is mixed with what was behind.
        original = source if is_mask else read_picture(protected)
        done = recreated(original, picture, mask)
        picture, notes = done.picture, (*notes, *done.notes)
    return encode(picture, STORED), notes
