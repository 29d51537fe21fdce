"""The use cases about templates: list, lint, show the prompt of one product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from waremill import checks
from waremill.app.exemplars import assembled
from waremill.app.generating import may_use
from waremill.app.informing import base_names, found_for, outlook_of, requests_of
from waremill.catalog.selection import compile_where
from waremill.domain import Item, Product, Target
from waremill.errors import ConfigError, NotFound, UserError
from waremill.pipeline import pipeline_names
from waremill.providers.tokens import approximate
from waremill.rules.document import suggestion
from waremill.runs.estimate import text_of
from waremill.runs.plan import Choice, ranked
from waremill.store import products as store_products
from waremill.store.tables import products
from waremill.templates import check_template, load_template, template_names

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


def list_templates(workspace: Workspace) -> list[dict[str, Any]]:
    """List the workspace's templates; one that cannot be loaded says why."""
    files = workspace.settings.files()
    rows: list[dict[str, Any]] = []
    for name in template_names(files):
        try:
            template = load_template(files, name)
        except UserError as error:
            rows.append({"name": name, "version": None, "fields": [], "description": str(error)})
        else:
            rows.append(
                {"name": name, "version": template.version, "fields": list(template.fields),
                 "description": template.description}
            )  # fmt: skip
    return rows


async def check(workspace: Workspace, name: str, catalog: str | None) -> list[dict[str, Any]]:
    """Lint a template against the catalogue's columns, where one is imported.

    Raises NotFound for one that is not there, or is not the actor's to know of.
    """
    workspace = await _known(workspace, name)
    columns = await workspace.columns(catalog)
    problems = check_template(
        workspace.settings.files(),
        name,
        columns,
        checks=checks.names(),
        knowledge=await base_names(workspace),
    )
    found = [
        {"severity": p.severity, "where": str(p.where or name), "message": p.message}
        for p in problems
    ]
    if columns and not any(p.severity == "error" for p in problems):
        found += await _missing(workspace, name, catalog)
    return found


async def _missing(workspace: Workspace, name: str, catalog: str | None) -> list[dict[str, Any]]:
    """Say for how many products each variable of a template is missing."""
    template = load_template(workspace.settings.files(), name)
    found = await workspace.find_catalog(catalog)
    dialect = workspace.database.dialect

    def count(conn: Any) -> list[dict[str, Any]]:
        total = store_products.count_where(conn, found.id, None)
        hints = []
        for column in sorted(set(template.variables) & set(found.columns)):
            quoted = column.replace('"', '""')
            condition = compile_where(
                f'missing("{quoted}")', products.c.attributes, found.columns, dialect
            )
            lacking = store_products.count_where(conn, found.id, condition)
            if lacking:
                text = f"“{column}” is missing for {lacking:,} of {total:,} products"
                hints.append({"severity": "hint", "where": name, "message": text})
        return hints

    return await workspace.database.read(count)


async def show(
    workspace: Workspace,
    name: str,
    key: str,
    *,
    target: str | None = None,
    params: Mapping[str, Any] | None = None,
    catalog: str | None = None,
) -> dict[str, Any]:
    """Render the prompt of one product; give it as text with its length."""
    workspace = await _known(workspace, name)
    found = await workspace.find_catalog(catalog)
    product = await _product(workspace, found, key)
    assembly = await assembled(workspace, name)
    await may_use(workspace, assembly, "viewer")
    targets = [target] if target else [str(one) for one in assembly.pipeline.targets]
    if not targets and any(step.needs_target for step in assembly.steps):
        raise ConfigError(f"“{name}” writes for a language or market; name one with --target")
    try:
        aim = Target.parse(targets[0]) if targets else None
    except ValueError as error:
        raise ConfigError(str(error)) from None
    parts, tokens, most = [], 0, 0
    chosen = {**assembly.pipeline.params, **(params or {})}
    item = Item(0, product, aim, {})
    outlook = outlook_of(workspace)
    given = await found_for(assembly.steps, item, chosen, outlook.search)
    for step in assembly.steps:
        if step.preview is None:
            continue
        asked = [one.request for one in await requests_of(step, item, chosen, given, outlook)]
        if not asked:
            parts.append(f"[{step.name}: every field is there already; nothing is asked]")
        for number, request in enumerate(asked, 1):
            tokens += approximate(text_of(request))
            most += request.max_tokens
            name = step.name if len(asked) == 1 else f"{step.name} {number}/{len(asked)}"
            for message in request.messages:
                parts.append(f"── {name} · {message.role} ──\n{message.content}")
    return {"key": key, "target": targets[0] if targets else None, "prompt": "\n\n".join(parts),
            "tokens": tokens, "max_tokens": most}  # fmt: skip


async def _known(workspace: Workspace, name: str) -> Workspace:
    """Give the workspace as the actor sees it; raise NotFound where it has no such template."""
    workspace.actor.need_somewhere("viewer", "the templates")
    seen = await workspace.seen()
    files = seen.settings.files()
    names = {*template_names(files), *pipeline_names(files)}
    if name not in names:
        raise NotFound(f"there is no template “{name}”{suggestion(name, names)}")
    return seen


async def _product(workspace: Workspace, catalog: store_products.Catalog, key: str) -> Product:
    choice = Choice(catalog, products.c.key == key, limit=1)

    def read(conn: Any) -> Product:
        row = conn.execute(ranked(conn, choice)).one_or_none()
        if row is None:
            raise NotFound(f"there is no product “{key}” in the catalogue “{catalog.name}”")
        return store_products.as_product(row)

    return await workspace.database.read(read)
