"""The how-to names the console's buttons as they are, and its pictures are the story's."""

from __future__ import annotations

import re
import string

import pytest
from scripts.pictures import LARGEST, SIZE, WANTED, chunks
from tests.workspaces import ROOT

from waremill.web.strings import LANGUAGES, Language, all_texts

PAGES: dict[Language, str] = {"en": "console.md", "zh": "console-zh.md"}


def shown(language: Language) -> list[str]:
    """Patterns of all the console says in a language, any value in its places."""
    patterns = ["English", "中文"]
    for texts in all_texts().values():
        parts = string.Formatter().parse(texts[LANGUAGES.index(language)])
        patterns.append("".join(re.escape(text) + ".+" * bool(name) for text, name, *_ in parts))
    return [one for one in patterns if one.strip(".+")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_named_in_bold_stands_in_the_console(language: Language) -> None:
    text = (ROOT / "docs" / "how-to" / PAGES[language]).read_text(encoding="utf-8")
    named = re.findall(r"\*\*(.+?)\*\*", text)
    assert len(named) > 5
    pattern = re.compile("|".join(shown(language)))
    assert not [one for one in named if not pattern.fullmatch(one)]


def test_the_pictures_are_those_of_the_story_and_small() -> None:
    folder = ROOT / "docs" / "images"
    expected = {
        f"console-{step}{'' if language == 'en' else f'-{language}'}.png"
        for language, steps in WANTED.items()
        for step in steps
    }
    assert len(expected) <= 12
    assert {path.name for path in folder.glob("console-*.png")} == expected
    for path in folder.glob("console-*.png"):
        data = path.read_bytes()
        head = chunks(data)[b"IHDR"]
        assert (int.from_bytes(head[:4]), int.from_bytes(head[4:8])) == SIZE
        assert len(data) <= LARGEST
        shown_in = [page for page in PAGES.values() if path.name in read(page)]
        assert shown_in, path.name


def read(page: str) -> str:
    return (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
