"""A typed function becomes a tool: schema from its signature, words from its docstring."""

from __future__ import annotations

import datetime
import enum
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict

import jsonschema_rs
import pytest

from waremill.errors import ConfigError, LimitReached, NotFound, SourceError
from waremill.tools.docstrings import read_docstring
from waremill.tools.tool import Marks, ToolFailed, tool, tool_of


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Extra(TypedDict):
    """More about it."""

    note: str
    weight: NotRequired[float]


@dataclass
class Line:
    """One line of an order.

    Args:
        sku: the product's key
    """

    sku: str
    pieces: Annotated[int, "how many"] = 1
    tags: list[str] = field(default_factory=list)


async def order(
    lines: list[Line],
    market: Literal["DE", "FR"],
    size: Size | None = None,
    express: bool = False,
    price: float = 1.5,
    until: datetime.date | None = None,
    extras: dict[str, Extra] | None = None,
    labels: set[str] = frozenset(),  # type: ignore[assignment]
) -> dict[str, Any]:
    """Order products
    from the warehouse.

    More words.

    Args:
        lines: what to
            order
        market (str): where to
        express: whether it is urgent

    Returns:
        what was ordered
    """
    return {"lines": lines, "market": market, "size": size, "until": until, "labels": labels}


def test_the_schema_says_what_the_signature_and_the_docstring_say() -> None:
    made = tool_of(order)
    properties = made.parameters["properties"]
    assert (made.name, made.description) == (
        "order", "Order products from the warehouse.\nMore words."
    )  # fmt: skip
    assert made.parameters["required"] == ["lines", "market"]
    assert made.parameters["additionalProperties"] is False
    assert properties["market"] == {
        "type": "string", "enum": ["DE", "FR"], "description": "where to"
    }  # fmt: skip
    assert properties["lines"]["description"] == "what to order"
    line = properties["lines"]["items"]
    assert line["required"] == ["sku"] and line["description"] == "One line of an order."
    assert line["properties"]["sku"] == {"type": "string", "description": "the product's key"}
    assert line["properties"]["pieces"] == {"type": "integer", "description": "how many"}
    assert properties["size"]["anyOf"][0] == {"type": "string", "enum": ["s", "l"]}
    assert properties["express"] == {
        "type": "boolean", "description": "whether it is urgent", "default": False
    }  # fmt: skip
    assert properties["extras"]["anyOf"][0]["additionalProperties"]["required"] == ["note"]
    assert jsonschema_rs.validator_for(dict(made.parameters)) is not None


async def test_arguments_arrive_as_the_types_say() -> None:
    given = (
        '{"lines": [{"sku": "A", "pieces": 2.0}], "market": "DE", "size": "l", '
        '"until": "2026-11-30", "labels": ["x", "y"]}'
    )
    made = await tool_of(order).call(tool_of(order).check(given))
    assert made == {
        "lines": [Line("A", 2)], "market": "DE", "size": Size.LARGE,
        "until": datetime.date(2026, 11, 30), "labels": {"x", "y"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("{", "not a JSON object"),
        ("[1]", "do not fit"),
        ('{"lines": [], "market": "IT"}', "market"),
        ('{"market": "DE"}', '"lines" is a required property'),
        ('{"lines": [], "market": "DE", "colour": 1}', "colour"),
        ('{"lines": [{"sku": 3}], "market": "DE"}', "lines.0.sku"),
        ('{"lines": [], "market": "DE", "until": "soon"}', "until|soon|isoformat"),
    ],
)
async def test_wrong_arguments_are_told_to_the_model_before_anything_is_called(
    arguments: str, said: str
) -> None:
    with pytest.raises(ToolFailed, match=said):
        await tool_of(order).use(arguments)


async def test_null_for_what_is_left_out_is_left_out() -> None:
    def look(sku: str, pieces: int = 3) -> int:
        """Look."""
        return pieces

    assert await tool_of(look).use('{"sku": "A", "pieces": null}') == "3"
    assert await tool_of(look).use('{"sku": "A"}') == "3"


GOOGLE = """Do it.

    Args:
        price (float): the price
            in euros
        name: a name

    Returns:
        x
    """
NUMPY = """Do it.

    Parameters
    ----------
    price : float
        the price
        in euros
    name
        a name

    Returns
    -------
    int
        x
    """
REST = """Do it.

    :param float price: the price
        in euros
    :param name: a name
    :returns: x
    """


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, REST], ids=["google", "numpy", "rest"])
def test_parameters_are_described_in_any_usual_style(docstring: str) -> None:
    found = read_docstring(docstring)
    assert found.text == "Do it."
    assert found.parameters == {"price": "the price in euros", "name": "a name"}


def _untyped(price) -> str:  # type: ignore[no-untyped-def]
    """Do."""
    return ""


def _starred(*prices: float) -> str:
    """Do."""
    return ""


def _positional(price: float, /) -> str:
    """Do."""
    return ""


def _strange(price: bytes) -> str:
    """Do."""
    return ""


def _pair(price: tuple[int, str]) -> str:
    """Do."""
    return ""


def _numbered(price: dict[int, str]) -> str:
    """Do."""
    return ""


def _silent(price: float) -> str:
    return ""


@dataclass
class Endless:
    inner: Optional[Endless] = None  # noqa: UP045


def _endless(price: Endless) -> str:
    """Do."""
    return ""


def reply(price: float) -> str:
    """Do."""
    return ""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (_untyped, "does not say which type “price” has"),
        (_starred, "no name a model could give"),
        (_positional, "no name a model could give"),
        (_strange, "bytes cannot be described"),
        (_pair, "use a dataclass"),
        (_numbered, "must be text"),
        (_silent, "no docstring"),
        (_endless, "holds itself"),
        (lambda: "", "no name for a tool"),
        (reply, "cannot be called reply"),
    ],
)
def test_what_cannot_be_described_is_refused_in_one_sentence(function: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        tool_of(function)
    assert "\n" not in str(caught.value)


async def test_sync_functions_methods_and_partials_are_tools_too() -> None:
    class Shop:
        def stock(self, sku: str) -> int:
            """Say how many are left."""
            return len(sku)

        async def __call__(self, sku: str) -> Sequence[str]:
            """Give it back."""
            return [sku]

    def scaled(value: Decimal, factor: int) -> Decimal:
        """Scale a value."""
        return value * factor

    assert await tool_of(Shop().stock).use('{"sku": "ABC"}') == "3"
    called = tool_of(Shop(), Marks("shop", "Give it back."))
    assert await called.use('{"sku": "A"}') == '["A"]'
    half = tool_of(functools.partial(scaled, factor=2), Marks("double", "Double a value."))
    assert half.parameters["required"] == ["value"]
    assert await half.use('{"value": 1.5}') == '"3.0"'


async def test_a_decorated_function_stays_the_function_it_was() -> None:
    @tool(name="take", description="Take it.", changes=True)
    def reserve(sku: str) -> Mapping[str, str]:
        return {"sku": sku}

    assert reserve("A") == {"sku": "A"}
    made = tool_of(reserve)
    assert (made.name, made.description, made.changes) == ("take", "Take it.", True)
    assert await made.use('{"sku": "A"}') == '{"sku":"A"}'


async def test_what_a_function_says_it_cannot_do_is_told_and_what_a_bug_says_is_not() -> None:
    def fail(how: str) -> str:
        """Fail."""
        errors: dict[str, Exception] = {
            "value": ValueError("no such size"),
            "user": NotFound("there is no product “A”"),
            "bug": RuntimeError("postgresql://admin:secret@db"),
            "limit": LimitReached("all spent", limit="budget"),
            "config": ConfigError("no key"),
            "source": SourceError("the file is gone"),
        }  # fmt: skip
        raise errors[how]

    made = tool_of(fail)
    for how, said in (
        ("value", "fail: no such size"), ("user", "there is no product “A”"),
        ("bug", r"fail failed \(RuntimeError\)"), ("source", "the file is gone"),
    ):  # fmt: skip
        with pytest.raises(ToolFailed, match=said) as caught:
            await made.use(f'{{"how": "{how}"}}')
        assert "secret" not in str(caught.value)
    with pytest.raises(LimitReached):
        await made.use('{"how": "limit"}')
    with pytest.raises(ConfigError):
        await made.use('{"how": "config"}')
