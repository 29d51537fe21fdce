"""The commands `init` and `doctor`."""

from __future__ import annotations

from pathlib import Path

import click

from waremill.app.setup import EXAMPLES, make_workspace
from waremill.cli.door import command, exit_code, print_json, with_workspace


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
def doctor_command(folder: str | None, as_json: bool) -> int:
    """Check the workspace: settings, database, templates, pipelines, models' keys."""

    async def work(workspace: object) -> int:
        from waremill.app.setup import examine

        found = await examine(workspace)  # type: ignore[arg-type]
        if as_json:
            print_json([{"what": f.what, "fine": f.fine, "detail": f.detail} for f in found])
        else:
            for finding in found:
                mark = "ok " if finding.fine else "!! "
                click.echo(f"{mark} {finding.what}: {finding.detail}")
        return 0 if all(finding.fine for finding in found) else 1

    return with_workspace(folder, as_json, work)
