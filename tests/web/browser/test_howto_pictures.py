"""The how-to on pictures names the console's buttons as they are; its pictures are the test's."""

from __future__ import annotations

import re

from PIL import Image
from scripts.pictures import LARGEST, PHOTOS, SIZE
from tests.web.browser.test_howto import shown
from tests.workspaces import ROOT

from waremill.web.pages.stage import KEYS
from waremill.web.strings import all_texts

PAGE = ROOT / "docs" / "how-to" / "pictures-in-the-console.md"


def test_what_is_named_in_bold_stands_in_the_console() -> None:
    named = re.findall(r"\*\*(.+?)\*\*", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 5
    pattern = re.compile("|".join(shown("en")))
    assert not [one for one in named if not pattern.fullmatch(one)]


def test_every_key_of_pictures_is_told() -> None:
    told = set(re.findall(r"`([^`\s]+)`", PAGE.read_text(encoding="utf-8")))
    assert {key for key, _ in KEYS} <= told
    assert all(label in all_texts() for _, label in KEYS)


def test_the_pictures_are_those_of_the_test_and_small() -> None:
    folder, text = ROOT / "docs" / "images", PAGE.read_text(encoding="utf-8")
    expected = {f"pictures-{page}.webp" for page in PHOTOS}
    assert {path.name for path in folder.glob("pictures-*")} == expected
    for name in expected:
        with Image.open(folder / name) as picture:
            assert picture.size == SIZE
        assert (folder / name).stat().st_size <= LARGEST
        assert name in text
