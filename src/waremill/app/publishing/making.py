"""The use case *publish*: accepted content of a run goes to a channel, in stages or at once.

`publish` comes back when it is done, `begin` as soon as the publication is written down: the rest
is done by this process, whoever waits for it or does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.publishing import background
from waremill.app.publishing.channels import (
    Opened,
    find_channel,
    open_channel,
    outputs_of,
    targets_of,
)
from waremill.app.publishing.history import shown, shown_dry
from waremill.app.publishing.judging import Judging, names_of
from waremill.app.publishing.refused import RefusalFile, kept_refusals
from waremill.app.publishing.shapes import PublicationShown
from waremill.app.publishing.stages import check_order, next_stage, read_stage
from waremill.app.publishing.tally import Tally
from waremill.app.publishing.writing import (
    add_receipts,
    fail,
    settle_unfinished,
    write_and_count,
)
from waremill.app.working import owner_name, thaw
from waremill.errors import ConfigError, Conflict
from waremill.settings import Publishing
from waremill.store import publishing as store
from waremill.store.pipelines import save_files
from waremill.store.publishing import Publication
from waremill.store.runs import Run

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

OnPage = Callable[[str, int], None]
"""Is told what is done, and for how many rows so far."""


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """How a run is published.

    `out` names the files, one a target, or a database; none takes the settings'. `targets` are of
    the run, none for the settings'. With `dry_run` nothing is written. `refusals` names a file for
    all that is refused.
    """

    out: tuple[str, ...] = ()
    stage: str | None = None
    dry_run: bool = False
    targets: tuple[str, ...] = ()
    refusals: str | None = None


@dataclass(frozen=True, slots=True)
class _Job:
    """What is published where: the same for all stages."""

    workspace: Workspace
    run: Run
    opened: Opened
    judging: Judging
    outputs: dict[str, str]
    stage: str
    options: PublishOptions
    on_page: OnPage | None

    def tell(self, what: str, rows: int) -> None:
        """Say how far it is, where somebody listens."""
        if self.on_page is not None:
            self.on_page(what, rows)


async def publish(
    workspace: Workspace,
    run: str,
    channel: str,
    options: PublishOptions | None = None,
    on_page: OnPage | None = None,
) -> list[PublicationShown]:
    """Publish a run's accepted items to a channel; give the publications, one a stage.

    For operators of the run's team. Raises UserError for what cannot work and Conflict for a stage
    that is not open yet, for a run without accepted items, and while somebody else publishes to the
    channel; nothing is changed then.
    """
    options = options or PublishOptions()
    async with kept_refusals(options.refusals) as refused:
        async with _prepared(workspace, run, channel, options, on_page) as job:
            if options.dry_run:
                return [await _dry(job, refused)]
            made = await _stages(job, await _open(job, job.stage))
        for one in made:
            await refused.fetch(workspace, one)
    return made


async def begin(
    workspace: Workspace, run: str, channel: str, options: PublishOptions | None = None
) -> PublicationShown:
    """Begin to publish, and give the publication as it is then; it is finished by this process.

    Raises what `publish` raises before it writes anything; what fails later, the publication says.
    """
    async with AsyncExitStack() as stack:
        prepared = _prepared(workspace, run, channel, options or PublishOptions(), None)
        job = await stack.enter_async_context(prepared)
        begun = await _open(job, job.stage)
        rest = stack.pop_all()
    background.go_on(workspace, begun[0], rest, _stages(job, begun))
    return await shown(workspace, begun[0].id)


@asynccontextmanager
async def _prepared(
    workspace: Workspace, run: str, channel: str, options: PublishOptions, on_page: OnPage | None
) -> AsyncIterator[_Job]:
    """Check all that can be before anything is written, and open the channel."""
    found = await workspace.find_run(run, "operator")
    settings = await find_channel(workspace, channel, found.team_id)
    stage = await _stage_of(workspace, found, settings, options)
    targets = targets_of(settings, found.plan["targets"], options.targets)
    assembly = await thaw(workspace.settings, workspace.database, found, check_models=False)
    # On a thread: it reads a workbook, or waits for somebody's database.
    opened = await asyncio.to_thread(open_channel, workspace, settings, options.out)
    try:
        names = await names_of(workspace, found, assembly, opened.mapping)
        outputs = outputs_of(opened, workspace.settings.root, options.out, targets)
        _check_apart(opened, targets)
        judging = Judging(workspace, found, opened, names)
        job = _Job(workspace, found, opened, judging, outputs, stage, options, on_page)
        if not options.dry_run:
            await settle_unfinished(workspace, channel)
        yield job
    finally:
        opened.channel.close()


async def _stages(job: _Job, begun: tuple[Publication, Tally]) -> list[PublicationShown]:
    """Carry a publication out, and the stages that follow it by themselves."""
    made = [await _carry_out(job, *begun)]
    most = job.opened.settings.open_at_refused
    while most is not None and job.options.stage is not None:
        following = next_stage(made[-1].stage)
        if following is None or made[-1].refused_share > most:
            break
        made.append(await _carry_out(job, *await _open(job, following)))
    return made


def _check_apart(opened: Opened, targets: tuple[str, ...]) -> None:
    """Raise ConfigError where several targets would write over each other's rows."""
    apart = ("_target", "_language", "_market")
    sources = {source for one in opened.mapping.columns for source in one.sources}
    if not opened.channel.whole and len(targets) > 1 and not sources & set(apart):
        raise ConfigError(
            f"the targets {', '.join(targets)} would write over each other's rows: name one with "
            "--target, or map _target to a column of the key"
        )


async def _stage_of(
    workspace: Workspace, run: Run, settings: Publishing, options: PublishOptions
) -> str:
    """Give the stage that is asked for, and check that it is open."""
    channel = settings.name
    done = await workspace.database.read(store.stages_done, run.id, channel)
    if options.stage is None and not settings.staged:
        return "all"
    if options.stage is None:
        if "all" in done:
            return "all"
        raise Conflict(f"“{channel}” is published in stages: begin with --stage 1%")
    stage = read_stage(options.stage)
    if not options.dry_run:
        check_order(stage, done, channel)
    return stage


async def _dry(job: _Job, refused: RefusalFile) -> PublicationShown:
    tally = await _tally(job)
    async for _ in job.judging.pages(tuple(job.outputs), job.stage, tally):
        job.tell("judged", tally.considered)
        refused.add(tally.taken())
    tally.notes += job.opened.channel.notes
    return shown_dry(
        job.workspace, job.run, job.opened.settings, job.stage, tally, job.outputs, refused.first
    )


async def _tally(job: _Job) -> Tally:
    left_out, accepted = await job.judging.left_out(tuple(job.outputs))
    if not accepted:
        raise Conflict(
            f"nothing of run {job.run.name} is accepted yet; only what is accepted is published"
        )
    return Tally(total=accepted, left_out=left_out)


async def _open(job: _Job, stage: str) -> tuple[Publication, Tally]:
    """Write a publication down; nothing is published yet."""
    tally = await _tally(job)
    return await job.workspace.database.write(_opened, job, stage, tally), tally


async def _carry_out(job: _Job, publication: Publication, tally: Tally) -> PublicationShown:
    workspace = job.workspace
    try:
        async for found in job.judging.pages(tuple(job.outputs), publication.stage, tally):
            await add_receipts(workspace, publication, found.receipts, tally, found.claims)
            job.tell("judged", tally.considered)
        job.tell("writing", tally.considered)
        await write_and_count(workspace, job.opened, publication, tally)
    except BaseException as error:
        await fail(workspace, publication, error)
        raise
    return await shown(workspace, publication.id)


def _opened(conn: Connection, job: _Job, stage: str, tally: Tally) -> Publication:
    settings, run = job.opened.settings, job.run
    values = opening(job.workspace, job.opened, conn)
    made = store.open_publication(
        conn,
        {**values, "run_id": run.id, "team_id": run.team_id, "stage": stage,
         "outputs": job.outputs, "report": tally.as_json()},
    )  # fmt: skip
    auditing.record(
        conn, job.workspace.actor, "publication.start", f"publication {made.name}", run.team_id,
        channel=settings.name, run=run.name, stage=stage,
    )  # fmt: skip
    return made


def opening(workspace: Workspace, opened: Opened, conn: Connection) -> dict[str, Any]:
    """Give what every new publication's row has, and keep its mapping's text."""
    path = opened.settings.mapping
    hashes = save_files(conn, {path: opened.text})
    return {
        "channel": opened.settings.name, "format": opened.settings.format,
        "mapping": hashes[path], "by": workspace.actor.name, "owner": owner_name(),
    }  # fmt: skip


__all__ = ["OnPage", "PublishOptions", "begin", "opening", "publish"]
