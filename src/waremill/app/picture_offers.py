"""What there is to choose from for a pipeline for pictures: columns, presets, backgrounds, models.

Reads the workspace's files and folders; writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from waremill.app.modelling import makes_pictures
from waremill.app.picture_cards import names_picture
from waremill.app.picturing import READ, all_operations
from waremill.checks import pictures
from waremill.domain import named_pictures
from waremill.errors import UserError
from waremill.settings import Settings
from waremill.templates import load_template, template_names

if TYPE_CHECKING:
    from waremill.domain import Product
    from waremill.images.presets import Preset

BACKDROPS = "backdrops"
"""The workspace's folder for pictures that lie behind products."""
MOST_BACKDROPS = 500


@dataclass(frozen=True, slots=True)
class Offer:
    """What there is to choose from.

    `presets` by name with what they say of themselves, those in `plain` demand a plain background;
    `backdrops` are paths of pictures in the workspace; `scenes` the templates that ask a model for
    a picture, and `painters` the models that make one, both with what is said of them; and the
    operations and checks of pictures that there are.
    """

    presets: Mapping[str, str]
    plain: frozenset[str]
    backdrops: tuple[str, ...]
    scenes: Mapping[str, str]
    painters: Mapping[str, str]
    operations: frozenset[str]
    checks: frozenset[str]


def offered(settings: Settings) -> Offer:
    """Say what there is to choose from.

    Raises ConfigError where pictures cannot be worked on, and for a preset's file that is wrong.
    """
    operations = frozenset(all_operations())
    from waremill.images.presets import presets

    found = presets(settings.files())
    return Offer(
        {name: _said(one) for name, one in found.items()},
        frozenset(name for name, one in found.items() if one.background is not None),
        backdrops(settings),
        dict(_scenes(settings)),
        {name: one.use for name, one in settings.models.items() if makes_pictures(one)},
        operations,
        frozenset(pictures.names()),
    )


def photo_columns(columns: Sequence[str], products: Sequence[Product]) -> list[str]:
    """Give the columns whose values name pictures, those that do most often first."""
    often = {
        column: sum(
            names_picture(column, one)
            for product in products
            if isinstance(value := product.attributes.get(column), str | list)
            for one in named_pictures(value)
        )
        for column in columns
    }
    return sorted((one for one in columns if often[one]), key=lambda one: -often[one])


def backdrops(settings: Settings) -> tuple[str, ...]:
    """Give the paths of the pictures in the workspace's folder for them, at most 500, sorted.

    A link out of the workspace is none, since no run would follow it.
    """
    root = settings.root.resolve()
    found = []
    for path in sorted((settings.root / BACKDROPS).rglob("*")):
        name = path.relative_to(settings.root)
        hidden = any(part.startswith(".") for part in name.parts)
        if hidden or path.suffix.lower() not in READ or not path.is_file():
            continue
        if path.resolve().is_relative_to(root):
            found.append(name.as_posix())
    return tuple(found[:MOST_BACKDROPS])


def _scenes(settings: Settings) -> Iterator[tuple[str, str]]:
    """Give the templates that ask for a picture; one that cannot be loaded is no choice."""
    files = settings.files()
    for name in template_names(files):
        try:
            template = load_template(files, name)
        except UserError:
            continue
        if template.picture is not None:
            yield name, template.description


def _said(preset: Preset) -> str:
    size = f"{preset.size[0]} × {preset.size[1]}"
    return preset.about if size in preset.about else f"{preset.about} · {size}"


__all__ = ["BACKDROPS", "Offer", "backdrops", "offered", "photo_columns"]
