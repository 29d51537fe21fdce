from __future__ import annotations

import csv
from pathlib import Path

import pytest
from drafts_to_check import found

from waremill.checks import Rules

RULES = Rules(languages=("en", "de", "fr", "es", "it", "zh", "ja", "ru"))
GERMAN = "Ein warmer Duft mit Rose und Moschus, der lange auf der Haut bleibt."
FRENCH = "Un parfum chaleureux de rose et de musc, qui reste longtemps sur la peau."
ENGLISH = "A warm scent of rose and musk that stays on the skin for a long time."
CHINESE = "温暖的玫瑰与麝香，久久停留在肌肤上，适合夜晚。"
JAPANESE = "バラとムスクのあたたかな香りが、肌に長く残ります。"
RUSSIAN = "Тёплый аромат розы и мускуса, который долго остаётся на коже."
BY_LANGUAGE = {
    "de": GERMAN, "fr": FRENCH, "en": ENGLISH, "zh": CHINESE, "ja": JAPANESE, "ru": RUSSIAN,
}  # fmt: skip


@pytest.mark.parametrize("target", BY_LANGUAGE)
@pytest.mark.parametrize("language", BY_LANGUAGE)
def test_the_copys_language_is_told(target: str, language: str) -> None:
    alarms = found("language", BY_LANGUAGE[language], {}, target, RULES)
    assert bool(alarms) == (target != language)


@pytest.mark.parametrize(
    ("target", "copy", "source"),
    [
        ("en", "Rose Eau de Parfum Intense", {"name": "Rose Eau de Parfum Intense"}),
        ("en", "La Vie Est Belle L'Éclat by Lancôme", {"name": "La Vie Est Belle L'Éclat"}),
        ("zh", "Dolce & Gabbana Light Blue 淡香水100ml", {"brand": "Dolce & Gabbana"}),
        ("zh", "GUERLAIN L'Homme Idéal 男士淡香水", {}),
        ("de", "Rose, Moschus, Vanille, Zeder", {}),
        ("de", "Eau de Parfum", {}),  # too short to tell
        ("fr", "Rose", {}),
        ("ja", "化粧水 保湿", {}),
        ("sr", "Ovo je miris za one koji cene slobodu i lepotu", {}),
    ],
)
def test_names_and_short_texts_raise_nothing(
    target: str, copy: str, source: dict[str, str]
) -> None:
    assert found("language", copy, source, target, RULES) == []


def test_short_texts_of_a_field_are_judged_together() -> None:
    points = {"points": ["mit der Rose", "für den Tag", "von der Haut"]}
    assert found("language", points, {}, "en", RULES) != []
    assert found("language", points, {}, "de", RULES) == []


def test_one_element_in_another_language_is_found() -> None:
    copy = {"points": [GERMAN, ENGLISH, GERMAN]}
    assert len(found("language", copy, {}, "de", RULES)) == 1


def test_real_english_copy_raises_nothing_and_is_not_taken_for_german(shared_data: Path) -> None:
    path = shared_data / "catalogues-beauty/perfume_descriptions_open.csv"
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if len(row["description"]) > 40][::6]
    alarms = sum(bool(found("language", row["description"], row, "en", RULES)) for row in rows)
    caught = sum(bool(found("language", row["description"], row, "de", RULES)) for row in rows)
    assert alarms == 0
    assert caught == len(rows)
