"""The `check` step over a picture: see `steps/check`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from waremill.checks import pictures
from waremill.checks.pictures import PictureDraft, duplicate_pictures
from waremill.domain import Finding, Item
from waremill.errors import ConfigError, Where
from waremill.images.applying import STORED
from waremill.images.encoding import encode
from waremill.images.picture import Plane
from waremill.images.presets import find_preset, presets
from waremill.images.reading import read_picture
from waremill.images.text_reading import can_read
from waremill.pipeline import BoundStep, Context, Derivation, StepSettings, scalar
from waremill.rules.document import suggestion
from waremill.steps import Kit
from waremill.steps.pictures.inputs import picture_of, pictures_of

_SETTINGS = ("image", "before", "product", "mask", "preset", "rules")
_VERSION, _SIGNED = 2, 1
"""What a judgement and a signature are made by; another number makes them anew."""
DUPLICATES = "duplicate-pictures"
UNCHANGED = "product-unchanged"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is checked, against what: names of fields or attributes, rules and limits."""

    image: str
    before: str | None
    product: str | None
    mask: str | None
    rules: tuple[str, ...]
    limits: Mapping[str, Any]


def make(step: StepSettings, kit: Kit) -> BoundStep:
    """Build the step; refuse rules, limits and presets that do not exist."""
    try:
        wanted = _read(step, kit)
    except ConfigError as error:
        raise ConfigError(error.message, Where(step.file or None, line=step.line)) from None
    heat_map = f"{wanted.image}_heat_map"

    async def check(item: Item, ctx: Context) -> dict[str, Any]:
        found: list[Finding] = []
        maps: list[str] = []
        for image in await pictures_of(item, ctx, wanted.image):
            judged = await _judged(item, ctx, wanted, image)
            found += [Finding(**one) for one in judged["findings"]]
            maps += judged["maps"]
            if DUPLICATES in wanted.rules:
                found += await _duplicates(item, ctx, wanted.image, image)
        ctx.report(item, found)
        return {heat_map: maps[0] if len(maps) == 1 else maps} if maps else {}

    fields = (heat_map,) if UNCHANGED in wanted.rules else ()
    return BoundStep(
        step.name, step.kind, step.per, check, fields=fields, provenance={"operation": "check"}
    )


def _read(step: StepSettings, kit: Kit) -> _Wanted:
    given = dict(step.settings)
    known_rules = (*pictures.names(), *pictures.RUN_LEVEL)
    written = given.get("rules", known_rules[: len(pictures.names())])
    rules = (written,) if isinstance(written, str) else tuple(written)
    for name in rules:
        if name not in known_rules:
            raise ConfigError(f"there is no picture check “{name}”{suggestion(name, known_rules)}")
    limits = _preset_limits(str(given["preset"]), kit) if "preset" in given else {}
    known = {**pictures.defaults()}
    for name, value in given.items():
        if name in _SETTINGS:
            continue
        if name not in known:
            raise ConfigError(
                f"check has no setting “{name}”{suggestion(name, (*_SETTINGS, *known))}"
            )
        limits[name] = value if isinstance(known[name], str) else scalar(str(value))
    pictures.need_limits(limits)
    named = {one: str(given[one]) if one in given else None for one in _SETTINGS[1:4]}
    return _Wanted(
        str(given["image"]), named["before"], named["product"], named["mask"], rules, limits
    )


def _preset_limits(name: str, kit: Kit) -> dict[str, Any]:
    """Give the limits a marketplace's preset stands for."""
    preset = find_preset(name, presets(kit.files))
    limits: dict[str, Any] = {}
    if preset.least_side is not None:
        limits["least_long_side"] = preset.least_side
    if preset.least_size is not None:
        limits |= {"least_side": min(preset.least_size), "least_long_side": max(preset.least_size)}
    if preset.background is not None:
        limits["background"] = "#" + "".join(f"{part:02x}" for part in preset.background)
    if preset.fill is not None:
        limits |= {"least_fill": preset.fill[0], "most_fill": preset.fill[1]}
    return limits


async def _judged(item: Item, ctx: Context, wanted: _Wanted, image: str) -> Mapping[str, Any]:
    """Judge one picture, once for good; give its findings and heat maps as JSON."""
    others: dict[str, str] = {}
    for role in ("before", "product", "mask"):
        name = getattr(wanted, role)
        if name is not None:
            others[role] = await picture_of(item, ctx, name)
    rules = [name for name in wanted.rules if name != DUPLICATES]

    async def make_it() -> dict[str, Any]:
        contents = {role: await ctx.files.read(one) for role, one in others.items()}
        content = await ctx.files.read(image)
        work = partial(_judge, wanted, rules, content, contents)
        findings, maps = await ctx.files.compute(work)
        kept = [await ctx.files.keep(one.content, one.media_type) for one in maps]
        return {"findings": [one.as_json() for one in findings], "maps": kept}

    # Without a reader of text a judgement says less, and must not stand once one is installed.
    options = {"rules": rules, "limits": dict(wanted.limits), "field": wanted.image,
               "roles": list(others), "reads": can_read()}  # fmt: skip
    found: Mapping[str, Any] = await ctx.files.derive(
        Derivation("check", _VERSION, options, (image, *others.values())), make_it
    )
    return found


def _judge(
    wanted: _Wanted, rules: list[str], content: bytes, others: Mapping[str, bytes]
) -> tuple[list[Finding], list[Any]]:
    before = read_picture(others["before"]) if "before" in others else None
    draft = PictureDraft(
        wanted.image, read_picture(content), content, before,
        mask=_mask(others.get("mask")), before_mask=_mask(others.get("product")),
    )  # fmt: skip
    judged = pictures.run_picture_checks(rules, draft, wanted.limits).values()
    maps = [encode(one.picture, STORED) for one in judged if one.picture is not None]
    return [finding for one in judged for finding in one.findings], maps


def _mask(content: bytes | None) -> Plane | None:
    """Read a cut-out's alpha as where the product is; an opaque picture is taken as a mask."""
    if content is None:
        return None
    picture = read_picture(content)
    plane = picture.alpha if picture.alpha is not None else picture.rgb[:, :, 0]
    return np.asarray(plane, np.float32) / np.float32(255)


async def _duplicates(item: Item, ctx: Context, field: str, image: str) -> list[Finding]:
    async def make_it() -> str:
        content = await ctx.files.read(image)
        signature = await ctx.files.compute(
            lambda: duplicate_pictures.signature(read_picture(content))
        )
        return signature.hex()

    known: str = await ctx.files.derive(Derivation("signature", _SIGNED, {}, (image,)), make_it)
    made = duplicate_pictures.signed(bytes.fromhex(known))
    return [
        duplicate_pictures.finding(field, key, likeness)
        for key, likeness in await ctx.similar(item, field, made)
    ]
