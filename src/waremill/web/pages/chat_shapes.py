"""What the browser draws of a conversation, as plain data, in the viewer's language."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from waremill.app.chatting import Shown, cost_of
from waremill.chat.events import (
    CallEnded,
    CallStarted,
    Cited,
    Drafted,
    Event,
    Noted,
    PermissionAsked,
    TextPiece,
)
from waremill.chat.exporting import sources_of
from waremill.chat.turns import Draft, Source, Step, Turn, beside
from waremill.domain import ToolCall
from waremill.web.pages import serving
from waremill.web.pages.shell import View

LONGEST = 4_000
"""Characters of a call's result that the page gets."""


def conversation(view: View, shown: Shown) -> dict[str, Any]:
    """Give a conversation with the turns of the branch that is shown."""
    settings = serving.served().settings
    number = shown.conversation.id
    paid = view.money(shown.sums.paid / 1e9 * settings.per_usd)
    known = shown.sums.priced
    return {
        "id": number,
        "title": shown.conversation.title,
        "cost": paid if known else view.t("chat.at_least", cost=paid),
        "exports": {one: f"/v1/chat/{number}/export?format={one}" for one in ("markdown", "jsonl")},
        "turns": [turn(view, shown, one) for one in shown.branch],
    }


def turn(view: View, shown: Shown, one: Turn) -> dict[str, Any]:
    """Give a turn as the page shows it."""
    settings = serving.served().settings
    place = f"{shown.conversation.id}.{one.id}"
    return {
        "id": one.id, "question": one.question, "reply": one.reply, "state": one.state,
        "beside": list(beside(shown.turns, one)),
        "sources": [source(view, each) for each in sources_of(shown.turns, one)],
        "cited": list(one.cited),
        "steps": [step(view, each) for each in one.steps],
        "drafts": [draft(view, each, f"{place}.{n}") for n, each in enumerate(one.drafts)],
        "notes": [view.sentence(each) for each in one.notes],
        "error": view.sentence(one.error) if one.error else "",
        "model": one.model, "first": one.first, "seconds": one.seconds,
        "input": view.number(one.input), "output": view.number(one.output),
        "cost": view.money(cost_of(one, settings.per_usd)),
    }  # fmt: skip


def source(view: View, one: Source) -> dict[str, Any]:
    """Give a source; a product's has a link to its page."""
    product = one.kind == "product"
    link = f"/catalogue?{urlencode({'catalog': one.of, 'key': one.document})}" if product else ""
    of = view.t("chat.product_of" if product else "chat.passage_of", name=one.of)
    return {"number": one.number, "place": one.place, "text": one.text, "of": of, "link": link}


def step(view: View, one: Step) -> dict[str, Any]:
    """Give a call with its result."""
    return {
        **call(view, one.call), "content": one.content[:LONGEST], "failed": one.failed,
        "permitted": one.permitted, "done": True,
    }  # fmt: skip


def call(view: View, one: ToolCall) -> dict[str, Any]:
    """Give a call; `said` says in words what it does."""
    key = f"tool_{one.name}"
    said = view.word("chat", key)
    return {
        "id": one.id, "name": one.name, "arguments": one.arguments,
        "said": one.name if said == key else said,
    }  # fmt: skip


def draft(view: View, one: Draft, place: str = "") -> dict[str, Any]:
    """Give a draft with where it opens; `place` names it among the drafts of all turns."""
    body = dict(one.body)
    found: dict[str, Any] = {"kind": one.kind, **body}
    if one.kind == "selection":
        asked = {"catalog": body["catalog"], "where": body["where"]}
        found["count"] = view.number(body["count"])
        found["open"] = f"/catalogue?{urlencode(asked)}"
        found["run"] = f"/new?{urlencode(asked)}"
    elif one.kind == "template":
        found["problems"] = [
            {**each, "message": view.sentence(each["message"])} for each in body["problems"]
        ]
        path = f"templates/{body['name']}.yaml"
        found["open"] = f"/templates?{urlencode({'file': path, 'draft': place})}" if place else ""
    else:
        found["items"] = view.number(body["items"])
        found["cost"] = view.money(body["cost"])
    return found


def event(view: View, one: Event) -> dict[str, Any]:
    """Give what happens while a reply is written."""
    match one:
        case TextPiece(text):
            return {"is": "text", "text": text}
        case Cited(found):
            return {"is": "citation", "source": source(view, found)}
        case CallStarted(made):
            return {"is": "call", **call(view, made)}
        case PermissionAsked(made, seconds):
            return {"is": "permission", **call(view, made), "seconds": seconds}
        case CallEnded(made, content, failed, _):
            return {
                "is": "result", **call(view, made), "content": content[:LONGEST], "failed": failed,
            }  # fmt: skip
        case Drafted(found):
            return {"is": "draft", "draft": draft(view, found)}
        case Noted(text):
            return {"is": "note", "text": view.sentence(text)}


__all__ = ["conversation", "event"]
