"""Which products of a selection are left to do: new, changed, or with a field nobody filled yet.

All is a condition that the database checks while it plans; no product passes through Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, not_, or_

from waremill.app.slotting import held
from waremill.catalog.json_values import DATABASES, missing
from waremill.errors import ConfigError
from waremill.runs.schedule import ONLY
from waremill.store import schedules as store
from waremill.store.database import Dialect
from waremill.store.slots import filled
from waremill.store.tables import products
from waremill.templates import load_template

if TYPE_CHECKING:
    from waremill.app.assembly import Assembly


def increment(
    assembly: Assembly,
    dialect: Dialect,
    targets: Sequence[str],
    only: Sequence[str],
    schedule: int | None = None,
) -> ColumnElement[bool]:
    """Give the condition, over `products`, that any of `only` holds: `new`, `changed`, `empty`.

    New is what no run of the schedule finished for each target, changed what it finished last at
    another version. Raises ConfigError for another word, and for `new` without a schedule.
    """
    wanted = set(only)
    if unknown := wanted - set(ONLY):
        raise ConfigError(f"--only takes {', '.join(ONLY)}, not “{min(unknown)}”")
    found = []
    if wanted & {"new", "changed"}:
        if schedule is None:
            raise ConfigError("what is new or changed is known to a schedule; name one")
        found.append(_unlike(assembly, targets, wanted, schedule))
    if "empty" in wanted:
        found.append(_empty(assembly, dialect, targets))
    return or_(*found)


def _unlike(
    assembly: Assembly, targets: Sequence[str], wanted: set[str], schedule: int
) -> ColumnElement[bool]:
    if "changed" not in wanted:
        return store.never_worked(schedule, targets)
    groups = assembly.pipeline.uses_groups
    other = store.not_as_worked(schedule, targets, with_groups=groups)
    return other if "new" in wanted else and_(other, store.worked_before(schedule, targets))


def _empty(assembly: Assembly, dialect: Dialect, targets: Sequence[str]) -> ColumnElement[bool]:
    """Give the condition that a field stands nowhere yet, for one of the targets at least."""
    if not assembly.fields:
        raise ConfigError(f"“{assembly.pipeline.name}” makes no field that could be empty")
    return or_(*_gaps(assembly, dialect, targets))


def _gaps(
    assembly: Assembly, dialect: Dialect, targets: Sequence[str]
) -> Iterator[ColumnElement[bool]]:
    templates = {
        step.name: load_template(assembly.files, str(step.settings["template"]))
        for step in assembly.pipeline.steps
        if "template" in step.settings
    }
    database = DATABASES[dialect]
    for step in assembly.steps:
        template = templates.get(step.name)
        fields = template.fields if template is not None else {}
        gaps = []
        for name in step.fields:
            gap = not_(filled(dialect, name, held(name, dialect), targets))
            if name in fields and fields[name].write == "fill":  # what the product has is kept
                gap = and_(gap, missing(database.cell(products.c.attributes, name), database))
            gaps.append(gap)
        if not gaps:
            continue
        # A schema's fields are those of every category: a product has some of them.
        by_schema = template is not None and template.schema_output is not None
        yield and_(*gaps) if by_schema else or_(*gaps)


__all__ = ["increment"]
