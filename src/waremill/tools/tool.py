"""A typed Python function as a tool: its name, its JSON Schema, its description, and its calls.

    @tool(changes=True)
    def reserve(sku: str, pieces: Annotated[int, "how many, from 1"]) -> str:
        "Reserve pieces of a product in the warehouse."

A model's arguments are checked against the schema before the function is called. What is wrong with
them, and what a function says it cannot do, is told to the model; it is never an error of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import re
import threading
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import jsonschema_rs
import orjson

from waremill.domain import ToolSpec, storable
from waremill.errors import ConfigError, Conflict, UserError, WaremillError
from waremill.tools.docstrings import read_docstring
from waremill.tools.shapes import Indescribable, Shape, shape_of, with_description

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__waremill_tool__"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_FIRST_PROBLEMS = 3


class ToolFailed(Exception):
    """What a tool cannot do, in one sentence for the model that asked for it."""


@dataclass(frozen=True, slots=True)
class Tool:
    """Something a model may call.

    `parameters` is the JSON Schema of an object; `call` takes arguments that fit it and gives any
    value. `changes` says that a call changes something, so that it needs permission; `pure` that
    equal arguments always give the same, so that the result need not be recorded.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    call: Callable[[Mapping[str, Any]], Awaitable[Any]] = field(repr=False)
    changes: bool = False
    pure: bool = False
    _fits: list[jsonschema_rs.Validator] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    @property
    def spec(self) -> ToolSpec:
        """What a model is told of it."""
        return ToolSpec(self.name, self.description, self.parameters)

    async def use(self, arguments: str) -> str:
        """Check arguments as a model wrote them, call, and give the result as text.

        Raises ToolFailed with what the model should be told. ConfigError, Conflict and errors of
        models and limits are the caller's: no other arguments would help.
        """
        given = self.check(arguments)
        try:
            return as_text(await self.call(given))
        except ToolFailed:
            raise
        except (ConfigError, Conflict):
            raise
        except UserError as error:
            raise ToolFailed(str(error)) from error
        except WaremillError:
            raise
        except (ValueError, LookupError) as error:
            raise ToolFailed(f"{self.name}: {error}"[:500]) from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ToolFailed(f"{self.name} gave up") from None
        except (Exception, SystemExit) as error:  # one that wants to leave ends no server
            # What an unexpected error says may hold an address or a key, so its kind is told alone.
            raise ToolFailed(f"{self.name} failed ({type(error).__name__})") from error

    def check(self, arguments: str) -> dict[str, Any]:
        """Read arguments as a model wrote them; raises ToolFailed with what is wrong."""
        try:
            given = orjson.loads(arguments) if arguments.strip() else {}
        except ValueError:
            raise ToolFailed(
                f"the arguments of {self.name} are not a JSON object; write them again"
            ) from None
        if not self._fits:
            self._fits.append(jsonschema_rs.validator_for(dict(self.parameters)))
        if isinstance(given, dict) and not self._fits[0].is_valid(given):
            # Many models write null for what they leave out.
            given = {name: value for name, value in given.items() if value is not None}
        problems = [
            f"{'.'.join(map(str, error.instance_path)) or 'arguments'}: {error.message}"[:300]
            for error, _ in zip(
                self._fits[0].iter_errors(given), range(_FIRST_PROBLEMS), strict=False
            )
        ]
        if problems:
            raise ToolFailed(f"the arguments of {self.name} do not fit: {'; '.join(problems)}")
        checked: dict[str, Any] = given
        return checked


@dataclass(frozen=True, slots=True)
class Marks:
    """What `@tool` notes about a function."""

    name: str | None = None
    description: str | None = None
    changes: bool = False
    pure: bool = False


def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    changes: bool = False,
    pure: bool = False,
) -> Callable[[F], F]:
    """Note how a function is offered as a tool; gives the function unchanged.

    Without it a function is offered by its own name and docstring, as one that changes nothing.
    """

    def mark(function: F) -> F:
        setattr(function, _MARK, Marks(name, description, changes, pure))
        return function

    return mark


def tool_of(function: Callable[..., Any], marks: Marks | None = None) -> Tool:
    """Make a tool of a typed function; raises ConfigError with what cannot be described.

    A function that is not `async` runs on a thread, since it may wait for something.
    """
    marks = marks or getattr(function, _MARK, None) or Marks()
    name = marks.name or str(getattr(function, "__name__", type(function).__name__))
    if name == "reply":  # some models give their answer by a tool of this name
        raise ConfigError("a tool cannot be called reply; name it by tool(name=…)")
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"“{name}” is no name for a tool: use letters, digits, _ and -, at most 64, and name "
            "a function without one by tool(name=…)"
        )
    told = read_docstring(inspect.getdoc(function))
    description = marks.description or told.text
    if not description:
        raise ConfigError(f"the tool {name} has no docstring that says what it does; write one")
    shapes, schema = _parameters(function, name, told.parameters)

    async def call(arguments: Mapping[str, Any]) -> Any:
        try:
            given = {one: shapes[one].read(value) for one, value in arguments.items()}
        except ValueError as error:
            raise ToolFailed(f"the arguments of {name} do not fit: {error}") from None
        if _is_async(function):
            return await function(**given)
        found = await _on_a_thread(functools.partial(function, **given))
        return await found if inspect.isawaitable(found) else found

    return Tool(name, description, schema, call, marks.changes, marks.pure)


async def _on_a_thread(work: Callable[[], Any]) -> Any:
    """Run a function on a thread of its own, which nothing waits for once it is given up.

    The loop's pool has few threads, for everybody: some calls that hang would take them all, and
    the process could not end before they do.
    """
    loop = asyncio.get_running_loop()
    made: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if made.done():
            return
        if error is None:
            made.set_result(value)
        elif isinstance(error, StopIteration):  # which no future takes
            made.set_exception(RuntimeError("StopIteration"))
        else:
            made.set_exception(error)

    def run() -> None:
        value, error = None, None
        try:
            value = context.run(work)
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, value, error)

    context = contextvars.copy_context()
    threading.Thread(target=run, name="tool", daemon=True).start()
    return await made


def _is_async(function: Callable[..., Any]) -> bool:
    plain = function.func if isinstance(function, functools.partial) else function
    return inspect.iscoroutinefunction(plain) or inspect.iscoroutinefunction(
        getattr(plain, "__call__", None)  # noqa: B004 an object whose call is a coroutine
    )


def _parameters(
    function: Callable[..., Any], name: str, words: Mapping[str, str]
) -> tuple[dict[str, Shape], dict[str, Any]]:
    try:
        signature = inspect.signature(function)
        hints = _hints(function)
    except (TypeError, ValueError, NameError) as error:
        raise ConfigError(f"the tool {name} has a signature that cannot be read: {error}") from None
    shapes: dict[str, Shape] = {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    for one in signature.parameters.values():
        if one.kind not in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
            raise ConfigError(
                f"the tool {name} takes “{one}”, which has no name a model could give; write "
                "named parameters"
            )
        if one.name not in hints:
            raise ConfigError(f"the tool {name} does not say which type “{one.name}” has")
        try:
            shape = shapes[one.name] = shape_of(hints[one.name])
        except Indescribable as error:
            raise ConfigError(f"the tool {name}, parameter “{one.name}”: {error}") from None
        schema = with_description(shape.schema, words.get(one.name))
        if one.default is one.empty:
            required.append(one.name)
        elif one.default is None or isinstance(one.default, str | int | float | bool):
            schema = {**schema, "default": one.default}
        properties[one.name] = schema
    whole: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        whole["required"] = required
    whole["additionalProperties"] = False
    return shapes, whole


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    plain: Any = function.func if isinstance(function, functools.partial) else function
    if not (inspect.isfunction(plain) or inspect.ismethod(plain)):
        plain = type(plain).__call__
    return typing.get_type_hints(plain, include_extras=True)


def as_text(value: Any) -> str:
    """Write a tool's result as text: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return storable(value)
    try:
        return orjson.dumps(
            value, default=_other, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
        ).decode()
    except (TypeError, ValueError):
        return storable(str(value))


def _other(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, Mapping):
        return dict(value)
    if callable(dump := getattr(value, "model_dump", None)):  # pydantic's
        return dump(mode="json")
    return str(value)
