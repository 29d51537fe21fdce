"""A Ray cluster of several raylets on this machine, and a run on it that is hit from all sides.

    python -m tests.clusters FOLDER      with WAREMILL_DATABASE_URL naming a PostgreSQL database

A script of its own: Ray listens on the machine's own addresses, so where the system lets us this
runs in a network namespace that has the loopback interface alone (`in_own_network`). The last line
it prints is JSON.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]
COUNT = 400
_TEMPLATE = """\
name: copy
instruction: Write a title for the product in {{ language }}.
input: [name]
output: {title: {type: string, max_chars: 120}}
"""
_SETTINGS = """\
[models.default]
use = "openai:gpt-4.1-mini"
base_url = "%s"
concurrency = 8
[ray]
address = "%s"
workers = 2
"""


def in_own_network(command: Sequence[str]) -> list[str]:
    """Give a command that runs another with the loopback interface alone, where that is allowed."""
    alone = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if shutil.which("unshare") and shutil.which("ip"):
        tried = subprocess.run([*alone, "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            return [*alone, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]
    return list(command)


@contextmanager
def cluster(nodes: int, client_port: int | None = None) -> Iterator[tuple[Any, list[Any]]]:
    """Start a head without room for workers, and nodes with room for one each.

    Clients of `ray://` are served at a port, where one is given.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80_000_000, "include_dashboard": False}
    head = {"num_cpus": 0, "ray_client_server_port": client_port, **small}
    made = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield made, [made.add_node(num_cpus=1, **small) for _ in range(nodes)]
    finally:
        made.shutdown()


@contextmanager
def vendor(latency: float) -> Iterator[str]:
    """Serve a vendor in a process of its own; give its address."""
    command = [sys.executable, "-m", "tests.vendor", "--port", "0", "--latency", str(latency)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield orjson.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """Give a port nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def waremill(folder: Path, *arguments: str) -> list[str]:
    """Give a command line over a workspace."""
    return [sys.executable, "-m", "waremill", *arguments, "-C", str(folder), "--json"]


def done(folder: Path) -> int:
    """How many items of the last run are done."""
    ended = subprocess.run(
        waremill(folder, "status", "last"), capture_output=True, check=False, cwd=ROOT
    )
    return int(orjson.loads(ended.stdout)["done"]) if ended.returncode == 0 else 0


def workers() -> list[int]:
    """The processes of workers on this machine."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().startswith(b"ray::Part"):
                found.append(int(place.parent.name))
        except OSError:
            continue
    return sorted(found)


def wait_for(folder: Path, count: int, driver: subprocess.Popen[bytes]) -> None:
    """Wait until so many items are done."""
    until = time.monotonic() + 120
    while done(folder) < count:
        if driver.poll() is not None or time.monotonic() > until:
            told = driver.stderr.read().decode() if driver.stderr is not None else ""
            raise SystemExit(f"the run got to {done(folder)} of {count}: {told[-3000:]}")


def hit(folder: Path) -> dict[str, Any]:
    """Run the products; kill a worker, a raylet and the driver; go on; say what came of it.

    The second driver is a client of `ray://`.
    """
    client_port = free_port()
    with vendor(0.5) as url, cluster(2, client_port) as (made, nodes):
        (folder / "templates").mkdir(parents=True)
        (folder / "templates" / "copy.yaml").write_text(_TEMPLATE)
        (folder / "waremill.toml").write_text(_SETTINGS % (url, made.address))
        rows = "".join(f"P{n:04},Eau number {n}\n" for n in range(COUNT))
        (folder / "products.csv").write_text(f"sku,name\n{rows}")
        subprocess.run(
            waremill(folder, "import", str(folder / "products.csv")), check=True, cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        command = waremill(folder, "run", "copy", "--target", "en-US", "--engine", "ray")
        driver = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        wait_for(folder, COUNT // 8, driver)
        os.kill(workers()[0], signal.SIGKILL)
        wait_for(folder, COUNT // 4, driver)
        made.remove_node(nodes[0], allow_graceful=False)
        wait_for(folder, COUNT // 2, driver)
        driver.kill()
        driver.wait()
        client = f"ray://{made.address.partition(':')[0]}:{client_port}"
        (folder / "waremill.toml").write_text(_SETTINGS % (url, client))
        ended = subprocess.run(
            waremill(folder, "resume", "last"), cwd=ROOT, capture_output=True, check=False
        )
        if ended.returncode:
            raise SystemExit(ended.stderr.decode()[-3000:])
        with urllib.request.urlopen(f"{url.removesuffix('/v1')}/stats") as reply:
            stats = orjson.loads(reply.read())
    said = ended.stderr.decode()
    return {"status": orjson.loads(ended.stdout), "vendor": stats, "said": said}


if __name__ == "__main__":
    print(orjson.dumps(hit(Path(sys.argv[1]))).decode())
