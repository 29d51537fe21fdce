"""Every word of the console is there in both languages, and every word used is there."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from waremill import web
from waremill.web.strings import all_texts, translate, word

PAGES = Path(web.__file__).parent / "pages"
USED = re.compile(
    r"""(?:\bt|view\.t|translate)\(\s*(?:language,\s*)?["']([a-z_]+\.[^"'{}]+)["']"""
    r"""|@console\([^)]*?["']([a-z_]+\.[a-z_]+)["']\s*\)"""
    r"""|\.key\(\s*["'][^"']+["'],\s*["']([a-z_]+\.[a-z_]+)["']""",
)
DYNAMIC = re.compile(r"""\bt\(\s*f["']([a-z_]+\.[a-z_]*)\{""")


def places(text: str) -> set[str]:
    """The names a text has places for."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def sources() -> list[Path]:
    """The modules that draw pages."""
    return sorted(PAGES.glob("*.py"))


def test_every_text_is_there_in_english_and_in_chinese() -> None:
    for key, (english, chinese) in all_texts().items():
        assert english.strip() and chinese.strip(), key


def test_both_languages_have_places_for_the_same_values_or_fewer_in_chinese() -> None:
    """Chinese has no plural, and may leave out what English needs for one; never the reverse."""
    for key, (english, chinese) in all_texts().items():
        assert places(chinese) <= places(english), key


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_every_text_a_page_uses_is_written(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    used = {next(filter(None, found)) for found in USED.findall(source)}
    assert used <= all_texts().keys(), used - all_texts().keys()
    for start in DYNAMIC.findall(source):
        assert any(key.startswith(start) for key in all_texts()), start


def test_a_number_is_grouped_and_picks_its_word() -> None:
    text = translate("en", "items.count", count=4318)
    assert text == "4,318 items"
    assert translate("en", "items.count", count=1) == "1 item"
    assert translate("zh", "items.count", count=4318) == "4,318 条"


def test_a_value_is_put_in_as_it_is_and_reaches_into_nothing() -> None:
    text = translate("en", "people.new_password", name="{0.__class__} <b>")
    assert text == "New password of {0.__class__} <b>"


def test_a_code_nobody_translated_is_shown_as_it_is() -> None:
    assert word("zh", "state", "review") == "待审核"
    assert word("zh", "state", "unheard-of") == "unheard-of"
