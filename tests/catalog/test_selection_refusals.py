"""Selection: what is not understood ends in one plain sentence, whatever the text."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Text

from waremill.catalog.selection import (
    SelectionError,
    compile_order_by,
    compile_where,
    parse_where,
)
from waremill.errors import UserError

ATTRIBUTES = Column("attributes", Text)
COLUMNS = ["a", "b", "notes", "Price", "select", "100% pure", "中文列"]

# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("", "the text is empty"),
        ("pirce > 3", "unknown column “pirce”, did you mean “Price”?"),
        ("a = \"rose\"", "text goes in single quotes"),
        ("zzzz = 1", "unknown column “zzzz”; there are a, b, notes"),
        ("a = 1; DROP TABLE products", "a semicolon is not understood"),
        ("a = 1;", "a semicolon is not understood"),
        ("a IN (SELECT key FROM products)", "is not understood"),
        ("EXISTS (SELECT 1)", "a query within a filter"),
        ("(SELECT 1) = 1", "a query within a filter"),
        ("load_extension('x')", "“LOAD_EXTENSION('x')” is not understood here"),
        ("pg_sleep(10) IS NULL", "is not understood here"),
        ("random() > 1", "is not understood here"),
        ("CASE WHEN a THEN b END", "is not understood here"),
        ("CAST(a AS INTEGER) = 1", "is not understood here"),
        ("a || b = 'x'", "is not understood here"),
        ("a GLOB 'x*'", "is not understood here"),
        ("a COLLATE NOCASE = 'x'", "is not understood here"),
        ("a LIKE b", "LIKE takes a pattern in single quotes"),
        ("a LIKE 'x!' ESCAPE '!'", "does not end in its ESCAPE"),
        ("a LIKE 'x' ESCAPE 'yy'", "one character"),
        ("a IN ()", "at least one value"),
        ("a IN (1) UNION SELECT 1", "not understood"),
        ("a = ?", "is not understood here"),
        ("a = :b", "is not understood here"),
        ("a BETWEEN SYMMETRIC 1 AND 2", "is not understood here"),
        ("a -> 'b' = 1", "is not understood here"),
        ("* = 1", "understood"),
        ("a = ", "understood"),
        ("a = 'open", "understood"),
        ("a ==== 1", "understood"),
        ("missing()", "takes one column"),
        ("missing(a, b)", "takes one column"),
        ("lower(a, b) = 'x'", "understood"),
        ("1", "is no condition"),
        ("a = 1 OR 'x'", "is no condition"),
        ("a = 12345678901234567", "more than 15 digits"),
        ("a = 1e999", "not a usable number"),
        (" * ".join(["a"] * 20) + " > 1", "too long"),
        ("products.key = 'x'", "unknown column “products.key”"),
        ("attributes = 'x'", "unknown column"),
        ("_key = 'x'", "unknown column"),
        ("a = 'x\0'", "NUL"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_one_plain_sentence(condition: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        compile_where(condition, ATTRIBUTES, COLUMNS, "sqlite")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError):
        parse_where(condition, COLUMNS)


@pytest.mark.parametrize(
    "condition",
    [
        "(" * 10_000 + "a = 1" + ")" * 10_000,
        "NOT " * 10_000 + "a = 1",
        "a = " + "- " * 10_000 + "1",
        "lower(" * 5_000 + "a" + ")" * 5_000 + " = 'x'",
        "a" + " + 1" * 5_000 + " = 1",
        "a" + " = 1" * 5_000,
        " OR ".join(["a = 1"] * 2_000),
        "a = '" + "x" * 500_000 + "'",
        "CASE WHEN " * 3_000,
        "a IN (" + "1, " * 50_000 + "1)",
        "coalesce(" * 40 + "a" + ", b)" * 40 + " = 1",
    ],
    ids=range(11),
)
def test_size_and_depth_are_bounded(condition: str) -> None:
    with pytest.raises(SelectionError):
        compile_where(condition, ATTRIBUTES, COLUMNS, "sqlite")


_WORDS = """a b ( ) ' " ` [ ] = < > ! NOT AND OR IN LIKE BETWEEN IS NULL 1 2.5 'x' , . * / - + --
/* */ ; || :: -> ? : @ $ { } SELECT FROM CASE WHEN END ESCAPE ANY ALL EXISTS lower missing coalesce
cast interval date array"""


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.one_of(
        st.text(max_size=30),
        st.lists(
            st.sampled_from(_WORDS.split()),
            max_size=12,
        ).map(" ".join),
    )
)
def test_no_text_does_worse_than_one_sentence(condition: str) -> None:
    for compiled in (compile_where, compile_order_by):
        try:
            compiled(condition, ATTRIBUTES, COLUMNS, "postgresql")
        except SelectionError as problem:
            assert "\n" not in str(problem)


def test_an_unknown_column_error_survives_pickling() -> None:

    with pytest.raises(SelectionError) as caught:
        parse_where("pirce = 1", COLUMNS)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_columns_a_filter_names_are_given_in_order() -> None:
    assert parse_where("Price > 1 AND (missing(b) OR a = 'x') AND price < 9", COLUMNS) == (
        "Price", "b", "a",
    )  # fmt: skip
