"""The command `image`: one operation on a picture or a folder; its flags are its options."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import click

from waremill.app import picturing
from waremill.cli.door import INTERRUPTED, exit_code, print_json
from waremill.errors import UserError


class Operations(click.Group):
    """A group whose commands are the operations there are."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the operations by name."""
        try:
            return list(picturing.all_operations())
        except UserError:
            return []

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Make the command of an operation."""
        try:
            operation = picturing.operation_named(cmd_name)
        except UserError as error:
            raise click.UsageError(error.message, ctx) from None
        return _command(operation)


@click.group("image", cls=Operations, short_help="Work on a picture or a folder of pictures.")
def image_command() -> None:
    """Work on one picture, or on every picture of a folder, without a run.

    The operations are those of a pipeline's steps, with the same options. Results keep their
    sources' names; what cannot be used is said and left out.
    """


def _command(operation: Any) -> click.Command:
    """Make the command of one operation from its options."""
    options = [
        click.Option(
            [f"--{one.name.replace('_', '-')}", one.name],
            help=_help(one, one.name in operation.pictures),
            metavar=operation.form(one.name),
        )
        for one in dataclasses.fields(operation.options)
    ]
    return click.Command(
        operation.name,
        callback=_callback(operation),
        help=f"{operation.about}\n\nIN is a picture or a folder, OUT the file or folder to write.",
        short_help=operation.about,
        params=[
            click.Argument(["source"], metavar="IN"),
            click.Argument(["target"], metavar="OUT"),
            *options,
            click.Option(["--threads"], type=click.IntRange(1, 256),
                         help="Pictures worked on at once (default: the machine's cores)."),
            click.Option(["-C", "folder"], metavar="DIR",
                         help="A workspace whose presets and fonts are used (default: the nearest "
                              "one upward; there need be none)."),
            click.Option(["--json", "as_json"], is_flag=True,
                         help="Print one JSON document instead of text."),
        ],
    )  # fmt: skip


def _help(one: dataclasses.Field[Any], picture: bool) -> str:
    about = str(one.metadata.get("about", ""))
    default = one.default
    if picture or default is None or default == "" or default == ():
        return about
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default).lower() \
        if isinstance(default, bool) else str(default)  # fmt: skip
    return f"{about}  [default: {shown}]"


def _callback(operation: Any) -> Any:
    def run(
        source: str,
        target: str,
        threads: int | None,
        folder: str | None,
        as_json: bool,
        **options: Any,
    ) -> None:
        given = {name: value for name, value in options.items() if value is not None}

        def work() -> int:
            try:
                return _said(operated(), as_json)
            except KeyboardInterrupt:
                click.echo("stopped; the results written so far stay", err=True)
                return INTERRUPTED

        def operated() -> picturing.Operated:
            return picturing.operate(
                operation.name, Path(source), Path(target), given,
                folder=folder, threads=threads, progress=None if as_json else _progress,
            )  # fmt: skip

        raise click.exceptions.Exit(exit_code(as_json, work))

    return run


def _progress(done: int, total: int) -> None:
    if total > 1 and sys.stderr.isatty():
        click.echo(f"\r{done:,} of {total:,} pictures", nl=done == total, err=True)


def _said(found: picturing.Operated, as_json: bool) -> int:
    if as_json:
        print_json(
            {
                "made": [{"source": str(a), "result": str(b)} for a, b in found.made],
                "failed": [{"source": str(a), "message": text} for a, text in found.failed],
                "skipped": found.skipped,
            }
        )
    else:
        for path, message in found.failed:
            click.echo(f"{path}: {message}", err=True)
        if found.skipped:
            click.echo(f"note: {found.skipped:,} other files were left alone", err=True)
        if len(found.made) == 1:
            click.echo(str(found.made[0][1]))
        else:
            failed = f", {len(found.failed):,} could not be used" if found.failed else ""
            click.echo(f"{len(found.made):,} pictures written{failed}")
    return 1 if found.failed else 0
