"""The commands `import` and `products`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from waremill.app import Workspace
from waremill.app.browsing import Browse, Slot
from waremill.app.sourcing import import_source
from waremill.cli.door import command, print_json, print_table, with_workspace
from waremill.domain import Asset
from waremill.errors import ConfigError

SHOWN = 10


@command("import", short_help="Import sheets into a catalogue.")
@click.argument("files", nargs=-1)
@click.option("--source", metavar="NAME", help="Instead of FILES, a source of waremill.toml.")
@click.option("--key", metavar="COL", help="The column that tells products apart.")
@click.option("--group", metavar="COL", help="The column that joins SKUs to one product (SPU).")
@click.option("--sheet", metavar="S", help="A workbook's sheet, by name or number from 1.")
@click.option("--catalog", metavar="NAME", help="The catalogue (default: the only one).")
def import_command(
    folder: str | None,
    as_json: bool,
    files: tuple[str, ...],
    source: str | None,
    **given: str | None,
) -> int:
    """Import FILES: xlsx, xls, ods, csv, tsv, jsonl, parquet, folders, or SQLAlchemy URLs.

    A source that waremill.toml names may also be a REST address, or a folder or bucket whose new
    and changed files are imported.

    Products are matched by key: new ones are added, changed ones updated, and columns that a file
    does not have keep their values.
    """

    async def work(workspace: Workspace) -> int:
        def progress(rows: int) -> None:
            if sys.stderr.isatty():
                click.echo(f"\r{rows:,} rows ", nl=False, err=True)

        if bool(files) == bool(source):
            raise ConfigError("name what to import: files, or --source NAME")
        if source is None:
            done = await workspace.import_catalog(files, **given, progress=progress)
        elif given.pop("sheet") is not None:
            raise ConfigError("--sheet is for files; a source is read whole")
        else:
            done = await import_source(workspace, source, **given)
        if sys.stderr.isatty():
            click.echo("\r", nl=False, err=True)
        if as_json:
            print_json(
                {
                    "catalog": done.catalog, "key": done.key, "new": done.new,
                    "changed": done.changed, "unchanged": done.unchanged,
                    "problems": done.problem_count, "notes": done.notes,
                    "first_problems": [
                        {"file": p.source, "row": p.row, "message": p.message}
                        for p in done.problems[:100]
                    ],
                }
            )  # fmt: skip
            return 1 if done.aside else 0
        for note in done.notes:
            click.echo(f"note: {note}", err=True)
        for problem in done.problems[:SHOWN]:
            click.echo(f"row {problem.row} of {problem.source}: {problem.message}", err=True)
        if done.problem_count > SHOWN:
            click.echo(f"… and {done.problem_count - SHOWN:,} more rows like these", err=True)
        click.echo(
            f"{done.catalog or source}: {done.new:,} new, {done.changed:,} changed, "
            f"{done.unchanged:,} unchanged"
            + (f", {done.problem_count:,} rows with problems" if done.problem_count else "")
        )
        return 1 if done.aside else 0

    left = "the rows so far are imported, and the same command brings the others"
    return with_workspace(folder, as_json, work, left)


@command("products", short_help="Show products.")
@click.option("--where", metavar="SQL", help="A filter, such as \"brand = 'Dior' AND price > 30\".")
@click.option("--search", metavar="TEXT", help="Those that fit TEXT best, best first.")
@click.option("--stale", metavar="PIPELINE", help="Those whose results by PIPELINE are outdated.")
@click.option("--order-by", metavar="SQL", help='An order, such as "price DESC".')
@click.option(
    "--limit", metavar="N", type=click.IntRange(1, 100_000), default=20, show_default=True,
    help="How many to show.",
)  # fmt: skip
@click.option("--catalog", metavar="NAME", help="The catalogue (default: the only one).")
@click.option(
    "--target", "targets", metavar="T", multiple=True,
    help="Whose pictures count and are shown, such as de-DE@amazon; may be repeated "
    "(default: anybody's).",
)  # fmt: skip
def products_command(
    folder: str | None, as_json: bool, targets: tuple[str, ...], **given: Any
) -> int:
    """Show the products a selection picks, and how many they are.

    The first --search of a catalogue, and one after an import, embeds what is new in it.

    Picture slots of their schema come after the columns, each with what stands in it by target.
    """

    async def work(workspace: Workspace) -> int:
        found, products, total = await workspace.products(targets=targets, **given)
        pictured = await Browse(workspace).with_slots(products, targets)
        if as_json:
            print_json(
                {
                    "catalog": found.name, "total": total,
                    "products": [
                        {"key": one.key, "attributes": one.attributes,
                         "slots": [asdict(slot) for slot in one.slots]}
                        for one in pictured
                    ],
                }
            )  # fmt: skip
            return 0
        filled = [
            name
            for name in found.columns
            if name != found.key_column and any(p.attributes.get(name) for p in products)
        ][:6]
        slots = dict.fromkeys(
            slot.name for one in pictured for slot in one.slots if slot.references
        )
        rows = [
            {
                **one.attributes,
                **{slot.name: _pictures(slot) for slot in one.slots},
                "_key": one.key,
            }
            for one in pictured
        ]
        print_table(rows, ["_key", *(name for name in filled if name not in slots), *slots])
        click.echo(f"{total:,} products; {len(products)} shown, {len(found.columns)} columns")
        return 0

    return with_workspace(folder, as_json, work)


def _pictures(slot: Slot) -> str:
    """Write what stands in a slot, each after its target; of a stored picture its first digits."""
    return "; ".join(
        f"{one.target}: {_written(one.value)}" if one.target else _written(one.value)
        for one in slot.references
    )


def _written(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_written, value))
    head, _, ending = str(value).rpartition(".")
    return f"{head[:14]}….{ending}" if Asset.parse(value) is not None else str(value)
