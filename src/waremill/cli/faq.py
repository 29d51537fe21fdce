"""The commands `faq entries` and `faq unanswered`: what a run made of shoppers' questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from waremill.app import Workspace
from waremill.app.faqs import Entry, Open, gather
from waremill.app.faqs.writing import shown_entry, write_faq
from waremill.cli.door import command, print_json, print_table, with_workspace

_LIMIT = click.option(
    "--limit", metavar="N", type=click.IntRange(1, 10_000), default=20, show_default=True,
    help="How many to show; a file has all.",
)  # fmt: skip
_OUTPUT = click.option(
    "-o", "--output", metavar="OUT", help="Write all to xlsx, csv, tsv, jsonl or parquet."
)
_LONG = click.option(
    "--wide/--long", default=True, help="In the file: a row an entry, or a row for each product."
)
_ACCEPTED = click.option("--accepted", is_flag=True, help="Only of items that were accepted.")


@click.group("faq", short_help="A run's answers by category, and its open questions.")
def faq_command() -> None:
    """Put together what a run's step `faq` made, by category."""


@command("entries", short_help="Answers, each once a category.")
@click.argument("run")
@_ACCEPTED
@_LIMIT
@_OUTPUT
@_LONG
def entries_command(folder: str | None, as_json: bool, run: str, **given: Any) -> int:
    """Show the answers of RUN, those that say the same for several products of a category once."""
    return _gathered(folder, as_json, run, Entry, given)


@command("unanswered", short_help="Questions that no document answers.")
@click.argument("run")
@_LIMIT
@_OUTPUT
@_LONG
def unanswered_command(folder: str | None, as_json: bool, run: str, **given: Any) -> int:
    """Show the questions of RUN that nothing answers, those of most products first."""
    return _gathered(folder, as_json, run, Open, given)


def _gathered(
    folder: str | None, as_json: bool, run: str, kind: type[Any], given: dict[str, Any]
) -> int:
    async def work(workspace: Workspace) -> int:
        accepted = bool(given.get("accepted"))
        with await gather(workspace, run, kind, accepted=accepted) as faq:
            rows = [shown_entry(one) for one in await faq.first(given["limit"])]
            notes = [*faq.notes]
            if place := given["output"]:
                written = await write_faq(faq, Path(place), long=not given["wide"])
                notes += written.notes
            if as_json:
                print_json(
                    {"run": faq.run, "pipeline": faq.pipeline, "total": faq.total, "rows": rows,
                     "output": place, "notes": notes}
                )  # fmt: skip
                return 0
            for note in notes:
                click.echo(f"note: {note}", err=True)
            _show(kind, rows, faq.total)
            if place:
                click.echo(f"{written.rows:,} rows in {place}")
        return 0

    return with_workspace(folder, as_json, work)


def _show(kind: type[Any], rows: list[dict[str, Any]], total: int) -> None:
    shown = [
        {**one, "keys": ", ".join(one["keys"][:3]), "products": f"{one['products']}/{one['of']}"}
        for one in rows
    ]
    names = ["category", "target", "products", "question"]
    names += ["answer"] if kind is Entry else ["keys"]
    if rows:
        print_table(shown, names)
    what = "entries" if kind is Entry else "open questions"
    click.echo(f"{total:,} {what}; {len(rows):,} shown")


faq_command.add_command(entries_command)
faq_command.add_command(unanswered_command)
