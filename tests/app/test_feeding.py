"""Named sources: REST addresses with paging, folders and buckets, databases that are read on."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
import pytest_asyncio
import s3fs
from aiohttp import web
from moto.server import ThreadedMotoServer
from sqlalchemy import create_engine, text
from tests.workspaces import make_workspace, perfumes, write_sheet

from waremill.app import Workspace, open_workspace
from waremill.app.feeding.folders import Folder
from waremill.app.feeding.values import has_grown
from waremill.app.sourcing import import_source, list_sources, preview_source
from waremill.errors import ConfigError, SourceError

COUNT = 25
Handler = Callable[[web.Request], Any]


class Api:
    """A shop's API on the loopback interface; it counts and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.fails = 0
        self.rows = perfumes(COUNT)
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if self.fails:
            self.fails -= 1
            return web.Response(status=429 if self.fails % 2 else 503, headers={"Retry-After": "0"})
        if request.headers.get("Authorization") != "Bearer s3cret":
            return web.Response(status=401)
        handler: Handler = getattr(self, request.match_info["paging"])
        answered: web.Response = handler(request)
        return answered

    def whole(self, _request: web.Request) -> web.Response:
        return web.json_response({"data": {"products": self.rows}, "other": [1]})

    def page(self, request: web.Request) -> web.Response:
        first = (int(request.query["page"]) - 1) * 10
        return web.json_response({"items": self.rows[first : first + 10]})

    def offset(self, request: web.Request) -> web.Response:
        first, size = int(request.query["start"]), int(request.query["count"])
        return web.json_response(self.rows[first : first + size])

    def cursor(self, request: web.Request) -> web.Response:
        first = int(request.query.get("after", "0"))
        following = str(first + 10) if first + 10 < COUNT else None
        return web.json_response(
            {"items": self.rows[first : first + 10], "meta": {"next": following}}
        )

    def link(self, request: web.Request) -> web.Response:
        first = int(request.query.get("from", "0"))
        headers = {}
        if first + 10 < COUNT:
            headers["Link"] = f'<{self.url}/link?from={first + 10}>; rel="next"'
        return web.json_response(self.rows[first : first + 10], headers=headers)

    def stuck(self, _request: web.Request) -> web.Response:
        return web.json_response(self.rows[:10])

    def abroad(self, _request: web.Request) -> web.Response:
        headers = {"Link": '<http://169.254.169.254/latest>; rel="next"'}
        return web.json_response(self.rows[:10], headers=headers)

    def away(self, _request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/"})

    def html(self, _request: web.Request) -> web.Response:
        return web.Response(text="<html>")

    def lists(self, _request: web.Request) -> web.Response:
        return web.json_response({"message": "none"})

    def words(self, _request: web.Request) -> web.Response:
        return web.json_response([*self.rows[:2], "more"])


@pytest_asyncio.fixture
async def api() -> AsyncIterator[Api]:
    found = Api()
    app = web.Application()
    app.router.add_get("/{paging}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    found.url = f"http://127.0.0.1:{port}"
    yield found
    await runner.cleanup()


async def opened(tmp_path: Path, lines: str, database: str | None = None) -> Workspace:
    folder = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1", database=database)
    settings = folder / "waremill.toml"
    settings.write_text(settings.read_text() + "\n[sources.shop]\nkey = 'sku'\n" + lines)
    (folder / ".env").write_text("SHOP_TOKEN=Bearer s3cret\n")
    return open_workspace(folder)


REST = "auth_env = 'SHOP_TOKEN'\nallow_private = true\n"
PAGED = {
    "whole": "items = 'data.products'",
    "page": "paging = 'page'",
    "offset": "paging = 'offset'\npage_param = 'start'\nsize_param = 'count'\npage_size = 10",
    "cursor": "paging = 'cursor'\npage_param = 'after'\nnext_field = 'meta.next'",
    "link": "paging = 'link'",
}


@pytest.mark.parametrize("paging", PAGED)
async def test_every_kind_of_paging_brings_every_item_once(
    tmp_path: Path, database_url: str, api: Api, paging: str
) -> None:
    lines = f"url = '{api.url}/{paging}'\n{REST}{PAGED[paging]}\n"
    async with await opened(tmp_path, lines, database_url) as workspace:
        done = await import_source(workspace, "shop")
        assert (done.new, done.problem_count) == (COUNT, 0)
        again = await import_source(workspace, "shop")
        assert (again.new, again.unchanged) == (0, COUNT)
        (source,) = list_sources(workspace)
        assert (source.kind, source.lacks) == ("rest", None)


async def test_a_busy_source_is_asked_again(tmp_path: Path, api: Api) -> None:
    api.fails = 3
    lines = f"url = '{api.url}/whole'\n{REST}items = 'data.products'\n"
    async with await opened(tmp_path, lines) as workspace:
        assert (await import_source(workspace, "shop")).new == COUNT
    assert len(api.asked) == 4


async def test_requests_keep_to_the_rate(tmp_path: Path, api: Api) -> None:
    lines = f"url = '{api.url}/page'\n{REST}paging = 'page'\nrpm = 600\n"
    async with await opened(tmp_path, lines) as workspace:
        started = time.monotonic()
        await import_source(workspace, "shop")
    assert len(api.asked) == 4 and time.monotonic() - started >= 0.3


@pytest.mark.parametrize(
    ("path", "more", "said"),
    [
        ("stuck", "paging = 'page'", "page 2 is the same as an earlier one"),
        ("abroad", "paging = 'link'", "another host"),
        ("away", "", "leads elsewhere"),
        ("html", "", "gives no JSON"),
        ("lists", "", "holds no list"),
        ("words", "", "holds something that is no object"),
        ("whole", "items = 'data.goods'", "no list under “data.goods”"),
        ("page?page=9", "", "gives no item"),
    ],
)
async def test_what_cannot_be_read_is_said_and_imports_nothing(
    tmp_path: Path, api: Api, path: str, more: str, said: str
) -> None:
    lines = f"url = '{api.url}/{path}'\n{REST}{more}\n"
    async with await opened(tmp_path, lines) as workspace:
        with pytest.raises(SourceError, match=said) as caught:
            await import_source(workspace, "shop")
        assert api.url not in str(caught.value) and "s3cret" not in str(caught.value)
        assert await workspace.catalogs() == []


async def test_a_private_address_is_refused_unless_the_settings_allow_it(
    tmp_path: Path, api: Api
) -> None:
    lines = f"url = '{api.url}/whole'\nauth_env = 'SHOP_TOKEN'\n"
    async with await opened(tmp_path, lines) as workspace:
        with pytest.raises(SourceError, match="allow_private"):
            await import_source(workspace, "shop")
    assert api.asked == []


async def test_a_wrong_key_and_a_missing_one_are_said(tmp_path: Path, api: Api) -> None:
    lines = f"url = '{api.url}/whole'\nallow_private = true\nauth_env = 'NOT_SET'\n"
    async with await opened(tmp_path, lines) as workspace:
        with pytest.raises(ConfigError, match="set NOT_SET"):
            await import_source(workspace, "shop")
    lines = f"url = '{api.url}/whole'\nallow_private = true\n"
    async with await opened(tmp_path, lines) as workspace:
        with pytest.raises(SourceError, match="answered 401"):
            await import_source(workspace, "shop")


async def test_a_preview_asks_for_one_page(tmp_path: Path, api: Api) -> None:
    lines = f"url = '{api.url}/page'\n{REST}paging = 'page'\n"
    async with await opened(tmp_path, lines) as workspace:
        await preview_source(workspace, "shop")
        assert await workspace.catalogs() == []
    assert len(api.asked) == 1


# Folders.


def drop(folder: Path, name: str, rows: list[dict[str, str]], age: float = 60) -> Path:
    """Put a sheet into the folder that was left alone for so long."""
    place = write_sheet(folder / name, rows)
    then = time.time() - age
    os.utime(place, (then, then))
    return place


async def test_new_and_changed_files_are_imported_once(tmp_path: Path, database_url: str) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    rows = perfumes(6)
    drop(inbox, "a.csv", rows[:3])
    drop(inbox, "b.csv", rows[3:5])
    (inbox / ".hidden.csv").write_text("sku\nX\n")
    (inbox / "notes.docx").write_text("no table")
    async with await opened(tmp_path, f"folder = '{inbox}'\n", database_url) as workspace:
        assert (await import_source(workspace, "shop")).new == 5
        again = await import_source(workspace, "shop")
        assert again.rows == 0 and "no file is new or changed" in again.notes[0]
        drop(inbox, "a.csv", [{**rows[0], "notes": "oud"}, *rows[1:3]], age=30)
        done = await import_source(workspace, "shop")
        assert (done.changed, done.unchanged) == (1, 2)
        drop(inbox, "a.csv", [{**rows[0], "notes": "oud"}, *rows[1:3]], age=20)
        touched = await import_source(workspace, "shop")
        assert touched.rows == 0, "its content is what was imported"
        (inbox / "b.csv").unlink()
        await import_source(workspace, "shop")
        _, _, total = await workspace.products()
        assert total == 5, "what is gone at the source stays"


async def test_a_bad_file_is_set_aside_and_stops_no_other(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    drop(inbox, "a.csv", perfumes(3), age=90)
    bad = inbox / "b.xlsx"
    bad.write_bytes(b"%PDF-1.4 no workbook")
    os.utime(bad, (time.time() - 80, time.time() - 80))
    drop(inbox, "c.csv", [*perfumes(5)[3:], {**perfumes(1)[0], "sku": ""}], age=70)
    async with await opened(tmp_path, f"folder = '{inbox}'\n") as workspace:
        done = await import_source(workspace, "shop")
        assert (done.new, done.aside, done.problem_count) == (5, 1, 1)
        assert any("b.xlsx is set aside" in one and "PDF" in one for one in done.notes)
        assert done.problems[0].source == "shop/c.csv"
        assert (await import_source(workspace, "shop")).aside == 0, "it is said once"
        drop(inbox, "b.xlsx", perfumes(1), age=30)  # a text with another ending can be read
        assert (await import_source(workspace, "shop")).unchanged == 1


async def test_a_file_that_does_not_arrive_is_tried_again(tmp_path: Path) -> None:
    """A storage that fails for a moment says nothing about what is in the file."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    drop(inbox, "a.csv", perfumes(3), age=90)
    second = drop(inbox, "b.csv", perfumes(5)[3:], age=80)
    whole, stat = second.read_bytes(), second.stat()

    async def lose(_path: str) -> None:
        second.unlink()

    async with await opened(tmp_path, f"folder = '{inbox}'\n") as workspace:
        folder = Folder(workspace.database, "shop", workspace.settings.sources["shop"])
        found = await folder.feed(lose)
        assert [(one.path, one.state) for one in found] == [
            ("a.csv", "imported"), ("b.csv", "failed"),
        ]  # fmt: skip
        assert "cannot be read: [Errno 2]" in str(found[1].reason)
        second.write_bytes(whole)
        os.utime(second, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        done = await import_source(workspace, "shop")
        assert (done.new, done.aside) == (2, 0)


async def test_a_file_that_is_still_written_waits(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    lines = f"folder = '{inbox}'\nsettle_seconds = 0.4\npattern = '*.csv'\n"
    async with await opened(tmp_path, lines) as workspace:
        ahead = drop(inbox, "b.csv", perfumes(5)[3:], age=-3600)
        drop(inbox, "a.csv", perfumes(3), age=0)
        waits = await import_source(workspace, "shop")
        assert waits.rows == 0 and [one.split()[0] for one in waits.notes] == ["a.csv", "b.csv"]
        await asyncio.sleep(0.5)
        assert (await import_source(workspace, "shop")).new == 5
        assert ahead.stat().st_mtime > time.time(), "its clock is ahead of ours"


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    async with await opened(tmp_path, "folder = 'nowhere'\n") as workspace:
        with pytest.raises(SourceError, match="no such folder"):
            await import_source(workspace, "shop")


# Databases.


async def test_a_database_is_read_on_from_where_it_was(tmp_path: Path, database_url: str) -> None:
    shop = create_engine(f"sqlite:///{tmp_path / 'erp.db'}")
    with shop.begin() as conn:
        conn.execute(text("CREATE TABLE goods (sku TEXT, name TEXT, changed INTEGER)"))
        conn.execute(text("INSERT INTO goods VALUES ('A', 'a', 1), ('B', 'b', 2)"))
    lines = f"url = 'sqlite:///{tmp_path / 'erp.db'}?table=goods'\nchanged_column = 'changed'\n"
    async with await opened(tmp_path, lines, database_url) as workspace:
        assert (await import_source(workspace, "shop")).new == 2
        with shop.begin() as conn:
            conn.execute(text("UPDATE goods SET name = 'bb', changed = 3 WHERE sku = 'B'"))
            conn.execute(text("INSERT INTO goods VALUES ('C', 'c', 3)"))
        done = await import_source(workspace, "shop")
        assert (done.new, done.changed, done.unchanged) == (1, 1, 0)
        again = await import_source(workspace, "shop")
        assert (again.rows, again.unchanged) == (2, 2), "equal values are read again"
        with shop.begin() as conn:
            conn.execute(text("DELETE FROM goods WHERE changed = 3"))
        back = await import_source(workspace, "shop")
        assert (back.rows, back.unchanged) == (1, 1), "as after a backup was restored"
        assert "“changed” went back, so all of it was read" in back.notes[-1]
        assert (await import_source(workspace, "shop")).notes == []
    shop.dispose()


def test_a_column_goes_on_from_what_it_can_be_compared_with() -> None:
    assert has_grown(5, 5) and has_grown(5, 5.5) and has_grown(Decimal("5.1"), 6)
    assert not has_grown(6, 5) and not has_grown(5, "6")
    zoned = datetime(2026, 1, 1, tzinfo=UTC)
    assert has_grown(zoned, zoned) and not has_grown(datetime(2026, 1, 1), zoned)


async def test_times_of_another_database_come_back_as_times(
    tmp_path: Path, postgres_url: str
) -> None:
    shop = create_engine(postgres_url)
    with shop.begin() as conn:
        conn.execute(text("CREATE TABLE goods (sku TEXT, at TIMESTAMPTZ)"))
        conn.execute(text("INSERT INTO goods VALUES ('A', now() - interval '1 hour')"))
    url = f"{postgres_url}?query=SELECT sku, at FROM goods WHERE sku <> ''"
    (tmp_path / "shop").mkdir()
    lines = "url_env = 'SHOP_URL'\nchanged_column = 'at'\n"
    await opened(tmp_path, lines)
    (tmp_path / "shop" / ".env").write_text(f"SHOP_URL={url}\n")
    async with open_workspace(tmp_path / "shop") as workspace:
        assert (await import_source(workspace, "shop")).new == 1
        with shop.begin() as conn:
            conn.execute(text("INSERT INTO goods VALUES ('B', now())"))
        done = await import_source(workspace, "shop")
        assert (done.new, done.unchanged) == (1, 1)
    shop.dispose()


async def test_a_column_that_is_none_is_said(tmp_path: Path) -> None:
    shop = create_engine(f"sqlite:///{tmp_path / 'erp.db'}")
    with shop.begin() as conn:
        conn.execute(text("CREATE TABLE goods (sku TEXT)"))
        conn.execute(text("INSERT INTO goods VALUES ('A')"))
    shop.dispose()
    lines = f"url = 'sqlite:///{tmp_path / 'erp.db'}?table=goods'\nchanged_column = 'chnaged'\n"
    async with await opened(tmp_path, lines) as workspace:
        with pytest.raises(SourceError, match="chnaged"):
            await import_source(workspace, "shop")


# Buckets.


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an object store on the loopback interface that has one bucket, `drop`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "eu-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="drop", CreateBucketConfiguration={"LocationConstraint": "eu-1"})
    s3fs.S3FileSystem.clear_instance_cache()  # one that another test's server answered
    yield client
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


async def test_a_buckets_objects_are_imported_once(tmp_path: Path, bucket: Any) -> None:
    def put(name: str, rows: list[dict[str, str]]) -> None:
        body = write_sheet(tmp_path / "sheet.csv", rows).read_bytes()
        bucket.put_object(Bucket="drop", Key=f"in/{name}", Body=body)

    put("a.csv", perfumes(3))
    put("more/b.csv", perfumes(5)[3:])
    async with await opened(tmp_path, "folder = 's3://drop/in'\n") as workspace:
        assert (await import_source(workspace, "shop")).new == 5
        assert (await import_source(workspace, "shop")).rows == 0
        put("a.csv", [{**perfumes(1)[0], "notes": "oud"}])
        assert (await import_source(workspace, "shop")).changed == 1
        bucket.put_object(Bucket="drop", Key="in/c.csv", Body=b"%PDF-1.4")
        assert (await import_source(workspace, "shop")).aside == 1
