"""The use case *spend*: what was paid, by model, run, user, target, month or team; and as CSV.

Only runs of the teams the actor sees are in. Days and months are those of UTC.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from io import StringIO
from typing import TYPE_CHECKING, get_args

from waremill.app.status import money
from waremill.catalog.publishers.delimited import with_formula_mark
from waremill.errors import ConfigError
from waremill.store import spending as store
from waremill.store.spending import By

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

BY: tuple[By, ...] = get_args(By)
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls of one model, run, user, target, month or team came to.

    `paid` and `list_cost` are in `currency`, without the `unpriced` calls, whose price is not
    known. `failed` calls gave no answer; `name` is '' where a run has no user or no target.
    """

    name: str
    calls: int
    failed: int
    tokens_in: int
    tokens_out: int
    paid: float
    list_cost: float
    unpriced: int
    currency: str


async def spending(
    workspace: Workspace,
    *,
    by: By = "model",
    since: date | str | None = None,
    until: date | str | None = None,
) -> tuple[Spent, ...]:
    """Sum what was spent; `since` and `until` are days, or text such as 2026-07-31, both included.

    Months come in order, all else with the most expensive first.
    """
    if by not in BY:
        known = f"{', '.join(BY[:-1])} or {BY[-1]}"
        raise ConfigError(f"spend is summed by {known}, not by “{by}”")
    first, last = _day(since), _day(until)
    sums = await workspace.database.read(store.sum_spend, by, workspace.actor.sees, first, last)
    settings = workspace.settings
    return tuple(
        Spent(
            one.name, one.calls, one.failed, one.input, one.output,
            money(one.paid, settings.per_usd) or 0.0, money(one.list_cost, settings.per_usd) or 0.0,
            one.unpriced, settings.currency,
        )
        for one in sums
    )  # fmt: skip


def as_csv(spent: Sequence[Spent], by: By = "model") -> str:
    """Write sums as comma-separated text that Excel reads, safe from formulas in names."""
    currency = spent[0].currency if spent else ""
    unit = f"_{currency.lower()}" if currency else ""
    file = StringIO()
    file.write(_BYTE_ORDER_MARK)
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(
        [by, "calls", "failed", "tokens_in", "tokens_out", f"paid{unit}", f"list_cost{unit}",
         "unpriced_calls"]
    )  # fmt: skip
    for one in spent:
        writer.writerow(
            [with_formula_mark(one.name), one.calls, one.failed, one.tokens_in, one.tokens_out,
             f"{one.paid:.6f}", f"{one.list_cost:.6f}", one.unpriced]
        )  # fmt: skip
    return file.getvalue()


def _day(day: date | str | None) -> str | None:
    if day is None or day == "":
        return None
    if isinstance(day, date):
        return day.isoformat()[:10]
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError:
        raise ConfigError(f"“{day}” is no day: write it as 2026-07-31") from None


__all__ = ["BY", "By", "Spent", "as_csv", "spending"]
