"""A run whose PostgreSQL server is restarted under it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import orjson
import pytest
from sqlalchemy import create_engine, text
from tests.clusters import ROOT, done, vendor, wait_for, waremill
from tests.postgres import durable_server, fresh_database

COUNT = 240
_TEMPLATE = """\
name: copy
instruction: Write a title for the product in {{ language }}.
input: [name]
output: {title: {type: string, max_chars: 120}}
"""


@pytest.mark.timeout(180)
def test_a_run_waits_for_its_database_and_pays_for_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        durable_server() as server,
        fresh_database(server.get_uri(database="postgres", driver="psycopg")) as url,
        vendor(0.5) as address,
    ):
        monkeypatch.setenv("WAREMILL_DATABASE_URL", url)
        (tmp_path / "templates").mkdir()
        (tmp_path / "templates" / "copy.yaml").write_text(_TEMPLATE)
        (tmp_path / "waremill.toml").write_text(
            f'[models.default]\nuse = "openai:m"\nbase_url = "{address}"\nconcurrency = 8\n'
        )
        rows = "".join(f"P{n:04},Eau number {n}\n" for n in range(COUNT))
        (tmp_path / "products.csv").write_text(f"sku,name\n{rows}")
        subprocess.run(
            waremill(tmp_path, "import", str(tmp_path / "products.csv")), check=True, cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        run = subprocess.Popen(
            waremill(tmp_path, "run", "copy", "--target", "en-US"), cwd=ROOT, env=dict(os.environ),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        wait_for(tmp_path, COUNT // 4, run)
        server.stop()
        time.sleep(2)
        server.start()
        told, said = run.communicate(timeout=120)
        assert run.returncode == 0, said.decode()[-2000:]
        assert orjson.loads(told)["calls"] == COUNT
        assert done(tmp_path) == COUNT
        engine = create_engine(url)
        with engine.connect() as conn:
            once = "SELECT count(*), count(DISTINCT item_id) FROM results"
            assert tuple(conn.execute(text(once)).one()) == (COUNT, COUNT)
            ledger = "SELECT count(*), count(DISTINCT request_hash) FROM calls"
            assert tuple(conn.execute(text(ledger)).one()) == (COUNT, COUNT)
        engine.dispose()
