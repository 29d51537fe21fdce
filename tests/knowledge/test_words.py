"""Texts are found by their words in every script."""

from __future__ import annotations

from waremill.knowledge.words import terms


def shares(one: str, other: str) -> bool:
    return bool(set(terms(one)) & set(terms(other)))


def test_case_accents_and_width_make_no_difference() -> None:
    assert terms("Crème BRÛLÉE") == terms("creme brulee")
    assert terms("ＡＢＣ１２") == terms("abc12")
    assert terms("STRASSE") == terms("straße")


def test_a_model_number_is_found() -> None:
    assert set(terms("WR30X10093")) <= set(terms("ERP WR30X10093 Ice Maker Kit"))


def test_a_short_chinese_word_is_found_inside_a_long_one() -> None:
    assert shares("连衣裙", "夏季新款碎花连衣裙女")
    assert shares("中国", "中华人民共和国与中国")


def test_scripts_without_spaces_are_found_by_pairs() -> None:
    assert shares("香水", "新しい香水です")
    assert shares("フレグランス", "新作フレグランスの香り")
    assert shares("향수", "새로운 향수를 소개합니다")
    assert shares("น้ำหอม", "น้ำหอมผู้หญิง")


def test_mixed_scripts_come_apart() -> None:
    found = terms("苹果iPhone15手机")
    assert set(terms("iPhone15")) <= set(found)
    assert "手机" in found


def test_signs_are_no_words() -> None:
    assert terms("— … 。！ ★") == []


def test_a_word_holds_no_white_space() -> None:
    text = "a\u00a0b\u3000c\u2028d 香 水 ｅ"
    assert all(not set(word) & set(" \t\n\u00a0\u3000\u2028") for word in terms(text))
