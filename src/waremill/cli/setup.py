"""The commands `init` and `doctor`."""

from __future__ import annotations

from pathlib import Path

import click

from waremill.app.setup import EXAMPLES, make_workspace
from waremill.cli.door import command, exit_code, print_json, run_loop, workspace_at


@command("init", short_help="Make a workspace.")
@click.argument("directory", required=False, default=".")
@click.option("--example", metavar="NAME", help=f"Start from an example: {', '.join(EXAMPLES)}.")
def init_command(folder: str | None, as_json: bool, directory: str, example: str | None) -> int:
    """Make a workspace in DIRECTORY (default: here). Existing files are never overwritten."""

    def work() -> int:
        made = make_workspace(Path(folder or ".") / directory, example)
        if as_json:
            print_json({"workspace": str(made.root), "files": made.files})
            return 0
        click.echo(f"made a workspace in {made.root} ({len(made.files)} files)")
        if made.next:
            click.echo(f"next: {made.next}")
        return 0

    return exit_code(as_json, work)


@command("doctor", short_help="Check the workspace.")
@click.option("--models", "call_models", is_flag=True, help="Call each model too: two small calls.")
def doctor_command(folder: str | None, as_json: bool, call_models: bool) -> int:
    """Check settings, database, pipelines, keys, disks, cluster and extras; say what to do.

    Each line is ok, a warning or an error. Exit 0: no error; 1: some; 2: there is no workspace, or
    its settings cannot be read.
    """

    async def work() -> int:
        from waremill.app.operations.examining import examine_closed

        found = await examine_closed(workspace_at(folder), call_models=call_models)
        if as_json:
            print_json([
                {"what": f.what, "level": f.level, "fine": f.fine, "detail": f.detail}
                for f in found
            ])  # fmt: skip
        else:
            for line in found:
                click.echo(f"{line.level:<7}  {line.what}: {line.detail}")
        return 0 if all(line.fine for line in found) else 1

    return exit_code(as_json, lambda: run_loop(work()))
