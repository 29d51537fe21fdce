"""Any operation of `images/` as a step: read, operate, keep.

    - cutout: {image: photo, into: cutout, per: product}
    - compose: {image: cutout, preset: amazon-main, into: main_image}

`image` names the field or attribute with the picture, `into` the field that is made (default: the
step's name); the rest are the operation's own options. An option that is a picture itself takes
such a name too, or the path of a file in the workspace.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

from waremill.domain import Item
from waremill.errors import ConfigError, SourceError, Where
from waremill.images.applying import apply
from waremill.images.operation import Operation, Tools, operations, read_options
from waremill.images.picture import Encoded
from waremill.images.presets import find_preset, presets
from waremill.images.reading import read_picture
from waremill.pipeline import BoundStep, Context, Derivation, StepSettings
from waremill.steps import Kit
from waremill.steps.pictures.inputs import picture_of

IMAGE = "image"


def make(step: StepSettings, kit: Kit) -> BoundStep:
    """Build the step of an operation; refuse settings it does not know."""
    operation = operations()[step.kind]
    settings = dict(step.settings)
    image = str(settings.pop("image", IMAGE))
    into = str(settings.pop("into", step.name))
    pictures = {name: str(settings.pop(name)) for name in operation.pictures if name in settings}
    try:
        options = read_options(operation.options, settings, step.kind)
    except ConfigError as error:
        raise ConfigError(error.message, Where(step.file or None, line=step.line)) from None
    preset = getattr(options, "preset", "")
    if preset:  # read now, so that it is frozen with the pipeline and a wrong name said at once
        find_preset(preset, presets(kit.files))
    tools = Tools(kit.weights, kit.threads, kit.fonts, kit.files)
    work = Work(operation, options, tools)

    async def operate(item: Item, ctx: Context) -> dict[str, Any]:
        sources = {name: await picture_of(item, ctx, one) for name, one in pictures.items()}
        return {into: await operated(ctx, work, await picture_of(item, ctx, image), sources)}

    return BoundStep(
        step.name, step.kind, step.per, operate, fields=(into,), model=kit.model,
        provenance={"operation": operation.name, "version": operation.version,
                    "pictures": [image, *pictures.values()]},
    )  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """An operation with its options: everything about it but the pictures."""

    operation: Operation[Any]
    options: Any
    tools: Tools

    def derivation(self, inputs: tuple[str, ...], names: tuple[str, ...]) -> Derivation:
        """Name what is made of pictures, the first being the one that is worked on."""
        plain: dict[str, Any] = {
            one.name: getattr(self.options, one.name)
            for one in dataclasses.fields(self.options)
            if one.name not in self.operation.pictures
        }
        used = self.operation.used(self.options, self.tools)
        plain |= {f"_{name}": state for name, state in used.items()}
        return Derivation(
            self.operation.name, self.operation.version, {**plain, "_pictures": list(names)}, inputs
        )

    def run(self, content: bytes, others: Mapping[str, bytes]) -> list[Encoded]:
        """Decode, operate and encode, on one thread."""
        pictures = {name: read_picture(one) for name, one in others.items()}
        options = dataclasses.replace(self.options, **pictures)
        return apply(self.operation, read_picture(content), options, self.tools, pictures.values())


async def operated(
    ctx: Context, work: Work, source: str, others: Mapping[str, str]
) -> str | list[str]:
    """Give the reference of what an operation makes of stored pictures; several as a list."""

    async def make_it() -> list[str]:
        content = await ctx.files.read(source)
        more = {name: await ctx.files.read(one) for name, one in others.items()}
        made: list[Encoded] = await ctx.files.compute(partial(work.run, content, more))
        if not made:
            raise SourceError(f"{work.operation.name} made nothing of this picture")
        return [await ctx.files.keep(one.content, one.media_type) for one in made]

    derivation = work.derivation((source, *others.values()), tuple(others))
    kept: list[str] = await ctx.files.derive(derivation, make_it)
    return kept[0] if len(kept) == 1 else kept
