"""Chats: cited, streamed, stopped, permitted, branched, paid for, and their owner's alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.app.talking import asked, begun, shop, until
from tests.databases import database_url, migrated_postgres, migrated_sqlite
from tests.talker import Said, question_of, results_of
from tests.workspaces import PRICE

from waremill.app import Workspace, chatting
from waremill.app.acting import Actor
from waremill.app.browsing import Browse
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
from waremill.errors import ConfigError, Conflict, Forbidden, LimitReached, NotFound
from waremill.store.tables import calls, runs
from waremill.store.tables_people import teams

__all__ = ["database_url", "migrated_postgres", "migrated_sqlite"]

LONG = "word " * 2000


def looks_up(body: dict[str, Any]) -> Said:
    """Search for the question, then answer with a citation, and one that is invented."""
    if results_of(body):
        return Said("It lasts eight hours [1], they say [7].")
    return Said("I look.", (("search_knowledge", {"query": question_of(body)}),))


def says(text: str, pause: float = 0.0) -> Callable[[dict[str, Any]], Said]:
    return lambda _body: Said(text, pause=pause)


def calling(name: str, given: Any, then: str = "Done.") -> Callable[[dict[str, Any]], Said]:
    """Call a tool once in each turn, then say something."""
    return lambda body: Said(then) if results_of(body) else Said(calls=((name, given),))


def text_of(events: list[Event]) -> str:
    return "".join(one.text for one in events if isinstance(one, TextPiece))


async def test_an_answer_is_streamed_cited_kept_and_paid_for(
    tmp_path: Path, database_url: str
) -> None:
    async with shop(tmp_path, looks_up, database_url, guide=True) as (workspace, talker):
        turn, events, number = await asked(workspace, "How long does it last?")
        assert (turn.state, turn.cited) == ("complete", (1,))
        assert turn.reply == "I look.\n\nIt lasts eight hours [1], they say."
        assert text_of(events) == turn.reply
        (cited,) = [one for one in events if isinstance(one, Cited)]
        assert cited.source.place == "care › Care" and "eight hours" in cited.source.text
        assert any("taken out" in one for one in turn.notes)
        kinds = [type(one) for one in events]
        assert kinds.index(CallStarted) < kinds.index(CallEnded) < kinds.index(Cited)
        assert turn.first is not None and turn.first <= turn.seconds
        # Two calls in the ledger, under one row of the day that is no run.
        ledger = await workspace.database.read(lambda conn: conn.execute(select(calls)).all())
        assert [one.step for one in ledger] == ["chat", "chat"]
        assert sum(one.paid for one in ledger) == turn.paid == turn.list_cost
        rows = await workspace.database.read(lambda conn: conn.execute(select(runs)).all())
        assert [(row.kind, row.pipeline) for row in rows] == [("generate", "chat")]
        assert await workspace.runs() == []
        shown = await chatting.show(workspace, number)
        assert shown.turns == (turn,) and shown.sums.paid == turn.paid
        # The next question goes on from the first, and begins with the same bytes.
        await asked(workspace, "And then?", conversation=number)
        first, last = talker.requests[1]["messages"], talker.requests[2]["messages"]
        assert last[: len(first)] == first
        assert talker.requests[1]["tools"] == talker.requests[2]["tools"]


async def test_a_stopped_reply_keeps_what_came(tmp_path: Path, database_url: str) -> None:
    async with shop(tmp_path, says(LONG, 0.02), database_url) as (workspace, talker):
        live, events = await begun(workspace, "Talk")
        with pytest.raises(Conflict, match="being written"):
            await begun(workspace, "More", conversation=live.conversation)
        await until(lambda: len(text_of(events)) >= 40)
        turn = await chatting.stop(workspace, live.conversation)
        assert turn.state == "stopped" and turn.reply.startswith("word word")
        assert len(turn.reply) < len(LONG) / 2
        assert turn.paid is None, "what a call that was broken off costs is not known"
        with pytest.raises(Conflict, match="no reply"):
            await chatting.stop(workspace, live.conversation)
        await until(lambda: talker.left)
        row = (await workspace.database.read(lambda conn: conn.execute(select(calls)).all()))[0]
        assert row.outcome == "cancelled"
        shown = await chatting.show(workspace, live.conversation)
        assert shown.turns == (turn,) and not shown.sums.priced


SAVE = {"name": "without", "where": "missing(notes)"}


@pytest.mark.parametrize("allow", [True, False])
async def test_what_changes_something_is_done_when_it_is_permitted(
    tmp_path: Path, database_url: str, allow: bool
) -> None:
    async with shop(tmp_path, calling("save_selection", SAVE), database_url) as (workspace, _):
        live, events = await begun(workspace, "Save it")
        await until(lambda: [one for one in events if isinstance(one, PermissionAsked)])
        (wanted,) = [one for one in events if isinstance(one, PermissionAsked)]
        assert wanted.call.name == "save_selection" and wanted.seconds > 0
        assert not await Browse(workspace).selections("perfumes")
        with pytest.raises(NotFound):
            await chatting.permit(workspace, live.conversation, "another", allow=True)
        await chatting.permit(workspace, live.conversation, wanted.call.id, allow=allow)
        turn = await live.ended()
        saved = [one.name for one in await Browse(workspace).selections("perfumes")]
        assert saved == (["without"] if allow else [])
        assert turn.steps[0].permitted is allow
        assert turn.steps[0].failed is not allow


async def test_no_answer_in_time_is_a_no(tmp_path: Path) -> None:
    async with shop(tmp_path, calling("save_selection", SAVE)) as (workspace, _):
        turn, _, _ = await asked(workspace, "Save it", patience=0.05)
        assert not await Browse(workspace).selections("perfumes")
        assert turn.steps[0].permitted is False
        assert any("within 0 seconds" in one for one in turn.notes)


async def test_a_call_that_waits_can_be_stopped(tmp_path: Path) -> None:
    async with shop(tmp_path, calling("save_selection", SAVE)) as (workspace, _):
        live, events = await begun(workspace, "Save it")
        await until(lambda: events)
        turn = await chatting.stop(workspace, live.conversation)
        assert turn.state == "stopped"
        assert not await Browse(workspace).selections("perfumes")


async def test_a_turn_is_asked_again_and_otherwise_beside_the_old_one(
    tmp_path: Path, database_url: str
) -> None:
    count = 0

    def counts(body: dict[str, Any]) -> Said:
        nonlocal count
        count += 1
        return Said(f"{question_of(body)} {count}")

    async with shop(tmp_path, counts, database_url) as (workspace, _):
        first, _, number = await asked(workspace, "one")
        second, _, _ = await asked(workspace, "two", conversation=number)
        again, _, _ = await asked(workspace, conversation=number, retries=second.id)
        assert (again.question, again.parent, again.take) == ("two", first.id, 1)
        assert (second.reply, again.reply) == ("two 2", "two 3"), "it was really asked again"
        other, _, _ = await asked(workspace, "TWO", conversation=number, edits=second.id)
        shown = await chatting.show(workspace, number)
        assert [one.id for one in shown.branch] == [first.id, other.id]
        assert [one.parent for one in shown.turns] == [None, first.id, first.id, first.id]
        await chatting.choose(workspace, number, second.id)
        assert (await chatting.show(workspace, number)).branch[-1] == second
        for wrong in ({"edits": 1, "retries": 1}, {"message": "x", "retries": second.id}, {}):
            with pytest.raises(ConfigError):
                await begun(workspace, conversation=number, **wrong)
        with pytest.raises(NotFound):
            await begun(workspace, "x", conversation=number, edits=999)
        with pytest.raises(ConfigError, match="no message"):
            await begun(workspace, "  ")


async def test_an_equal_question_is_answered_from_what_was_paid(tmp_path: Path) -> None:
    async with shop(tmp_path, says("Eight hours.")) as (workspace, talker):
        first, _, _ = await asked(workspace, "How long?")
        again, events, _ = await asked(workspace, "How long?")
        assert text_of(events) == first.reply and len(talker.requests) == 1
        assert (again.paid, again.list_cost) == (0, first.list_cost)


async def test_a_selection_and_a_template_are_drafted_and_nothing_is_saved(
    tmp_path: Path,
) -> None:
    text = "name: t\ninstruction: Write {{ nam.\noutput: {title: string}\n"
    good = "name: t\ninstruction: Write.\ninput: [name]\noutput: {title: {type: string}}\n"

    def drafts(body: dict[str, Any]) -> Said:
        results = results_of(body)
        if question_of(body) == "select":
            given = {"where": "missing(notes)", "targets": ["fr-FR"]}
            return Said("There.") if results else Said(calls=(("draft_selection", given),))
        if len(results) > 1:
            return Said("There.")
        wanted = text if not results else good
        return Said(calls=(("draft_template", {"name": "t", "text": wanted}),))

    async with shop(tmp_path, drafts) as (workspace, _):
        before = sorted(workspace.settings.files())
        turn, events, number = await asked(workspace, "select")
        (draft,) = turn.drafts
        assert draft.body["count"] == 2 and len(draft.body["samples"]) == 2
        assert draft.body["samples"][0] == {"key": "P0000", "name": "Eau number 0"}
        assert "--where 'missing(notes)' --target fr-FR" in draft.body["command"]
        assert [one.draft for one in events if isinstance(one, Drafted)] == [draft]
        turn, _, _ = await asked(workspace, "write one", conversation=number)
        assert [one.failed for one in turn.steps] == [True, False], "the first could not be read"
        (draft,) = turn.drafts
        assert (draft.kind, draft.body["text"]) == ("template", good)
        place = f"{number}.{turn.id}.0"
        assert await chatting.drafted_template(workspace, place) == good
        with pytest.raises(NotFound):
            await chatting.drafted_template(workspace, f"{number}.{turn.id}.1")
        assert sorted(workspace.settings.files()) == before
        assert not await Browse(workspace).selections("perfumes")
        assert await workspace.runs() == []


async def test_a_run_is_estimated_for_nothing_and_not_started(tmp_path: Path) -> None:
    given = {"pipeline": "copy", "where": "missing(notes)"}
    async with shop(tmp_path, calling("estimate_run", given)) as (workspace, talker):
        turn, _, _ = await asked(workspace, "What would it cost?")
        (draft,) = turn.drafts
        assert draft.body["items"] == 2 and draft.body["cost"] > 0
        assert len(talker.requests) == 2 and await workspace.runs() == []


async def test_a_tool_that_cannot_do_it_tells_the_model_and_the_reply_goes_on(
    tmp_path: Path,
) -> None:
    given = {"where": "no_such_column = 1"}
    async with shop(tmp_path, calling("draft_selection", given, "Sorry.")) as (workspace, _):
        turn, _, _ = await asked(workspace, "x")
        assert turn.reply == "Sorry." and turn.steps[0].failed and not turn.drafts
        assert "no_such_column" in turn.steps[0].content


async def test_a_model_without_tools_is_given_passages_and_cited_by_what_it_says(
    tmp_path: Path, database_url: str
) -> None:
    said = "Opened bottles can be returned within 14 days. The owner is Jack [2]."
    plain = f"{PRICE}\ntools = false"
    async with shop(tmp_path, says(said), database_url, plain, guide=True) as (workspace, talker):
        turn, events, number = await asked(workspace, "How long can I return a bottle?")
        assert "tools" not in talker.requests[0]
        assert "14 days" in question_of(talker.requests[0])
        (cited,) = turn.cited
        assert turn.sources[cited - 1].place == "care › Returns"
        assert turn.reply == said.replace(" [2]", "").replace("days.", f"days. [{cited}]")
        assert text_of(events) == turn.reply
        turn, _, _ = await asked(workspace, "Which House 3 number 3 is there?", conversation=number)
        products = [one for one in turn.sources if one.kind == "product"]
        assert products and products[0].document == "P0003"


async def test_what_stands_on_nothing_is_said_to(tmp_path: Path) -> None:
    plain = "tools = false"
    async with shop(tmp_path, says("The owner is Jack."), model=plain) as (workspace, _):
        turn, _, _ = await asked(workspace, "Who owns the shop?")
        assert not turn.cited and any("stands on what was found" in one for one in turn.notes)


async def test_the_oldest_turns_are_left_out_and_the_user_is_told(tmp_path: Path) -> None:
    small = "window = 4096\ntools = false"
    async with shop(tmp_path, says("yes " * 400), model=small) as (workspace, talker):
        turn, _, number = await asked(workspace, "first " * 900)
        for _ in range(4):
            turn, events, _ = await asked(workspace, "next " * 900, conversation=number)
        assert any("left out" in one for one in turn.notes)
        assert any(isinstance(one, Noted) and "left out" in one.text for one in events)
        assert "first" not in str(talker.requests[-1]["messages"])


async def test_what_fails_is_kept_with_its_reason(tmp_path: Path, database_url: str) -> None:
    def fails(_body: dict[str, Any]) -> Said:
        return Said("the request is malformed", status=400)

    async with shop(tmp_path, fails, database_url) as (workspace, _):
        live, _ = await begun(workspace, "x")
        turn = await live.ended()
        assert turn.state == "failed" and "malformed" in str(turn.error)
        assert live.error is not None
        shown = await chatting.show(workspace, live.conversation)
        assert shown.turns == (turn,)


async def test_a_months_budget_holds(tmp_path: Path) -> None:
    async with shop(tmp_path, says("yes")) as (workspace, talker):
        await workspace.database.write(
            lambda conn: conn.execute(update(teams).values(monthly_budget=1))
        )
        live, _ = await begun(workspace, "x")
        turn = await live.ended()
        assert turn.state == "failed" and isinstance(live.error, LimitReached)
        assert not talker.requests


ANN, BOB = Actor("ann", {1: "operator"}), Actor("bob", {1: "admin"})


async def test_a_conversation_is_its_owners_alone(tmp_path: Path, database_url: str) -> None:
    async with shop(tmp_path, says("yes"), database_url) as (workspace, _):
        ann, bob = workspace.acting(ANN), workspace.acting(BOB)
        _, _, number = await asked(ann, "mine")
        for look in (
            chatting.show(bob, number), chatting.find_named(bob, str(number)),
            chatting.rename(bob, number, "x"), chatting.delete(bob, number),
            chatting.export(bob, number, "jsonl"), chatting.stop(bob, number),
            chatting.permit(bob, number, "c", allow=True), chatting.choose(bob, number, 1),
            begun(bob, "x", conversation=number), begun(bob, "x", conversation=999),
        ):  # fmt: skip
            with pytest.raises(NotFound, match="there is no conversation"):
                await look
        assert (await chatting.listed(bob)).rows == ()
        with pytest.raises(NotFound, match="no conversation yet"):
            await chatting.find_named(bob, "last")
        left = workspace.acting(Actor("ann", {2: "admin"}))
        with pytest.raises(NotFound):
            await chatting.show(left, number)
        assert (await chatting.listed(left)).rows == ()
        viewer = workspace.acting(Actor("ann", {1: "viewer"}))
        assert (await chatting.show(viewer, number)).turns
        with pytest.raises(Forbidden):
            await begun(viewer, "x", conversation=number)
        with pytest.raises(Forbidden):
            await begun(viewer, "x")


async def test_conversations_are_listed_renamed_exported_and_deleted(
    tmp_path: Path, database_url: str
) -> None:
    async with shop(tmp_path, says("Two weeks."), database_url) as (workspace, _):
        numbers = [(await asked(workspace, f"question {n}"))[2] for n in range(3)]
        await asked(workspace, "again", conversation=numbers[0])
        page = await chatting.listed(workspace, size=2)
        assert [one.conversation.id for one in page.rows] == [numbers[0], numbers[2]]
        assert page.rows[0].sums.turns == 2 and page.rows[0].conversation.title == "question 0"
        rest = await chatting.listed(workspace, cursor=page.next, size=2)
        assert [one.conversation.id for one in rest.rows] == [numbers[1]] and rest.next is None
        assert (await chatting.find_named(workspace, "last")).id == numbers[0]
        assert (await chatting.rename(workspace, numbers[1], " A  title ")).title == "A title"
        for wrong in ("", "x" * 121):
            with pytest.raises(ConfigError):
                await chatting.rename(workspace, numbers[1], wrong)
        name, content = await chatting.export(workspace, numbers[1], "markdown")
        assert name.endswith(".md") and b"# A title" in content and b"Two weeks." in content
        await chatting.delete(workspace, numbers[1])
        with pytest.raises(NotFound):
            await chatting.show(workspace, numbers[1])
        ledger = await workspace.database.read(lambda conn: conn.execute(select(calls)).all())
        assert ledger, "what was paid stays"


async def test_deleting_a_conversation_stops_its_reply(tmp_path: Path) -> None:
    async with shop(tmp_path, says(LONG, 0.02)) as (workspace, _):
        live, events = await begun(workspace, "x")
        await until(lambda: events)
        await chatting.delete(workspace, live.conversation)
        assert (await chatting.listed(workspace)).rows == ()


async def test_what_no_database_keeps_is_replaced(tmp_path: Path, database_url: str) -> None:
    async with shop(tmp_path, says("nul \x00 here"), database_url) as (workspace, _):
        turn, _, number = await asked(workspace, "half \ud800 and \x00")
        shown = await chatting.show(workspace, number)
        assert "\x00" not in shown.turns[0].question + shown.turns[0].reply
        assert turn.state == "complete"


async def test_a_turn_that_nobody_writes_any_more_was_stopped(
    tmp_path: Path, database_url: str
) -> None:
    async with shop(tmp_path, says("yes"), database_url) as (workspace, _):
        _, _, number = await asked(workspace, "x")
        from waremill.store.tables_chat import chat_turns

        await workspace.database.write(
            lambda conn: conn.execute(update(chat_turns).values(state="working"))
        )
        assert (await chatting.show(workspace, number)).turns[0].state == "stopped"


async def test_what_is_over_holds_from_then_on(tmp_path: Path) -> None:
    async with shop(tmp_path, looks_up, guide=True) as (workspace, _):
        with pytest.raises(NotFound, match="knowledge base"):
            await begun(workspace, "x", knowledge=("nothing",))
        with pytest.raises(NotFound):
            await begun(workspace, "x", catalog="nothing")
        with pytest.raises(ConfigError, match="there is no model"):
            await begun(workspace, "x", model="nothing")
        _, _, number = await asked(workspace, "x", knowledge=("guide",), catalog="perfumes")
        found = (await chatting.show(workspace, number)).conversation
        assert (found.knowledge, found.catalog) == (("guide",), "perfumes")
        await asked(workspace, "y", conversation=number, knowledge=())
        assert (await chatting.show(workspace, number)).conversation.knowledge == ()


async def test_closing_waits_until_what_came_is_kept(tmp_path: Path) -> None:
    async with shop(tmp_path, says(LONG, 0.02)) as (workspace, _):
        live, events = await begun(workspace, "x")
        await until(lambda: events)
        await chatting.close(workspace)
        turn = (await chatting.show(workspace, live.conversation)).turns[0]
        assert turn.state == "stopped" and turn.reply.startswith("word")


async def test_two_at_once_are_one(tmp_path: Path) -> None:
    async with shop(tmp_path, says(LONG, 0.01)) as (workspace, _):
        _, _, number = await _first(workspace)
        tried = await asyncio.gather(
            *(begun(workspace, f"q{n}", conversation=number) for n in range(3)),
            return_exceptions=True,
        )  # fmt: skip
        assert sum(isinstance(one, Conflict) for one in tried) == 2
        written = await chatting.stop(workspace, number)
        shown = await chatting.show(workspace, number)
        assert len(shown.turns) == 2, "who was refused leaves no turn"
        assert shown.branch[-1].id == written.id


async def _first(workspace: Workspace) -> tuple[Any, Any, int]:
    live, events = await begun(workspace, "first")
    await until(lambda: events)
    turn = await chatting.stop(workspace, live.conversation)
    return turn, events, live.conversation
