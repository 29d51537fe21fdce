"""Examples that reviewers made: accepted and edited results as a template's few-shot examples.

They are laid among the files a pipeline is built from, as reviews/NAME.jsonl, and so are frozen
with a run like every other file: its version and its fingerprints change when they do, and a replay
sees the same ones. The folder is no part of a workspace, so nothing on disk can stand in for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, select

from waremill.app.assembly import Assembly, assemble
from waremill.app.workfiles import Overlay
from waremill.domain import Target
from waremill.store.reviewing import ItemView, load_items
from waremill.store.tables import items, pipeline_versions, runs
from waremill.templates import load_template
from waremill.templates.load import reviews_path

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

MOST = 1_000
"""Accepted results kept as examples, the newest; a prompt takes the nearest few of them."""
_GOOD = ("accepted", "edited")


async def assembled(workspace: Workspace, pipeline: str, model: str | None = None) -> Assembly:
    """Build a pipeline as the actor sees it, with what was accepted until now as examples."""
    seen = await workspace.seen()
    return await with_reviews(workspace, assemble(seen.settings, pipeline, model), model)


async def with_reviews(
    workspace: Workspace, assembly: Assembly, model: str | None = None
) -> Assembly:
    """Build a pipeline again with accepted results, where one of its templates wants them."""
    if not assembly.learns:
        return assembly
    settings = (await workspace.seen()).settings
    files: Mapping[str, str] = assembly.files
    for name in assembly.learns:
        wanted = [one.name for one in load_template(files, name).inputs]
        text = await workspace.database.read(reviewed, name, wanted, teams=workspace.actor.sees)
        if text:
            files = Overlay(files, reviews_path(name), text)
    return assemble(settings, assembly.pipeline.name, model, files)


def reviewed(
    conn: Connection, template: str, inputs: Collection[str], *, teams: Collection[int] | None
) -> str:
    """Write the newest accepted results of a template as JSON lines, oldest first.

    `inputs` are the attributes that go in; all where there are none. `teams` are whose runs count.
    """
    versions = [
        row.id
        for row in conn.execute(select(pipeline_versions.c.id, pipeline_versions.c.templates))
        if template in orjson.loads(row.templates)
    ]
    if not versions:
        return ""
    query = (
        select(items.c.run_id, items.c.id)
        .join(runs, runs.c.id == items.c.run_id)
        .where(runs.c.pipeline_version_id.in_(versions), items.c.state.in_(_GOOD))
        .order_by(items.c.id.desc())
        .limit(MOST)
    )
    if teams is not None:
        query = query.where(runs.c.team_id.in_(teams))
    by_run: dict[int, list[int]] = {}
    for run_id, item_id in conn.execute(query):
        by_run.setdefault(run_id, []).append(item_id)
    views = [view for run, ids in by_run.items() for view in load_items(conn, run, ids)]
    lines: dict[tuple[str, str], bytes] = {}
    for view in sorted(views, key=lambda one: one.id):
        if (record := _example(view, template, inputs)) is not None:
            lines[view.key, view.target] = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    return b"\n".join(lines.values()).decode()


def _example(view: ItemView, template: str, inputs: Collection[str]) -> dict[str, Any] | None:
    steps = {made.step for made in view.made if made.provenance.get("template") == template}
    output = {
        name: made.values[name]
        for (step, name), made in view.fields().items()
        if step in steps and made.values[name] is not None
    }
    given = {name: value for name, value in view.attributes.items() if not inputs or name in inputs}
    if not output or not given:
        return None
    record: dict[str, Any] = {"key": view.key, "input": given, "output": output}
    if view.target:
        record["language"] = Target.parse(view.target).language
    return record
