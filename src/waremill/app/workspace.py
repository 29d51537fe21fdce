"""A workspace: every use case behind one object. Both doors, and Python, come in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from sqlalchemy import Connection

from waremill.app import auditing, embedding, finding, importing, trialling
from waremill.app.acting import LOCAL, Actor, Role
from waremill.app.assembly import Assembly, assemble
from waremill.app.batching.stopping import stop_batches
from waremill.app.clustering import work_on_cluster
from waremill.app.deciding import accept_by_rule
from waremill.app.equipping import equip, scope_of, using
from waremill.app.estimating import estimate as estimate_prepared
from waremill.app.exemplars import assembled
from waremill.app.exporting import export_run
from waremill.app.generating import may_use
from waremill.app.importing import Imported, ImportOptions
from waremill.app.increments.stale import stale_condition
from waremill.app.informing import embedding_by, outlook_of
from waremill.app.options import (
    Prepared,
    TaskOptions,
    budget_in_nano,
    choose,
    narrowed_by,
    order_run,
    prepare,
)
from waremill.app.owning import seen_settings
from waremill.app.product_search import narrowed
from waremill.app.reporting import report_html, status_of
from waremill.app.retrying import begin_retry, set_failed_back
from waremill.app.slotting import named_slots
from waremill.app.status import RunStatus, money
from waremill.app.trial_results import TrialResult
from waremill.app.working import (
    OnStart,
    condition_of,
    owner_is_alive,
    owner_is_dead,
    thaw,
    work_here,
    work_run,
)
from waremill.domain import Passage, Product, Search
from waremill.errors import Conflict, NotFound
from waremill.providers.local import fetch_weights_from
from waremill.runs.estimate import Estimate
from waremill.runs.plan import plan_run, ranked
from waremill.runs.work import AtWork, Ended, Worker
from waremill.settings import Settings, load_settings
from waremill.store import products as store_products
from waremill.store import runs as store_runs
from waremill.store.database import Database, migrate
from waremill.store.products import Catalog
from waremill.store.runs import Run
from waremill.tools.tool import Tool
from waremill.weights import HUGGING_FACE, default_folder

if TYPE_CHECKING:
    from waremill.app.publishing import PublicationShown


class Workspace:
    """An open workspace; use it as an async context manager.

    Every method raises a `UserError` for what the user must fix, and nothing is started then.
    `on_download` is called with (bytes so far, bytes in all) while a model's file is fetched,
    `on_index` with (products so far, products in all) while products are made ready for a search.
    """

    on_download: Callable[[int, int], None] | None = None
    on_index: Callable[[int, int], None] | None = None

    def __init__(self, settings: Settings, *, readers: int = 0) -> None:
        self.settings = settings
        self.actor = LOCAL
        self._reading = readers
        self._database: Database | None = None
        self._workers: list[AtWork] = []

    async def __aenter__(self) -> Self:
        fetch_weights_from(
            folder=self.settings.models_folder or default_folder(),
            hub=self.settings.hub or HUGGING_FACE,
            root=self.settings.root,
            progress=self.on_download,
        )
        self._database = Database(self.settings.database, readers=self._reading)
        migrate(self._database)
        return self

    def acting(self, actor: Actor) -> Self:
        """Give the same open workspace as somebody else sees it."""
        other = copy(self)
        other.actor = actor
        return other

    def as_team(self, team: int) -> Self:
        """Give the same open workspace as a team's runs see it: what is the team's, to look at."""
        return self.acting(Actor(f"team {team}", teams={team: "viewer"}))

    def waiting(self) -> Self:
        """Give the same open workspace for work that nobody waits for before a page."""
        other = copy(self)
        other._reading = 0
        return other

    async def seen(self) -> Self:
        """Give the same workspace with the files and models alone that the actor may know of."""
        other = copy(self)
        other.settings = await seen_settings(self)
        return other

    async def __aexit__(self, *_error: Any) -> None:
        await embedding.close(self)
        await self.database.close()

    @property
    def serves(self) -> bool:
        """Say whether it stands behind a server, where nobody waits for long work."""
        return self._reading > 0

    @property
    def database(self) -> Database:
        """The open database."""
        if self._database is None:
            raise Conflict("open the workspace first: `async with waremill.open(…) as workspace`")
        return self._database

    # Catalogue.

    async def import_catalog(
        self,
        sources: Sequence[str | Path],
        *,
        key: str | None = None,
        group: str | None = None,
        sheet: str | None = None,
        catalog: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Imported:
        """Import files, folders or database URLs into a catalogue, by key.

        `progress` is called with the number of rows so far.
        """
        options = importing.options_for(
            self.actor, ImportOptions(key, group, sheet, catalog), await self.catalogs()
        )
        return await importing.import_sources(
            self.database, [str(source) for source in sources], options, progress
        )

    async def products(
        self,
        where: str | None = None,
        *,
        order_by: str | None = None,
        limit: int = 20,
        catalog: str | None = None,
        targets: Sequence[str] = (),
        search: str | None = None,
        stale: str | None = None,
    ) -> tuple[Catalog, list[Product], int]:
        """Give the catalogue, the first products a selection picks, and how many it picks.

        With `search` it is those of them that fit a text best, best first, as many as `limit`.
        With `targets` a picture slot is filled as for a run with them; without, by any target. With
        `stale` only those for which what that pipeline made is outdated.
        """
        found = await self.find_catalog(catalog)
        options: TaskOptions = {"where": where, "order_by": order_by, "limit": limit}
        slots = await named_slots(self.settings, targets, where, order_by)
        choice = choose(found, self.database.dialect, options, slots=slots)
        if stale is not None:
            choice = narrowed_by(choice, await stale_condition(self, stale, targets))
        if search:
            choice = await narrowed(
                self, choice, search, wait=not self.serves, progress=self.on_index
            )

        def read(conn: Any) -> tuple[list[Product], int]:
            rows = conn.execute(ranked(conn, choice)).all()
            total = store_products.count_where(conn, found.id, choice.where)
            return [store_products.as_product(row) for row in rows], total

        products, total = await self.database.read(read)
        return found, products, total

    async def catalogs(self) -> list[Catalog]:
        """Give the catalogues the actor sees."""
        return await finding.list_catalogs(self.database, self.actor)

    async def find_catalog(self, name: str | None, role: Role = "viewer") -> Catalog:
        """Find a catalogue by its name, or the only one the actor sees, for somebody of a role."""
        return await finding.find_catalog(self.database, self.actor, name, role)

    # Tasks.

    def assemble(self, pipeline: str, model: str | None = None) -> Assembly:
        """Build a pipeline from the workspace's files as they are now."""
        return assemble(self.settings, pipeline, model)

    async def _prepare(
        self, pipeline: str, options: TaskOptions, kind: str | None = None
    ) -> Prepared:
        assembly = await assembled(self, pipeline, options.get("model"))
        await may_use(self, assembly, "viewer" if kind is None else "operator")
        return await prepare(self, assembly, options, kind)

    async def estimate(self, pipeline: str, **options: Unpack[TaskOptions]) -> Estimate:
        """Say what a run would cost and how long it would take, without a paid call."""
        prepared = await self._prepare(pipeline, options)
        return await estimate_prepared(
            self.settings, self.database, prepared, outlook=outlook_of(self)
        )

    async def trial(
        self,
        pipeline: str,
        on_start: OnStart | None = None,
        **options: Unpack[TaskOptions],
    ) -> TrialResult:
        """Run a random sample, and say how accurate it was and what the whole would take.

        With `gold` its fields are compared with right values; with `against` a second version or
        model works the same products. The answers are kept: a run does not pay for them again.
        """
        prepared = await self._prepare(pipeline, options, "trial")
        return await trialling.trial(self, prepared, options, on_start)

    async def run(
        self,
        pipeline: str,
        on_start: OnStart | None = None,
        **options: Unpack[TaskOptions],
    ) -> RunStatus:
        """Run a pipeline over a selection and write the output, if one is named."""
        prepared = await self._prepare(pipeline, options, "run")
        forecast = await trialling.forecast_for(self, prepared)
        order = order_run(self.settings, prepared, options, "run", forecast=forecast)
        run = await plan_run(self.database, order)
        return await self.work(run, on_start)

    async def work(self, run: Run, on_start: OnStart | None = None) -> RunStatus:
        """Work a planned, paused or orphaned run in this process."""
        mine: list[AtWork] = []

        def started(worker: AtWork) -> None:
            mine.append(worker)
            self._workers.append(worker)
            if on_start is not None:
                on_start(worker)

        def begun(worker: Worker) -> None:
            using_tools = using(self, run.team_id, run.catalog_id)
            search = self.as_team(run.team_id).search
            worker.reach(search, embedding_by(self, run.team_id), using_tools)
            started(worker)

        async def engine(run: Run, assembly: Assembly) -> Ended:
            if run.plan.get("engine") == "ray":
                return await work_on_cluster(self, run, assembly, started)
            return await work_here(self.settings, self.database, run, assembly, begun)

        try:
            run = await work_run(self.settings, self.database, run, engine)
        finally:
            for worker in mine:
                self._workers.remove(worker)
        notes = await self._write_output(run) if run.kind == "run" else ()
        if run.kind == "trial":
            await trialling.summarise(self, run)
        return replace(await self.status(run.name), notes=notes)

    def interrupt(self) -> bool:
        """Stop what this process works after the calls in flight; False when nothing is worked."""
        for worker in self._workers:
            worker.stop(Ended("interrupted"))
        return bool(self._workers)

    # Runs.

    async def runs(self) -> list[Run]:
        """Give the newest runs first."""
        return await self.database.read(store_runs.list_runs, teams=self.actor.sees)

    async def find_run(self, name: str, role: Role = "viewer") -> Run:
        """Find a run by its id, a unique prefix, or `last`, for somebody of a role."""
        return await finding.find_run(self.database, self.actor, name, role)

    async def status(self, name: str) -> RunStatus:
        """Say how far a run is and what it cost."""
        return await status_of(self, await self.find_run(name))

    async def resume(
        self,
        name: str,
        on_start: OnStart | None = None,
        *,
        retry_failed: bool = False,
        budget: float | None = None,
    ) -> RunStatus:
        """Go on with a run that was paused, interrupted or whose worker died.

        `budget` sets a new budget in the workspace's currency.
        """
        run = await self.find_run(name, "operator")
        if run.state == "cancelled":
            raise Conflict(f"run {run.name} is cancelled; start a new one")
        worked = run.owner is not None and owner_is_alive(run.owner)
        amount = None
        if budget is not None:
            amount = budget_in_nano(self.settings, run.plan.get("identities", {}), budget)
        if retry_failed and worked:
            raise Conflict(f"run {run.name} is being worked; pause it first")

        def prepare_resumption(conn: Connection) -> Run:
            record = partial(auditing.record, conn, self.actor)
            subject = f"run {run.name}"
            if amount is not None:
                store_runs.set_budget(conn, run, amount, self.actor.name)
                old = money(run.budget, self.settings.per_usd)
                record("run.budget", subject, run.team_id, old=old, new=budget)
            found = begin_retry(conn, self.actor, run) if retry_failed else None
            found = found or store_runs.get_run(conn, run.id)
            if found.state != "done" and not worked:
                record("run.resume", subject, run.team_id)
            return found

        run = await self.database.write(prepare_resumption)
        if retry_failed:
            await set_failed_back(self.database, run)
        if run.state == "done":
            notes = await self._write_output(run)
            return replace(await self.status(run.name), notes=notes)
        return await self.work(run, on_start)

    async def pause(self, name: str) -> RunStatus:
        """Ask a run's worker to stop after the calls in flight."""
        return await self._command(name, "pause", "paused")

    async def cancel(self, name: str) -> RunStatus:
        """Stop a run for good; what is finished stays."""
        return await self._command(name, "cancel", "cancelled")

    async def _command(self, name: str, command: str, state: str) -> RunStatus:
        run = await self.find_run(name, "operator")
        if run.state in store_runs.ENDED:
            raise Conflict(f"run {run.name} is {run.state} already")
        if run.state == "planning" and command == "pause":
            raise Conflict(f"run {run.name} is still being planned; cancel it, or pause it later")
        alive = not owner_is_dead(run.owner)
        if command == "cancel" and not alive and await stop_batches(self, run):
            return await self.status(run.name)

        def tell(conn: Connection) -> None:
            reached = alive and store_runs.leave_command(conn, run, command)
            if not reached and not store_runs.stop_orphan(conn, run, state, f"{state} by a user"):
                store_runs.leave_command(conn, run, command)
            auditing.record(conn, self.actor, f"run.{command}", f"run {run.name}", run.team_id)

        await self.database.write(tell)
        return await self.status(run.name)

    async def export(
        self,
        name: str,
        path: str | Path,
        *,
        accepted: bool = False,
        wide: bool = True,
    ) -> Mapping[str, Any]:
        """Write a run's items to xlsx, csv, tsv, jsonl or parquet; give path, rows and notes."""
        run = await self.find_run(name)
        assembly = await thaw(self.settings, self.database, run, check_models=False)
        written = await self.database.read_all(
            export_run, self.settings, run, assembly, Path(path), accepted=accepted, wide=wide
        )
        return {"path": str(path), "rows": written.rows, "notes": list(written.notes)}

    async def publish(
        self,
        name: str,
        channel: str,
        out: Sequence[str] = (),
        *,
        stage: str | None = None,
        dry_run: bool = False,
    ) -> list[PublicationShown]:
        """Publish a run's accepted items to a channel of the settings; give what came of it.

        `out` are files, one a target, or a database; none takes the settings'. One publication a
        stage is given; with `dry_run` nothing is written.
        """
        from waremill.app.publishing import PublishOptions, publish

        return await publish(self, name, channel, PublishOptions(tuple(out), stage, dry_run))

    async def roll_back(self, publication: str, out: Sequence[str] = ()) -> PublicationShown:
        """Publish again what a publication replaced; give the new one."""
        from waremill.app.publishing import roll_back

        return await roll_back(self, publication, out)

    async def _write_output(self, run: Run) -> tuple[str, ...]:
        """Write the file a run names, if it does; give what could not be kept as it is."""
        if not run.output:
            return ()
        return tuple((await self.export(run.name, run.output))["notes"])

    async def accept(self, name: str, where: str) -> int:
        """Accept a run's items that a rule over attributes and `_findings` picks; give how many."""
        run = await self.find_run(name, "reviewer")
        condition = condition_of(run, where, self.database.dialect)
        return await accept_by_rule(self.database, run, condition, where, self.actor)

    async def report(self, name: str, path: str | Path | None = None) -> Path:
        """Write a run's HTML report; the default place is `RUN.html` in the workspace."""
        run = await self.find_run(name)
        place = Path(path) if path is not None else self.settings.root / f"{run.name}.html"
        html = await report_html(self, run)
        from waremill.catalog.publishers import whole_file

        with whole_file(place) as temporary:
            temporary.write_text(html, encoding="utf-8")
        return place

    # Knowledge.

    async def search(self, search: Search) -> Sequence[Passage]:
        """Give the passages of a knowledge base that answer a query best, best first.

        Documents that are not valid today are left out.
        """
        from waremill.app.knowing.searching import search as find_passages

        return await find_passages(self, search)

    async def tools(self, *names: str, catalog: str | None = None) -> tuple[Tool, ...]:
        """Give tools by their names, or all there are, as the actor may use them.

        Raises NotFound for a name that is none.
        """
        return equip(await scope_of(self, catalog), names or None)

    # Templates.

    async def columns(self, catalog: str | None = None) -> tuple[str, ...] | None:
        """Give a catalogue's columns; None when nothing is imported yet."""
        with suppress(NotFound):
            return (await self.find_catalog(catalog)).columns
        return None


def open_workspace(folder: str | Path | None = None, *, readers: int = 0) -> Workspace:
    """Open the workspace that holds a folder (default: the current one).

    `readers` is how many listings a server may read at once. Raises ConfigError where there is
    no workspace or its settings cannot work.
    """
    return Workspace(load_settings(folder), readers=readers)
