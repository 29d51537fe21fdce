"""The use case *lint a text*: what is wrong with a workspace's file as it would be.

The text need not be on disk. A file others build on is judged by whether they still load.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Literal

from waremill import checks
from waremill.app.assembly import Assembly, assemble
from waremill.app.workfiles import GLOSSARY, Overlay
from waremill.app.working import review_condition
from waremill.errors import UserError, Where
from waremill.pipeline import pipeline_names
from waremill.rules import (
    load_channels,
    load_forbidden,
    load_glossary,
    load_schemas,
    slot_names,
)
from waremill.settings import Settings
from waremill.store.database import Dialect
from waremill.templates import check_template, load_template, template_names
from waremill.templates.document import did_you_mean
from waremill.templates.expressions import TARGET_NAMES

Kind = Literal[
    "template", "include", "pipeline", "schema", "channel", "forbidden", "examples", "glossary"
]
_KINDS: Mapping[str, Kind] = {
    "pipelines": "pipeline", "schemas": "schema", "channels": "channel", "forbidden": "forbidden",
    "examples": "examples",
}  # fmt: skip
_LOADERS: Mapping[str, Any] = {
    "schema": load_schemas, "channel": load_channels, "forbidden": load_forbidden,
    "glossary": load_glossary,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lint:
    """One thing that is wrong (`error`), suspicious (`warning`) or could be better (`hint`)."""

    severity: Literal["error", "warning", "hint"]
    message: str
    file: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """A name a template may use, and where it comes from: a column of the catalogue, a field of an
    earlier step, a pipeline's parameter, or the target. `used` says that the text reads it.
    """

    name: str
    origin: Literal["column", "field", "param", "target"]
    used: bool


def kind_of(path: str) -> Kind:
    """Say what a file of the workspace is."""
    if path == GLOSSARY:
        return "glossary"
    folder, _, rest = path.partition("/")
    if folder != "templates":
        return _KINDS[folder]
    plain = not rest.startswith("includes/") and path.endswith((".yaml", ".yml"))
    return "template" if plain else "include"


def name_of(path: str) -> str:
    """Give the name a template or pipeline is used by."""
    return str(PurePosixPath(path).with_suffix("")).partition("/")[2]


def overlaid(files: Mapping[str, str], path: str, text: str) -> Mapping[str, str]:
    """Give the workspace's files with one as it would be, found by its name before any other."""
    stem = path.rpartition(".")[0]
    hidden = [f"{stem}.yaml", f"{stem}.yml"]
    if kind_of(path) == "template":
        hidden += [f"pipelines/{name_of(path)}{ending}" for ending in (".yaml", ".yml")]
    return Overlay(files, path, text, tuple(one for one in hidden if one != path))


def built(settings: Settings, path: str, text: str, model: str | None = None) -> Assembly:
    """Build what a template's or pipeline's text would run as; raise UserError where it cannot."""
    return assemble(settings, name_of(path), model, overlaid(settings.files(), path, text))


def lint_text(
    settings: Settings,
    path: str,
    text: str,
    columns: Collection[str] | None,
    dialect: Dialect,
    knowledge: Collection[str] | None = None,
) -> tuple[Lint, ...]:
    """Judge a text; errors first. `columns` are the catalogue's, `knowledge` the bases there are;
    None where that is not known.
    """
    files = settings.files()
    kind = kind_of(path)
    if kind == "template":
        return tuple(_template(files, path, text, columns, knowledge))
    if kind == "pipeline":
        return tuple(_pipeline(settings, path, text, (columns, knowledge), dialect))
    return tuple(_others(files, path, text))


def _template(
    files: Mapping[str, str],
    path: str,
    text: str,
    columns: Collection[str] | None,
    knowledge: Collection[str] | None,
) -> Iterator[Lint]:
    changed = overlaid(files, path, text)
    fields, params = _around(files, name_of(path))
    known = None if columns is None else [*columns, *(one for one in fields if one not in columns)]
    problems = check_template(
        changed,
        name_of(path),
        known,
        params=params or None,
        checks=checks.names(),
        knowledge=knowledge,
    )
    for one in problems:
        yield Lint(one.severity, one.message, one.where.file or path, one.where.line)


def _around(files: Mapping[str, str], name: str) -> tuple[list[str], list[str]]:
    """Give the fields of earlier steps and the parameters that pipelines hand to a template."""
    from waremill import steps
    from waremill.pipeline import load_pipeline

    fields: dict[str, None] = {}
    params: dict[str, None] = {}
    for pipeline in pipeline_names(files):
        if not any(f"pipelines/{pipeline}{ending}" in files for ending in (".yaml", ".yml")):
            continue
        try:
            found = load_pipeline(files, pipeline, steps.kinds())
            before: list[str] = []
            for step in found.steps:
                own = step.settings.get("template")
                if own == name:
                    fields |= dict.fromkeys(before)
                    params |= dict.fromkeys(found.params)
                elif isinstance(own, str):
                    before += load_template(files, own).fields
        except UserError:
            continue  # it is said where that file is edited
    return list(fields), list(params)


def _pipeline(
    settings: Settings,
    path: str,
    text: str,
    known: tuple[Collection[str] | None, Collection[str] | None],
    dialect: Dialect,
) -> Iterator[Lint]:
    columns, knowledge = known
    try:
        assembly = built(settings, path, text)
        if assembly.pipeline.accept is not None and columns is not None:
            slots = slot_names(assembly.rules.schemas)
            review_condition(assembly.pipeline.accept, tuple(columns), dialect, slots)
    except UserError as error:
        yield _lint(error, path)
        return
    for name in assembly.models:
        try:
            settings.model(name)
        except UserError as error:
            yield _lint(error, path)
    for written, step in zip(assembly.pipeline.steps, assembly.steps, strict=True):
        for name in step.knowledge:
            if knowledge is not None and name not in knowledge:
                rest = did_you_mean(name, knowledge)
                yield Lint("error", f"unknown knowledge `{name}`{rest}", path, written.line)
    if columns is not None:
        for _, message, where in unknown_reads(assembly, columns):
            yield Lint("error", message, path, where.line)


def unknown_reads(assembly: Assembly, columns: Collection[str]) -> Iterator[tuple[str, str, Where]]:
    """Give attributes that steps name and no product has, what to say of each, and where.

    The first is the name that was probably meant, empty where none is near.
    """
    known = dict.fromkeys(columns)
    for written, step in zip(assembly.pipeline.steps, assembly.steps, strict=True):
        for name in step.reads:
            if name not in known:
                rest = did_you_mean(name, known)
                place = Where(written.file or None, line=written.line)
                yield rest, f"{step.name}: unknown field `{name}`{rest}", place
        known |= dict.fromkeys(step.fields)


def _others(files: Mapping[str, str], path: str, text: str) -> Iterator[Lint]:
    changed = Overlay(files, path, text)
    loader = _LOADERS.get(kind_of(path))
    if loader is not None:
        try:
            loader(changed)
        except UserError as error:
            yield _lint(error, path)
            return
    if kind_of(path) == "schema":  # a channel may take slots that a schema has no more
        broken = _problem(load_channels, changed)
        if broken is not None and _problem(load_channels, files) is None:
            yield _lint(broken, path)
    for name in template_names(files):
        broken = _broken(changed, name)
        if broken is not None and _broken(files, name) is None:
            yield _lint(broken, path)


def _broken(files: Mapping[str, str], name: str) -> UserError | None:
    return _problem(partial(load_template, name=name), files)


def _problem(
    load: Callable[[Mapping[str, str]], object], files: Mapping[str, str]
) -> UserError | None:
    try:
        load(files)
    except UserError as error:
        return error
    return None


def _lint(error: UserError, path: str) -> Lint:
    where = error.where
    return Lint(
        "error", error.message, (where.file if where else None) or path,
        where.line if where else None,
    )  # fmt: skip


def variables_for(
    settings: Settings, path: str, text: str, columns: Collection[str]
) -> tuple[Variable, ...]:
    """Give the names a template may use, and whether it does; none for another kind of file."""
    if kind_of(path) != "template":
        return ()
    files = settings.files()
    fields, params = _around(files, name_of(path))
    try:
        template = load_template(overlaid(files, path, text), name_of(path))
    except UserError:
        used: Collection[str] = ()
    else:
        parts = (*template.instructions, *template.requirements)
        read = frozenset(name for part in parts for name in part.names)
        used = template.variables | template.parameters | (read & TARGET_NAMES)
    own = [*columns, *fields, *params]
    found = [Variable(name, "column", name in used) for name in dict.fromkeys(columns)]
    found += [Variable(name, "field", name in used) for name in fields if name not in columns]
    found += [Variable(name, "param", name in used) for name in params if name not in columns]
    target_names = sorted(name for name in TARGET_NAMES if name not in own)
    return (*found, *(Variable(name, "target", name in used) for name in target_names))
