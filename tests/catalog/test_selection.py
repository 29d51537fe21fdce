"""Selection: the same filter finds the same products on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    JSON,
    Column,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from waremill.catalog.selection import (
    SelectionError,
    compile_order_by,
    compile_where,
    facet_index,
)
from waremill.domain import is_missing

products = Table(
    "products",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("findings", Integer),
    Column(
        "attributes", JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
    ),
)
ODD = ['Fragrance "Family"', "it's 50% off", "back\\slash", "中文列", "a.b", "line\nbreak"]
COLUMNS = ["a", "b", "notes", "Price", "select", "100% pure", *ODD]
EXTRA = {"_key": products.c.key, "_findings": products.c.findings}
Rows = list[dict[str, Any]]


class Catalogue:
    """The same products in both databases."""

    def __init__(self, engines: list[Engine]) -> None:
        self.engines = engines

    def fill(self, rows: Rows) -> None:
        for engine in self.engines:
            products.metadata.drop_all(engine)
            products.metadata.create_all(engine)
            with engine.begin() as connection:
                connection.execute(
                    insert(products),
                    [
                        {"id": n, "key": f"k{n:03}", "findings": n % 3 or None, "attributes": row}
                        for n, row in enumerate(rows)
                    ],
                )

    def both(self, statement: Callable[[Any], Any]) -> list[Any]:
        found = []
        for engine in self.engines:
            with engine.connect() as connection:
                found.append(connection.execute(statement(engine.dialect.name)).scalars().all())
        return found

    def where(self, condition: str) -> list[int]:
        """Give the products a filter finds, which must be the same on both."""
        sqlite, postgres = self.both(
            lambda dialect: (
                select(products.c.id)
                .where(compile_where(condition, products.c.attributes, COLUMNS, dialect, EXTRA))
                .order_by(products.c.id)
            )
        )
        assert sqlite == postgres, condition
        return list(sqlite)

    def order(self, terms: str) -> list[int]:
        """Give the products in order, which must be the same on both."""
        sqlite, postgres = self.both(
            lambda dialect: select(products.c.id).order_by(
                *compile_order_by(terms, products.c.attributes, COLUMNS, dialect, EXTRA),
                products.c.id,
            )
        )
        assert sqlite == postgres, terms
        return list(sqlite)


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


@pytest.fixture
def catalogue(postgres_url: str) -> Iterator[Catalogue]:
    engines = [create_engine(url, json_serializer=_dumps) for url in ("sqlite://", postgres_url)]
    yield Catalogue(engines)
    for engine in engines:
        engine.dispose()


# -- what a filter means -------------------------------------------------------------------------

MEANING: list[tuple[str, list[Any], list[int]]] = [
    ("a = 'rose'", ["rose", "Rose", None, 5, ["oud", "rose"], [], ["oud"], True], [0, 4]),
    ("a <> 'rose'", ["rose", "Rose", None, 5, ["oud", "rose"], [], ["oud"], " "], [1, 6, 7]),
    ("a = 30", [30, 30.0, "30", " +30.0 ", "30 ml", "3e1", None, True, [1, 30]], [0, 1, 2, 3, 8]),
    ("a = '30'", [30, 30.0, "30", "30.0", [30], ["30"]], [0, 1, 2, 4, 5]),
    ("a > 30", [31, "31", "1,000", "abc", "٣١", None, [1, 99], "31.5"], [0, 1, 6, 7]),
    ("a < 'b'", ["a", "b", "B", "é", 1, None, "10"], [0, 2, 6]),
    ("a > 'Z'", ["a", "Z", "Ä", "中", "1"], [0, 2, 3]),
    ("NOT a > 30", [31, 29, "abc", None], [1]),
    ("a IN ('x', 'y')", ["x", "z", None, ["y"], 1], [0, 3]),
    ("a IN (1, 'x')", [1, "1", "x", 2, "y", [5, 1]], [0, 1, 2, 5]),
    ("a NOT IN ('x', 'y')", ["x", "z", None, ["y"], ["q"]], [1, 4]),
    ("a NOT IN ('x', NULL)", ["x", "z", None], []),
    ("a IN (-1, 2 + 3, 'x')", [-1, 5, "x", 4], [0, 1, 2]),
    ("a BETWEEN 10 AND 20", [9, 10, "15", 20, 21, "abc", [1, 30], [1, 12]], [1, 2, 3, 7]),
    ("a NOT BETWEEN 10 AND 20", [9, 10, "abc", None], [0]),
    ("a IS NULL", [None, "", [], "x", 0], [0]),
    ("a IS NOT NULL", [None, "", [], "x", 0], [1, 2, 3, 4]),
    ("missing(a)", [None, "", " \u3000\t", [], "x", 0, False, ["" ]], [0, 1, 2, 3]),
    ("present(a)", [None, "", " \u3000\t", [], "x", 0, False], [4, 5, 6]),
    ("a LIKE 'ch%é'", ["Chloé", "CHLOÉ", "chloe", "xChloé", None], [0, 1]),
    ("a ILIKE '%СТРАСТЬ%'", ["Моя страсть", "Страсть", "strast"], [0, 1]),
    ("a LIKE 'σ_'", ["Σα", "ςα", "σ", "sa"], [0, 1]),
    ("a LIKE '5_%'", ["5%", "50", "5", ["51"], 57, 5.25, 1e300], [0, 1, 3, 4, 5]),
    ("a LIKE '5!_%' ESCAPE '!'", ["5_", "50"], [0]),
    ("a LIKE '[a]*?.^$(\\%'", ["[A]*?.^$(\\x", "a"], [0]),
    ("a NOT LIKE '%x%'", ["x", "y", None, ["x", "y"], ["y"]], [1, 4]),
    ("a NOT LIKE '!%' ESCAPE '!'", ["%", "y"], [1]),
    ("a LIKE 'a%z'", ["a\n\nz", "A z", "az!"], [0, 1]),
    ("a = true", [True, False, "TRUE", "yes", 1, None], [0, 2]),
    ("a", [True, False, "true", "x", 1, None], [0, 2]),
    ("NOT a", [True, False, "FALSE", "x", 0, None], [1, 2]),
    ("a IS NOT TRUE", [True, False, None], [1, 2]),
    ("lower(a) = 'rose é'", ["ROSE é", "ROSE É", ["rose é"]], [0]),
    ("upper(a) = 'AB'", ["ab", "aB"], [0, 1]),
    ("length(a) = 2", ["ab", "中文", "😀!", 12, None, ["a", "b"]], [0, 1, 2, 3]),
    ("coalesce(a, 7) = 7", [None, 7, "7", "x", ""], [0, 1, 2]),
    ("a * 2 - 1 = 9", [5, "5", "x", None, [5]], [0, 1]),
    ("1 / a > 0", [0, 2, "0", -1], [1]),
    ("-a = 5", [-5, "-5", 5], [0, 1]),
    ("a + '2' = 5", [3, "3"], [0, 1]),
    ("(a = 1 OR a = 2) AND NOT (a = 2)", [1, 2, 3], [0]),
    ("a = 'it''s' -- a remark", ["it's", "its"], [0]),
    ("a = '; --' /* ; */", ["; --"], [0]),
    ("A = 'x'", ["x"], [0]),
    ("_key = 'k001' OR _key LIKE 'K002'", [0, 0, 0, 0], [1, 2]),
    ("_findings = 2", [0, 0, 0, 0, 0, 0], [2, 5]),
    ("_findings IS NULL AND _key > 'k002'", [0, 0, 0, 0], [3]),
    ("_key IN ('k000', 'k002')", [0, 0, 0], [0, 2]),
    ("NULL OR a = 1", [1, 2], [0]),
    ("a = NULL", [1, None], []),
]  # fmt: skip


def test_each_construct_means_the_same_on_both_databases(catalogue: Catalogue) -> None:
    for condition, values, expected in MEANING:
        catalogue.fill([{} if value is None else {"a": value} for value in values])
        assert catalogue.where(condition) == expected, condition
        catalogue.fill([{"a": value} for value in values])  # null means the same as absent
        assert catalogue.where(condition) == expected, condition


def test_columns_compare_with_columns(catalogue: Catalogue) -> None:
    pairs: list[tuple[Any, Any]] = [
        ("x", "x"), ("x", "y"), (5, "5"), (5, 6), (True, "true"), (["x", "y"], "y"),
        ("y", ["x", "y"]), (["x"], ["x"]), (None, None), ("10", "9"),
    ]  # fmt: skip
    catalogue.fill([{"a": a, "b": b} for a, b in pairs])
    assert catalogue.where("a = b") == [0, 2, 4, 5, 6]
    assert catalogue.where("a < b") == [1, 3, 5, 9]  # text with text is text: '10' < '9'


@pytest.mark.parametrize("name", ODD)
def test_any_column_name_can_be_written_in_quotes(catalogue: Catalogue, name: str) -> None:
    catalogue.fill([{name: "x"}, {name: ["y", "x"]}, {name: 3}, {"a": "x"}])
    quoted = '"' + name.replace('"', '""') + '"'
    assert catalogue.where(f"{quoted} = 'x'") == [0, 1]
    assert catalogue.where(f"{quoted} > 2") == [2]
    assert catalogue.where(f"missing({quoted})") == [3]


def test_chinese_names_and_backticks_need_no_double_quotes(catalogue: Catalogue) -> None:
    catalogue.fill([{"中文列": "香水"}, {"中文列": "香皂"}])
    assert catalogue.where("中文列 = '香水'") == [0]
    assert catalogue.where("`中文列` LIKE '%皂'") == [1]
    assert catalogue.where("[中文列] = '香水' AND present(\"select\") IS FALSE") == [0]


def test_missing_agrees_with_the_domain(catalogue: Catalogue) -> None:
    blanks = [chr(code) for code in range(1, 0x3001) if chr(code).isspace()]
    values: list[Any] = [*blanks, "\u200b", "x", "", None, [], [None], 0, False, {}]
    catalogue.fill([{"a": value} for value in values])
    expected = [n for n, value in enumerate(values) if is_missing(value)]
    assert catalogue.where("missing(a)") == expected


# -- picture slots: what is missing here may have been made elsewhere -----------------------------

SLOTS = {"a": products.c.findings.is_not(None), "photo": func.coalesce(products.c.findings, 0) == 2}
"""`findings` is set for the second and third of every three products; `photo` is no column."""


def _slotted(catalogue: Catalogue, condition: str) -> list[int]:
    sqlite, postgres = catalogue.both(
        lambda dialect: (
            select(products.c.id)
            .where(compile_where(condition, products.c.attributes, COLUMNS, dialect, EXTRA, SLOTS))
            .order_by(products.c.id)
        )
    )
    assert sqlite == postgres, condition
    return list(sqlite)


SLOT_VALUES: list[Any] = ["x", "y", None, None, None, " ", [], [], 5, ["x"], "z", []]
"""Something was made for 1, 2, 4, 5, 7, 8, 10 and 11; a photo for 2, 5, 8 and 11."""


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("missing(a)", [3, 6]),
        ("present(a)", [0, 1, 2, 4, 5, 7, 8, 9, 10, 11]),
        ("NOT missing(A)", [0, 1, 2, 4, 5, 7, 8, 9, 10, 11]),
        ("a IS NULL", [3]),
        ("a IS NOT NULL AND _key < 'k004'", [0, 1, 2]),
        ("a = 'x'", [0, 9]),
        ("a <> 'x'", [1, 5, 10]),
        ("a LIKE '%'", [0, 1, 5, 8, 9, 10]),
        ("missing(photo)", [0, 1, 3, 4, 6, 7, 9, 10]),
        ("photo IS NULL AND a > 4", []),
        ("present(photo) AND a > 4", [8]),
        ("photo = 'x'", []),
        ("missing(coalesce(b, photo))", [0, 1, 3, 4, 6, 7, 9, 10]),
    ],
)
def test_a_slot_is_missing_only_where_nothing_was_made_either(
    catalogue: Catalogue, condition: str, expected: list[int]
) -> None:
    catalogue.fill([{"a": value} for value in SLOT_VALUES])
    assert _slotted(catalogue, condition) == expected


def test_an_order_knows_what_was_made(catalogue: Catalogue) -> None:
    catalogue.fill([{"a": value} for value in ("y", None, "x", None, [], "", 3)])
    for terms, expected in (
        ("a", [6, 5, 2, 0, 1, 4, 3]),
        ("photo, _key DESC", [5, 2, 6, 4, 3, 1, 0]),
    ):
        sqlite, postgres = catalogue.both(
            lambda dialect, terms=terms: select(products.c.id).order_by(
                *compile_order_by(terms, products.c.attributes, COLUMNS, dialect, EXTRA, SLOTS),
                products.c.id,
            )
        )
        assert sqlite == postgres == expected, terms


def test_a_slots_name_is_suggested_and_found_in_any_case() -> None:
    for name in ("PHOTO", "photo", "[Photo]"):
        compile_where(f"missing({name})", products.c.attributes, COLUMNS, "sqlite", EXTRA, SLOTS)
    with pytest.raises(SelectionError, match="did you mean “photo”"):
        compile_where("missing(fhoto)", products.c.attributes, COLUMNS, "sqlite", EXTRA, SLOTS)
    with pytest.raises(SelectionError, match="unknown column"):
        compile_where("missing(photo)", products.c.attributes, COLUMNS, "sqlite", EXTRA)


# -- a differential test -------------------------------------------------------------------------

HOSTILE: list[Any] = [
    None, "", " ", "\u3000", "\u00a0x", "x", "X", "rose", "Rose", "ROSÉ", "rosé", "ß", "SS", "İ",
    "i", "I", "ı", "Σ", "ς", "中文", "中文香水", "😀", "\U00010400", "\uffee",
    "é", "e\u0301", "%", "_",
    "\\", "'", '"', "[a]", "*", "a\nb", "null", "true", "FALSE", "True ", "yes", "0", "5", "05",
    "5.0", "+5", "-5", ".5", "5.", ".", "-", "+-5", "1.2.3", "1e5", "1E400", "0x1A", "1_000", "1,5",
    "1 000", "５", "٥", "nan", "Infinity", " 5 ", "\u00a05\u3000", "5\n", "9" * 64, "9" * 65,
    "0." + "0" * 70 + "1", "123456789012345", 0, -0.0, 1, 5, -5, 5.0, 5.5, 0.1, 0.30000000000000004,
    1e15, 1e14, 1e-5, 1e-4, 1e300, -1e300, 5e-324, 1e-30, 2**53, 2**63 - 1, -(2**63), 12345.678,
    True, False, [], [None], [""], ["rose", "oud"], ["Rose"], [5, "6"], [True], [[5]], ["5", 7.5],
    {}, {"k": "rose"}, "[x", "[]", '["rose"]',
]  # fmt: skip

_names = st.sampled_from(
    ["a", "b", "notes", "Price", '"it\'s 50% off"', '"中文列"', '"Fragrance ""Family"""']
)
_texts = st.one_of(
    st.sampled_from([value for value in HOSTILE if isinstance(value, str)]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4),
)
_numbers = st.one_of(
    st.integers(-10, 10).map(str),
    st.sampled_from(["0.1", "5.5", "5.0", "1e3", "0.30000000000000004"[:16], "1e15", "12345.678"]),
)
_literals = st.one_of(
    _texts.map(lambda value: "'" + value.replace("'", "''") + "'"),
    _numbers,
    st.sampled_from(["true", "false", "NULL"]),
)


def _compose(*parts: Any) -> Any:
    return st.tuples(*(st.just(p) if isinstance(p, str) else p for p in parts)).map("".join)


_columns = st.one_of(_names, st.sampled_from(["_key", "_findings"]))
_values = st.recursive(
    st.one_of(_columns, _columns, _literals),
    lambda inner: st.one_of(
        _compose(st.sampled_from(["lower(", "upper(", "length("]), inner, ")"),
        _compose("coalesce(", inner, ", ", inner, ")"),
        _compose("(", inner, st.sampled_from([" + ", " - ", " * ", " / "]), inner, ")"),
        _compose("(- ", inner, ")"),
    ),
    max_leaves=4,
)
_wild = st.sampled_from(["", "%", "_"])
_comparisons = st.one_of(
    _compose(_values, st.sampled_from([" = ", " <> ", " < ", " <= ", " > ", " >= "]), _values),
    _compose(_values, st.sampled_from([" IN (", " NOT IN ("]),
             st.lists(_literals, min_size=1, max_size=4).map(", ".join), ")"),
    _compose(_values, st.sampled_from([" BETWEEN ", " NOT BETWEEN "]), _values, " AND ", _values),
    _compose(_values, st.sampled_from([" IS NULL", " IS NOT NULL"])),
    _compose(_values, st.sampled_from([" LIKE '", " NOT LIKE '", " ILIKE '"]),
             st.tuples(_wild, _texts, _wild).map(lambda p: "".join(p).replace("'", "''")), "'"),
    _compose(st.sampled_from(["missing(", "present("]), _values, ")"),
)  # fmt: skip
_conditions = st.recursive(
    _comparisons,
    lambda inner: st.one_of(
        _compose("(", inner, st.sampled_from([" AND ", " OR "]), inner, ")"),
        _compose("NOT (", inner, ")"),
        _compose("(", inner, st.sampled_from([") IS TRUE", ") IS NOT FALSE"])),
    ),
    max_leaves=3,
)


@pytest.fixture
def hostile(catalogue: Catalogue) -> Catalogue:
    chance = random.Random(7)
    rows = [{"a": value, "b": chance.choice(HOSTILE)} for value in HOSTILE]
    names = ["a", "b", "notes", "Price", "it's 50% off", "中文列", 'Fragrance "Family"']
    for _ in range(150):
        named = chance.sample(names, chance.randint(0, len(names)))
        rows.append({name: chance.choice(HOSTILE) for name in named})
    catalogue.fill(rows)
    return catalogue


def test_random_filters_find_the_same_products_on_both_databases(hostile: Catalogue) -> None:
    everything = len(hostile.where("true"))

    @settings(
        max_examples=120, deadline=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
    )  # fmt: skip
    @given(_conditions)
    def check(condition: str) -> None:
        try:
            found = hostile.where(condition)
            # The negation tells false from NULL.
            rest = hostile.where(f"NOT ({condition})")
        except SelectionError:
            return  # a number where a condition belongs, too long, too deep
        assert not set(found) & set(rest)
        assert len(found) + len(rest) <= everything

    check()


def test_random_orderings_are_the_same_on_both_databases(hostile: Catalogue) -> None:
    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(
        st.lists(st.tuples(_values, st.sampled_from(["", " ASC", " DESC"])), min_size=1, max_size=2)
    )
    def check(terms: list[tuple[str, str]]) -> None:
        nonlocal compared
        try:
            hostile.order(", ".join(value + direction for value, direction in terms))
        except SelectionError:
            return
        compared += 1

    compared = 0
    check()
    assert compared >= 10, "`order` compares both databases; here it hardly ever got to it"


def test_ordering_puts_numbers_before_text_and_missing_last(catalogue: Catalogue) -> None:
    values: list[Any] = ["b", None, 10, "9", "", "B", [], 9.5, True, "é"]
    catalogue.fill([{"a": value} for value in values])
    assert catalogue.order("a") == [3, 7, 2, 5, 0, 9, 8, 1, 4, 6]
    assert catalogue.order("a DESC") == [8, 9, 0, 5, 2, 7, 3, 1, 4, 6]
    assert catalogue.order("length(a) DESC, _key DESC NULLS LAST") == [7, 2, 9, 5, 3, 0, 4, 8, 6, 1]


def test_large_filters_within_the_bounds_run(catalogue: Catalogue) -> None:
    catalogue.fill([{"a": "x7", "b": 3}, {"a": "none"}])
    many = ", ".join(f"'x{n}'" for n in range(15_000))
    assert catalogue.where(f"a IN ({many})") == [0]
    assert catalogue.where(" OR ".join(f"b > {n}" for n in range(100))) == [0]
    assert catalogue.where(" AND ".join(["a <> 'q'"] * 100)) == [0, 1]
    assert catalogue.where("(" * 20 + "b = 3" + ")" * 20) == [0]


@pytest.mark.parametrize(
    "attack",
    ["'; DROP TABLE products; --", "' OR '1'='1", "\\'; --", "%' OR 1=1 --", 'x" OR "1"="1', "$$"],
)
def test_text_from_the_user_never_becomes_sql(catalogue: Catalogue, attack: str) -> None:
    catalogue.fill([{"a": "x"}, {"a": attack}])
    quoted = attack.replace("'", "''")
    assert catalogue.where(f"a = '{quoted}'") == [1]
    assert catalogue.where(f"a IN ('{quoted}', 'q')") == [1]
    assert catalogue.where(f"a LIKE '{quoted}'") == [1]
    for dialect in ("sqlite", "postgresql"):
        name = f"odd {attack}"
        compiled = compile_where(
            f'"{name.replace(chr(34), chr(34) * 2)}" = \'{quoted}\'',
            products.c.attributes, [name], dialect,  # type: ignore[arg-type]
        )  # fmt: skip
        assert "DROP" not in str(compiled)


# -- facet indexes -------------------------------------------------------------------------------


def _plan(engine: Engine, condition: str) -> str:
    name: Any = engine.dialect.name
    where = compile_where(condition, products.c.attributes, COLUMNS, name)
    query = select(products.c.id).where(where)
    compiled = query.compile(dialect=engine.dialect, compile_kwargs={"render_postcompile": True})
    explain = "EXPLAIN QUERY PLAN " if name == "sqlite" else "EXPLAIN "
    with engine.connect() as connection:
        if name == "postgresql":
            connection.execute(text("SET enable_seqscan = off"))
        parameters: Any = compiled.params
        if compiled.positiontup is not None:
            parameters = tuple(compiled.params[key] for key in compiled.positiontup)
        return str(connection.exec_driver_sql(explain + str(compiled), parameters).all())


@pytest.mark.parametrize("column", ["a", "it's 50% off", "中文列", "100% pure"])
def test_a_facet_filter_uses_the_facet_columns_index(catalogue: Catalogue, column: str) -> None:
    catalogue.fill([{column: f"v{n % 50}"} for n in range(300)] + [{column: ["v7", "v8"]}])
    for engine in catalogue.engines:
        name: Any = engine.dialect.name
        made = facet_index(column, products.c.attributes, name)
        if "'" in column:
            assert made is None
            continue
        assert made is not None
        for _ in range(2):  # the second time it is there already
            with engine.begin() as connection:
                connection.execute(made[1])
        for condition in (f"\"{column}\" = 'v7'", f"\"{column}\" IN ('v7', 'v9') AND b IS NULL"):
            assert made[0] in _plan(engine, condition), (name, condition)
    assert catalogue.where(f"\"{column}\" = 'v7'") == [7, 57, 107, 157, 207, 257, 300]
    assert not products.indexes
