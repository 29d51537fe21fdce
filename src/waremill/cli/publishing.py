"""The command `publish`: accepted content to a channel, back again, and what was published."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

import click

from waremill.app import Workspace, publishing
from waremill.app.accounts import Accounts
from waremill.app.paging import LARGEST
from waremill.app.publishing import PublicationShown, PublishOptions, RefusalShown
from waremill.cli.door import command, print_json, print_table, with_workspace

SHOWN = 10
"""Refusals that are printed; `publish refusals` has all."""
_EVERY = 0.2


class _Publish(click.Group):
    """A group whose first word may also be a run: `publish RUN CHANNEL OUT…`."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Take the first word as a run where it is no command; `-C DIR` may stand before it."""
        place = 0
        while place < len(args) and args[place].startswith("-"):
            place += 2 if args[place] == "-C" else 1
        word = args[place] if place < len(args) else ""
        if word in self.commands:
            return word, self.commands[word], [*args[:place], *args[place + 1 :]]
        return "run", self.commands["run"], args


@click.group(
    "publish", cls=_Publish, short_help="Publish what was accepted.",
    context_settings={"ignore_unknown_options": True},
)  # fmt: skip
def publish_command() -> None:
    """Publish what was accepted to a channel of waremill.toml: `publish RUN CHANNEL OUT…`.

    `publish run` is the same in full; see docs/how-to/publish.md.
    """


@command("run", short_help="Publish a run's accepted items.")
@click.argument("run")
@click.argument("channel")
@click.argument("out", nargs=-1)
@click.option("--stage", metavar="STAGE", help="1%, 10% or all; each opens the next.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and write nothing.")
@click.option(
    "--target", "targets", metavar="T", multiple=True,
    help="Only this target; may be repeated (default: the channel's, else all of the run).",
)  # fmt: skip
@click.option(
    "--refusals", metavar="FILE",
    help="Write all that is refused to a table (xlsx, csv, tsv, jsonl, parquet).",
)  # fmt: skip
def run_command(folder: str | None, as_json: bool, run: str, channel: str, **given: Any) -> int:
    """Publish the accepted items of RUN to CHANNEL: to the files OUT, one a target, or a database.

    Without OUT it goes where waremill.toml says. Values that did not change are not written again
    where the format allows it, and a missing value never replaces one that is live.
    """
    options = PublishOptions(
        given["out"], given["stage"], given["dry_run"], given["targets"], given["refusals"]
    )

    async def work(workspace: Workspace) -> int:
        line = _Line(as_json)
        try:
            made = await publishing.publish(workspace, run, channel, options, line)
        finally:
            line.close()
        if as_json:
            print_json({"publications": [asdict(one) for one in made]})
        for one in [] if as_json else made:
            _print(one)
        return 1 if any(one.refused for one in made) else 0

    return with_workspace(folder, as_json, work)


@command("rollback", short_help="Publish again what a publication replaced.")
@click.argument("publication")
@click.argument("out", nargs=-1)
def rollback_command(
    folder: str | None, as_json: bool, publication: str, out: tuple[str, ...]
) -> int:
    """Publish again what PUBLICATION replaced, to its own files or to OUT.

    What was published after it stays. The rollback is a publication itself.
    """

    async def work(workspace: Workspace) -> int:
        made = await publishing.roll_back(workspace, publication, out)
        if as_json:
            print_json(asdict(made))
        else:
            _print(made)
        return 0

    return with_workspace(folder, as_json, work)


@command("list", short_help="List what was published.")
@click.option("--channel", metavar="NAME", help="Only of this channel.")
@click.option("--run", "of_run", metavar="RUN", help="Only of this run.")
@click.option(
    "--limit", metavar="N", type=click.IntRange(1, 1000), default=50, show_default=True,
    help="How many to list.",
)  # fmt: skip
def list_command(
    folder: str | None, as_json: bool, channel: str | None, of_run: str | None, limit: int
) -> int:
    """List the publications, the newest first."""

    async def work(workspace: Workspace) -> int:
        page = await publishing.list_publications(
            workspace, size=limit, channel=channel, run=of_run
        )
        rows = [_row(one) for one in page.rows]
        if as_json:
            print_json(rows)
        elif rows:
            print_table(
                rows,
                ["publication", "at", "run", "channel", "stage", "state", "new", "changed",
                 "refused", "rolls_back"],
            )  # fmt: skip
        else:
            click.echo("nothing was published yet; `waremill publish RUN CHANNEL OUT` does")
        return 0

    return with_workspace(folder, as_json, work)


@command("show", short_help="Show a publication.")
@click.argument("publication")
def show_command(folder: str | None, as_json: bool, publication: str) -> int:
    """Show PUBLICATION (a name, a unique prefix, or `last`): counts, refusals, files."""

    async def work(workspace: Workspace) -> int:
        found = await publishing.show_publication(workspace, publication)
        if as_json:
            print_json(asdict(found))
        else:
            _print(found)
        return 0

    return with_workspace(folder, as_json, work)


@command("refusals", short_help="List all that a publication refused.")
@click.argument("publication")
@click.argument("out", required=False)
def refusals_command(folder: str | None, as_json: bool, publication: str, out: str | None) -> int:
    """List all that PUBLICATION refused and why, or write it to OUT (csv, xlsx, …).

    They are kept for a channel's last ten publications.
    """

    async def work(workspace: Workspace) -> int:
        if out is not None:
            written = await publishing.export_refusals(workspace, publication, Path(out))
            if as_json:
                print_json({"path": out, "rows": written.rows, "notes": list(written.notes)})
            else:
                click.echo(f"{written.rows:,} refusals in {out}")
            return 0
        rows: list[RefusalShown] = []
        page = await publishing.list_refusals(workspace, publication, size=LARGEST)
        while True:
            rows += page.rows if as_json else ()
            for one in () if as_json else page.rows:
                click.echo(_refusal(one))
            if page.next is None:
                break
            page = await publishing.list_refusals(
                workspace, publication, size=LARGEST, cursor=page.next
            )
        if as_json:
            print_json([asdict(one) for one in rows])
        return 0

    return with_workspace(folder, as_json, work)


@command("channels", short_help="List the channels of waremill.toml.")
def channels_command(folder: str | None, as_json: bool) -> int:
    """List the channels that can be published to."""

    async def work(workspace: Workspace) -> int:
        rows = await _channels(workspace)
        if as_json:
            print_json(rows)
        elif rows:
            print_table(
                rows, ["name", "format", "mapping", "targets", "out", "staged", "lacks", "team"]
            )
        else:
            click.echo("waremill.toml has no [publish.NAME] yet; see docs/how-to/publish.md")
        return 0

    return with_workspace(folder, as_json, work)


async def _channels(workspace: Workspace) -> list[dict[str, Any]]:
    names = {team.id: team.name for team in await Accounts(workspace).teams()}
    found = await publishing.list_channels(workspace)
    return [{**asdict(one), "team": None if one.team is None else names[one.team]} for one in found]


def _row(one: PublicationShown) -> dict[str, Any]:
    at = datetime.fromtimestamp(one.created_at or 0).astimezone()
    return {
        "publication": one.publication, "at": at.isoformat(timespec="seconds"), "run": one.run,
        "channel": one.channel, "format": one.format, "stage": one.stage, "state": one.state,
        "by": one.by, "new": one.rows["new"], "changed": one.rows["changed"],
        "unchanged": one.rows["unchanged"], "refused": one.refused,
        "rolls_back": one.rolls_back, "reason": one.reason,
    }  # fmt: skip


def _print(one: PublicationShown) -> None:
    rows = one.rows
    what = f"publication {one.publication}" if one.publication else "dry run, nothing was written"
    back = f", takes back {one.rolls_back}" if one.rolls_back else ""
    state = f"{one.state}, nothing was published of" if one.state == "failed" else f"{one.state}:"
    click.echo(
        f"{one.channel}, stage {one.stage}, {state} {rows['new']:,} new rows, "
        f"{rows['changed']:,} changed, {rows['unchanged']:,} unchanged, "
        f"{rows['refused']:,} refused ({what}{back})"
    )
    if one.reason:
        click.echo(f"it ended because: {one.reason}")
    if one.left_out:
        parts = ", ".join(f"{count:,} {state}" for state, count in one.left_out.items())
        click.echo(f"not published, since not accepted: {parts}")
    if one.later:
        click.echo(f"{one.later:,} accepted rows are of later stages")
    moved = [
        {"column": name, **counts} for name, counts in one.fields.items()
        if any(counts[how] for how in counts if how != "unchanged")
    ]  # fmt: skip
    if moved:
        print_table(moved, ["column", "new", "changed", "kept", "taken_back", "unchanged"])
    for refusal in one.refusals[:SHOWN]:
        click.echo(f"refused {_refusal(refusal)}")
    if one.refusal_count > SHOWN:
        name = one.publication
        rest = f"waremill publish refusals {name}" if name else "--refusals FILE.csv"
        click.echo(
            f"… {one.refusal_count:,} reasons in all, in {one.refused:,} rows; all of them: {rest}"
        )
    for note in one.notes:
        click.echo(f"note: {note}", err=True)
    for file in one.files:
        if file.rows is not None:
            click.echo(f"{file.rows:,} rows in {file.path or 'the database'}")


def _refusal(one: RefusalShown) -> str:
    place = f", {one.place}" if one.place else ""
    target = f" for {one.target}" if one.target else ""
    column = f" “{one.field}”" if one.field else ""
    return f"{one.key}{target}{place}:{column} {one.message}"


class _Line:
    """Shows how far a publication is, on stderr."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet or not sys.stderr.isatty()
        self._last = 0.0

    def __call__(self, what: str, rows: int) -> None:
        if self._quiet or (monotonic() - self._last < _EVERY and what != "writing"):
            return
        self._last = monotonic()
        click.echo(f"\r\033[K{what}: {rows:,} rows ", nl=False, err=True)

    def close(self) -> None:
        if self._last:
            click.echo("\r\033[K", nl=False, err=True)


for _one in (
    run_command, rollback_command, list_command, show_command, refusals_command, channels_command,
):  # fmt: skip
    publish_command.add_command(_one)
