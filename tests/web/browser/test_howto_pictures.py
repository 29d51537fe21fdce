"""The how-tos on pictures name the console's buttons as they are; their pictures are the test's."""

from __future__ import annotations

import re

import pytest
from PIL import Image
from scripts.pictures import LARGEST, PHOTOS, SIZE, name_of
from tests.web.browser.test_howto import shown
from tests.workspaces import ROOT

from waremill.web.pages.stage import KEYS
from waremill.web.strings import LANGUAGES, Language, all_texts
from waremill.web.strings.terms import TERMS

PAGES: dict[Language, str] = {
    "en": "pictures-in-the-console.md", "zh": "pictures-in-the-console-zh.md"
}  # fmt: skip


def read(language: Language) -> str:
    return (ROOT / "docs" / "how-to" / PAGES[language]).read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_named_in_bold_stands_in_the_console(language: Language) -> None:
    named = re.findall(r"\*\*(.+?)\*\*", read(language))
    assert len(named) > 5
    pattern = re.compile("|".join(shown(language)))
    assert not [one for one in named if not pattern.fullmatch(one)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_of_pictures_is_told(language: Language) -> None:
    told = set(re.findall(r"`([^`\s]+)`", read(language)))
    assert {key for key, _ in KEYS} <= told
    assert all(label in all_texts() for _, label in KEYS)


def test_the_chinese_page_keeps_to_the_terms() -> None:
    assert [word for term in TERMS for word in term.never if word in read("zh")] == []


def test_the_pictures_are_those_of_the_test_and_small() -> None:
    folder = ROOT / "docs" / "images"
    expected = {
        name_of("pictures", page, language, "webp"): language
        for language in LANGUAGES
        for page in PHOTOS[language]
    }
    assert {path.name for path in folder.glob("pictures-*")} == set(expected)
    for name, language in expected.items():
        with Image.open(folder / name) as picture:
            assert picture.size == SIZE
        assert (folder / name).stat().st_size <= LARGEST
        assert f"images/{name}" in read(language)
