from __future__ import annotations

import pickle
import time

import pytest

from waremill.domain import Target
from waremill.errors import ConfigError
from waremill.rules import Matcher, load_forbidden, load_glossary

GLOSSARY = """\
source,de,fr,zh,keep,market,fact
top notes,Kopfnoten|Kopfnote,notes de tête,前调,,,
top,,,,,,
Eau de Parfum,,,,yes,,
nappy,Windel,couche,,,GB,
nappy,Wickel,,,,,
bergamot,Bergamotte,bergamote,香柠檬,,,yes
"""


def spots(terms: list[str], text: str) -> list[str]:
    return [text[start:end] for _, start, end in Matcher(terms).find(text)]


@pytest.mark.parametrize(
    ("terms", "text", "found"),
    [
        (["rose"], "A Rose, roses and rosewood; prose. ROSE", ["Rose", "ROSE"]),
        (["eau", "eau de parfum"], "Eau de Parfum and eau", ["Eau de Parfum", "eau"]),
        (["c++", "5%"], "c++ and 5% but 15% and xc++", ["c++", "5%"]),
        (["straße"], "Die STRASSE, die Straße", ["Straße"]),
        (["istanbul"], "İSTANBUL, İstanbul", ["İSTANBUL", "İstanbul"]),
        (["spf"], "ＳＰＦ５０ ＳＰＦ", ["ＳＰＦ"]),
        (["国家级"], "这是国家级产品", ["国家级"]),
        (["乳"], "乳液和奶乳", []),
        (["乳"], "保湿 乳 ，", ["乳"]),
        (["ครีม"], "เนื้อครีมบางเบา", ["ครีม"]),
        (["iphone"], "苹果iPhone手机", ["iPhone"]),
        (["l'eau"], "L’eau", ["L’eau"]),
        (["हल"], "हल्का", []),
        ([], "nothing", []),
        (["", " "], "nothing", []),
    ],
)
def test_terms_are_found_as_whole_words_longest_first(
    terms: list[str], text: str, found: list[str]
) -> None:
    assert spots(terms, text) == found


def test_a_shorter_word_is_found_where_the_longer_is_only_part_of_a_word() -> None:
    assert spots(["red", "red rose"], "red roses") == ["red"]


def test_matching_time_grows_with_the_text_only() -> None:
    matcher = Matcher(f"term{number}" for number in range(20_000))
    matcher.find("warm up")
    start = time.process_time()
    assert len(matcher.find("term5 " * 10_000)) == 10_000
    assert time.process_time() - start < 1.0


def test_the_glossary_gives_only_matching_terms_of_the_market() -> None:
    glossary = load_glossary({"glossary.csv": GLOSSARY})
    text = "Top notes of a nappy, Eau de Parfum"
    german = glossary.matching(text, Target.parse("de-DE"))
    assert [term.source for term in german] == ["top notes", "nappy", "Eau de Parfum"]
    assert [term.translation(Target("de")) for term in german] == [
        "Kopfnoten", "Wickel", "Eau de Parfum",
    ]  # fmt: skip
    british = glossary.matching(text, Target.parse("de-GB"))
    assert british[1].translation(Target("de")) == "Windel"
    assert glossary.matching("nothing here", None) == ()


def test_the_nearest_language_tag_wins() -> None:
    text = "source,zh,zh-Hant,pt-BR,pt\nrose,玫瑰,玫瑰花,rosa BR,rosa\n"
    (term,) = load_glossary({"glossary.csv": text}).terms
    assert term.translation(Target.parse("zh-Hant-TW")) == "玫瑰花"
    assert term.translation(Target.parse("zh-CN")) == "玫瑰"
    assert term.translation(Target.parse("pt-BR@shop")) == "rosa BR"
    assert term.translation(Target.parse("de")) is None


def test_alternatives_are_accepted_and_facts_marked() -> None:
    glossary = load_glossary({"glossary.csv": "\ufeff" + GLOSSARY})
    assert glossary.terms[0].accepted(Target("de")) == ("Kopfnoten", "Kopfnote")
    assert [term.source for term in glossary.terms if term.fact] == ["bergamot"]
    assert not load_glossary({})


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("source,Deutsch\n", 1, "no column of a glossary"),
        ("term,de\n", 1, "no column of a glossary"),
        ("de,fr\n", 1, "needs the column “source”"),
        ("source,de\n,Rose\n", 2, "no “source” term"),
        ("source,keep\na,perhaps\n", 2, "yes or no"),
        ("source,de\na,b\nA,c\n", 3, "line 2 already"),
        ("source,de\na,b,c\n", 2, "3 cells"),
    ],
)
def test_glossary_mistakes_are_told_with_the_line(text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_glossary({"glossary.csv": text})
    assert says in caught.value.message
    assert caught.value.where is not None
    assert caught.value.where.line == line


def test_forbidden_terms_hold_for_their_language_and_market() -> None:
    forbidden = load_forbidden(
        {
            "forbidden/claims.csv": "term,language,market,reason\n"
            "heilt,de,,claim\n第一,zh,CN,\nbad,,,\n",
            "forbidden/fr.txt": "# rude\nbite\n\n",
            "forbidden/all.txt": "never\n",
        }
    )

    def found(text: str, target: str | None) -> list[str]:
        parsed = Target.parse(target) if target else None
        return [term.text for term, _, _ in forbidden.find(text, parsed)]

    assert found("Heilt bad bite never", "de-DE") == ["heilt", "bad", "never"]
    assert found("Heilt bad bite never", "fr") == ["bad", "bite", "never"]
    assert found("销量第一", "zh-CN") == ["第一"]
    assert found("销量第一", "zh-TW") == []
    assert found("heilt bad", None) == ["bad"]
    assert not load_forbidden({})


def test_forbidden_mistakes_are_told_with_the_line() -> None:
    with pytest.raises(ConfigError, match="did you mean “term”"):
        load_forbidden({"forbidden/a.csv": "terms\nx\n"})
    with pytest.raises(ConfigError, match="no “term”") as caught:
        load_forbidden({"forbidden/a.csv": "term,language\n,de\n"})
    assert caught.value.where is not None
    assert caught.value.where.line == 2


def test_rules_survive_pickling_without_their_automata() -> None:
    glossary = load_glossary({"glossary.csv": GLOSSARY})
    glossary.matching("nappy", None)
    copy = pickle.loads(pickle.dumps(glossary))
    assert copy == glossary
    assert copy.matching("nappy", None) == glossary.matching("nappy", None)
    assert b"ahocorasick" not in pickle.dumps(glossary)
    forbidden = load_forbidden({"forbidden/all.txt": "never\n"})
    forbidden.find("never", None)
    assert pickle.loads(pickle.dumps(forbidden)) == forbidden
