"""What holds for the room as a whole."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from waremill import checks
from waremill.checks import DEFAULT, RUN_LEVEL, Draft, Rules
from waremill.domain import Target
from waremill.errors import NotFound

ROOM = Path(checks.__file__).parent
COPY = yaml.safe_load((Path(__file__).parent / "correct_copy.yaml").read_text())


def test_every_check_is_found_and_documented() -> None:
    assert checks.names() == (
        "channel", "forbidden", "glossary", "grounded", "grounded-names", "grounded-numbers",
        "language", "no-markup", "no-placeholders", "no-urls",
    )  # fmt: skip
    for name in checks.names():
        check = checks.get(name)
        assert (check.__doc__ or "").strip(), name
        module = sys.modules[check.__module__]
        assert f"`{name}`" in (module.__doc__ or ""), name
        assert module.__name__.rpartition(".")[2] == name.replace("-", "_")
    assert set(DEFAULT) <= set(checks.names())
    for name in RUN_LEVEL:
        assert (ROOM / f"{name.replace('-', '_')}.py").exists()


def test_an_unknown_check_is_told_with_a_suggestion() -> None:
    with pytest.raises(NotFound, match="did you mean “grounded-numbers”"):
        checks.get("grounded-number")


@pytest.mark.parametrize("entry", COPY, ids=lambda entry: f"{entry['target']} {entry['source']}")
def test_correct_copy_raises_no_error(entry: dict[str, dict[str, str]]) -> None:
    target = Target.parse(str(entry["target"]))
    draft = Draft(entry["values"], entry["source"], target)
    setting = Rules(languages=("en", "de", "fr", "es", "it", "nl", "zh", "ja", "ko", "ru"))
    assert checks.run_checks(checks.names(), draft, setting) == []


def test_checks_cope_with_every_kind_of_value() -> None:
    values = {
        "none": None, "flag": True, "number": 1, "empty": "", "list": [], "texts": ["a", None, 3],
        "rows": [{"question": "Is it new?", "answer": "Yes"}], "surrogate": "\ud800",
    }  # fmt: skip
    draft = Draft(values, {"x": None, "y": [1, "2"], "z": {"a": 3.5}, "": ""}, Target("de"))
    assert checks.run_checks(checks.names(), draft, Rules()) == []
    assert checks.run_checks(checks.names(), Draft({}, {}), Rules()) == []
    assert [text for _, text in draft.texts] == ["", "a", "Is it new?", "Yes", "\ud800"]


def test_a_position_belongs_to_the_field_it_stands_in() -> None:
    draft = Draft({"a": "one", "b": ["two", "three"], "c": "four"}, {})
    fields = [draft.field_at(draft.text.index(word)) for word in ("one", "two", "three", "four")]
    assert fields == ["a", "b", "b", "c"]


def test_drafts_and_rules_survive_pickling() -> None:
    draft = Draft({"a": "one"}, {"name": "x"}, Target("de"))
    checks.run_checks(checks.names(), draft, Rules())
    assert pickle.loads(pickle.dumps(draft)) == draft


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = (
        "import sys, waremill.checks as c; c.names(); "
        "print([m for m in ('lingua', 'rensa', 'ahocorasick') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
