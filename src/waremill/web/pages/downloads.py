"""Files that a page offers: a run's report, its items as a sheet, the spend as CSV."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from starlette.background import BackgroundTask

from waremill.app.reporting import report_html
from waremill.app.spending import By, as_csv, spending
from waremill.errors import ConfigError, Forbidden, NotFound, WaremillError
from waremill.report import content_policy
from waremill.web.pages import serving
from waremill.web.pages.shell import language_of
from waremill.web.strings.sentences import say_error

KINDS = ("xlsx", "csv", "tsv", "jsonl", "parquet")
REPORT_POLICY = f"{content_policy()}; frame-ancestors 'none'"
"""A report's own script filters its samples; no other may run."""
SAFE = {"x-content-type-options": "nosniff", "cache-control": "private, no-store"}


def install(app: FastAPI) -> None:
    """Add the routes; they act as whoever is signed in, as pages do."""
    app.get("/download/runs/{name}/report", include_in_schema=False)(_report)
    app.get("/download/runs/{name}/items.{kind}", include_in_schema=False)(_items)
    app.get("/download/spend.csv", include_in_schema=False)(_spend)


def _refused(request: Request, error: WaremillError) -> Response:
    status = 404 if isinstance(error, NotFound) else 403 if isinstance(error, Forbidden) else 422
    return PlainTextResponse(say_error(language_of(request), error), status, headers=SAFE)


async def _report(request: Request, name: str) -> Response:
    try:
        workspace = await serving.acting(request)
        html = await report_html(workspace, await workspace.find_run(name))
    except WaremillError as error:
        return _refused(request, error)
    headers = {**SAFE, "content-security-policy": REPORT_POLICY}
    return Response(html, media_type="text/html; charset=utf-8", headers=headers)


async def _items(request: Request, name: str, kind: str, accepted: bool = False) -> Response:
    folder = Path(tempfile.mkdtemp(prefix="waremill-"))
    try:
        if kind not in KINDS:
            raise ConfigError(f"a run is exported as {', '.join(KINDS)}, not as {kind[:20]}")
        workspace = await serving.acting(request)
        run = await workspace.find_run(name)
        path = folder / f"{run.name}.{kind}"
        await workspace.export(run.name, path, accepted=accepted)
    except WaremillError as error:
        shutil.rmtree(folder)
        return _refused(request, error)
    except BaseException:
        shutil.rmtree(folder)
        raise
    gone = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    return FileResponse(path, filename=path.name, headers=SAFE, background=gone)


async def _spend(
    request: Request,
    by: By = "month",
    since: Annotated[str | None, Query(max_length=10)] = None,
    until: Annotated[str | None, Query(max_length=10)] = None,
) -> Response:
    try:
        workspace = await serving.acting(request)
        found = await spending(workspace, by=by, since=since, until=until)
    except WaremillError as error:
        return _refused(request, error)
    name = f"spend-by-{by}.csv"
    headers = {**SAFE, "content-disposition": f'attachment; filename="{name}"'}
    return Response(as_csv(found, by), media_type="text/csv; charset=utf-8", headers=headers)
