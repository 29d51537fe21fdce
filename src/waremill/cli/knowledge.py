"""Documents that templates, tools and chats can search, as the command group `knowledge`."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from waremill.app import Workspace, knowing
from waremill.app.knowing import AddOptions, BaseShown, Progress
from waremill.cli.door import INTERRUPTED, command, print_json, print_table, with_workspace
from waremill.domain import Search

SHOWN = 10
_EVERY = 0.2
"""Seconds between two updates of a line that shows progress."""


@click.group("knowledge", short_help="Documents to search, and searching them.")
def knowledge_command() -> None:
    """Keep the shop's documents, and find the passages that answer a question.

    A template's `context` names a knowledge base; see docs/how-to/knowledge.md.
    """


class _Line:
    """Shows how far a change is, on stderr."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet or not sys.stderr.isatty()
        self._last = 0.0
        self._shown = False

    def __call__(self, progress: Progress) -> None:
        from time import monotonic

        if self._quiet or monotonic() - self._last < _EVERY:
            return
        self._last, self._shown = monotonic(), True
        of = "" if progress.total is None else f" of {progress.total:,}"
        click.echo(f"\r\033[K{progress.stage}: {progress.done:,}{of} ", nl=False, err=True)

    def close(self) -> None:
        if self._shown:
            click.echo("\r\033[K", nl=False, err=True)


@command("add", short_help="Add documents.")
@click.argument("name")
@click.argument("paths", nargs=-1)
@click.option(
    "--meta", metavar="NAME=VALUE", multiple=True,
    help="Metadata of every document added, such as brand=Acme; may be repeated.",
)  # fmt: skip
@click.option("--prune", is_flag=True, help="Remove what vanished from a folder added before.")
def add_command(
    folder: str | None, as_json: bool, name: str, paths: tuple[str, ...], meta: tuple[str, ...],
    prune: bool,
) -> int:  # fmt: skip
    """Add PATHS to the knowledge base NAME: files, folders, web addresses.

    Without PATHS the workspace's folder knowledge/NAME is added. Only what is new or changed is
    read and embedded; an interrupted add goes on where it was.
    """

    async def work(workspace: Workspace) -> int:
        line = _Line(as_json)
        options = AddOptions(knowing.pairs(meta), prune)
        try:
            done = await knowing.add_documents(workspace, name, paths, options, line)
        except asyncio.CancelledError:
            line.close()
            click.echo("interrupted; the same command goes on where it was", err=True)
            return INTERRUPTED
        finally:
            line.close()
        if as_json:
            print_json(
                {
                    "knowledge": done.name, "new": done.new, "changed": done.changed,
                    "unchanged": done.unchanged, "removed": done.removed,
                    "passages": done.passages, "version": done.version,
                    "problems": done.problem_count, "notes": done.notes[:100],
                    "first_problems": [
                        {"document": document, "message": message}
                        for document, message in done.problems[:100]
                    ],
                }
            )  # fmt: skip
            return 1 if done.problem_count else 0
        for note in done.notes[:SHOWN]:
            click.echo(f"note: {note}", err=True)
        if len(done.notes) > SHOWN:
            more = len(done.notes) - SHOWN
            click.echo(
                f"… and {more:,} more notes; `waremill knowledge show {done.name} DOCUMENT` has "
                "a document's",
                err=True,
            )
        for document, message in done.problems:  # all: somebody has to do something about each
            click.echo(f"{document}: {message}", err=True)
        if done.problem_count > len(done.problems):
            more = done.problem_count - len(done.problems)
            click.echo(f"… and {more:,} more like these", err=True)
        click.echo(
            f"{done.name}: {done.new:,} new, {done.changed:,} changed, {done.unchanged:,} "
            f"unchanged, {done.removed:,} removed; {done.passages:,} passages"
            + (f"; {done.problem_count:,} not read" if done.problem_count else "")
        )
        return 1 if done.problem_count else 0

    return with_workspace(folder, as_json, work)


@command("list", short_help="List the knowledge bases.")
def list_command(folder: str | None, as_json: bool) -> int:
    """List the knowledge bases: how many documents and passages each holds."""

    async def work(workspace: Workspace) -> int:
        rows = [_base(one) for one in await knowing.list_bases(workspace)]
        if as_json:
            print_json(rows)
        elif rows:
            print_table(rows, ["name", "documents", "passages", "waiting", "state", "embedder"])
        else:
            click.echo("no knowledge yet; `waremill knowledge add NAME PATH` makes a base")
        return 0

    return with_workspace(folder, as_json, work)


@command("show", short_help="Show a base, or a document.")
@click.argument("name")
@click.argument("document", required=False)
@click.option(
    "--limit", metavar="N", type=click.IntRange(1, 100_000), default=20, show_default=True,
    help="How many documents to list.",
)  # fmt: skip
def show_command(
    folder: str | None, as_json: bool, name: str, document: str | None, limit: int
) -> int:
    """Show the knowledge base NAME and its documents, or one DOCUMENT's text as it was read."""

    async def work(workspace: Workspace) -> int:
        if document is not None:
            one = await knowing.show_document(workspace, name, document)
            if as_json:
                print_json(asdict(one))
                return 0
            for label, value in one.metadata.items():
                click.echo(f"{label}: {value}", err=True)
            for note in one.notes:
                click.echo(f"note: {note}", err=True)
            click.echo(one.text)
            return 0
        base = await knowing.show_base(workspace, name)
        rows = await _documents(workspace, name, limit)
        if as_json:
            print_json({**_base(base), "documents": rows, "total": base.documents})
            return 0
        click.echo(
            f"{base.name}: {base.documents:,} documents, {base.passages:,} passages "
            f"({base.repeats:,} repeats left out), embedder {base.embedder}, "
            f"version {base.version[:12] or '–'}"
        )
        if base.waiting:
            click.echo(f"{base.waiting:,} documents wait; the next add or rebuild goes on")
        print_table(rows, ["name", "title", "media_type", "passages"])
        if base.documents > len(rows):
            click.echo(f"… and {base.documents - len(rows):,} more; --limit lists more of them")
        return 0

    return with_workspace(folder, as_json, work)


def _base(found: BaseShown) -> dict[str, Any]:
    row = asdict(found)
    del row["team"]
    return row


async def _documents(workspace: Workspace, name: str, limit: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = None
    while len(rows) < limit:
        page = await knowing.list_documents(
            workspace, name, after=cursor, size=min(100, limit - len(rows))
        )
        rows += [asdict(one) for one in page.rows]
        cursor = page.next
        if cursor is None:
            break
    for row in rows:
        del row["text"]
    return rows


@command("remove", short_help="Remove documents, or a base.")
@click.argument("name")
@click.argument("documents", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Remove the whole knowledge base.")
def remove_command(
    folder: str | None, as_json: bool, name: str, documents: tuple[str, ...], everything: bool
) -> int:
    """Remove DOCUMENTS from the knowledge base NAME, or with --all the base itself."""

    async def work(workspace: Workspace) -> int:
        if bool(documents) == everything:
            raise click.UsageError("name the documents to remove, or give --all")
        if everything:
            count = await knowing.remove_base(workspace, name)
        else:
            count = await knowing.remove_documents(workspace, name, documents)
        if as_json:
            print_json({"knowledge": name, "removed": count})
        else:
            click.echo(f"{name}: {count:,} documents removed")
        return 0

    return with_workspace(folder, as_json, work)


@command("rebuild", short_help="Make an index anew.")
@click.argument("name")
def rebuild_command(folder: str | None, as_json: bool, name: str) -> int:
    """Make the index of the knowledge base NAME anew from the database.

    No model is called, unless the settings name another embedder than the index was made with:
    then every passage is embedded by it, while the old index serves.
    """

    async def work(workspace: Workspace) -> int:
        line = _Line(as_json)
        try:
            done = await knowing.rebuild(workspace, name, line)
        finally:
            line.close()
        if as_json:
            document = asdict(done)
            print_json({"knowledge": document.pop("name"), **document})
        else:
            how = f", embedded by {done.embedder}" if done.embedded else ""
            click.echo(f"{done.name}: {done.passages:,} passages indexed{how}")
        return 0

    return with_workspace(folder, as_json, work)


@command("search", short_help="Find passages.")
@click.argument("name")
@click.argument("query")
@click.option(
    "--top", metavar="N", type=click.IntRange(1, 100), default=5, show_default=True,
    help="How many passages.",
)  # fmt: skip
@click.option(
    "--where",
    metavar="NAME=VALUE",
    multiple=True,
    help="Only documents with this metadata, or without any of that name; may be repeated.",
)
def search_command(
    folder: str | None, as_json: bool, name: str, query: str, top: int, where: tuple[str, ...]
) -> int:
    """Find the passages of the knowledge base NAME that answer QUERY best."""

    async def work(workspace: Workspace) -> int:
        found = await workspace.search(Search(name, query, top, knowing.pairs(where)))
        if as_json:
            print_json([{**asdict(one), "place": one.place} for one in found])
            return 0
        for number, one in enumerate(found, 1):
            click.echo(click.style(f"{number}. {one.place}", bold=True) + f"  {one.score:.4f}")
            text = one.text if len(one.text) <= 600 else f"{one.text[:600]}…"
            click.echo("\n".join(f"   {line}" for line in text.split("\n")) + "\n")
        if not found:
            click.echo("nothing was found")
        return 0

    return with_workspace(folder, as_json, work)


@command("export", short_help="Write a base's passages to a file.")
@click.argument("name")
@click.argument("out")
def export_command(folder: str | None, as_json: bool, name: str, out: str) -> int:
    """Write the passages of the knowledge base NAME to OUT.

    OUT is xlsx, csv, tsv, jsonl or parquet, by its suffix. A row has a passage's id, document,
    title, headings, page, text and metadata.
    """

    async def work(workspace: Workspace) -> int:
        written = await knowing.export_base(workspace, name, Path(out))
        if as_json:
            print_json({"path": out, "rows": written.rows, "notes": list(written.notes)})
            return 0
        for note in written.notes:
            click.echo(f"note: {note}", err=True)
        click.echo(f"{written.rows:,} passages in {out}")
        return 0

    return with_workspace(folder, as_json, work)


for _one in (
    add_command, list_command, show_command, search_command, export_command, rebuild_command,
    remove_command,
):  # fmt: skip
    knowledge_command.add_command(_one)
