"""Write the pages of `docs/reference/` from the code: `make docs`.

Everything on these pages is read from click objects, tables, docstrings and JSON Schemas, so what
they say is what the program does. `--check` writes nothing and exits 1 where a page is out of date.
"""

from __future__ import annotations

import csv
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any, is_typeddict

import click
from markup import code, codes, prose, table, tags
from operations_page import operations_page, operations_table
from publishing_page import publishing_page

import waremill
from waremill import catalog, checks, errors, pipeline, providers, rules, steps, weights
from waremill.catalog import publishers, readers
from waremill.catalog.publishers.table import suffixes_of
from waremill.cli import COMMANDS, SUMMARIES, cli
from waremill.settings import SETTINGS, VARIABLES, VENDORS
from waremill.settings.workspace import FILES, FOLDERS

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
SCHEMAS = ROOT / "src" / "waremill" / "cli" / "schemas"
EXAMPLE = files("waremill") / "example" / "perfume"
OTHERS = (
    ("waremill.app.importing", "Problem"),
    ("waremill.app.publishing", "PublicationShown"),
    ("waremill.runs.estimate", "Range"),
    ("waremill.runs.estimate", "StepEstimate"),
    ("waremill.store.products", "Catalog"),
    ("waremill.store.runs", "Run"),
)
"""What the public names hand back without being public themselves."""
NOTICE = "<!-- Made from the code by `make docs`; edit the code, not this page. -->"


def main() -> int:
    """Write every page, or with `--check` say which are out of date."""
    stale = []
    for name, (title, _, make) in PAGES.items():
        path = FOLDER / name
        text = f"{NOTICE}\n\n# {title}\n\n{make().strip()}\n"
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv[1:]:
            FOLDER.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    extra = sorted(path.name for path in FOLDER.glob("*.md") if path.name not in PAGES)
    if "--check" not in sys.argv[1:]:
        print(f"docs/reference: {len(stale)} of {len(PAGES)} pages written", file=sys.stderr)
        return 0
    for name in [*stale, *extra]:
        print(f"docs/reference/{name} is out of date; run `make docs`", file=sys.stderr)
    return 1 if stale or extra else 0


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """Import the modules of a package, sorted by name."""
    for entry in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"{package.__name__}.{entry.name}")


def example_file(path: str) -> str:
    """Show a file of the example workspace."""
    text = EXAMPLE.joinpath(*path.split("/")).read_text(encoding="utf-8").strip()
    kind = path.rpartition(".")[2]
    return f"`{path}` of `waremill init --example perfume`:\n\n```{kind}\n{text}\n```"


# Commands.


def commands() -> str:
    """Describe every command with its usage, arguments and options."""
    top = click.Context(cli, info_name="waremill", **cli.context_settings)
    parts = [
        "`RUN` is a run's id, a unique prefix of it, or `last`. `PIPELINE` is the name of a "
        "pipeline or of a single template. Results go to stdout, everything else to stderr.",
        table(["command", ""], [(f"[`{name}`](#{name})", SUMMARIES[name]) for name in COMMANDS]),
        "## Exit codes",
        exit_codes(),
        "The shapes that `--json` prints are in [JSON](json.md).",
    ]
    for name in COMMANDS:
        command = cli.get_command(top, name)
        assert command is not None
        parts += _command(name, command, click.Context(command, info_name=name, parent=top))
    return "\n\n".join(parts)


def exit_codes() -> str:
    """Read the exit codes from the command line's docstring."""
    text = " ".join((importlib.import_module("waremill.cli").__doc__ or "").split())
    said = text.partition("Exit codes are a contract: ")[2].partition(". ")[0].rstrip(".")
    rows = [part.strip().partition(" ")[::2] for part in said.split(",")]
    return table(["code", "means"], rows)


def _command(name: str, command: click.Command, context: click.Context) -> list[str]:
    usage = " ".join(["waremill", name, *command.collect_usage_pieces(context)])
    help_text = inspect.cleandoc(command.help or "")
    parts = [f"{'#' if ' ' in name else ''}## {name}", f"```text\n{usage}\n```", tags(help_text)]
    rows = [_option(one) for one in command.params if isinstance(one, click.Option)]
    rows.append((codes(context.help_option_names), "Show the help.", ""))
    parts.append(table(["option", "", "default"], rows))
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            one = command.get_command(context, inner)
            assert one is not None
            own = click.Context(one, info_name=inner, parent=context)
            parts += _command(f"{name} {inner}", one, own)
    return parts


def _option(option: click.Option) -> tuple[str, str, str]:
    names = ", ".join((*option.opts, *option.secondary_opts))
    value = option.metavar or ("" if option.is_flag else option.type.name.upper())
    told = option.help or ""
    if isinstance(option.type, click.IntRange):
        told += f" From {option.type.min:,} to {option.type.max:,}."
    default = ""
    if option.show_default or option.secondary_opts:
        default = code(option.default)
        if option.is_flag:
            default = code(option.opts[0] if option.default else option.secondary_opts[0])
    return code(f"{names} {value}".strip()), told, default


# Settings.


def settings() -> str:
    """List every setting and every environment variable."""
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for name, setting in SETTINGS.items():
        group = name.rpartition(".")[0] if not name.startswith("prices.") else "prices"
        groups.setdefault(group, []).append((code(name), setting.description, setting.default))
    parts = [
        "`waremill.toml` stands at the top of a workspace. An unknown name is refused with a "
        "suggestion. Keys never stand in it.",
        example_file("waremill.toml"),
    ]
    for group, rows in groups.items():
        parts += [f"## `[{group}]`" if group else "## Top", table(["setting", "", "default"], rows)]
    parts += [
        "## Environment",
        "A `.env` file beside `waremill.toml` may set these too; the process's own environment "
        "goes before it.",
        table(["variable", ""], [(code(name), told) for name, told in VARIABLES.items()]),
        "## Files of a workspace",
        f"Read are {codes([FILES[0], *(f'{folder}/' for folder in FOLDERS)])}, and nothing a link "
        "leads to outside the workspace. `.waremill/` holds the database.",
    ]
    return "\n\n".join(parts)


# Pipelines, checks, templates, rules.


def steps_page() -> str:
    """Describe pipelines and every step they may name."""
    parts = [
        "A pipeline stands in `pipelines/NAME.yaml`. " + prose(pipeline.Pipeline.__doc__),
        f"It has {codes(pipeline._KEYS)}; every step may have {codes(pipeline._STEP_KEYS)} "
        f"beside its own settings; `per` is one of {codes(pipeline.PER)}. A template's name alone "
        "is a pipeline of one `generate` step.",
        prose(pipeline.StepSettings.__doc__).partition("\n\n")[2],
        example_file("pipelines/launch.yaml"),
    ]
    for kind in steps.kinds():
        if kind in steps.operation_names():
            continue
        module = importlib.import_module(f"{steps.__name__}.{kind}")
        parts += [f"## {kind}", prose(module.__doc__)]
    parts += [
        "## Operations on pictures",
        operations_table(),
    ]
    return "\n\n".join(parts)


def checks_page() -> str:
    """Describe every check."""
    by_name = {checks.get(name).__module__: name for name in checks.names()}
    parts = [
        "A template names its checks under `checks`; a pipeline's `check` step looks over all "
        "fields made so far. An error makes `generate` ask again and then sends the item to "
        "review; a warning is a hint for the reviewer.",
        f"Run where a template names none: {codes(checks.DEFAULT)}.",
        f"Over a whole run, in a pipeline's `check` step only: {codes(checks.RUN_LEVEL)}.",
    ]
    for module in modules_of(checks):
        name = by_name.get(module.__name__)
        if (
            name is None
            and module.__name__.rpartition(".")[2].replace("_", "-") in checks.RUN_LEVEL
        ):
            name = module.__name__.rpartition(".")[2].replace("_", "-")
        if name is None:
            continue
        told = [prose(module.__doc__)]
        own = prose(checks.get(name).__doc__) if name in checks.names() else ""
        if own and own not in told[0]:
            told.append(own)
        parts += [f"## {name}", *told]
    return "\n\n".join(parts)


def templates_page() -> str:
    """Describe a template's sections, settings, texts and conditions."""
    from waremill.templates import expressions, fields, filters, load, output, template
    from waremill.templates.contract import RATIONALE_ASKS
    from waremill.templates.examples import example_from

    fitting = [
        (code(name), codes(output._FITTING.get(name, output._TYPES))) for name in output._SETTINGS
    ]
    modules = {"layout": "The prompt", "examples": "Which examples are chosen", "reply": "Replies"}
    parts = [
        "[Write a template](../how-to/write-a-template.md) explains with examples what is listed "
        "here.",
        prose(load.__doc__).rpartition("\n\n")[2],
        f"Sections: {codes(load.SECTIONS)}.",
        example_file("templates/selling-points.yaml"),
        "## input", prose(template.Input.__doc__),
        "## instruction, requirements", prose(load.Loader.parts.__doc__),
        "## examples", prose(example_from.__doc__),
        "## reasoning", table(["value", "asks for"], [
            (code(name), asks or "no rationale") for name, asks in RATIONALE_ASKS.items()]),
        "## output", prose(fields.Field.__doc__),
        table(["setting", "for fields of type"], fitting),
        "`{from: schema}` takes the fields from `schemas/`. It has "
        f"{codes(output._SCHEMA_SETTINGS)}: `category` fixes the category, `by` names the "
        "attribute that holds the product's own, `only` and `without` choose among its attributes.",
        "## Texts and conditions", prose(expressions.__doc__),
        f"Names of the target: {codes(sorted(expressions.TARGET_NAMES))}. Filters: "
        f"{codes(filters.FILTERS)}. Tests (`x is …`): {codes(filters.TESTS)}.",
    ]  # fmt: skip
    for name, title in modules.items():
        module = importlib.import_module(f"waremill.templates.{name}")
        parts += [f"## {title}", prose(module.__doc__)]
    return "\n\n".join(parts)


def rules_page() -> str:
    """Describe the files that hold schemas, channels, glossary and forbidden terms."""
    parts = [
        "One set of files serves prompts, checks and reports alike. A mistake in one is refused "
        "with file and line."
    ]
    for name in ("schema", "channel", "glossary", "forbidden", "matching"):
        module = importlib.import_module(f"{rules.__name__}.{name}")
        title, _, rest = prose(module.__doc__).partition("\n\n")
        parts += [f"## {name.capitalize()}", title, rest]
    return "\n\n".join(parts)


def files_page() -> str:
    """Describe what can be imported, how products are selected, what can be written."""
    rows = [
        (codes(module.SUFFIXES) or "(a URL)", prose(module.__doc__).partition("\n\n")[0])
        for module in modules_of(readers)
        if hasattr(module, "SUFFIXES") and hasattr(module, "RANK")
    ]
    written = [
        (codes(suffixes_of(function)), prose(module.__doc__).partition("\n\n")[0])
        for module in modules_of(publishers)
        for function in vars(module).values()
        if inspect.isfunction(function)
        and function.__module__ == module.__name__
        and suffixes_of(function)
    ]
    database = importlib.import_module("waremill.catalog.readers.database")
    selection = importlib.import_module("waremill.catalog.selection")
    cleaning = importlib.import_module("waremill.catalog.cleaning")
    units = importlib.import_module("waremill.catalog.units")
    return "\n\n".join([
        prose(catalog.__doc__),
        "## Read", table(["ending", ""], rows), prose(database.__doc__),
        "## Cleaned", prose(cleaning.__doc__), prose(units.__doc__),
        "## Selected", prose(selection.__doc__),
        "## Written", table(["ending", ""], written),
    ])  # fmt: skip


# Models.


def models_page() -> str:
    """List vendors, embedded models, and where prices come from."""
    modules = providers.vendors()
    vendor_rows = []
    for vendor in sorted({*VENDORS, *modules}):
        module = importlib.import_module(f"{providers.__name__}.{modules[vendor]}")
        first = prose(module.__doc__).partition("\n")[0]
        vendor_rows.append((code(f"{vendor}:"), codes(VENDORS.get(vendor, ())) or "none", first))
    weight_rows = [
        (code(one.use), one.title, f"{one.size / 1e6:,.0f} MB", one.licence,
         ", ".join(one.languages), f"{codes((one.repository, one.file))} at {code(one.revision)}")
        for one in weights.REGISTRY
    ]  # fmt: skip
    text = (files("waremill.providers") / "prices.csv").read_text(encoding="utf-8")
    head, *prices = csv.reader(text.splitlines())
    prices_module = importlib.import_module("waremill.providers.prices")
    return "\n\n".join([
        "A model is written `vendor:name`. Its settings are in [Settings](settings.md).",
        "## Vendors", table(["vendor", "key", "spoken"], vendor_rows),
        "## Embedded models", prose(weights.__doc__).partition("\n\n")[2].partition("\n\n")[0],
        table(["`use`", "model", "size", "licence", "languages", "upstream"], weight_rows),
        "`local:/path/to/model.gguf` is any GGUF file.",
        table(["`use`", "SHA-256"], [(code(w.use), code(w.sha256)) for w in weights.REGISTRY]),
        "## Prices", prose(prices_module.__doc__), prose(prices_module.price_for.__doc__),
        "The dated table, in `currency` per million tokens:", table(head, prices),
    ])  # fmt: skip


# Errors and Python.


def errors_page() -> str:
    """Draw the error tree and describe every class."""
    parts = [prose(errors.__doc__), "## Exit codes", exit_codes(), "## Classes"]
    rows = [
        (code(name), prose(one.__doc__).replace("\n", " "), _own_fields(one))
        for name, one in vars(errors).items()
        if inspect.isclass(one) and issubclass(one, errors.WaremillError)
    ]
    return "\n\n".join([*parts, table(["class", "", "fields"], rows)])


def _own_fields(one: type) -> str:
    return codes(name for name in vars(one).get("__annotations__", {}) if not name.startswith("_"))


def python_page() -> str:
    """Describe every public name of the package."""
    parts = [prose(waremill.__doc__)]
    names = sorted(waremill.__all__, key=lambda name: (_rank(name), name.lower()))
    for name in names:
        parts += _public(name, getattr(waremill, name))
    parts += ["## Other types", "What the above hand back; not to be made or imported by name."]
    for place, name in OTHERS:
        parts += _public(name, getattr(importlib.import_module(place), name), "###")
    return "\n\n".join(parts)


def _rank(name: str) -> int:
    value = getattr(waremill, name)
    if name == "open":
        return 0
    if inspect.isclass(value) and issubclass(value, Exception):
        return 3
    return (
        1
        if str(getattr(value, "__module__", "")).startswith(("waremill.app", "waremill.runs"))
        else 2
    )


def _public(name: str, value: Any, level: str = "##") -> list[str]:
    parts = [f"{level} {name}"]
    if inspect.isfunction(value):
        return [*parts, f"```text\nwaremill.{name}{_signature(value)}\n```", prose(value.__doc__)]
    bases = [base.__name__ for base in value.__bases__ if base.__module__.startswith("waremill")]
    if bases:
        parts.append(f"A {code(bases[0])}.")
    parts.append(prose(value.__doc__))
    if is_typeddict(value):
        rows = [(code(key), code(_hint(hint))) for key, hint in value.__annotations__.items()]
        parts.append(table(["name", "type"], rows))
    elif is_dataclass(value):
        rows = [(code(one.name), code(_hint(one.type))) for one in fields(value)
                if not one.name.startswith("_")]  # fmt: skip
        parts.append(table(["field", "type"], rows))
    members = vars(value).items()
    for member, found in members:
        if member.startswith("_") and member != "__call__":
            continue
        if isinstance(found, property):
            parts += [f"### {name}.{member}", prose(found.__doc__)]
        elif inspect.isfunction(found) or isinstance(found, staticmethod | classmethod):
            plain: Any = getattr(found, "__func__", found)
            function = inspect.unwrap(plain)
            lead = "await " if inspect.iscoroutinefunction(function) else ""
            shown = name if member == "__call__" else f"{name}.{member}"
            text = f"{lead}{shown}{_signature(function)}"
            parts += [f"### {name}.{member}", f"```text\n{text}\n```", prose(function.__doc__)]
    return parts


def _signature(function: Callable[..., Any]) -> str:
    found = inspect.signature(function)
    shown: list[str] = []
    starred = False
    for one in found.parameters.values():
        if one.name == "self":
            continue
        if one.kind is one.KEYWORD_ONLY and not starred:
            shown.append("*")
            starred = True
        mark = "**" if one.kind is one.VAR_KEYWORD else ""
        default = "" if one.default is one.empty else f" = {one.default!r}"
        shown.append(f"{mark}{one.name}: {_hint(one.annotation)}{default}")
    inside = ", ".join(shown)
    if len(inside) > 70:
        inside = "\n    " + ",\n    ".join(shown) + ",\n"
    return f"({inside}) -> {_hint(found.return_annotation)}"


def _hint(hint: Any) -> str:
    text = getattr(hint, "__forward_arg__", hint)
    return str(text).replace("typing.", "")


# JSON.


def json_page() -> str:
    """Describe what `--json` prints, from the committed schemas."""
    parts = [
        "With `--json` a command prints one JSON document to stdout. The shapes grow by addition: "
        "a name that is here stays, and new ones may come. The JSON Schemas are in "
        "[`src/waremill/cli/schemas/`](../../src/waremill/cli/schemas); tests hold the commands to "
        "them.",
    ]
    for path in sorted(SCHEMAS.glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        used = codes(schema["x-commands"])
        parts += [f"## {path.stem}", f"{schema['title']}. Printed by {used}."]
        body = schema["items"] if schema["type"] == "array" else schema
        if body is not schema:
            parts.append("A list of:")
        parts.append(table(["name", "type", ""], _properties(body)))
    return "\n\n".join(parts)


def _properties(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", ())
    for name, one in schema.get("properties", {}).items():
        kinds = one["type"] if isinstance(one["type"], list) else [one["type"]]
        inner = one.get("items") if isinstance(one.get("items"), dict) else one
        assert inner is not None
        kind = " or ".join(kinds)
        if inner is not one and isinstance(inner.get("type"), str):
            kind = kind.replace("array", f"array of {inner['type']}s")
        told = one.get("description", "")
        if "enum" in one:
            told += f" One of {codes(one['enum'])}."
        if name not in required and required:
            told += " Not always there."
        yield code(prefix + name), kind, told
        yield from _properties(inner, f"{prefix}{name}{'[]' if inner is not one else ''}.")


def index() -> str:
    """List the pages."""
    rows = [(f"[{title}]({name})", told) for name, (title, told, _) in PAGES.items() if told]
    return table(["page", ""], rows)


PAGES: Mapping[str, tuple[str, str, Callable[[], str]]] = {
    "README.md": ("Reference", "", index),
    "commands.md": ("Commands", "usage, options, exit codes", commands),
    "settings.md": ("Settings", "`waremill.toml`, the environment, `.env`", settings),
    "files.md": ("Catalogue files", "what is read, cleaned, selected, written", files_page),
    "publishing.md": ("Publishing", "mappings, formats and their fields", publishing_page),
    "templates.md": ("Templates", "sections, output, texts and conditions", templates_page),
    "steps.md": ("Pipelines and steps", "a pipeline's file, every step", steps_page),
    "pictures.md": ("Operations on pictures", "every operation, its options", operations_page),
    "checks.md": ("Checks", "what each finds, and what it does not", checks_page),
    "rules.md": ("Rules", "schemas, channels, glossary, forbidden terms", rules_page),
    "models.md": ("Models", "vendors, embedded models, prices", models_page),
    "errors.md": ("Errors", "the tree, every class, exit codes", errors_page),
    "json.md": ("JSON", "what `--json` prints", json_page),
    "python.md": ("Python", "the public names of the package", python_page),
}
"""Every page: its file, its title, what is on it, and what makes it."""

if __name__ == "__main__":
    sys.exit(main())
