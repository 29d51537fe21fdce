"""The command group `schedule`: runs that begin by themselves, and what came of each."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

import click

from waremill.app import Workspace
from waremill.app.options import TaskOptions, parameters
from waremill.app.scheduling import schedules
from waremill.app.scheduling.leading import Scheduler
from waremill.app.scheduling.schedules import ScheduleView, SlotView, Wanted
from waremill.cli.door import command, print_json, print_table, with_workspace
from waremill.cli.tasks import task_options, work_options
from waremill.runs.schedule import CATCH_UPS, ONLY, OVERLAPS


@click.group("schedule", short_help="Runs that begin by themselves.")
def schedule_command() -> None:
    """Start runs by the clock, over what is new or changed.

    Slots are fired by `waremill serve`, or by `waremill schedule work`, while one of them runs.
    """


@command("add", short_help="Add a schedule.")
@click.argument("name")
@partial(task_options, files=False)
@work_options
@click.option("--cron", metavar="LINE", required=True,
              help='Minute, hour, day, month, weekday, as "0 3 * * *"; or @daily.')  # fmt: skip
@click.option("--timezone", metavar="ZONE",
              help="As Asia/Shanghai (default: this machine's).")  # fmt: skip
@click.option("--source", "source", metavar="SRC",
              help="Import this source of waremill.toml before each run.")  # fmt: skip
@click.option("--only", type=click.Choice(ONLY), multiple=True,
              help="Products new or changed since this schedule worked them, or with a field "
              "nobody filled; may be repeated (any of them).")  # fmt: skip
@click.option("--budget", metavar="AMOUNT", type=float,
              help="Most money a run, in the workspace's currency; needed.")  # fmt: skip
@click.option("--trial", metavar="N", type=int, help="Try N products first.")
@click.option("--accuracy", metavar="SHARE", type=float,
              help="What the trial must reach, as 0.9; below, nothing is run.")  # fmt: skip
@click.option("--gold", metavar="FILE|COL", help="Right values the trial is compared with.")
@click.option("--overlap", type=click.Choice(OVERLAPS), default="skip", show_default=True,
              help="When the earlier run is not over.")  # fmt: skip
@click.option("--catch-up", type=click.Choice(CATCH_UPS), default="once", show_default=True,
              help="After slots that nobody fired.")  # fmt: skip
def add_command(folder: str | None, as_json: bool, name: str, **given: Any) -> int:
    """Add the schedule NAME, which runs PIPELINE whenever the cron line says."""

    async def work(workspace: Workspace) -> int:
        options = cast(
            "TaskOptions",
            {**{one: given.get(one) for one in schedules.KEPT},
             "params": parameters(given["params"])},
        )  # fmt: skip
        made = await schedules.add(
            workspace,
            Wanted(
                name, given["pipeline"], given["cron"], given["budget"], given["timezone"],
                options, given["only"], given["source"], given["trial"], given["accuracy"],
                given["overlap"], given["catch_up"],
            ),
        )  # fmt: skip
        return _shown(made, as_json)

    return with_workspace(folder, as_json, work)


def _shown(found: ScheduleView, as_json: bool) -> int:
    if as_json:
        print_json(found.as_json())
        return 0
    one = found.schedule
    only = f", only {' or '.join(one.only)}" if one.only else ""
    click.echo(f"{one.name}: {one.pipeline}{only}, at {one.cron} ({one.timezone}), {found.state}")
    click.echo(f"  budget {found.budget:g} {found.currency} a run")
    said = _said(one.options)
    if said:
        click.echo(f"  with {said}")
    if one.source:
        click.echo(f"  imports {one.source} before")
    if one.trial:
        click.echo(f"  tries {one.trial} products first, which must reach {one.accuracy:.0%}")
    if found.next_at is not None:
        click.echo(f"  next: {_moment(found.next_at, one.timezone)}")
    if found.last is not None:
        click.echo(f"  last: {_line(found.last, one.timezone)}")
    return 0


def _said(options: Mapping[str, Any]) -> str:
    """Say in one line what else was said of the runs, in the words of `schedule add`."""
    parts = []
    for name, value in options.items():
        option = "--" + _OPTIONS.get(name, name.replace("_", "-"))
        if value is True:
            parts.append(option)
        elif isinstance(value, Mapping):
            parts += [f"{option} {key}={one}" for key, one in value.items()]
        elif isinstance(value, list | tuple):
            parts += [f"{option} {one}" for one in value]
        else:
            parts.append(f"{option} {value}")
    return " ".join(parts)


_OPTIONS = {"targets": "target", "params": "set"}


def _moment(seconds: float, zone: str) -> str:
    return datetime.fromtimestamp(seconds, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S %Z")


def _line(view: SlotView, zone: str) -> str:
    shown = view.as_json()
    run = f" {shown['run']} ({shown['run_state']})" if shown["run"] else ""
    tried = f" after trial {shown['trial']}" if shown["trial"] else ""
    reason = f": {shown['reason']}" if shown["reason"] else ""
    return f"{_moment(view.slot.at, zone)} {shown['state']}{run}{tried}{reason}"


@command("list", short_help="List the schedules.")
@click.option("--removed", is_flag=True, help="Those that were removed.")
def list_command(folder: str | None, as_json: bool, removed: bool) -> int:
    """List the schedules: when each is due next, and what came of its last slot."""

    async def work(workspace: Workspace) -> int:
        found = await schedules.list_schedules(workspace, removed=removed)
        if as_json:
            print_json([one.as_json() for one in found])
            return 0
        rows = [
            {
                "name": one.schedule.name, "pipeline": one.schedule.pipeline,
                "cron": one.schedule.cron, "state": one.state,
                "next": None if one.next_at is None
                else _moment(one.next_at, one.schedule.timezone),
                "last": None if one.last is None else _line(one.last, one.schedule.timezone),
            }
            for one in found
        ]  # fmt: skip
        print_table(rows, ["name", "pipeline", "cron", "state", "next", "last"])
        return 0

    return with_workspace(folder, as_json, work)


@command("show", short_help="Show a schedule and its history.")
@click.argument("name")
@click.option("--limit", metavar="N", type=click.IntRange(1, 500), default=20, show_default=True,
              help="How many slots to show.")  # fmt: skip
@click.option("--cursor", metavar="CURSOR", help="Go on after a page, as --json gave it.")
def show_command(
    folder: str | None, as_json: bool, name: str, limit: int, cursor: str | None
) -> int:
    """Show the schedule NAME, and what came of each slot, newest first.

    Where it was removed, it is shown as it was last.
    """

    async def work(workspace: Workspace) -> int:
        found = await schedules.show(workspace, name)
        page = await schedules.history(workspace, name, cursor=cursor, size=limit)
        if as_json:
            slots = [one.as_json() for one in page.rows]
            print_json({**found.as_json(), "slots": slots, "next_page": page.next})
            return 0
        _shown(found, as_json=False)
        zone = found.schedule.timezone
        for one in page.rows:  # no table, which would cut the reasons
            click.echo(f"  {one.slot.cause:<6}  {_line(one, zone)}")
        return 0

    return with_workspace(folder, as_json, work)


@command("pause", short_help="Fire no further slot.")
@click.argument("name")
def pause_command(folder: str | None, as_json: bool, name: str) -> int:
    """Fire no further slot of the schedule NAME; a run at work goes on."""

    async def work(workspace: Workspace) -> int:
        return _shown(await schedules.pause(workspace, name), as_json)

    return with_workspace(folder, as_json, work)


@command("resume", short_help="Fire slots again.")
@click.argument("name")
def resume_command(folder: str | None, as_json: bool, name: str) -> int:
    """Fire slots of the schedule NAME again, from the next one on."""

    async def work(workspace: Workspace) -> int:
        return _shown(await schedules.resume(workspace, name), as_json)

    return with_workspace(folder, as_json, work)


@command("remove", short_help="Remove a schedule.")
@click.argument("name")
def remove_command(folder: str | None, as_json: bool, name: str) -> int:
    """Remove the schedule NAME; its history and the runs it started stay."""

    async def work(workspace: Workspace) -> int:
        await schedules.remove(workspace, name)
        if as_json:
            print_json({"removed": name})
        else:
            click.echo(f"{name} is removed; its runs and its history stay: schedule show {name}")
        return 0

    return with_workspace(folder, as_json, work)


@command("run", short_help="Fire a slot now.")
@click.argument("name")
def run_command(folder: str | None, as_json: bool, name: str) -> int:
    """Fire a slot of the schedule NAME now, and say what comes of it.

    Returns when its run has begun, which goes on in a process of its own; with a trial, that is
    after the trial.
    """

    async def work(workspace: Workspace) -> int:
        slot = await schedules.run_now(workspace, name)
        found = await Scheduler(workspace).fire_now(slot)
        if as_json:
            print_json(found.as_json())
        else:
            zone = (await schedules.find(workspace, name, removed=True)).timezone
            click.echo(_line(found, zone))
        return 0 if found.slot.state in ("run", "nothing") else 1

    return with_workspace(folder, as_json, work)


@command("work", short_help="Fire slots in this process.")
def work_command(folder: str | None, as_json: bool) -> int:
    """Fire the slots of all schedules until Ctrl-C, as `waremill serve` does beside its pages.

    Several may run over one database: one of them leads, and another takes over when it ends.
    """

    async def work(workspace: Workspace) -> int:
        click.echo("waremill: schedules are fired here; Ctrl-C ends it", err=True)
        if as_json:
            print_json({"schedules": len(await schedules.list_schedules(workspace))})
            sys.stdout.flush()
        try:
            await Scheduler(workspace).work()
        except asyncio.CancelledError:
            click.echo("no schedule is fired here any more; runs at work go on", err=True)
        return 0

    return with_workspace(folder, as_json, work)


for _one in (
    add_command, list_command, show_command, pause_command, resume_command, remove_command,
    run_command, work_command,
):  # fmt: skip
    schedule_command.add_command(_one)
