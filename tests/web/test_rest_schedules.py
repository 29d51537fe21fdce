"""Schedules over the API: what they are asked, and that a server fires them."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.web.served import serving
from tests.workspaces import make_workspace, perfumes, vendor_process, waremill_here, write_sheet

NAME = "每晚 nightly"
ONE = f"/v1/schedules/{quote(NAME)}"


def ask(url: str, method: str, path: str, body: Any = None) -> tuple[int, Any, str | None]:
    """Send a request; give status, document and Location."""
    request = urllib.request.Request(
        url.rstrip("/") + path, method=method, headers={"Content-Type": "application/json"},
        data=None if body is None else json.dumps(body).encode(),
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            text = reply.read()
            return reply.status, json.loads(text) if text else None, reply.headers["Location"]
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()), None


def test_a_server_fires_what_is_asked_of_it(tmp_path: Path) -> None:
    with vendor_process() as vendor:
        folder = make_workspace(tmp_path / "shop", vendor)
        sheet = write_sheet(folder / "perfumes.csv", perfumes(3))
        assert waremill_here(folder, "import", str(sheet), "--key", "sku").code == 0
        with serving(folder) as server:
            url = server.document["url"]
            given = {"name": NAME, "pipeline": "copy", "cron": "0 3 * * *", "budget": 1.5,
                     "timezone": "Asia/Shanghai", "only": ["changed", "new"],
                     "priority": "low", "fresh": True}  # fmt: skip
            status, made, location = ask(url, "POST", "/v1/schedules", given)
            assert (status, location) == (201, ONE)
            assert (made["state"], made["budget"], made["only"]) == (
                "active", 1.5, ["new", "changed"],
            )  # fmt: skip
            assert made["options"]["mode"] == "live" and made["last"] is None
            assert (made["options"]["priority"], made["options"]["fresh"]) == ("low", True)
            assert ask(url, "POST", "/v1/schedules", given)[0] == 409
            bad = {**given, "name": "b", "cron": "* *"}
            status, problem, _ = ask(url, "POST", "/v1/schedules", bad)
            assert status == 422 and "needs five" in problem["detail"]
            gold = {**given, "name": "g", "trial": 2, "accuracy": 0.5, "gold_column": "/etc/passwd"}
            status, problem, _ = ask(url, "POST", "/v1/schedules", gold)
            assert status == 422 and "no column" in problem["detail"]
            assert ask(url, "POST", f"{ONE}/run")[0] == 202
            until = time.monotonic() + 60
            while not (slots := ask(url, "GET", f"{ONE}/slots")[1]["rows"])[0]["settled"]:
                assert time.monotonic() < until, slots
                time.sleep(0.2)
            assert (slots[0]["state"], slots[0]["run_state"]) == ("run", "done")
            assert ask(url, "POST", f"{ONE}/pause")[1]["state"] == "paused"
            assert len(ask(url, "GET", "/v1/schedules")[1]) == 1
            assert ask(url, "DELETE", ONE)[0] == 204
            assert ask(url, "GET", "/v1/schedules")[1] == []
            (gone,) = ask(url, "GET", "/v1/schedules?removed=true")[1]
            assert gone["state"] == "removed" and gone["last"]["state"] == "run"
            assert ask(url, "GET", ONE)[1] == gone
            assert len(ask(url, "GET", f"{ONE}/slots")[1]["rows"]) == 1
            assert ask(url, "POST", f"{ONE}/run")[0] == 404
