"""What an operation is: a function with a name, and a frozen dataclass of its options.

The options serve the step's settings in a pipeline, the flags of `waremill image`, and the
reference alike. Nothing here touches a pixel.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import math
import pkgutil
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from waremill.errors import ConfigError
from waremill.images.picture import Made, Picture

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")


Use = Literal["fonts", "weights", "presets"]


@dataclass(frozen=True, slots=True)
class Tools:
    """What an operation may use besides pixels.

    `weights` gives the verified file of registered model weights by their name, or takes the path
    of a user's own file; `threads` is how many processor threads one operation may use; `fonts`
    are folders that are looked in for fonts before the system's; `files` are a workspace's files,
    path to text, for presets of its own.
    """

    weights: Callable[[str], Path]
    threads: int = 1
    fonts: tuple[Path, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation(Generic[Options]):
    """One operation: its name, a line about it, its options' class, its function, its version.

    `uses` names what besides pixels and options decides the result; see `used`. `version` is part
    of what a made picture is remembered by: raise it when the same input would give other pixels
    than before.
    """

    name: str
    about: str
    options: type[Options]
    run: Callable[[Picture, Options, Tools], Made]
    version: int = 1
    uses: tuple[Use, ...] = ()

    @property
    def pictures(self) -> tuple[str, ...]:
        """The options that are pictures themselves, such as a background."""
        return tuple(
            name for name, kind in _kinds(self.options).items() if Picture in _alternatives(kind)
        )

    def form(self, name: str) -> str:
        """Say in a word or two what an option takes: `N`, `true|false`, `jpeg|png`, `FILE`."""
        forms: list[str] = []
        for kind in _alternatives(_kinds(self.options)[name]):
            many = get_origin(kind) is tuple
            one = get_args(kind)[0] if many else kind
            if get_origin(one) is Literal:
                forms += map(str, get_args(one))
            elif one is not type(None):
                shown = _FORMS.get(one, "FILE")
                forms.append(f"{shown},…" if many else shown)
        return "|".join(dict.fromkeys(forms))

    def used(self, options: Options, tools: Tools) -> dict[str, Any]:
        """Give the state of what decides the result besides pixels and options, as JSON.

        Fonts and a file of the user's own weights are told apart by name, size and time; presets
        by their text. Fonts of the system count as given.
        """
        given: Any = options
        found: dict[str, Any] = {}
        if "presets" in self.uses and given.preset:
            found["presets"] = {
                path: tools.files[path] for path in tools.files if path.startswith("presets/")
            }
        if "fonts" in self.uses:
            every = (one for folder in tools.fonts for one in sorted(folder.rglob("*")))
            found["fonts"] = [_state(one) for one in every if one.is_file()]
        if "weights" in self.uses:
            model = str(given.model)
            if Path(model).suffix:  # a file of the user's own, not a registered name
                found["weights"] = _state(tools.weights(model))
        return found


def _state(file: Path) -> list[Any]:
    known = file.stat()
    return [file.name, known.st_size, known.st_mtime_ns]


_FORMS: Mapping[Any, str] = {bool: "true|false", int: "N", float: "N", str: "TEXT"}


def option(
    default: Any, about: str, *, least: float | None = None, most: float | None = None
) -> Any:
    """Describe one option: what it is without being given, one line on it, and its bounds."""
    return dataclasses.field(
        default=default, metadata={"about": about, "least": least, "most": most}
    )


def operation(
    name: str, options: type[Options], *, version: int = 1, uses: tuple[Use, ...] = ()
) -> Callable[
    [Callable[[Picture, Options, Tools], Made]], Callable[[Picture, Options, Tools], Made]
]:
    """Mark a function as the operation of a name; its docstring's first line is what it is about.

    The function is returned unchanged.
    """

    def mark(
        run: Callable[[Picture, Options, Tools], Made],
    ) -> Callable[[Picture, Options, Tools], Made]:
        about = (run.__doc__ or "").strip().partition("\n")[0]
        run.__dict__["operation"] = Operation(name, about, options, run, version, uses)
        return run

    return mark


@lru_cache(maxsize=1)
def operations() -> Mapping[str, Operation[Any]]:
    """Give every operation by name, found by listing `operations/`."""
    package = importlib.import_module("waremill.images.operations")
    found: dict[str, Operation[Any]] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for value in vars(importlib.import_module(f"{package.__name__}.{module.name}")).values():
            one = getattr(value, "operation", None)
            if isinstance(one, Operation):
                found[one.name] = one
    return dict(sorted(found.items()))


def read_options(kind: type[Options], given: Mapping[str, Any], what: str) -> Options:
    """Make an operation's options from settings or flags: text becomes what the option wants.

    `what` names the operation in errors. Raises ConfigError for an unknown name, with a suggestion,
    and for a value of the wrong kind or out of bounds.
    """
    kinds = _kinds(kind)
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, n=1)
            hint = f", did you mean “{near[0]}”?" if near else f"; there are {', '.join(kinds)}"
            raise ConfigError(f"{what} has no setting “{name}”{hint}")
        found[name] = _read(value, kinds[name], f"{what}: {name}")
    for one in dataclasses.fields(kind):
        if one.name in found:
            _bounded(found[one.name], one.metadata, f"{what}: {one.name}")
    return kind(**found)


def _kinds(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _read(value: Any, kind: Any, what: str) -> Any:
    """Read a value as the first of an option's kinds that takes it."""
    kinds = _alternatives(kind)
    if value is None and type(None) in kinds:
        return None
    for one in kinds:
        if one is type(None):
            continue
        taken, read = _taken(value, one)
        if taken:
            return read
    raise ConfigError(f"{what} must be {_wanted(kinds)}, not “{value}”")


def _taken(value: Any, kind: Any) -> tuple[bool, Any]:
    """Say whether a value can be read as a kind, and give it read."""
    if get_origin(kind) is Literal:
        for choice in get_args(kind):
            if value == choice or str(value) == str(choice):
                return True, choice
        return False, None
    if get_origin(kind) is tuple:
        parts = value
        if isinstance(value, str):
            parts = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(parts, Sequence):
            parts = [parts]
        read = [_taken(part, get_args(kind)[0]) for part in parts]
        return all(taken for taken, _ in read), tuple(part for _, part in read)
    if kind is bool:
        written = {"true": True, "yes": True, "false": False, "no": False}
        found = value if isinstance(value, bool) else written.get(str(value).lower())
        return found is not None, found
    if kind in (int, float):
        if isinstance(value, bool):
            return False, None
        try:
            number = float(value)
        except (TypeError, ValueError):
            return False, None
        if not math.isfinite(number) or (kind is int and number != int(number)):
            return False, None
        return True, kind(number)
    if kind is str:
        return isinstance(value, str | int | float), str(value)
    return isinstance(value, kind), value


def _wanted(kinds: Sequence[Any]) -> str:
    names = []
    for kind in kinds:
        if get_origin(kind) is Literal:
            names += [f"“{choice}”" for choice in get_args(kind)]
        elif get_origin(kind) is tuple:
            names.append("a list separated by commas")
        elif kind is not type(None):
            words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
            names.append(words.get(kind, "a picture"))
    return " or ".join(names)


def _bounded(value: Any, limits: Mapping[str, Any], what: str) -> None:
    least, most = limits.get("least"), limits.get("most")
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, bool) or not isinstance(one, int | float):
            continue
        if (least is not None and one < least) or (most is not None and one > most):
            raise ConfigError(f"{what} must be {bounds(least, most)}, not {one:g}")


def bounds(least: float | None, most: float | None) -> str:
    """Say in words between which numbers an option must be."""
    if least is not None and most is not None:
        return f"from {least:g} to {most:g}"
    return f"at least {least:g}" if least is not None else f"at most {most:g}"
