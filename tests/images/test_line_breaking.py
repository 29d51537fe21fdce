"""Line breaks: where each script allows them, and where none may be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waremill.images.breaking import Quality, breaks
from waremill.images.scripts import clusters, script_of, scripts


def parts(text: str, worst: Quality = Quality.GOOD, language: str = "") -> list[str]:
    edges = [one.at for one in breaks(text, language) if one.quality <= worst]
    return [text[a:b] for a, b in zip([0, *edges], [*edges, len(text)], strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Long-lasting care", ["Long-", "lasting ", "care"]),
        ("pH 5.5, 24/7", ["pH ", "5.5, ", "24/7"]),
        ("Rock & Roll", ["Rock ", "& ", "Roll"]),
        ("no\u00a0break here", ["no\u00a0break ", "here"]),
        ("« bonjour » !", ["« bonjour » !"]),
        ("하루 종일 촉촉한", ["하루 ", "종일 ", "촉촉한"]),
        ("عطر فاخر (جديد)", ["عطر ", "فاخر ", "(جديد)"]),
        ("लंबे समय तक", ["लंबे ", "समय ", "तक"]),
        ("น้ำหอมติดทนนาน", ["น้ำหอม", "ติด", "ทน", "นาน"]),
        ("敏感肌にもやさしい", ["敏感肌にも", "やさしい"]),
        ("轻盈保湿，持久留香", ["轻盈保湿，", "持久留香"]),
        ("a\u200bb", ["a\u200b", "b"]),
    ],
)
def test_good_breaks_are_at_words_and_phrases(text: str, expected: list[str]) -> None:
    assert parts(text) == expected


def test_a_number_keeps_its_unit_and_counter() -> None:
    assert parts("only 50 ml left") == ["only ", "50 ml ", "left"]
    assert parts("长达24小时", Quality.ALLOWED) == ["长", "达", "24小", "时"]


def test_chinese_breaks_between_any_letters_but_not_before_closing_marks() -> None:
    found = parts("不刺激（敏感肌）“新款”。", Quality.ALLOWED)
    assert found == ["不", "刺", "激", "（敏", "感", "肌）", "“新", "款”。"]


@pytest.mark.parametrize("text", ["しっとり、きゃっ！ー々", "約￥500（税込）です……ね", "50℃〜80%"])
def test_no_line_begins_or_ends_with_a_forbidden_mark(text: str) -> None:
    for part in parts(text, Quality.DIRE, "ja")[1:]:
        assert part[0] not in "、。！？）」』】〉》ー々っゃゅょァィゥェォ…〜%℃"
    for part in parts(text, Quality.DIRE, "ja")[:-1]:
        assert part[-1] not in "（「『【〈《￥"


@settings(max_examples=300, deadline=None)
@given(
    st.text(
        st.sampled_from(list("ab 1-.,()（）、。“”轻盈あー하ทำก็क्षि\u200b\u00a0🏽👩\u200d🇩🇪")),
        max_size=24,
    )
)
def test_breaks_never_part_a_letter_from_its_marks_and_join_to_the_text(text: str) -> None:
    found = breaks(text)
    starts = set(clusters(text))
    places = [one.at for one in found]
    assert places == sorted(set(places))
    assert all(0 < at < len(text) and at in starts for at in places)
    assert "".join(parts(text, Quality.DIRE)) == text


def test_scripts_are_those_of_unicode_and_marks_go_with_their_neighbours() -> None:
    assert [script_of(c) for c in "aЖ中あア한بאไक1。"] == [
        "Latn", "Cyrl", "Hani", "Hira", "Kana", "Hang", "Arab", "Hebr", "Thai", "Deva", "Zyyy",
        "Zyyy",
    ]  # fmt: skip
    assert scripts("（中）a") == ["Hani", "Hani", "Hani", "Latn"]
    assert scripts("1.") == ["Zyyy", "Zyyy"]
