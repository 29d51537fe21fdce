from __future__ import annotations

import random

from waremill.checks.near_duplicates import (
    THRESHOLD,
    bands,
    finding,
    shingles,
    signature,
    similarity,
)

WORDS = [f"word{number}" for number in range(400)]


def text(seed: int, length: int = 60) -> list[str]:
    return random.Random(seed).choices(WORDS, k=length)


def jaccard(a: str, b: str) -> float:
    first, second = set(shingles(a)), set(shingles(b))
    return len(first & second) / len(first | second)


def test_the_same_words_give_the_same_signature_whatever_their_case_and_signs() -> None:
    assert signature("A warm Rose, and musk!") == signature("a warm rose and  musk")
    assert len(signature("a warm rose")) == 512
    assert signature(" …! ") == b""
    assert bands(b"") == ()
    assert similarity(b"", signature("rose")) == 0.0


def test_a_signature_is_the_same_on_every_machine() -> None:
    assert bands(signature("A warm rose, and musk"))[:2] == (
        -3452801901891916539,
        8030281581980667101,
    )
    assert all(-(2**63) <= band < 2**63 for band in bands(signature("rose and musk")))
    assert len(bands(signature("rose and musk"))) == 16


def test_similarity_estimates_the_share_of_common_shingles() -> None:
    for changed in (1, 4, 10, 30):
        original = text(changed)
        other = original[:-changed] + text(99, changed)
        a, b = " ".join(original), " ".join(other)
        assert abs(similarity(signature(a), signature(b)) - jaccard(a, b)) < 0.13


def test_near_duplicates_share_a_band_and_others_do_not() -> None:
    caught = wrong = 0
    for seed in range(200):
        original = text(seed, 80)
        near = " ".join(original[:-3] + text(seed + 1000, 3))
        a = signature(" ".join(original))
        caught += bool(set(bands(a)) & set(bands(signature(near))))
        assert similarity(a, signature(near)) >= THRESHOLD
        far = signature(" ".join(text(seed + 5000, 80)))
        wrong += bool(set(bands(a)) & set(bands(far)))
    assert caught >= 196
    assert wrong == 0


def test_chinese_is_cut_into_characters() -> None:
    assert shingles("玫瑰香水") == ["玫 瑰 香", "瑰 香 水"]
    a = signature("温暖的玫瑰与麝香久久停留在肌肤上适合夜晚与秋冬季节使用的木质花香调香水")
    b = signature("温暖的玫瑰与麝香久久停留在肌肤上适合夜晚与秋冬季节使用的木质花香调淡香水")
    assert similarity(a, b) > 0.7


def test_the_finding_names_the_other_product() -> None:
    made = finding("title", "SKU-7", 0.913)
    assert (made.rule, made.severity, made.evidence) == ("near-duplicates", "error", "SKU-7")
    assert "91%" in made.message
