"""What a person writes in place of a generated value: read by the contract, judged by the checks.

A value of the wrong kind is refused; one that a check objects to is a person's to keep, and the
finding stays with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from waremill import checks
from waremill.app.cards import Frozen, current_values, shown_names, target_of, type_of
from waremill.app.showing import references
from waremill.checks import Draft
from waremill.domain import Asset, Finding, category_of, is_missing
from waremill.errors import ConfigError
from waremill.store.reviewing import ItemView, Made
from waremill.store.verdicts import Edited, name_of
from waremill.templates.fields import INVALID, Field, reader_for

LONGEST = 100_000
"""Most characters of a text a person may write into a field."""


def amended(
    view: ItemView, frozen: Frozen, values: Mapping[str, Any], provenance: Mapping[str, Any]
) -> tuple[Edited, ...]:
    """Make the edits of an item's fields, named as on its card; what is unchanged drops out.

    Raises ConfigError for a field the item does not have and a value of the wrong kind.
    """
    places = {label: place for place, label in shown_names(view, frozen).items()}
    made = view.fields()
    by_step: dict[str, dict[str, Any]] = {}
    broken: dict[str, list[Finding]] = {}
    for label, raw in values.items():
        if label not in places:
            known = ", ".join(places) or "none"
            raise ConfigError(f"{name_of(view)} has no field “{label}”; there are: {known}")
        step, name = places[label]
        spec = frozen.specs(step, view).get(name)
        old = made[step, name].values.get(name) if (step, name) in made else None
        findings: list[Finding] = []
        _check_pictures(label, raw, old, view)
        value = _read(label, raw, spec, old, findings)
        if value != old:
            by_step.setdefault(step, {})[name] = value
            broken.setdefault(step, []).extend(findings)
    return tuple(
        _edited(view, frozen, (step, new), broken[step], provenance)
        for step, new in by_step.items()
    )


def _check_pictures(label: str, raw: Any, old: Any, view: ItemView) -> None:
    """Let a person choose among an item's own pictures; a reference from elsewhere opens nothing.

    Raises ConfigError for any other reference, and for something else in a picture's place.
    """
    wanted = [one for one in (raw if isinstance(raw, list) else [raw]) if Asset.parse(one)]
    was_picture = any(Asset.parse(one) for one in (old if isinstance(old, list) else [old]))
    strange = not set(wanted) <= references(view)
    if strange or (was_picture and not wanted and not is_missing(raw)):
        raise ConfigError(f"“{label}” takes a picture that was made for this item")


def _read(label: str, raw: Any, spec: Field | None, old: Any, findings: list[Finding]) -> Any:
    """Read a value as the contract would; without one, it must be of the old value's kind."""
    if isinstance(raw, str) and len(raw) > LONGEST:
        raise ConfigError(f"“{label}” has {len(raw):,} characters; at most {LONGEST:,} can be kept")
    if is_missing(raw):
        if spec is not None and spec.required:
            raise ConfigError(
                f"“{label}” must not be empty; reject the item where nothing is right"
            )
        return None
    if spec is None:
        if old is not None and type_of(raw) != type_of(old):
            raise ConfigError(f"“{label}” holds {_KINDS[type_of(old)]}, not {_KINDS[type_of(raw)]}")
        return raw
    value = reader_for(spec, f"“{label}”")(raw, findings)
    if value is INVALID:
        raise ConfigError(findings[-1].message if findings else f"“{label}” cannot be that")
    return value


_KINDS = {
    "string": "text", "number": "a number", "integer": "a whole number",
    "boolean": "true or false", "array": "a list", "object": "an object",
}  # fmt: skip


def _edited(
    view: ItemView,
    frozen: Frozen,
    change: tuple[str, Mapping[str, Any]],
    broken: Sequence[Finding],
    provenance: Mapping[str, Any],
) -> Edited:
    step, new = change
    own = {name: made for (one, name), made in view.fields().items() if one == step}
    values = {name: made.values[name] for name, made in own.items()} | dict(new)
    near = next(iter(own.values()), None)
    product_id, target = (near.product_id, near.target) if near else _place(view, frozen, step)
    left = [
        one
        for one in view.findings().get(step, ())
        # What only a run knows (near-duplicates), of fields nobody touched.
        if one.rule in checks.RUN_LEVEL and one.field not in new
    ]
    return Edited(
        step, product_id, target, dict(new),
        (*left, *broken, *_judged(view, frozen, step, values)),
        {**_of_pictures(new, near), **provenance},
    )  # fmt: skip


def _of_pictures(new: Mapping[str, Any], near: Made | None) -> dict[str, Any]:
    """Give what stays true of a step's picture when a person takes another variant of it.

    Who exports it must know that a model made it.
    """
    if near is None or not any(Asset.parse(value) for value in new.values()):
        return {}
    kept = ("made_by_model", "model", "pictures")
    return {name: near.provenance[name] for name in kept if name in near.provenance}


def _place(view: ItemView, frozen: Frozen, step: str) -> tuple[int, str]:
    """Give the product (or group) and target a step's results belong to where it has none yet."""
    per = next((one.per for one in frozen.assembly.steps if one.name == step), "target")
    if per == "group" and view.group_id is not None:
        return view.group_id, ""
    return view.product_id, view.target if per == "target" else ""


def _judged(view: ItemView, frozen: Frozen, step: str, values: Mapping[str, Any]) -> list[Finding]:
    """Run the checks of a step's template, and of the pipeline's own check steps, on its values."""
    template = frozen.templates.get(step)
    names = [*(template.checks if template is not None else ()), *frozen.checks]
    wanted = [name for name in dict.fromkeys(names) if name not in checks.RUN_LEVEL]
    if not wanted:
        return []
    texts = {name: value for name, value in values.items() if value is not None}
    source = {
        **view.attributes,
        **{n: v for n, v in current_values(view).items() if n not in values},
    }
    draft = Draft(
        texts, source, target_of(view), frozen.specs(step, view), category_of(view.attributes)
    )
    return checks.run_checks(wanted, draft, frozen.assembly.rules)
