"""`waremill serve` as a user meets it: its one line, its refusals, its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from tests.web.served import serving
from tests.workspaces import make_workspace, perfumes, vendor_process, waremill, write_sheet


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace."""
    return make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")


def test_it_serves_the_api_its_reference_and_the_console(folder: Path) -> None:
    with serving(folder) as server:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            assert client.get("/healthz").text == client.get("/readyz").text == "ok\n"
            assert client.get("/v1/runs").json() == {"rows": [], "next": None}
            assert "<!doctype html>" in client.get("/docs").text
            assert client.get("/", follow_redirects=True).status_code == 200
        assert server.end() < 5
        assert server.process.returncode == 0


def test_it_ends_within_five_seconds_while_a_stream_is_open(tmp_path: Path) -> None:
    with vendor_process("--latency", "1") as url:
        folder = make_workspace(tmp_path / "shop", url, concurrency=1)
        sheet = write_sheet(folder / "perfumes.csv", perfumes(30))
        assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0
        with serving(folder) as server, httpx.Client(base_url=server.url, timeout=30) as client:
            run = client.post("/v1/runs", json={"pipeline": "copy"}).json()["run"]
            heard = threading.Event()

            def listen() -> None:
                with httpx.Client(base_url=server.url, timeout=30) as own:
                    try:
                        with own.stream("GET", f"/v1/runs/{run}/events") as reply:
                            for _ in reply.iter_bytes():
                                heard.set()
                    except httpx.HTTPError:
                        pass  # it was cut off

            thread = threading.Thread(target=listen, daemon=True)
            thread.start()
            assert heard.wait(10)
            assert server.end(signal.SIGINT) < 5
            assert server.process.returncode == 0
            thread.join(5)
            # The run goes on: its process is not the server's.
            before = waremill(folder, "status", run, "--json").json
            assert before["state"] == "running"
            time.sleep(2.5)
            after = waremill(folder, "status", run, "--json").json
            assert after["done"] > before["done"]
            waremill(folder, "cancel", run)


def test_a_port_that_is_taken_is_one_sentence(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        ended = waremill(folder, "serve", "--port", port)
    assert ended.code == 2
    assert ended.err == (
        f"waremill: port {port} is taken, perhaps by another `waremill serve`; "
        "--port names another\n"
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_others_are_not_served_without_accounts(folder: Path, host: str) -> None:
    ended = waremill(folder, "serve", "--host", host, "--port", "0")
    assert ended.code == 2 and "needs accounts" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_an_address_of_another_machine_is_said(folder: Path) -> None:
    ended = waremill(folder, "serve", "--host", "127.0.0.1.nowhere.invalid", "--port", "0")
    assert ended.code == 2 and len(ended.err.splitlines()) == 1


def test_without_the_extra_the_install_line_is_given(folder: Path) -> None:
    program = (
        "import sys; sys.modules['fastapi'] = None; sys.argv = ['waremill', 'serve'];"
        "from waremill.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60,
        env={**os.environ},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "waremill: the server needs the extra `web`; install it with: pip install 'waremill[web]'\n"
    )


def test_outside_a_workspace_it_says_so(tmp_path: Path) -> None:
    ended = waremill(tmp_path, "serve", "--port", "0")
    assert ended.code == 2 and "waremill init" in ended.err
