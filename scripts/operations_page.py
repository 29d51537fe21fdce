"""The reference of operations on pictures, made from their options."""

from __future__ import annotations

import dataclasses
from typing import Any

from markup import code, prose, table

from waremill import weights
from waremill.checks import pictures
from waremill.checks.pictures import duplicate_pictures
from waremill.images.operation import bounds, operations
from waremill.steps.pictures import operating


def operations_table() -> str:
    """Say how an operation is a step, and list them all."""
    rows = [(f"[`{name}`](pictures.md#{name})", one.about) for name, one in operations().items()]
    return f"{prose(operating.__doc__)}\n\n{table(['step', ''], rows)}"


def operations_page() -> str:
    """Give the page of every operation with its options."""
    parts = [
        "An operation is a [step](steps.md#operations-on-pictures) of a pipeline and a command of "
        "`waremill image`, with the same options: `most_side: 800` in a pipeline is "
        "`--most-side 800` there. A list is written as YAML, or with commas. "
        "[Work on pictures](../how-to/pictures.md) shows them at work.",
    ]
    for name, one in operations().items():
        rows = [
            (code(each.name), code(one.form(each.name)), _told(each), code(_shown(each.default)))
            for each in dataclasses.fields(one.options)
        ]
        own = prose(one.run.__doc__)
        parts += [f"## {name}", own, table(["option", "takes", "", "default"], rows)]
    rows = [
        (code(one.use), one.title, f"{one.size / 1e6:,.1f} MB", one.licence, code(one.sha256))
        for one in weights.PICTURE_MODELS
    ]
    parts += [
        "## Models",
        "Fetched when an operation first needs one, verified, and kept in the models folder. An "
        "operation's `model` takes the path of a file of your own too.",
        table(["name", "model", "size", "licence", "SHA-256"], rows),
        "## Checks",
        "A `check` step with `image` runs these over a picture; any limit is set by its name. See "
        "[the step](steps.md#check).",
    ]
    for name in pictures.names():
        check = pictures.get(name)
        limits = ", ".join(f"`{one}` ({value})" for one, value in check.__dict__["limits"].items())
        parts += [f"### {name}", prose(check.__doc__), f"Limits: {limits}." if limits else ""]
    parts += ["### duplicate-pictures", prose(duplicate_pictures.__doc__)]
    return "\n\n".join(part for part in parts if part)


def _told(one: dataclasses.Field[Any]) -> str:
    told = str(one.metadata["about"])
    least, most = one.metadata["least"], one.metadata["most"]
    if least is not None or most is not None:
        told += f" ({bounds(least, most)})"
    return told


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
