"""The server as a whole: problems, request ids, figures, logs, and that no key ever gets out."""

from __future__ import annotations

import asyncio
import logging
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import orjson
import pytest
from fastapi import Request
from tests.vendor import Reply, Vendor, openai_error
from tests.web.served import serving
from tests.web.shops import Shop, shop, stocked, vendor_url
from tests.workspaces import PRICE, make_workspace, perfumes, waremill, write_sheet

from waremill.errors import (
    AccessDenied,
    ConfigError,
    Conflict,
    Forbidden,
    LimitReached,
    NotFound,
    OutputInvalid,
    RateLimited,
    SourceError,
    TemplateError,
    UserError,
    WaremillError,
    Where,
)
from waremill.web import operations
from waremill.web.rest import problems, reference

__all__ = ["shop", "stocked", "vendor_url"]

CANARY = "sk-canary-7f3a9e51c2d8"


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ConfigError("x"), 422, "config-error"), (TemplateError("x"), 422, "template-error"),
        (SourceError("x"), 422, "source-error"), (UserError("x"), 422, "user-error"),
        (NotFound("x"), 404, "not-found"), (Conflict("x"), 409, "conflict"),
        (Forbidden("x"), 403, "forbidden"),
        (LimitReached("x", limit="budget"), 402, "limit-reached"),
        (LimitReached("x", limit="team"), 402, "limit-reached"),
        (LimitReached("x", limit="deadline"), 409, "limit-reached"),
        (LimitReached("x", limit="lock"), 503, "limit-reached"),
        (RateLimited("x"), 502, "provider-error"), (AccessDenied("x"), 502, "provider-error"),
        (OutputInvalid("x"), 502, "output-invalid"),
    ],
)  # fmt: skip
def test_every_error_has_a_status_and_a_type(error: WaremillError, status: int, kind: str) -> None:
    found = problems.describe(error, "r1")
    assert (found["status"], found["type"]) == (status, f"urn:waremill:{kind}")
    assert found["request"] == "r1" and found["detail"] == "x"


def test_a_problem_says_where_without_the_servers_folders() -> None:
    where = Where("/srv/shop/.waremill/uploads/x/sheet.xlsx", sheet="S", row=7, column="price")
    found = problems.describe(SourceError("bad", where))
    assert found["where"] == {"file": "sheet.xlsx", "sheet": "S", "row": 7, "column": "price"}


async def test_a_bug_of_ours_is_told_by_its_request_id_alone(shop: Shop) -> None:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(operations.JsonLines())
    logging.getLogger("waremill").addHandler(handler)

    async def broken(request: Request) -> None:
        raise RuntimeError(f"a secret {CANARY}")

    shop.app.add_api_route("/v1/broken", broken)
    shop.app.router.routes.insert(0, shop.app.router.routes.pop())
    try:
        reply = await shop.client.get("/v1/broken", headers={"X-Request-ID": "mine-1"})
    finally:
        logging.getLogger("waremill").removeHandler(handler)
    assert reply.status_code == 500
    assert reply.headers["content-type"] == problems.MEDIA_TYPE
    assert reply.headers["x-request-id"] == "mine-1" == reply.json()["request"]
    line = orjson.loads(stream.getvalue())
    assert (line["error"], line["request"], line["route"]) == (
        "RuntimeError", "mine-1", "/v1/broken",
    )  # fmt: skip
    assert any("broken" in frame for frame in line["traceback"])
    assert CANARY not in reply.text + stream.getvalue()


async def test_a_request_id_is_made_where_none_that_can_be_used_is_given(shop: Shop) -> None:
    for given in ("", "a b", "x" * 65, '"}'):
        reply = await shop.client.get("/v1/runs", headers={"X-Request-ID": given})
        assert len(reply.headers["x-request-id"]) == 16


async def test_an_unknown_address_and_a_wrong_method_are_problems(shop: Shop) -> None:
    assert (await shop.ask("GET", "/v1/nothing", status=404))["type"] == "urn:waremill:not-found"
    reply = await shop.client.delete("/v1/catalogs")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET")
    assert reply.headers["content-type"] == problems.MEDIA_TYPE
    reply = await shop.client.post(
        "/v1/runs", content=b"{bad", headers={"Content-Type": "application/json"}
    )
    assert reply.status_code == 422 and reply.headers["content-type"] == problems.MEDIA_TYPE


async def test_figures_count_requests_by_route_and_runs_by_state(shop: Shop) -> None:
    await shop.ask("GET", "/v1/runs/last")
    await shop.ask("GET", "/v1/runs/none", status=404)
    text = (await shop.client.get("/metrics")).text
    route = 'method="GET",route="/v1/runs/{run}"'
    assert f'waremill_requests_total{{{route},status="200"}} 1.0' in text
    assert f'waremill_requests_total{{{route},status="404"}} 1.0' in text
    assert f"waremill_request_seconds_count{{{route}}} 2.0" in text
    assert 'waremill_runs{kind="run",state="done"} 1.0' in text
    assert 'waremill_spent_this_month{currency="USD"} 0.0' in text
    assert "last" not in text


def test_a_console_page_is_counted_under_its_pattern(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")
    with serving(folder) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        for name in ("a", "b", "c"):
            client.get(f"/runs/{name}")
            client.get(f"/nothing/{name}")
        text = client.get("/metrics").text
    routes = {line.split('route="')[1].split('"')[0] for line in text.splitlines()
              if 'route="' in line}  # fmt: skip
    assert "/runs/{name}" in routes
    assert not any(route.endswith(("/a", "/b", "/c")) for route in routes), routes


async def test_the_reference_is_one_page_without_scripts_or_network(shop: Shop) -> None:
    reply = await shop.client.get("/docs")
    page, policy = reply.text, reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "script-src" not in policy
    assert "<script" not in page and "http://" not in page and "https://cdn" not in page
    document = (await shop.client.get("/openapi.json")).json()
    for path in document["paths"]:
        assert path in page


async def test_every_operation_documents_its_errors(shop: Shop) -> None:
    document = (await shop.client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    known = {tag["name"] for tag in document["tags"]}
    names = []
    for path, method, operation in reference.operations(document):
        names.append(operation["operationId"])
        assert set(operation["tags"]) <= known, path
        assert operation["summary"] and operation["description"], path
        assert {"401", "403", "422", "500"} <= set(operation["responses"]), path
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == [problems.MEDIA_TYPE], (path, status)
        if method == "post" and path != "/v1/session":
            assert "Idempotency-Key" in str(operation["parameters"])
    assert len(set(names)) == len(names)


def lines_of(log: str) -> list[dict[str, Any]]:
    """Read a server's log; everything but its greeting is a line of JSON."""
    return [orjson.loads(line) for line in log.splitlines() if not line.startswith("waremill: ")]


async def test_no_key_is_in_any_answer_log_row_export_or_trace(tmp_path: Path) -> None:
    said: list[bytes] = []

    def reply(request: dict[str, Any], _path: str) -> Reply | None:
        if "refuse me" in str(request["messages"]):
            return openai_error(
                401, f"Incorrect API key provided: {CANARY}", code="invalid_api_key"
            )
        if "break me" in str(request["messages"]):
            return openai_error(400, f"bad request with {CANARY} in it")
        return None

    async with Vendor(keys=(CANARY,), reply=reply) as vendor:
        more = f'{PRICE}\napi_key_env = "CANARY_KEY"'
        folder = make_workspace(tmp_path / "shop", vendor.url, model=more)
        rows = [*perfumes(3), {**perfumes(1)[0], "sku": "bad", "name": "break me"}]
        sheet = write_sheet(folder / "perfumes.csv", rows)
        assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0
        with serving(folder, CANARY_KEY=CANARY) as server:
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:

                async def ask(method: str, path: str, **more: Any) -> httpx.Response:
                    answer = await client.request(method, path, **more)
                    said.append(str(answer.headers).encode() + answer.content)
                    return answer

                run = (await ask("POST", "/v1/runs", json={"pipeline": "copy"})).json()["run"]
                for _ in range(200):
                    status = (await ask("GET", f"/v1/runs/{run}")).json()
                    if status["state"] not in ("planned", "running"):
                        break
                assert status["failed"] == 1 and status["done"] == 3
                stream = {"Accept": "text/event-stream"}
                for name in ("fine", "refuse me", "break me"):
                    body = {"pipeline": "copy", "product": {"name": name}}
                    await ask("POST", "/v1/generate", json=body)
                    await ask("POST", "/v1/generate", json=body, headers=stream)
                for path in (
                    "/v1/models", "/v1/runs", f"/v1/runs/{run}/items", f"/v1/runs/{run}/report",
                    "/v1/spend", "/v1/audit", "/metrics", "/openapi.json", "/docs", "/v1/files",
                    "/v1/nothing", "/readyz", "/catalogue", f"/runs/{run}",
                    f"/v1/runs/{run}/events",
                ):  # fmt: skip
                    await ask("GET", path)
                await ask("POST", "/v1/models/check")
                for kind in ("csv", "jsonl"):
                    await ask("GET", f"/v1/runs/{run}/export", params={"format": kind})
                book = await ask("GET", f"/v1/runs/{run}/export")
                with ZipFile(BytesIO(book.content)) as parts:
                    said.extend(parts.read(name) for name in parts.namelist())
            server.end()
            said.append(server.log.read_bytes())
        assert any(CANARY.encode() in one.head for one in vendor.requests), "the key was in use"
        # The sheet's error does hold it: the vendor repeated it, and we struck it out.
        assert any(b"***" in part for part in said)
        for path in folder.rglob("*"):
            if path.is_file():
                said.append(path.read_bytes())
    assert not [part[:500] for part in said if CANARY.encode() in part]


async def test_a_line_of_the_log_names_route_user_and_run_and_no_body(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")
    with serving(folder) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            body = {"pipeline": "copy", "product": {"name": "Eau confidentielle"}}
            headers = {"X-Request-ID": "r-77", "Authorization": "Bearer wm_secret"}
            await client.post("/v1/estimates", json=body, headers=headers)
            await client.get("/v1/runs/1122-abcdef/items?where=name%20%3D%20'hidden'")
            await client.get("/healthz")
        server.end()
        log = server.log.read_text()
    found = {line["route"]: line for line in lines_of(log) if line.get("event") == "request"}
    assert found["/v1/runs/{run}/items"]["run"] == "1122-abcdef"
    assert found["/v1/runs/{run}/items"]["user"] == "local"
    assert any(line.get("request") == "r-77" for line in lines_of(log))
    for word in ("confidentielle", "hidden", "wm_secret", "/healthz"):
        assert word not in log


async def test_an_answer_nobody_waits_for_any_more_is_kept(tmp_path: Path) -> None:
    async with Vendor(latency=1.0) as vendor:
        folder = make_workspace(tmp_path / "shop", vendor.url)
        with serving(folder) as server:
            async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
                body = {"pipeline": "copy", "product": {"name": "Eau"}}
                stream = {"Accept": "text/event-stream"}
                with pytest.raises(httpx.ReadTimeout):
                    await client.post("/v1/generate", json=body, headers=stream, timeout=0.5)
                made = (await client.post("/v1/generate", json=body)).json()
                assert (made["replayed"], made["cost"], vendor.calls) == (1, 0, 1)


async def test_the_server_delivers_to_webhooks_while_it_serves(tmp_path: Path) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await heard.put(head)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    folder = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")
    settings = folder / "waremill.toml"
    settings.write_text(settings.read_text() + "\n[server]\nallow_private_webhooks = true\n")
    other = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    with serving(folder) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            body = {"url": f"http://127.0.0.1:{port}/hook"}
            made = (await client.post("/v1/webhooks", json=body)).json()
            assert (await client.post(f"/v1/webhooks/{made['id']}/ping")).status_code == 202
            head = await asyncio.wait_for(heard.get(), 10)
            assert b"Waremill-Signature: t=" in head and b"Waremill-Event: ping" in head
    other.close()


async def test_a_webhook_into_our_network_is_refused(shop: Shop) -> None:
    problem = await shop.ask("POST", "/v1/webhooks", {"url": "http://127.0.0.1/"}, status=422)
    assert "allow_private_webhooks" in problem["detail"]


async def test_a_webhook_is_changed_only_as_it_was_seen(shop: Shop) -> None:
    object.__setattr__(shop.workspace.settings.server, "allow_private_webhooks", True)
    made = await shop.client.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/a"})
    path, etag = made.headers["location"], made.headers["etag"]
    assert made.json()["secret"].startswith("whsec_")
    assert "secret" not in await shop.ask("GET", path)
    await shop.ask("PATCH", path, {"active": False}, status=428)
    changed = await shop.ask("PATCH", path, {"active": False}, headers={"If-Match": etag})
    assert changed["active"] is False
    await shop.ask("PATCH", path, {"active": True}, headers={"If-Match": etag}, status=412)
    await shop.ask("POST", f"{path}/ping", status=202)
    page = await shop.ask("GET", f"{path}/deliveries")
    assert [row["event"] for row in page["rows"]] == ["ping"]
    await shop.ask("DELETE", path, status=204)
    await shop.ask("GET", path, status=404)


async def test_a_hundred_clients_at_once_are_all_answered(shop: Shop) -> None:
    paths = ["/v1/runs", "/v1/catalogs/perfumes/products", "/v1/runs/last", "/v1/spend"]
    replies = await asyncio.gather(*(shop.client.get(paths[n % 4]) for n in range(100)))
    assert {reply.status_code for reply in replies} == {200}
