"""The commands about runs that exist: list, follow, resume, stop, report, export, review."""

from __future__ import annotations

import asyncio

import click

from waremill.app import Workspace
from waremill.cli.bar import Bar
from waremill.cli.door import command, print_json, print_table, with_workspace
from waremill.cli.tasks import ending, show_status, status_json


@command("runs", short_help="List the runs.")
def runs_command(folder: str | None, as_json: bool) -> int:
    """List the runs, the newest first."""

    async def work(workspace: Workspace) -> int:
        rows = [
            {"run": run.name, "kind": run.kind, "pipeline": run.pipeline, "state": run.state,
             "items": run.total, "reason": run.reason}
            for run in await workspace.runs()
        ]  # fmt: skip
        if as_json:
            print_json(rows)
        elif rows:
            print_table(rows, ["run", "kind", "pipeline", "state", "items", "reason"])
        else:
            click.echo("no run yet; start with `waremill trial PIPELINE`")
        return 0

    return with_workspace(folder, as_json, work)


@command("status", short_help="Show how far a run is.")
@click.argument("run")
@click.option("--watch", is_flag=True, help="Go on showing it until it ends.")
def status_command(folder: str | None, as_json: bool, run: str, watch: bool) -> int:
    """Show how far RUN is (an id, a unique prefix, or `last`) and what it cost."""

    async def work(workspace: Workspace) -> int:
        status = await workspace.status(run)
        while watch and status.state == "running":
            await show_status(workspace, status)
            await asyncio.sleep(2)
            status = await workspace.status(run)
        if as_json:
            print_json(status_json(status))
        else:
            await show_status(workspace, status)
        return 0

    return with_workspace(folder, as_json, work)


def _work_on(folder: str | None, as_json: bool, run: str, retry: bool, budget: float | None) -> int:
    async def work(workspace: Workspace) -> int:
        bar = Bar(workspace.settings.currency, workspace.settings.per_usd, quiet=as_json)
        try:
            status = await workspace.resume(run, bar.start, retry_failed=retry, budget=budget)
        finally:
            bar.close()
        if as_json:
            print_json(status_json(status))
        else:
            await show_status(workspace, status)
        return ending(status)

    return with_workspace(folder, as_json, work)


@command("resume", short_help="Go on with a run.")
@click.argument("run")
@click.option("--retry-failed", is_flag=True, help="Try failed items again.")
@click.option("--budget", metavar="AMOUNT", type=float, help="A new budget.")
def resume_command(
    folder: str | None, as_json: bool, run: str, retry_failed: bool, budget: float | None
) -> int:
    """Go on with RUN; what was answered is not paid again, and its output is written anew."""
    return _work_on(folder, as_json, run, retry_failed, budget)


@command("work", short_help="Work a planned run.")
@click.argument("run")
def work_command(folder: str | None, as_json: bool, run: str) -> int:
    """Work RUN in this process."""
    return _work_on(folder, as_json, run, False, None)


@command("pause", short_help="Pause a run.")
@click.argument("run")
def pause_command(folder: str | None, as_json: bool, run: str) -> int:
    """Ask RUN's worker to stop after the calls in flight."""

    async def work(workspace: Workspace) -> int:
        status = await workspace.pause(run)
        if as_json:
            print_json(status_json(status))
        else:
            click.echo(f"run {status.run} will pause" if status.state == "running" else
                       f"run {status.run} is {status.state}")  # fmt: skip
        return 0

    return with_workspace(folder, as_json, work)


@command("cancel", short_help="Stop a run for good.")
@click.argument("run")
def cancel_command(folder: str | None, as_json: bool, run: str) -> int:
    """Stop RUN for good; what is finished stays and can be exported."""

    async def work(workspace: Workspace) -> int:
        status = await workspace.cancel(run)
        if as_json:
            print_json(status_json(status))
        else:
            click.echo(f"run {status.run} will end" if status.state == "running" else
                       f"run {status.run} is {status.state}")  # fmt: skip
        return 0

    return with_workspace(folder, as_json, work)


@command("report", short_help="Write a run's report.")
@click.argument("run")
@click.option("-o", "--output", metavar="FILE.html", help="Where it goes (default: the workspace).")
def report_command(folder: str | None, as_json: bool, run: str, output: str | None) -> int:
    """Write RUN's report: one HTML file that needs no network."""

    async def work(workspace: Workspace) -> int:
        path = await workspace.report(run, output)
        if as_json:
            print_json({"report": str(path)})
        else:
            click.echo(str(path))
        return 0

    return with_workspace(folder, as_json, work)


@command("export", short_help="Write a run's items to a file.")
@click.argument("run")
@click.argument("out")
@click.option("--accepted", is_flag=True, help="Only what was accepted.")
@click.option("--wide/--long", default=True, help="A row a product, or a row an item.")
def export_command(
    folder: str | None, as_json: bool, run: str, out: str, accepted: bool, wide: bool
) -> int:
    """Write RUN's items to OUT: xlsx, csv, tsv, jsonl or parquet, by its suffix."""

    async def work(workspace: Workspace) -> int:
        written = await workspace.export(run, out, accepted=accepted, wide=wide)
        if as_json:
            print_json(written)
            return 0
        for note in written["notes"]:
            click.echo(f"note: {note}", err=True)
        click.echo(f"{written['rows']:,} rows in {written['path']}")
        return 0

    return with_workspace(folder, as_json, work)


@command("review", short_help="Accept items by a rule.")
@click.argument("run")
@click.option(
    "--accept-where", metavar="SQL", help='Accept items a rule picks, such as "_findings = 0".'
)
def review_command(folder: str | None, as_json: bool, run: str, accept_where: str | None) -> int:
    """Show what of RUN waits for review, or accept it by a rule."""

    async def work(workspace: Workspace) -> int:
        accepted = 0
        if accept_where is not None:
            accepted = await workspace.accept(run, accept_where)
        status = await workspace.status(run)
        if as_json:
            print_json({"run": status.run, "accepted": accepted, "states": dict(status.states)})
            return 0
        if accept_where is not None:
            click.echo(f"accepted {accepted:,} items")
        waiting = status.states.get("ready", 0) + status.states.get("review", 0)
        click.echo(f"{waiting:,} items wait for review, {status.in_review:,} of them with findings")
        return 0

    return with_workspace(folder, as_json, work)
