from __future__ import annotations

from typing import Any

import pytest
from drafts_to_check import found, rules

SETTING = rules(
    {
        "glossary.csv": "source,de,fr,zh,fact\nbergamot,Bergamotte,bergamote,香柠檬,yes\n"
        "long-lasting,langanhaltend,longue tenue,持久,\n",
        "schemas/perfume.yaml": """
category: Perfume
attributes:
  gender: {values: [women, men]}
  notes:
    many: true
    values: [rose, {code: oud, labels: {zh: 沉香, de: Adlerholz}}, musk, vanilla]
""",
    }
)
SOURCE: dict[str, Any] = {
    "name": "Vanilla Sky",
    "brand": "Frédéric Malle",
    "notes": "rose, bergamot",
    "origin": "Sicilian groves",
}


@pytest.mark.parametrize(
    ("target", "copy"),
    [
        ("en", "Rose and bergamot, long-lasting, for women."),
        ("en", "A scent by Frederic Malle, Malle's finest."),
        ("en", "The charm of Vanilla Sky"),  # vanilla only inside the name
        ("de", "Rose und Bergamotte"),
        ("zh", "玫瑰与香柠檬"),
        ("fr", "Une bergamote des vergers de Sicile"),
        ("en", "A French classic for Sunday in July"),
        ("en", "Roses Bloom In Every Single Drop"),  # Title Case marks no names
        ("de", "Ein Duft von Guerlain"),  # German: capitals mark no names
    ],
)
def test_what_stands_in_the_source_raises_nothing(target: str, copy: str) -> None:
    assert found("grounded-names", copy, SOURCE, target, SETTING, "Perfume") == []


@pytest.mark.parametrize(
    ("target", "copy", "severity", "evidence"),
    [
        ("en", "Rose with a touch of oud", "error", "oud"),
        ("de", "Rose und Adlerholz", "error", "Adlerholz"),
        ("zh", "玫瑰与沉香", "error", "沉香"),
        ("en", "Warm musk and rose", "error", "musk"),
        ("en", "A rose scent by Guerlain for the evening", "error", "Guerlain"),
        ("en", "It was made with Dominique Ropion in mind", "error", "Dominique Ropion"),
        ("fr", "Une rose venue de la vallée de Grasse", "warning", "Grasse"),
    ],
)
def test_an_ingredient_or_name_that_does_not_is_found(
    target: str, copy: str, severity: str, evidence: str
) -> None:
    seen = found("grounded-names", copy, SOURCE, target, SETTING, "Perfume")
    assert seen == [(severity, evidence)]


def test_a_fact_of_the_glossary_needs_no_schema() -> None:
    source = {"notes": "rose"}
    assert found("grounded-names", "Mit Bergamotte", source, "de", SETTING) == [
        ("error", "Bergamotte")
    ]
