"""The use case *ask in a conversation*: a turn is begun, its reply written, and whatever came kept.

Calls are made, paid and journalled as *generate* does it, under the team's budget and rates. The
turn stands in the database from the moment it is begun, and is ended whatever happens.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from waremill.app.assembly import all_models, require_keys
from waremill.app.chatting import live
from waremill.app.chatting.abilities import Abilities, abilities_of
from waremill.app.chatting.conversations import Shown, find, show, titled, turn_of
from waremill.app.chatting.finding import find_for
from waremill.app.chatting.live import Hear, Live
from waremill.app.chatting.tooling import Talk, tools_for
from waremill.app.equipping import limits_of
from waremill.app.generating import paying_team
from waremill.app.informing import base_names
from waremill.app.knowing.changing import find_base
from waremill.app.standing import Errand, Standing, desk_of
from waremill.calls import canonical
from waremill.calls.caller import Sender
from waremill.chat.replying import Kit, Reply
from waremill.chat.telling import Surroundings
from waremill.chat.turns import Given, Turn, path_to
from waremill.domain import Answer, Chat, Emit, ToolCall, storable
from waremill.errors import ConfigError, Conflict, NotFound, WaremillError
from waremill.store import conversations as store
from waremill.store import versions as store_versions
from waremill.store.conversations import Conversation

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

NAME = "chat"
"""What a chat's calls are called in the ledger."""
LONGEST = 20_000
"""Characters of a message."""
MOST_TURNS = 500
"""Turns of a conversation, all branches together."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What somebody asks.

    Without `conversation` a new one is made. A message goes on from the branch that is shown;
    `edits` names a turn to ask otherwise, `retries` one to ask again as it was. `knowledge` are the
    bases to search (none named: all the actor sees), `catalog` the catalogue (None: the only one),
    and `model` stands in for the conversation's. They hold from this turn on. `team` pays.
    """

    message: str | None = None
    conversation: int | None = None
    edits: int | None = None
    retries: int | None = None
    knowledge: tuple[str, ...] | None = None
    catalog: str | None = None
    model: str | None = None
    team: int | None = None
    patience: float | None = None


async def begin(workspace: Workspace, asking: Asking, hear: Hear) -> Live:
    """Begin a turn and have its reply written; `hear` is told what happens, from now on.

    Needs the role operator in the team that pays. Raises a UserError for what cannot be asked; what
    goes wrong later is the turn's `error`.
    """
    if asking.conversation is None:
        return await _begin(workspace, asking, hear)
    # Of two that come at the same moment the second finds the first at work, and leaves no turn.
    async with desk_of(workspace).alone(f"conversation {asking.conversation}".encode()):
        return await _begin(workspace, asking, hear)


async def _begin(workspace: Workspace, asking: Asking, hear: Hear) -> Live:
    shown = None
    if asking.conversation is not None:
        shown = await show(workspace, asking.conversation)
        workspace.actor.need(
            "operator", shown.conversation.team_id, f"conversation {asking.conversation}"
        )
        _refuse_busy(workspace, asking.conversation)
    parent, question = _place(shown, asking)
    model = asking.model or (shown.conversation.model if shown else "default")
    await need_model(workspace, model)
    if asking.knowledge is not None:
        for name in asking.knowledge:
            await find_base(workspace, name)
    if asking.catalog is not None:
        await workspace.find_catalog(asking.catalog)
    team = paying_team(workspace.actor, asking.team) if shown is None else 0

    def enter(conn: Connection) -> tuple[Conversation, int, int]:
        if shown is None:
            conversation = store.create(
                conn,
                {
                    "team_id": team, "owner": workspace.actor.name, "title": titled(question),
                    "knowledge": asking.knowledge or (), "catalog": asking.catalog, "model": model,
                },
            )  # fmt: skip
        else:
            conversation = store.find(conn, shown.conversation.id, workspace.actor.name)
            changed = {
                name: value
                for name, value in (("knowledge", asking.knowledge), ("catalog", asking.catalog))
                if value is not None
            }
            if changed:
                store.change(conn, conversation.id, **changed)
                conversation = store.find(conn, conversation.id, workspace.actor.name)
        return (conversation, *store.begin_turn(conn, conversation, parent, question, model))

    conversation, turn, take = await workspace.database.write(enter)
    before = path_to(shown.turns, parent) if shown else ()
    writing = Live(conversation.id, turn, hear)
    if asking.patience is not None:
        writing.patience = asking.patience
    live.enter(workspace, writing)
    work = _Writing(workspace, conversation, writing, before, model)
    writing.begin(asyncio.create_task(work.run(question, take), name=f"chat {conversation.id}"))
    await asyncio.sleep(0)  # so that it runs before anybody can stop it, and ends in any case
    return writing


def _refuse_busy(workspace: Workspace, number: int) -> None:
    if live.of(workspace, number) is not None:
        raise Conflict(f"a reply is being written in conversation {number}; stop it first")


def _place(shown: Shown | None, asking: Asking) -> tuple[int | None, str]:
    """Give the turn to go on from, and the question."""
    if asking.edits is not None and asking.retries is not None:
        raise ConfigError("a turn is edited or asked again, not both")
    at = asking.edits if asking.edits is not None else asking.retries
    if at is not None and shown is None:
        raise ConfigError("say in which conversation the turn is")
    message = storable(asking.message or "").strip()
    if len(message) > LONGEST:
        raise ConfigError(f"a message has at most {LONGEST:,} characters")
    if asking.retries is not None and message:
        raise ConfigError("a turn is asked again as it was; to ask otherwise, edit it")
    if asking.retries is None and not message:
        raise ConfigError("there is no message")
    if shown is None:
        return None, message
    if len(shown.turns) >= MOST_TURNS:
        raise ConfigError(f"a conversation has at most {MOST_TURNS} turns; begin a new one")
    if at is None:
        return shown.conversation.leaf, message
    turn = shown.turn(at)
    return turn.parent, message or turn.question


async def need_model(workspace: Workspace, name: str) -> None:
    """Raise where the actor may not use a model, or it has no key; a foreign one is not there."""
    seen = await workspace.seen()
    seen.settings.model(name)
    owned = await workspace.database.read(store_versions.owned_by)
    if (team := owned.get(("model", name))) is not None:
        workspace.actor.need("operator", team, f"model “{name}”")
    require_keys(workspace.settings, all_models(workspace.settings, (name,)))


class _Writing:
    """One reply on its way: the model's calls, and what is kept at the end."""

    def __init__(
        self,
        workspace: Workspace,
        conversation: Conversation,
        writing: Live,
        before: tuple[Turn, ...],
        model: str,
    ) -> None:
        self._workspace = workspace
        self._conversation = conversation
        self._live = writing
        self._model = model
        self._reply = Reply(before, writing.heard)

    async def run(self, question: str, take: int) -> Turn:
        """Write the reply and keep it; whatever ends it, what came is kept."""
        bug: Exception | None = None
        try:
            await self._write(question, take)
            made = self._reply.ended()
        except asyncio.CancelledError:
            made = self._reply.ended("stopped")
        except WaremillError as error:
            self._live.error = error
            made = self._reply.ended("failed", str(error))
        except Exception as error:
            bug = error
            made = self._reply.ended("failed", "This is our bug; the server's log has it.")
        saving = asyncio.create_task(self._keep(question, take, made))
        try:
            turn = await asyncio.shield(saving)
        except asyncio.CancelledError:  # stopped a second time, while it was being kept
            turn = await saving
        finally:
            live.leave(self._workspace, self._live)
        if bug is not None:
            self._live.error = bug
            raise bug
        return turn

    async def _write(self, question: str, take: int) -> None:
        workspace = self._workspace
        talk = await talk_of(workspace, self._conversation)
        abilities = abilities_of(workspace.settings.model(self._model))
        errand = Errand(NAME, (self._model,))
        desk = desk_of(workspace)
        async with desk.standing(workspace, errand, self._conversation.team_id) as standing:
            kit = await self._kit(talk, abilities, standing)
            around = Surroundings(
                talk.bases, talk.catalog, talk.columns[:80], workspace.settings.currency
            )
            await self._reply.write(question, around, kit, take)
            await standing.journal.committed()

    async def _kit(self, talk: Talk, abilities: Abilities, standing: Standing) -> Kit:
        workspace = self._workspace

        async def look(questions: tuple[str, ...], given: Given) -> None:
            await find_for(workspace, talk, questions, given)

        tools = await tools_for(workspace, talk, self._reply) if abilities.tools else ()
        return Kit(
            ask=_Asker(workspace, standing, self._model), find=look, count=abilities.count,
            window=abilities.window, most=abilities.most, tools=tools, permit=self._permit,
            limits=limits_of(workspace.settings),
        )  # fmt: skip

    async def _permit(self, call: ToolCall) -> bool:
        allowed, answered = await self._live.permitted(call)
        if not answered:
            said = live.UNANSWERED.format(name=call.name, seconds=self._live.patience)
            self._reply.note(said)
        return allowed

    async def _keep(self, question: str, take: int, made: dict[str, Any]) -> Turn:
        """Write down what came of the turn."""
        kept = Turn(self._live.turn, None, question, self._model, take=take, **made)
        values = {
            "state": kept.state, "reply": storable(kept.reply), "made": kept.made(),
            "input": kept.input, "output": kept.output, "cached": kept.cached,
            "list_cost": kept.list_cost, "paid": kept.paid, "first_token": kept.first,
            "seconds": kept.seconds, "error": kept.error and storable(kept.error),
        }  # fmt: skip
        number, turn = self._conversation.id, self._live.turn

        def write(conn: Connection) -> None:
            store.end_turn(conn, turn, values)

        await self._workspace.database.write(write)
        try:
            row = await self._workspace.database.read(store.read_turn, number, turn)
        except NotFound:  # the conversation was deleted meanwhile
            return kept
        return turn_of(row)


class _Asker:
    """Asks the model through the journal; a reply that was there already is heard at once."""

    def __init__(self, workspace: Workspace, standing: Standing, model: str) -> None:
        self._desk = desk_of(workspace)
        self._standing = standing
        self._model = model

    async def __call__(self, request: Chat, emit: Emit | None = None) -> Answer:
        heard = False

        def hear(text: str) -> None:
            nonlocal heard
            heard = True
            if emit is not None:
                emit(text)

        # Below zero: in the ledger it is one item among others, and no run's.
        sender = Sender(self._standing.run.id, -time.time_ns(), NAME)
        async with self._desk.alone(self._model.encode() + b"\0" + canonical(request)):
            answer = await self._standing.caller.call(request, self._model, sender, hear)
        if not heard and emit is not None and answer.response.text:
            emit(answer.response.text)
        return answer


async def talk_of(workspace: Workspace, conversation: Conversation) -> Talk:
    """Give what a conversation is over, as the actor sees it now."""
    known = await base_names(workspace)
    wanted = conversation.knowledge or known
    bases = tuple(one for one in wanted if one in known)
    catalogs = {one.name: one for one in await workspace.catalogs()}
    name = conversation.catalog
    if name is None and len(catalogs) == 1:
        name = next(iter(catalogs))
    found = catalogs.get(name) if name is not None else None
    if found is None:
        return Talk(bases, None)
    return Talk(bases, found.name, tuple(found.columns))


async def stop(workspace: Workspace, number: int) -> Turn:
    """Stop the reply being written in the actor's conversation; give what came of it."""
    await find(workspace, number)
    writing = live.of(workspace, number)
    if writing is None:
        raise Conflict(f"no reply is being written in conversation {number}")
    writing.stop()
    return await writing.ended()


async def permit(workspace: Workspace, number: int, call: str, *, allow: bool) -> None:
    """Answer a call that waits for permission in the actor's conversation."""
    await find(workspace, number)
    writing = live.of(workspace, number)
    if writing is None:
        raise Conflict(f"no reply is being written in conversation {number}")
    writing.permit(call, allow)


__all__ = ["NAME", "Asking", "begin", "need_model", "permit", "stop", "talk_of"]
