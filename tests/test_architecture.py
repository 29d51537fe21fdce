"""What import-linter and ruff cannot say: sizes, names, the environment, what is not tracked."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "waremill"
LONGEST_FILE = 500
LONGEST_FUNCTION = 60
VAGUE = {"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"}
READS_ENVIRONMENT = {"settings/load.py", "providers/local.py"}
"""Settings read it once; the embedded model must set a variable before llama.cpp is loaded."""
# Put together from pieces, so that this file does not hold what it looks for.
INDEX_ADDRESS = re.compile(
    r"(?:--|^\s*)(?:extra-)?index-url\b\s*=?\s*\S*:" + "//|https?://(?:[^/\\s@]+@)?(?:"
    r"pypi\.org/simple|[^/\s]*/(?:artifactory|nexus|pypi)/|files\.pythonhosted\.org)",
    re.MULTILINE,
)
MACHINE_PATH = re.compile(
    r"(?<![\w.~-])/(?:home|Users|root|work|mnt|opt/homebrew)/[A-Za-z0-9_.-]+" + r"|[A-Z]:\\Users\\"
)


def python_files(*folders: str) -> list[Path]:
    """Our Python files, as paths relative to the repository."""
    return [
        path.relative_to(ROOT)
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "__pycache__" not in path.parts
    ]


def tracked_files() -> list[Path]:
    """The text files that are or will be tracked; skips where there is no repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    paths = [ROOT / line for line in done.stdout.splitlines()]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:4096]]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """The functions of a file with their lengths in lines, decorators aside."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_file_is_longer_than_500_lines() -> None:
    long = {
        str(path): lines
        for path in python_files("src", "tests", "bench", "scripts")
        if (lines := len((ROOT / path).read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    }
    assert not long


def test_no_function_of_the_package_is_longer_than_60_lines() -> None:
    long = {
        f"{path}:{name}": lines
        for path in python_files("src")
        if "versions" not in path.parts  # a migration is a list of tables
        for name, lines in functions(path)
        if lines > LONGEST_FUNCTION
    }
    assert not long


def test_no_module_has_a_name_that_says_nothing() -> None:
    paths = python_files("src", "tests", "bench", "scripts")
    assert not [str(path) for path in paths if {path.stem, path.parent.name} & VAGUE]


def test_only_settings_read_the_environment() -> None:
    pattern = re.compile(r"\b(?:environ|environb|getenv|putenv)\b")
    found = {
        str(path.relative_to(SOURCE))
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and pattern.fullmatch(node.attr))
        or (isinstance(node, ast.alias) and pattern.fullmatch(node.name))
    }
    assert found == READS_ENVIRONMENT


def test_the_embedded_model_only_sets_a_variable_and_reads_none() -> None:
    text = (SOURCE / "providers" / "local.py").read_text(encoding="utf-8")
    assert re.findall(r"os\.environ\S*", text) == ['os.environ.setdefault("OMP_WAIT_POLICY",']


def test_every_module_of_the_package_says_what_it_is() -> None:
    silent = [
        str(path)
        for path in python_files("src")
        if not ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    ]
    assert not silent


def test_no_tracked_file_names_a_package_index() -> None:
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in tracked_files()
        if (match := INDEX_ADDRESS.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert not found


def test_no_tracked_file_holds_a_path_of_one_machine() -> None:
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in tracked_files()
        if (match := MACHINE_PATH.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert not found


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (INDEX_ADDRESS, "--index-url " + "https:" + "//mirror.example/simple"),
        (INDEX_ADDRESS, "--extra-index-url=" + "http:" + "//10.0.0.1/simple"),
        (INDEX_ADDRESS, "index-url = " + "https:" + "//mirror.example/simple"),
        (INDEX_ADDRESS, "https:" + "//user:secret@mirror.example/artifactory/api"),
        (MACHINE_PATH, "cd /" + "home/somebody/waremill"),
        (MACHINE_PATH, '"/' + 'Users/somebody/Desktop"'),
    ],
)
def test_such_an_address_or_path_would_be_found(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)


def test_the_architecture_names_every_room_and_every_table() -> None:
    from waremill.store.tables import metadata

    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = [path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()]
    rooms += [path.name for path in SOURCE.glob("*.py") if path.stem != "__init__"]
    missing = [room for room in rooms if f"`{room}" not in text]
    missing += [table for table in metadata.tables if f"`{table}`" not in text]
    assert not missing
