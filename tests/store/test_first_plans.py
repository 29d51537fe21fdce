"""Two processes that plan the same thing for the first time at once both succeed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from waremill.store.database import Database
from waremill.store.pipelines import fingerprint_id, save_pipeline


def test_equal_plans_at_once_find_one_another(database_url: str) -> None:
    barrier = Barrier(4)
    files = {f"templates/{n}.yaml": f"text {n}" for n in range(20)}

    def plan(_number: int) -> Any:
        database = Database(database_url)
        barrier.wait()
        try:
            return database.transact(
                True,
                lambda conn: (
                    save_pipeline(conn, "copy", files, {})[0],
                    fingerprint_id(conn, {"target": "de-DE"}),
                ),
            )
        finally:
            database.engine.dispose()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(plan, range(4)))
    assert len(set(found)) == 1
