"""Says what works about a configured model, and why the rest does not.

Asks for as little as it can: one JSON object and one streamed word, some hundred tokens in all.
Models that make pictures say for themselves what can be found out without making one. Must not
raise for anything that is the endpoint's or the settings' fault.
"""

from __future__ import annotations

import dataclasses
import difflib
import time
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from waremill.domain import Chat, Message, Model, Provider, Response
from waremill.errors import AccessDenied, ProviderError, RateLimited, Rejected, Transient, UserError

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"colour": {"type": "string", "maxLength": 20}},
    "required": ["colour"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing tried: `ok` is None where it could not be tried; `detail` is one sentence."""

    name: str
    ok: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What works for one model. `ok` says that runs can use it; `seconds` is the first answer's
    time; `reported` is the name the endpoint gives its model.
    """

    alias: str
    use: str
    ok: bool
    checks: tuple[Check, ...]
    seconds: float | None = None
    reported: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give the result as a JSON object."""
        return dataclasses.asdict(self)


@runtime_checkable
class _ListsModels(Protocol):
    async def list_models(self) -> tuple[str, ...]: ...


@runtime_checkable
class _ChecksItself(Protocol):
    async def check(self) -> tuple[Check, ...]: ...


async def probe(model: Model) -> ProbeResult:
    """Try a model: settings, connection and key, name, structured output, streaming."""
    from waremill.providers import open_provider

    try:
        provider = open_provider(model)
    except UserError as error:
        return ProbeResult(model.alias, model.use, False, (Check("settings", False, str(error)),))
    try:
        return await _probe(model, provider)
    finally:
        await provider.aclose()


async def _probe(model: Model, provider: Provider) -> ProbeResult:
    checks = [Check("settings", True)]
    if isinstance(provider, _ChecksItself):
        checks += await provider.check()
        ok = all(one.ok is not False for one in checks)
        return ProbeResult(model.alias, model.use, ok, tuple(checks))
    started = time.perf_counter()
    response: Response | None = None
    structured = Check("structured", None)
    try:
        response = await provider(_ask(model, structured=True))
        structured = _judge_json(response, provider)
    except Rejected as error:
        structured = Check("structured", False, _advice(error, provider))
        try:
            response = await provider(_ask(model, structured=False))
        except (ProviderError, UserError) as second:
            checks.extend(await _reach(second, model, provider))
    except (ProviderError, UserError) as error:
        checks.extend(await _reach(error, model, provider))
    if response is None:
        return ProbeResult(model.alias, model.use, False, (*checks, structured))
    seconds = time.perf_counter() - started
    checks += [Check("reachable", True), Check("access", True), Check("model", True), structured]
    checks.append(await _judge_stream(model, provider))
    ok = structured.ok is not False
    return ProbeResult(model.alias, model.use, ok, tuple(checks), seconds, response.model)


def _ask(model: Model, *, structured: bool) -> Chat:
    return Chat(
        (Message("user", "Name one colour. Answer in JSON." if structured else "Say: yes"),),
        max_tokens=64,
        schema=_SCHEMA if structured else None,
        options=model.options,
    )


def _judge_json(response: Response, provider: Provider) -> Check:
    import orjson

    way = str(getattr(provider, "structured", ""))
    if response.outcome != "complete":
        return Check("structured", None, f"the reply to the trial was {response.outcome}")
    text = response.text.strip().removeprefix("```json").strip("`\n ")
    try:
        value = orjson.loads(text)
    except ValueError:
        return Check("structured", False, f"asked by “{way}”, the reply is not JSON")
    if not isinstance(value, dict) or not isinstance(value.get("colour"), str):
        return Check("structured", False, f"asked by “{way}”, the reply does not keep the schema")
    return Check("structured", True, f"by {way}" if way else "")


def _advice(error: Rejected, provider: Provider) -> str:
    way = getattr(provider, "structured", "")
    other = {"schema": "object", "object": "text", "tool": "text"}.get(str(way))
    hint = f'; try structured = "{other}"' if other and "structured =" not in error.message else ""
    return error.message + hint


async def _judge_stream(model: Model, provider: Provider) -> Check:
    pieces: list[str] = []
    try:
        await provider(_ask(model, structured=False), pieces.append)
    except ProviderError as error:
        return Check("streaming", False, error.message)
    return Check("streaming", bool(pieces), "" if pieces else "no text came in")


async def _reach(error: ProviderError | UserError, model: Model, provider: Provider) -> list[Check]:
    """Place a failure: not reachable, no access, or no such model."""
    words = error.message
    if isinstance(error, RateLimited):
        return [Check("reachable", True), Check("access", False, words)]
    if isinstance(error, Transient | UserError):
        return [Check("reachable", False, words)]
    if isinstance(error, AccessDenied) and error.status in (400, 404, 405):
        names = await _names(provider)
        near = difflib.get_close_matches(model.name, names, 3, 0.4)
        if model.name in names:
            words += "; yet the endpoint lists the model"
        elif near:
            words += f"; did you mean {' or '.join(near)}?"
        elif names:
            words += f"; it offers {', '.join(names[:5])}{'…' if len(names) > 5 else ''}"
        return [Check("reachable", True), Check("model", False, words)]
    return [Check("reachable", True), Check("access", False, words)]


async def _names(provider: Provider) -> tuple[str, ...]:
    if not isinstance(provider, _ListsModels):
        return ()
    try:
        return await provider.list_models()
    except ProviderError:
        return ()
