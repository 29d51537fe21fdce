"""A large database without days of work: products, one finished run of them, what it made and paid.

python -m bench.stocked FOLDER COUNT

Products are imported and items planned as always; results, answers' costs and states are written by
the database, one statement a table. Every twelfth item waits for review with a finding.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from sqlalchemy import Connection, text

from bench.workload import TARGET, TEMPLATE, make_workspace

_RESULTS = """\
INSERT INTO results
  (id, item_id, product_id, target, step, origin, "values", findings, provenance, created_at)
SELECT i.id, i.id, i.product_id, i.target, 'copy', 'model',
  json_object(
    'title', json_extract(p.attributes, '$.brand') || ' ' || json_extract(p.attributes, '$.name'),
    'selling_points', json_array(
      'A scent with ' || json_extract(p.attributes, '$.notes'),
      json_extract(p.attributes, '$.volume') || ' bottle',
      'Made in ' || json_extract(p.attributes, '$.country'))),
  CASE WHEN i.id % 12 = 0 THEN json_array(json_object(
    'field', 'selling_points', 'rule', 'grounded-numbers', 'severity', 'error',
    'message', '500 stands nowhere in the input', 'evidence', '500')) END,
  json_object('template', 'copy', 'version', 'v1', 'model', 'gpt-4.1-mini',
    'answers', json_array()),
  :now
FROM items AS i JOIN products AS p ON p.id = i.product_id WHERE i.run_id = :run
"""
_CURRENT = """\
INSERT INTO current (product_id, target, field, result_id)
SELECT i.product_id, i.target, f.value, i.id
FROM items AS i, json_each('["selling_points", "title"]') AS f WHERE i.run_id = :run
ORDER BY i.product_id, i.target, f.value
"""
_CALLS = """\
INSERT INTO calls
  (run_id, item_id, step, model, request_hash, attempt, outcome, status, request_id, latency, input,
   cached, output, reasoning, paid, list_cost, error, started_at)
SELECT run_id, id, 'copy', 'default', x'00', 1, 'complete', 200, NULL, 0.8, 400, 0, 90, 0, 304000,
  304000, NULL, :now + id * 0.001
FROM items WHERE run_id = :run
"""
_ITEMS = """\
UPDATE items SET attempts = 1, paid = 304000, list_cost = 304000, latency = 0.8,
  findings = CASE WHEN id % 12 = 0 THEN 1 ELSE 0 END,
  state = CASE WHEN id % 12 = 0 THEN 'review' WHEN id % 1000 = 1 THEN 'failed' ELSE 'ready' END
WHERE run_id = :run
"""
_FINDINGS = """\
INSERT INTO findings (run_id, rule, item_id, field)
SELECT run_id, 'grounded-numbers', id, 'selling_points'
FROM items WHERE run_id = :run AND id % 12 = 0 ORDER BY id
"""
_SPEND = """\
INSERT INTO spend (run_id, model, target, day, calls, failed, unpriced, input, cached, output,
  reasoning, paid, list_cost)
SELECT run_id, model, :target, date(started_at, 'unixepoch'), count(*), 0, 0, sum(input),
  sum(cached), sum(output), sum(reasoning), sum(paid), sum(list_cost)
FROM calls WHERE run_id = :run GROUP BY 1, 2, 4
"""
_OUTCOMES = """\
INSERT INTO outcomes (run_id, model, outcome, calls, priced, charged, input, cached, output,
  reasoning, paid, list_cost, seconds)
SELECT run_id, model, outcome, count(*), count(list_cost), count(paid), sum(input), sum(cached),
  sum(output), sum(reasoning), sum(paid), sum(list_cost), sum(latency)
FROM calls WHERE run_id = :run GROUP BY 1, 2, 3
"""
_RUN = """\
UPDATE runs SET state = 'done', started_at = :now, ended_at = :now + 3600, worked_seconds = 3600
WHERE id = :run
"""


async def make_stocked(folder: Path, count: int) -> None:
    """Make a workspace of `count` products and a finished run over all of them; SQLite only."""
    from waremill.app import open_workspace
    from waremill.app.options import order_run
    from waremill.runs.plan import plan_run

    await asyncio.to_thread(make_workspace, folder, count)
    async with open_workspace(folder) as workspace:
        options = {"targets": (TARGET,)}
        prepared = await workspace._prepare(TEMPLATE, options, "run")
        order = order_run(workspace.settings, prepared, options, "run")
        run = await plan_run(workspace.database, order)

        def finish(conn: Connection) -> None:
            for statement in (
                _RESULTS, _CURRENT, _CALLS, _ITEMS, _FINDINGS, _SPEND, _OUTCOMES, _RUN,
            ):  # fmt: skip
                given = {"run": run.id, "now": 1_790_000_000.0, "target": TARGET}
                conn.execute(text(statement), given)

        await workspace.database.write(finish)


if __name__ == "__main__":
    asyncio.run(make_stocked(Path(sys.argv[1]), int(sys.argv[2])))
