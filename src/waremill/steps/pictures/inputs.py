"""From what a product says of its pictures to references of stored files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from waremill.domain import Asset, Image, Item, is_missing, named_pictures
from waremill.errors import SourceError
from waremill.pipeline import Context, Derivation

MOST_SHOWN = 1024
"""Pixels of the longest side a model is shown: within what vendors take in one piece or tile."""


async def picture_of(item: Item, ctx: Context, name: str) -> str:
    """Give the reference of the picture in a field or attribute; of several, of the first.

    The others are left where they are. Raises SourceError where there is none.
    """
    return await _stored(item, ctx, _named(item, name)[0], name in item.fields)


async def pictures_of(item: Item, ctx: Context, name: str) -> tuple[str, ...]:
    """Give the references of the pictures in a field or attribute, in order; at least one.

    Several are a list, or stand in one cell (`named_pictures`). A path or web address is brought
    into storage, once an item. Raises SourceError where there is none.
    """
    made = name in item.fields
    return tuple([await _stored(item, ctx, text, made) for text in _named(item, name)])


def _named(item: Item, name: str) -> tuple[str, ...]:
    """Give what a field or attribute names pictures by; at least one.

    A `name` with a dot or slash that is no field is itself the path or address, such as that of a
    background all products share.
    """
    values = item.values
    texts = named_pictures(values.get(name))
    if not texts and name not in values and ("/" in name or "." in name):
        texts = (name,)
    if not texts:
        raise SourceError(f"this product has no picture in `{name}`")
    return texts


async def _stored(item: Item, ctx: Context, text: str, made: bool) -> str:
    # A reference in a sheet is none: whoever overheard a hash would read a foreign team's picture.
    if made and Asset.parse(text) is not None:
        return text
    reference: str = await ctx.record(item, f"picture {text}", partial(ctx.files.bring, text))
    return reference


async def shown(item: Item, ctx: Context, names: Sequence[str]) -> tuple[Image, ...]:
    """Give pictures as a model is shown them: those a product has, none larger than it looks at.

    Larger ones are made smaller once for good; the vendors would do so, and charge by size.
    """
    found = []
    for name in names:
        if is_missing(item.values.get(name)):
            continue
        source = await picture_of(item, ctx, name)
        small = await ctx.files.derive(
            Derivation("shown", 1, {"most_side": MOST_SHOWN}, (source,)),
            partial(_made_smaller, ctx, source),
        )
        found.append(Image(small))
    return tuple(found)


async def _made_smaller(ctx: Context, source: str) -> str:
    content = await ctx.files.read(source)
    made, media_type = await ctx.files.compute(_small, content)
    return await ctx.files.keep(made, media_type)


def _small(content: bytes) -> tuple[bytes, str]:
    """Write a picture as every model takes it: a JPEG of a size it looks at."""
    from waremill.images.encoding import Manner, encode, shrink
    from waremill.images.reading import read_picture

    made = encode(shrink(read_picture(content), MOST_SHOWN), Manner("jpeg"))
    return made.content, made.media_type
