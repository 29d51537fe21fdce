"""Chats over REST: events as they come, stop, permit, branches, export, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from tests.app.talking import shop, until
from tests.talker import Said, Talker, question_of, results_of
from tests.web.matrix import ORIGIN, People

from waremill.app import Workspace
from waremill.app.browsing import Browse
from waremill.store import conversations as store
from waremill.web.server import create_app

EVENTS = {"Accept": "text/event-stream"}


def talks(body: dict[str, Any]) -> Said:
    """Answer by what the question says."""
    question, results = question_of(body), results_of(body)
    if results:
        return Said("It lasts eight hours [1].")
    if "long" in question:
        return Said("word " * 2000, pause=0.02)
    if "save" in question:
        given = {"name": "without", "where": "missing(notes)"}
        return Said(calls=(("save_selection", given),))
    if "select" in question:
        return Said(calls=(("draft_selection", {"where": "missing(notes)"}),))
    if "fail" in question:
        return Said("the request is malformed", status=400)
    return Said(calls=(("search_knowledge", {"query": question}),))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Any, Workspace, Talker]]:
    """The application over a shop, for the whole module."""
    folder = tmp_path_factory.mktemp("chat")
    async with shop(folder, talks, guide=True) as (workspace, talker):
        yield create_app(workspace), workspace, talker


pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=30) as opened:
        yield opened


def events_of(text: str) -> list[tuple[str, Any]]:
    """Read a stream of events; heartbeats are left out."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], orjson.loads(lines["data"])))
    return found


async def test_a_reply_comes_as_events(served: Any) -> None:
    async with client(served[0]) as http:
        reply = await http.post("/v1/chat", json={"message": "How much?"}, headers=EVENTS)
        assert reply.headers["content-type"].startswith("text/event-stream")
        events = events_of(reply.text)
        names = [name for name, _ in events]
        assert names[0] == "turn" and names[-1] == "done"
        assert names.index("call") < names.index("result") < names.index("citation")
        text = "".join(one["text"] for name, one in events if name == "text")
        done = events[-1][1]["turn"]
        assert text == done["reply"] == "It lasts eight hours [1]."
        assert done["cited"] == [1] and done["sources"][0]["place"]
        assert done["first"] > 0 and done["cost"] > 0 and done["currency"] == "USD"
        number = events[0][1]["conversation"]
        whole = (await http.get(f"/v1/chat/{number}")).json()
        assert whole["turns"] == [done] and whole["branch"] == [done["id"]]


async def test_without_events_the_whole_turn_is_the_answer(served: Any) -> None:
    async with client(served[0]) as http:
        found = (await http.post("/v1/chat", json={"message": "select"})).json()
        (draft,) = found["turn"]["drafts"]
        assert draft["kind"] == "selection" and draft["body"]["count"] == 2
        failed = await http.post("/v1/chat", json={"message": "fail"})
        assert failed.status_code == 502 and "malformed" in failed.json()["detail"]


async def test_a_failed_reply_ends_in_an_error(served: Any) -> None:
    async with client(served[0]) as http:
        reply = await http.post("/v1/chat", json={"message": "fail"}, headers=EVENTS)
        name, problem = events_of(reply.text)[-1]
        assert name == "error" and problem["status"] == 502


@pytest.mark.parametrize(
    "given",
    [
        {}, {"message": ""}, {"message": "x", "conversation": 0}, {"message": "x", "more": 1},
        {"message": "x", "edits": 1}, {"message": "x", "knowledge": [""]},
        {"message": "x" * 20_001},
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_is_a_problem(served: Any, given: dict[str, Any]) -> None:
    async with client(served[0]) as http:
        reply = await http.post("/v1/chat", json=given, headers=EVENTS)
        assert reply.status_code == 422 and reply.json()["title"]
        missing = await http.post("/v1/chat", json={"message": "x", "conversation": 987_654})
        assert missing.status_code == 404


async def test_a_reply_is_stopped_and_what_came_is_kept(served: Any) -> None:
    async with client(served[0]) as http:
        asking = asyncio.create_task(
            http.post("/v1/chat", json={"message": "a long story"}, headers=EVENTS)
        )
        number = await working(http)
        busy = await http.post("/v1/chat", json={"message": "x", "conversation": number})
        assert busy.status_code == 409
        stopped = (await http.post(f"/v1/chat/{number}/stop")).json()
        assert stopped["turn"]["state"] == "stopped"
        events = events_of((await asking).text)
        assert events[-1][0] == "done" and events[-1][1]["turn"] == stopped["turn"]
        assert (await http.post(f"/v1/chat/{number}/stop")).status_code == 409


async def working(http: httpx.AsyncClient) -> int:
    """Wait until a reply is being written; give its conversation's number."""
    for _ in range(500):
        rows = (await http.get("/v1/chat")).json()["rows"]
        if found := [one["id"] for one in rows if one["working"]]:
            return int(found[0])
        await asyncio.sleep(0.02)
    raise AssertionError("no reply is being written")


@pytest.mark.parametrize("allow", [True, False])
async def test_a_call_is_permitted_by_another_request(served: Any, allow: bool) -> None:
    app, workspace, _ = served
    async with client(app) as http:
        asking = asyncio.create_task(
            http.post("/v1/chat", json={"message": f"save {allow}"}, headers=EVENTS)
        )
        number = await working(http)
        path = f"/v1/chat/{number}/permit"
        assert (await http.post(path, json={"call": "x", "allow": True})).status_code == 404
        from waremill.app.chatting import live

        writing = live.of(workspace, number)
        assert writing is not None
        await until(lambda: writing.waiting)
        call = next(iter(writing.waiting))
        assert (await http.post(path, json={"call": call, "allow": allow})).status_code == 204
        events = events_of((await asking).text)
        (wanted,) = [one for name, one in events if name == "permission"]
        assert (wanted["id"], wanted["name"]) == (call, "save_selection")
        assert wanted["seconds"] > 0 and "missing(notes)" in wanted["arguments"]
        saved = await Browse(workspace).selections("perfumes")
        assert bool(saved) is allow
        for one in saved:
            await Browse(workspace).drop_selection("perfumes", one.name)


async def test_branches_titles_and_files(served: Any) -> None:
    async with client(served[0]) as http:
        first = (await http.post("/v1/chat", json={"message": "How much?"})).json()
        number, turn = first["conversation"], first["turn"]["id"]
        given = {"message": "And the oil?", "conversation": number, "edits": turn}
        other = (await http.post("/v1/chat", json=given)).json()["turn"]
        assert other["beside"] == [turn, other["id"]]
        changed = await http.patch(f"/v1/chat/{number}", json={"title": "A", "turn": turn})
        assert changed.json()["branch"] == [turn] and changed.json()["title"] == "A"
        markdown = await http.get(f"/v1/chat/{number}/export")
        assert markdown.text.startswith("# A") and "And the oil?" not in markdown.text
        assert "attachment" in markdown.headers["content-disposition"]
        lines = await http.get(f"/v1/chat/{number}/export?format=jsonl")
        assert len(lines.text.splitlines()) == 2
        assert (await http.get(f"/v1/chat/{number}/export?format=pdf")).status_code == 422
        assert (await http.delete(f"/v1/chat/{number}")).status_code == 204
        assert (await http.get(f"/v1/chat/{number}")).status_code == 404


async def test_a_conversation_is_nobody_elses(workspace: Workspace, people: People) -> None:
    values = {"team_id": 1, "owner": "operator", "title": "mine", "knowledge": (), "catalog": None,
              "model": "default"}  # fmt: skip
    made = await workspace.database.write(store.create, values)
    at = f"/v1/chat/{made.id}"
    asked = {"message": "x", "conversation": made.id}
    async with client(create_app(workspace)) as http:
        for who, status in (
            ("operator", 200), ("admin", 404), ("viewer", 404), ("stranger", 404), ("manager", 404),
        ):  # fmt: skip
            headers = people.headers(who, "token")
            assert (await http.get(at, headers=headers)).status_code == status
            seen = (await http.get("/v1/chat", headers=headers)).json()["rows"]
            assert bool(seen) is (status == 200)
            if status == 200:
                continue
            for method, path, body in (
                ("GET", f"{at}/export", None), ("PATCH", at, {"title": "x"}), ("DELETE", at, None),
                ("POST", f"{at}/stop", None), ("POST", "/v1/chat", asked),
                ("POST", f"{at}/permit", {"call": "c", "allow": True}),
            ):  # fmt: skip
                reply = await http.request(method, path, json=body, headers=headers)
                assert reply.status_code == 404, (who, method, path, reply.text)
        assert (await http.get(at)).status_code == 401


async def test_a_client_that_leaves_stops_the_reply_unless_it_asked_otherwise(
    tmp_path: Path,
) -> None:
    """Over a real socket: only there can somebody leave."""
    import uvicorn

    async with shop(tmp_path, talks) as (workspace, talker):
        server = uvicorn.Server(uvicorn.Config(
            create_app(workspace, port=0), port=0, log_level="error", lifespan="off"
        ))  # fmt: skip
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        headers = {**EVENTS, "Host": ORIGIN.removeprefix("http://")}
        app = create_app(workspace)
        server.config.loaded_app = app
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            for keep, left in ((False, 1), (True, 1)):
                given = {"message": "a long story", "keep_going": keep}
                async with http.stream("POST", "/v1/chat", json=given, headers=headers) as reply:
                    async for line in reply.aiter_lines():
                        if line.startswith("event: text"):
                            break
                await asyncio.sleep(0.5)
                await until(lambda left=left: talker.left == left)  # type: ignore[misc]
                assert talker.left == left, keep
        server.should_exit = True
        await task
