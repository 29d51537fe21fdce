"""The public names of the package, and what it costs to import them."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import waremill

ROOT = Path(__file__).resolve().parents[1]
HEAVY = (
    "aiohttp", "alembic", "asyncio", "bm25s", "bpe_openai", "genai_prices", "jinja2",
    "jsonschema_rs", "langchain", "lingua", "numpy", "orjson", "polars", "psycopg",
    "python_calamine", "rensa", "sqlalchemy", "sqlglot", "tqdm", "xllamacpp", "xlsxwriter", "yaml",
)  # fmt: skip


def run_python(code: str) -> str:
    """Run code in a fresh interpreter; give what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_documented_names_are_exactly_the_exported_ones() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^## (\w+)$", page, re.MULTILINE))
    assert documented == set(waremill.__all__)
    assert waremill.__all__ == sorted(waremill.__all__)
    assert set(dir(waremill)) == {*waremill.__all__, "__version__"}


@pytest.mark.parametrize("name", waremill.__all__)
def test_an_exported_name_has_a_docstring_of_its_own(name: str) -> None:
    value = getattr(waremill, name)
    told = inspect.cleandoc(value.__doc__ or "")
    assert re.match(r"\S.*[.:,\w]", told)
    assert not told.startswith(f"{name}("), "this is the signature a dataclass writes by itself"


def members() -> list[tuple[str, Any]]:
    """The public methods and properties of the exported classes."""
    return [
        (f"{name}.{member}", found)
        for name in waremill.__all__
        for member, found in vars(getattr(waremill, name)).items()
        if not member.startswith("_")
        and inspect.isclass(getattr(waremill, name))
        and (inspect.isfunction(found) or isinstance(found, property | staticmethod))
    ]


@pytest.mark.parametrize(("name", "member"), members())
def test_a_public_member_has_a_docstring(name: str, member: Any) -> None:
    assert (member.__doc__ or "").strip(), name


def test_open_gives_the_workspace_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "waremill.toml").write_text("", encoding="utf-8")
    assert isinstance(waremill.open(tmp_path), waremill.Workspace)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Workspaces"):
        waremill.Workspaces  # type: ignore[attr-defined]  # noqa: B018


def test_every_error_is_exported() -> None:
    from waremill import errors

    classes = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.WaremillError)
    }
    assert classes <= set(waremill.__all__)


def test_importing_the_package_takes_less_than_50_ms_and_no_other_module() -> None:
    code = (
        "import sys, time; before = set(sys.modules); started = time.process_time();"
        "import waremill; spent = time.process_time() - started;"
        "print(spent, *sorted(set(sys.modules) - before))"
    )
    spent, *loaded = run_python(code).split()
    assert float(spent) < 0.05
    assert [name for name in loaded if name.startswith("waremill")] == ["waremill"]
    assert not {name.partition(".")[0] for name in loaded} & set(HEAVY)


def test_help_imports_no_room_and_no_heavy_library() -> None:
    code = (
        "import sys; from waremill.cli import cli;"
        "cli.main(['--help'], prog_name='waremill', standalone_mode=False);"
        "print('MODULES', *sys.modules)"
    )
    shown, _, loaded = run_python(code).partition("MODULES ")
    assert "Commands:" in shown
    names = loaded.split()
    assert not {name.partition(".")[0] for name in names} & set(HEAVY)
    ours = {name for name in names if name.startswith("waremill")}
    assert ours == {"waremill", "waremill.cli"}


def test_naming_an_error_does_not_import_the_application() -> None:
    code = "import sys, waremill; waremill.NotFound, waremill.Target; print(*sys.modules)"
    names = (name.split(".") for name in run_python(code).split())
    ours = {".".join(parts[:2]) for parts in names if parts[0] == "waremill" and parts[1:]}
    assert ours == {"waremill.domain", "waremill.errors"}
