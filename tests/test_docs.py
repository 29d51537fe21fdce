"""The documentation is held to the code: it is whole, its links lead on, its examples work."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import pytest
import yaml

import waremill
from waremill import checks, steps
from waremill.catalog.publishers.formats import formats
from waremill.catalog.publishers.mapping import load_mapping
from waremill.cli import COMMANDS, SUMMARIES, cli
from waremill.domain import Target
from waremill.errors import UserError
from waremill.pipeline import load_pipeline
from waremill.providers import vendors
from waremill.rules import load_channels, load_schemas
from waremill.settings import SETTINGS, VARIABLES, load_settings, workspace_files
from waremill.templates import load_template
from waremill.templates.load import SECTIONS
from waremill.weights import REGISTRY

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
EXAMPLE = ROOT / "src" / "waremill" / "example" / "perfume"
SKIPPED = {".venv", ".bench", ".git", "demo", "node_modules"}
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *EXAMPLE.glob("*.md")]
    if not SKIPPED & set(path.relative_to(ROOT).parts)
)
FENCE = re.compile(
    r"^([ \t]*)(```+|~~~+)([\w-]*)[^\n]*\n(.*?)^\1?\2[ \t]*$", re.MULTILINE | re.DOTALL
)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fences(text: str) -> Iterator[tuple[str, str]]:
    """The fenced blocks of a page: language and text, without the fence's own indent."""
    for match in FENCE.finditer(text):
        indent = match[1]
        lines = match[4].splitlines()
        yield match[3], "\n".join(line.removeprefix(indent) for line in lines)


def blocks(*languages: str) -> list[Any]:
    """Every fenced block in one of the languages, named by its page and number."""
    return [
        pytest.param(text, id=f"{name(path)}-{number}")
        for path in PAGES
        for number, (language, text) in enumerate(fences(read(path)), 1)
        if language in languages
    ]


def commands() -> dict[str, click.Command]:
    """Every command, loaded."""
    top = click.Context(cli, info_name="waremill")
    found = {one: cli.get_command(top, one) for one in COMMANDS}
    return {one: command for one, command in found.items() if command is not None}


# Nothing is left out.


def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_every_command_and_option_is_documented() -> None:
    page = read(REFERENCE / "commands.md")
    assert set(commands()) == set(COMMANDS) == set(SUMMARIES)
    for one, command in commands().items():
        section = re.search(rf"^## {one}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        assert section is not None, one
        for parameter in command.params:
            for written in (*parameter.opts, *parameter.secondary_opts):
                shown = written.upper() if isinstance(parameter, click.Argument) else written
                # A choice is shown by its values, not by its name.
                values = "|".join(getattr(parameter.type, "choices", ()))
                assert re.search(rf"(?<![\w-]){re.escape(shown)}(?![\w-])", section[1]) or (
                    values and values in section[1]
                ), (one, written)


@pytest.mark.parametrize("one", COMMANDS)
def test_every_command_and_option_says_what_it_does(one: str) -> None:
    command = commands()[one]
    assert command.help
    silent = [
        parameter.opts
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help
    ]
    assert not silent


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("settings.md", (*SETTINGS, *VARIABLES)),
        ("steps.md", steps.kinds()),
        ("checks.md", (*checks.names(), *checks.RUN_LEVEL)),
        ("templates.md", SECTIONS),
        ("models.md", (*(f"{one}:" for one in vendors()), *(one.use for one in REGISTRY))),
    ],
)
def test_every_name_of_a_kind_is_documented(page: str, names: tuple[str, ...]) -> None:
    text = read(REFERENCE / page)
    assert not [one for one in names if f"`{one}`" not in text and f"\n## {one}\n" not in text]


@pytest.mark.parametrize("check", (*checks.names(), *checks.RUN_LEVEL))
def test_every_check_is_explained_to_its_users(check: str) -> None:
    assert f"`{check}`" in read(ROOT / "docs" / "how-to" / "checks-and-glossary.md")


def test_every_page_of_the_documentation_is_reached_from_its_index() -> None:
    start = ROOT / "docs" / "README.md"
    seen, waiting = {start}, [start]
    while waiting:
        page = waiting.pop()
        for link in links(read(page)):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.is_file() and target not in seen:
                seen.add(target)
                waiting.append(target)
    assert set((ROOT / "docs").rglob("*.md")) <= seen


# Links.


def links(text: str) -> list[str]:
    """The relative links of a page, outside code."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))
    found = re.findall(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)", prose)
    return [unquote(link) for link in found if not re.match(r"[a-z][a-z+.-]*:", link)]


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings make, as GitHub makes them."""
    found: dict[str, int] = {}
    made = set()
    for heading in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        count = found[slug] = found.get(slug, -1) + 1
        made.add(f"{slug}-{count}" if count else slug)
    return made


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_relative_links_lead_to_a_file_and_a_heading(path: Path) -> None:
    broken = []
    for link in links(read(path)):
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(read(target))
        ):
            broken.append(link)
    assert not broken


# Commands.


def shell_lines(language: str, text: str) -> Iterator[str]:
    if language in ("bash", "sh", "shell", "console"):
        yield from text.replace("\\\n", " ").splitlines()
    elif language == "":
        yield from (line for line in text.splitlines() if re.match(r"\$? ?waremill ", line))


def calls_in(line: str) -> Iterator[list[str]]:
    """The arguments of each `waremill` in a line of shell."""
    lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="&|;()")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    call: list[str] = []
    for token in [*lexer, ";"]:
        if token and not token.strip("&|;()"):
            while call and re.fullmatch(r"[A-Z_]+=.*", call[0]):
                call.pop(0)
            if call and re.fullmatch(r"(?:.*/)?waremill", call[0]):
                yield [one for one in call[1:] if one != "…"]
            call = []
        else:
            call.append(token)


def problem(arguments: list[str], *, whole: bool) -> str | None:
    """Say what is wrong with a command line; one that is not `whole` may leave out arguments."""
    top = click.Context(cli, info_name="waremill", **cli.context_settings)
    if not arguments or arguments[0] in ("-h", "--help", "--version"):
        return None
    command = cli.get_command(top, arguments[0])
    if command is None:
        return f"there is no command {arguments[0]}"
    try:
        command.make_context(arguments[0], list(arguments[1:]), parent=top)
    except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):
        return None  # it is asked for help, or, a group named alone, gives it
    except (click.BadParameter, click.BadOptionUsage) as error:
        return error.format_message() if whole else None
    except click.UsageError as error:
        return error.format_message()
    return None


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_commands_shown_exist_with_their_options(path: Path) -> None:
    text = read(path)
    wrong = {
        " ".join(call): said
        for language, block in fences(text)
        for line in shell_lines(language, block)
        for call in calls_in(line)
        if (said := problem(call, whole=True))
    }
    for inline in re.findall(r"`((?:[\w./]*/)?waremill [^`]+)`", FENCE.sub("", text)):
        for call in calls_in(inline):
            if said := problem(call, whole=False):
                wrong[inline] = said
    assert not wrong


def test_the_commands_that_messages_name_exist() -> None:
    wrong = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for inline in re.findall(r"`(waremill [^`\n]+)`", read(path)):
            for call in calls_in(inline):
                if said := problem(call, whole=False):
                    wrong[f"{name(path)}: {inline}"] = said
    assert not wrong


def test_a_wrong_command_line_would_be_found() -> None:
    assert problem(["run", "launch", "--limit", "20"], whole=True) is None
    assert problem(["run", "launch", "--limits", "20"], whole=False)
    assert problem(["run", "launch", "--limit", "many"], whole=True)
    assert problem(["runn", "launch"], whole=False)
    assert list(calls_in("A=1 waremill init a && cd a && waremill run 'x y'  # waremill b")) == [
        ["init", "a"],
        ["run", "x y"],
    ]


# Snippets.


def workspace(**more: str) -> dict[str, str]:
    """The example's files with others put over them; `a__b` names the file `a/b.yaml`."""
    extra = {f"{key.replace('__', '/')}.yaml": text for key, text in more.items()}
    return {**dict(workspace_files(EXAMPLE)), **extra}


def load_snippet(text: str) -> None:
    """Load a YAML snippet as what it is, filling in what a part of a file leaves out."""
    value = yaml.safe_load(text)
    if isinstance(value, list):
        indented = "\n".join(f"  {line}" for line in text.splitlines())
        load_pipeline(workspace(pipelines__page=f"steps:\n{indented}"), "page", steps.kinds())
        return
    assert isinstance(value, dict), "this is neither a file's content nor a part of one"
    names = set(value)
    if names <= {"description", "source", "date", "fields", "categories", "slots"}:
        schemas = {path: one for path, one in workspace().items() if path.startswith("schemas/")}
        load_channels({**schemas, "channels/page.yaml": text})
    elif names <= {"category", "parent", "attributes", "children", "description"}:
        parent = value.get("parent", "Unrelated")
        stub = f"category: {parent}\nattributes: {{}}\n"
        load_schemas({"schemas/page.yaml": text, "schemas/parent.yaml": stub})
    elif "columns" in names:
        options = {one for info in formats().values() for one in info.options} | {"key"}
        load_mapping({"publish/page.yaml": text}, "publish/page.yaml", options)
    elif names & {"steps", "targets", "params", "review"}:
        rest = "" if "steps" in names else "\nsteps: [{check: [language]}]"
        called = value.get("name", "page")
        load_pipeline(workspace(**{f"pipelines__{called}": text + rest}), called, steps.kinds())
    else:
        rest = "" if "instruction" in names else "\ninstruction: Write."
        rest += "" if "output" in names else "\noutput: {title: string}"
        called = value.get("name", "page")
        load_template(workspace(**{f"templates__{called}": text + rest}), called)


@pytest.mark.parametrize("text", blocks("yaml", "yml"))
def test_yaml_snippets_load(text: str) -> None:
    load_snippet(text)


def test_a_wrong_snippet_would_be_found() -> None:
    for text in (
        "instruction: Write {{ name.\noutput: {title: string}",
        "steps: [{generat: {template: selling-points}}]",
        "fields: {title: {max_char: 60}}",
        "category: Perfume\nattributes: {brand: {typ: string}}",
        "- generate: {template: copy, per: shop}",
    ):
        with pytest.raises(UserError):
            load_snippet(text)


@pytest.mark.parametrize("text", blocks("toml"))
def test_toml_snippets_are_settings(text: str, tmp_path: Path) -> None:
    for alias, table in tomllib.loads(text).get("models", {}).items():
        if "use" not in table:  # the snippet shows a part of a table
            text = text.replace(f"[models.{alias}]", f"[models.{alias}]\nuse = 'openai:x'")
        if "workflow" in table:
            (tmp_path / table["workflow"]).parent.mkdir(exist_ok=True)
            (tmp_path / table["workflow"]).write_text("{}", encoding="utf-8")
    (tmp_path / "waremill.toml").write_text(text, encoding="utf-8")
    assert load_settings(tmp_path, {}).models["default"]


@pytest.mark.parametrize("text", blocks("python"))
def test_python_snippets_compile_and_use_public_names(text: str) -> None:
    compile(text, "page", "exec")
    used = set(re.findall(r"\bwaremill\.(\w+)", text))
    used |= {
        one.strip().partition(" ")[0]
        for names in re.findall(r"from waremill import ([\w, ]+)", text)
        for one in names.split(",")
    }
    assert used <= set(waremill.__all__)
    methods = set(re.findall(r"\bawait \w+\.(\w+)\(", text))
    assert methods <= set(dir(waremill.Workspace)) | {"aclose", "sleep"}


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_targets_shown_can_be_read(path: Path) -> None:
    calls = [
        call
        for language, block in fences(read(path))
        for line in shell_lines(language, block)
        for call in calls_in(line)
    ]
    for call in calls:
        for option, written in pairwise(call):
            if option == "--target" and written not in ("T", "TARGET"):
                assert str(Target.parse(written)) == written


def unknown_settings(text: str) -> Mapping[str, str]:
    """Names that a page calls settings of `waremill.toml` and that are none."""
    known = {re.sub(r"ALIAS|USE", "x", one) for one in SETTINGS}
    found = re.findall(r"`((?:limits|database|models\.\w+)\.[a-z_]+)`", text)
    return {one: "" for one in found if re.sub(r"^models\.\w+", "models.x", one) not in known}


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_settings_named_in_prose_exist(path: Path) -> None:
    assert not unknown_settings(read(path))
