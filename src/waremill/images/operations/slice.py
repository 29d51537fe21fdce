"""The operation `slice`: a long detail page cut into screens."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

from waremill.errors import ConfigError, SourceError
from waremill.images.operation import Tools, operation, option
from waremill.images.picture import Picture
from waremill.images.slicing import best_cuts, forced, possible_cuts, stuck_at


@dataclass(frozen=True)
class SliceOptions:
    """How high the screens may be."""

    most: int = option(1500, "greatest height of a screen, in pixels", least=50, most=20000)
    least: int = option(300, "least height of a screen, in pixels", least=1, most=20000)
    busy: Literal["refuse", "cut"] = option(
        "refuse", "where no calm row is near enough: refuse the page, or cut through what is there"
    )


@operation("slice", SliceOptions)
def slice_page(
    picture: Picture, options: SliceOptions, tools: Tools
) -> Picture | tuple[Picture, ...]:
    """Cut a long page into screens at calm rows, not through text or products.

    The screens, top to bottom, join to exactly the original; their colour profile is its own.
    Raises SourceError where it cannot be done, with the rows that stand in the way.
    """
    if options.least * 2 > options.most:
        raise ConfigError("least must be at most half of most, or some heights cannot be met")
    cuts = possible_cuts(picture.pixels)
    found = best_cuts(cuts.cost, options.least, options.most)
    if found is None and options.busy == "cut":
        found = best_cuts(forced(cuts), options.least, options.most)
    if found is None:
        raise SourceError(_stuck(*stuck_at(cuts.cost), options))
    edges = [0, *found, picture.height]
    return tuple(
        Picture(picture.pixels[top:bottom].copy(), picture.profile)
        for top, bottom in itertools.pairwise(edges)
    )


def _stuck(first: int, last: int, options: SliceOptions) -> str:
    """Say why a page cannot be cut: one stretch is too long, or the gaps lie awkwardly."""
    if last - first > options.most:
        return (
            f"the page has no calm row to cut at between rows {first} and {last}; raise most to "
            f"{last - first}, or set busy to cut"
        )
    return (
        f"the page's calm rows are spread too unevenly for screens from {options.least} to "
        f"{options.most} rows; lower least or raise most, or set busy to cut"
    )
