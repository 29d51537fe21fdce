"""The use case *work on a cluster*: what a driver and its workers are built from.

A worker opens the workspace anew on its own machine: the folder must be there under the same path,
with the keys in its environment, and the database must be one all machines share.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from waremill.app.assembly import Assembly, all_models
from waremill.app.equipping import using
from waremill.app.working import PATIENCE_SECONDS, open_desk, thaw
from waremill.errors import ConfigError, Conflict
from waremill.runs.launch.ray import INSTALL, Crew, Driver, Span, WorkSpan
from waremill.runs.work import Ended, Tally
from waremill.settings import Settings
from waremill.store import runs as store_runs
from waremill.store.workers import Hold

if TYPE_CHECKING:
    from waremill.app.working import OnStart
    from waremill.app.workspace import Workspace
    from waremill.store.runs import Run

ENGINES = ("local", "ray")


def require_cluster(settings: Settings, engine: str) -> None:
    """Raise ConfigError where a run cannot be worked by an engine."""
    if engine not in ENGINES:
        raise ConfigError(f"there is no engine “{engine}”; there are: {', '.join(ENGINES)}")
    if engine == "ray" and not settings.database.startswith("postgresql"):
        raise ConfigError(
            "a run on Ray needs a database that several machines share: set database.url to a "
            "PostgreSQL database"
        )
    if engine == "ray" and find_spec("ray") is None:
        raise ConfigError(INSTALL)


async def work_on_cluster(
    workspace: Workspace, run: Run, assembly: Assembly, on_start: OnStart
) -> Ended:
    """Work a claimed run by the workers of a Ray cluster; this process only drives."""
    settings = workspace.settings
    require_cluster(settings, "ray")
    deadline = settings.limits.deadline
    driver = Driver(
        workspace.database, run, crew_of(settings, assembly),
        partial(open_part, str(settings.root), run.id, run.epoch),
        deadline * 60 if deadline else None,
    )  # fmt: skip
    on_start(driver)
    return await driver.work()


def crew_of(settings: Settings, assembly: Assembly) -> Crew:
    """Say what workers a pipeline takes; those that run diffusion models ask for GPUs."""
    cluster = settings.ray
    models = all_models(settings, assembly.models).values()
    drawn = any(model.use.startswith("diffusers:") for model in models)
    return Crew(cluster.address, cluster.workers, cluster.cpus, cluster.gpus if drawn else 0.0)


@asynccontextmanager
async def open_part(root: str, run_id: int, epoch: int, worker: int) -> AsyncIterator[WorkSpan]:
    """Open, in a worker's process, all that working spans of a run takes."""
    from waremill.app.informing import embedding_by
    from waremill.app.workspace import open_workspace

    async with open_workspace(Path(root)) as workspace:
        database = workspace.database
        database.patience = PATIENCE_SECONDS
        run = await database.read(store_runs.get_run, run_id)
        if run.epoch != epoch:
            raise Conflict(f"run {run.name} was taken over by another worker")
        assembly = await thaw(workspace.settings, database, run)
        async with open_desk(workspace.settings, database, Hold(run, worker), assembly) as desk:
            tally = Tally()

            async def work(span: Span) -> Ended:
                part = desk.worker(span)
                part.tally = tally  # what was done of the spans before counts too
                part.reach(
                    workspace.as_team(run.team_id).search, embedding_by(workspace, run.team_id),
                    using(workspace, run.team_id, run.catalog_id),
                )  # fmt: skip
                ended = await part.work()
                await database.repeat(desk.hold.beat, part.progress())
                return ended

            yield work


__all__ = ["crew_of", "open_part", "require_cluster", "work_on_cluster"]
