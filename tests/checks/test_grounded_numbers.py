from __future__ import annotations

from typing import Any

import pytest
from drafts_to_check import found, rules

from waremill.checks import Draft, Rules, get

CHECK = "grounded-numbers"

GROUNDED: list[tuple[str, str, dict[str, Any]]] = [
    ("en", "Holds 50 ml", {"size": "50ml"}),
    ("en", "Holds 50 ml", {"volume": "50"}),
    ("en", "Holds 50 ml in glass", {"volume_ml": 50}),
    ("en", "A bottle of 50 in blue", {"volume_ml": 50}),
    ("en", "1.7 fl oz, 1.7 fl. oz., 1.7 oz, 5 cl, 0.05 l", {"volume": "50 ml"}),
    ("en", "3.4 oz or 3.3 fl oz", {"volume_ml": 100}),
    ("en", "100 ml", {"volume": "3.4 oz"}),
    ("en", "30–50 ml, that is 1–1.7 fl oz", {"sizes": "30 ml, 50 ml"}),
    ("en", "10 x 20 x 30 cm (3.9 x 7.9 x 11.8 in)", {"size": "10x20x30 cm"}),
    ("en", "1,000 and 1 000 and 1000", {"n": "1.000"}),
    ("en", "$1,299.00", {"price": 1299}),
    ("de", "Nur 12,90 €, 1.299 Stück", {"preis": 12.9, "anzahl": "1299"}),
    ("fr", "12,5 % et 1 299 €", {"a": "12.5%", "b": "1299"}),
    ("zh", "容量５０毫升", {"volume": "50 ml"}),
    ("en", "Holds ٥٠ ml", {"volume": "50 ml"}),
    ("en", "Holds 50 ml", {"volume": "٥٠ ml"}),
    ("zh", "3刀头，两年质保", {"a": "三刀头", "b": "24个月"}),
    ("zh", "三款颜色", {"colours": ["红", "蓝", "白"]}),
    ("zh", "十分好用，一年四季，百搭", {}),
    ("zh", "仅重0.26千克", {"weight": "260克"}),
    ("de", "drei Noten", {"notes": "rose, musk, amber"}),
    ("fr", "deux ans de garantie", {"warranty": "24 months"}),
    ("en", "two weeks of battery", {"battery": "14 days"}),
    ("en", "an icon of the 1990s and of the 90s", {"year": 1994}),
    ("de", "ein Klassiker der 80er", {"year": 1985}),
    ("en", "a 20th-century classic", {"year": 1921}),
    ("en", "No. 5, 212 and 4711", {"names": "No 5; 212 VIP; 4711"}),
    ("en", "1. Light\n2. Strong", {}),
    ("en", "one scent, 1 bottle, 24/7", {}),
    ("en", "the best of two worlds, one of ten thousand", {}),
    ("de", "am 03.05.2021 erschienen, 3. Mai 2021", {"date": "2021-05-03"}),
    ("en", "½ pint and 1/2 pint", {"size": "½ pint"}),
    ("en", "0.5 l", {"size": "1/2 l"}),
    ("en", "21 g of protein per 100 g", {"protein_per_100g": "21 g"}),
    ("en", "SPF 50+, SPF50", {"spf": 50}),
    ("en", '27" or 27-inch or 68.6 cm', {"diagonal": '27"'}),
    ("en", "2 x 50 ml", {"contents": "2 x 50ml"}),
    ("en", "three colours", {"variants": "comes in 3 colours"}),
    ("ja", "容量は５０ｍｌです", {"volume": "50 ml"}),
]


@pytest.mark.parametrize(("language", "copy", "source"), GROUNDED)
def test_a_number_that_stands_in_the_source_raises_nothing(
    language: str, copy: str, source: dict[str, Any]
) -> None:
    assert found(CHECK, copy, source, language) == []


@pytest.mark.parametrize(
    ("language", "copy", "source", "evidence"),
    [
        ("en", "Holds 75 ml", {"volume": "50 ml"}, "75 ml"),
        ("en", "Holds 50 g", {"volume": "50 ml"}, "50 g"),
        ("en", "Holds 50 kg", {"volume_ml": 50}, "50 kg"),
        ("en", "2.5 fl oz", {"volume": "50 ml"}, "2.5 fl oz"),
        ("en", "2 fl oz", {"volume": "50 ml"}, "2 fl oz"),
        ("en", "since 1921", {"year": 1985}, "1921"),
        ("en", "a star of the 1990s", {"year": 1985}, "1990s"),
        ("en", "12-hour wear", {}, "12-hour"),
        ("en", "lasts twelve hours", {}, "twelve hours"),
        ("de", "hält zwölf Stunden", {}, "zwölf Stunden"),
        ("fr", "tient douze heures", {}, "douze heures"),
        ("es", "dura doce horas", {}, "doce horas"),
        ("it", "dura dodici ore", {}, "dodici ore"),
        ("zh", "持香十二小时", {}, "十二小时"),
        ("zh", "持香12小时", {"size": "50 ml"}, "12小时"),
        ("zh", "净含量７５毫升", {"size": "50 ml"}, "７５毫升"),
        ("de", "1,5 Liter", {"size": "15 l"}, "1,5 Liter"),
        ("en", "100% natural", {"material": "cotton"}, "100%"),
        ("en", "model PS193", {"model": "PS192"}, "193"),
        ("en", "404 reasons", {"image": "https://x.example/404.jpg?w=404"}, "404"),
    ],
)
def test_a_number_that_does_not_is_an_error(
    language: str, copy: str, source: dict[str, Any], evidence: str
) -> None:
    assert found(CHECK, copy, source, language) in (
        [("error", evidence)],
        [("error", evidence.rstrip("s"))],
    )


def test_a_count_in_words_is_a_warning() -> None:
    assert found(CHECK, "in four colours", {"colour": "red"}) == [("warning", "four colours")]
    assert found(CHECK, "四款颜色", {"colour": "红"}, "zh") == [("warning", "四款")]


def test_numbers_of_typed_fields_are_judged_with_their_unit() -> None:
    class Millilitres:
        unit = "ml"

    def judged(value: float, source: dict[str, Any]) -> list[str]:
        draft = Draft({"volume": value}, source, None, {"volume": Millilitres()})
        return [finding.evidence for finding in get(CHECK)(draft, Rules())]

    assert judged(50, {"size": "1.7 fl oz"}) == []
    assert judged(50.0, {"size": "50 ml"}) == []
    assert judged(75, {"size": "50 ml"}) == ["75"]
    assert judged(75, {}) == ["75"]


def test_a_schemas_unit_goes_with_the_number() -> None:
    schema = "category: P\nattributes:\n  content: {type: number, unit: ml}\n"
    setting = rules({"schemas/p.yaml": schema})
    source = {"content": 50}
    assert found(CHECK, "1.7 fl oz", source, "en", setting, "P") == []
    assert found(CHECK, "50 g", source, "en", setting, "P") == [("error", "50 g")]
