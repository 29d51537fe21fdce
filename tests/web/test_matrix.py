"""Route × role × team, for every route of the server: sessions, tokens, pages, sockets."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from tests.web.matrix import ORIGIN, OTHER_TEAM, TEAM, People, Who, undeclared
from tests.web.matrix_everybody import (
    Declared,
    callers,
    every_route,
    invite_more,
    never_done,
    observe,
    wrong,
)
from tests.web.matrix_foreign import Look, Reach, look, reaching, reading
from tests.web.matrix_shop import ABROAD, PIPELINE, Shop, fill, member, open_shop, run_names
from tests.web.matrix_table import ELSEWHERE, REFUSED_LATER, Table, names

from waremill.app.editing import Editor, Using
from waremill.app.owning import Owners
from waremill.errors import ConfigError, NotFound

pytestmark = pytest.mark.asyncio(loop_scope="module")
LOOKING: tuple[Who, ...] = ("viewer", "admin")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(
    invited: tuple[Path, People], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    """A served workspace in which only our team has done something."""
    async with open_shop(tmp_path_factory.mktemp("matrix") / "shop", invited[0]) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tokens(alone: Shop) -> dict[str, str]:
    """Further people's tokens."""
    return await invite_more(alone.workspace)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def looks(
    alone: Shop, invited: tuple[Path, People], tokens: dict[str, str]
) -> dict[str, tuple[Look, Look]]:
    """What our people can read before and after the other team did all that a team does."""
    routes = reading(Table(alone).every())
    lasting = [one for one in routes if not one.page]
    people = invited[1]

    async def seen(who: Who, routes: list[Declared]) -> Look:
        return await look(alone, routes, people.headers(who, "token"))

    await seen("admin", lasting)  # what is looked at the first time is noted as a version
    before = [await seen(who, lasting) for who in LOOKING]
    await fill(alone, alone.theirs)
    after = [await seen("viewer", lasting), await seen("admin", routes)]
    return dict(zip(LOOKING, zip(before, after, strict=True), strict=True))


@pytest.fixture(scope="module")
def shop(alone: Shop, looks: dict[str, tuple[Look, Look]]) -> Shop:
    """The same workspace once the other team has its things, too."""
    return alone


@pytest.mark.parametrize("who", LOOKING)
async def test_nothing_that_can_be_read_changes_by_what_another_team_does(
    looks: dict[str, tuple[Look, Look]], who: str
) -> None:
    before, after = looks[who]
    changed = {
        name: (figure, after.figures[name])
        for name, figure in before.figures.items()
        if figure != after.figures[name]
    }
    assert not changed


@pytest.mark.parametrize("who", LOOKING)
async def test_no_answer_holds_a_word_of_another_team(
    shop: Shop, looks: dict[str, tuple[Look, Look]], who: str
) -> None:
    words = {ABROAD, *await run_names(shop, OTHER_TEAM)}
    texts = looks[who][1].texts
    assert not {name for name, text in texts.items() if any(one in text.lower() for one in words)}
    ours = {shop.ours.word, *await run_names(shop, TEAM)}
    assert len({name for name, text in texts.items() if any(one in text for one in ours)}) > 30


@pytest.mark.parametrize(("who", "offered"), [("viewer", False), ("operator", True)])
async def test_the_pages_of_knowledge_offer_a_change_to_whoever_may_make_it(
    shop: Shop, people: People, who: Who, offered: bool
) -> None:
    headers = people.headers(who, "session")
    transport = httpx.ASGITransport(shop.app, client=("127.0.0.1", 50_000))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as client:
        listed = (await client.get("/knowledge")).text
        base = (await client.get(f"/knowledge/{shop.ours.knowledge}")).text
    assert shop.ours.knowledge in listed
    assert shop.ours.document in base
    assert ("New knowledge base" in listed) == offered
    assert ("Add documents" in base) == ("Rebuild" in base) == offered


async def test_naming_another_teams_thing_says_no_more_than_naming_nothing(
    shop: Shop, people: People, tokens: dict[str, str]
) -> None:
    Table(shop)  # everybody's uploads
    headers = people.headers("stranger", "token")
    transport = httpx.ASGITransport(shop.app, raise_app_exceptions=False)
    said = []
    async with httpx.AsyncClient(
        transport=transport, base_url=ORIGIN, headers=headers, timeout=30
    ) as client:
        for reach in reaching(shop, {"run": shop.theirs.run}):
            said += await _told(client, reach)
    assert not said, "\n".join(said)


async def _told(client: httpx.AsyncClient, reach: Reach) -> list[str]:
    """Send a request; say what is wrong with its answer."""
    body = None if reach.method == "GET" else dict(reach.json)
    reply = await client.request(reach.method, reach.path, json=body)
    where = f"{reach.method} {reach.path} {reach.json}"
    if reply.status_code != reach.status:
        return [f"{where}: {reply.status_code}, not {reach.status}: {reply.text[:300]}"]
    if not reach.named:
        return []
    other = await client.request(reach.method, reach.path, json=dict(reach.otherwise()))
    same, nothing = (
        one.text.replace(name, "…").replace(one.headers["x-request-id"], "")
        for one, name in ((reply, reach.named), (other, reach.nobodys))
    )
    return [] if same == nothing else [f"{where}:\n  {same[:400]}\n  {nothing[:400]}"]


async def test_no_draft_is_played_with_another_teams_template(shop: Shop) -> None:
    editor = Editor(await member(shop.workspace, OTHER_TEAM))
    text = PIPELINE.format(name="mine", template=shop.ours.template)
    using, key = Using(shop.theirs.catalog), shop.theirs.keys[0]
    with pytest.raises(NotFound, match=shop.ours.template):
        await editor.play("pipelines/mine.yaml", text, key, using=using)
    own = text.replace(shop.ours.template, shop.theirs.template)
    assert (await editor.play("pipelines/mine.yaml", own, key, "fr-FR", using=using)).values
    with pytest.raises(ConfigError, match="there is no model"):
        model = Using(shop.theirs.catalog, shop.ours.model)
        await editor.preview("pipelines/mine.yaml", own, key, "fr-FR", model)


async def test_what_is_everybodys_is_given_to_a_team_by_who_manages_teams(
    shop: Shop, people: People, tokens: dict[str, str]
) -> None:
    async def everybodys() -> None:
        await Owners(shop.workspace).give("template", "copy", None)

    route = Declared("PUT", "/v1/owners/{kind}/{name}", "manager",
                     {"kind": "template", "name": "copy"}, {"json": {"team": TEAM}},
                     before=everybodys)  # fmt: skip
    calls = await observe(shop.app, [route], callers(people, tokens))
    found = {one.who: one.reply.status_code for one in calls}
    ours = dict.fromkeys(("viewer", "reviewer", "operator", "admin", "capped"), 403)
    others = ("stranger", "far-viewer", "far-reviewer", "far-operator", "newcomer", "both")
    assert found == {"signed-out": 401, "manager": 200, **ours, **dict.fromkeys(others, 404)}
    await everybodys()


async def test_a_file_is_sent_to_a_page_from_that_page_alone(shop: Shop, people: People) -> None:
    headers = people.headers("admin", "session")
    transport = httpx.ASGITransport(shop.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=30) as client:
        page = await client.get("/catalogue", headers=headers)
        found = re.search(r"/_nicegui/client/[^/\"]+/upload/\d+", page.text)
        assert found
        path, files = found[0], {"file": ("goods.csv", shop.ours.sheet)}
        origin = {"Origin": ORIGIN}
        foreign = {"Origin": "http://evil.example"}
        cookie = {"Cookie": headers["Cookie"]}
        token = people.headers("admin", "token")
        for given, status in (
            (origin, 401), (cookie, 403), ({**cookie, **foreign}, 403), (token, 403),
            ({**token, **origin}, 200), (headers, 200),
        ):  # fmt: skip
            client.cookies.clear()
            reply = await client.post(path, files=files, headers=given)
            assert reply.status_code == status, (given.keys(), reply.text)


async def test_every_route_lets_in_whom_it_must_and_nobody_else(
    shop: Shop, people: People, tokens: dict[str, str]
) -> None:
    calls = await observe(shop.app, Table(shop).every(), callers(people, tokens))
    assert not wrong(calls), "\n".join(wrong(calls))
    assert never_done(calls) - REFUSED_LATER == set()


async def test_no_route_is_undeclared(shop: Shop) -> None:
    routes = Table(shop).every()
    assert set(undeclared(shop.app, routes)) - ELSEWHERE == set()
    assert every_route(shop.app) - names(routes) - ELSEWHERE == set()
