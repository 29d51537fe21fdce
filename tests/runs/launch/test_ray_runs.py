"""A run on a Ray cluster: every item once, whatever dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from sqlalchemy import create_engine, text
from tests.clusters import COUNT, ROOT, in_own_network

IN_FLIGHT = 8
"""Calls a worker has in flight at most."""


@pytest.mark.timeout(420)
def test_a_run_survives_its_workers_a_raylet_and_its_driver(
    tmp_path: Path, postgres_url: str
) -> None:
    command = in_own_network([sys.executable, "-m", "tests.clusters", str(tmp_path / "shop")])
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, check=False, timeout=400,
        env={**os.environ, "WAREMILL_DATABASE_URL": postgres_url, "RAY_USAGE_STATS_ENABLED": "0"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr.decode()[-3000:]
    found = orjson.loads(ended.stdout.splitlines()[-1])
    assert found["status"]["state"] == "done"
    assert "Traceback" not in found["said"]
    assert found["status"]["states"] == {"ready": COUNT}
    engine = create_engine(postgres_url)
    with engine.connect() as conn:
        once = "SELECT count(*), count(DISTINCT item_id) FROM results"
        assert tuple(conn.execute(text(once)).one()) == (COUNT, COUNT)
        nodes = "SELECT count(*) FILTER (WHERE NOT lost), count(*) FROM workers"
        left, enrolled = conn.execute(text(nodes)).one()
    engine.dispose()
    assert left == 0
    assert enrolled >= 5  # two, one for the killed, and the resumed driver's
    # One worker killed, one with its raylet, two with their driver: what they had in flight.
    assert found["vendor"]["calls"] <= COUNT + 4 * IN_FLIGHT
    assert found["vendor"]["repeated"] <= 4 * IN_FLIGHT
