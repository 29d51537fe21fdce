"""The API about estimates, trials, runs and what came of them."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Connection, update
from tests.web.shops import WORKED, Shop, keeps, shop, stocked, vendor_url

from waremill.store.tables import runs
from waremill.store.tables_people import teams

__all__ = ["shop", "stocked", "vendor_url"]


async def ended(shop: Shop, run: str, state: str = "done") -> Any:
    """Wait until a run's process has brought it to a state; give its status."""
    for _ in range(300):
        status = await shop.ask("GET", f"/v1/runs/{run}")
        if status["state"] == state:
            return status
        await asyncio.sleep(0.1)
    raise AssertionError(status)


async def test_an_estimate_is_the_command_lines_document(shop: Shop) -> None:
    found = await shop.ask("POST", "/v1/estimates", {"pipeline": "copy"})
    keeps("estimate", found)
    assert found["products"] == 30


async def test_a_run_is_worked_by_a_process_of_its_own(shop: Shop) -> None:
    body = {"pipeline": "copy", "where": "brand = 'House 5'", "budget": 5}
    reply = await shop.client.post("/v1/runs", json=body)
    assert reply.status_code == 202, reply.text
    status = reply.json()
    keeps("run", status)
    assert reply.headers["location"] == f"/v1/runs/{status['run']}"
    found = await ended(shop, status["run"])
    assert found["total"] == found["done"] == 4
    log = shop.workspace.settings.root / ".waremill" / "logs" / f"{status['run']}.log"
    assert "Traceback" not in log.read_text()


async def test_a_run_that_is_only_planned_is_started_later_and_cannot_be_started_twice(
    shop: Shop,
) -> None:
    body = {"pipeline": "copy", "limit": 2, "start": False}
    planned = await shop.ask("POST", "/v1/runs", body, status=202)
    assert planned["state"] == "planned"
    await shop.ask("POST", f"/v1/runs/{planned['run']}/start", status=202)
    await ended(shop, planned["run"])
    problem = await shop.ask("POST", f"/v1/runs/{planned['run']}/start", status=409)
    assert problem["detail"] == f"run {planned['run']} is done; it cannot be started"


async def test_a_planned_run_is_paused_resumed_and_cancelled(shop: Shop) -> None:
    body = {"pipeline": "copy", "limit": 2, "start": False}
    run = (await shop.ask("POST", "/v1/runs", body, status=202))["run"]
    assert (await shop.ask("POST", f"/v1/runs/{run}/pause", status=202))["state"] == "paused"
    budget = await shop.ask("PUT", f"/v1/runs/{run}/budget", {"budget": 7.5})
    assert budget["budget"] == 7.5
    assert (await shop.ask("POST", f"/v1/runs/{run}/cancel", status=202))["state"] == "cancelled"
    await shop.ask("POST", f"/v1/runs/{run}/resume", status=409)


async def test_an_approval_names_the_amount_that_was_seen(shop: Shop) -> None:
    body = {"pipeline": "copy", "limit": 1, "start": False, "budget": 6}
    run = (await shop.ask("POST", "/v1/runs", body, status=202))["run"]
    path = f"/v1/runs/{run}/approve"
    problem = await shop.ask("POST", path, status=409)
    assert "nobody's approval" in problem["detail"]

    def lin_ordered_it_in_a_team_with_a_limit(conn: Connection) -> None:
        conn.execute(update(teams).values(approve_above=5_000_000_000))
        conn.execute(update(runs).where(runs.c.name == run).values(created_by="lin"))

    await shop.workspace.database.write(lin_ordered_it_in_a_team_with_a_limit)
    for seen in (None, {"amount": None}, {"amount": 5.5}):
        problem = await shop.ask("POST", path, seen, status=409)
        assert "it may cost 6 USD" in problem["detail"]
    await shop.ask("POST", path, {"amount": -1}, status=422)
    await shop.ask("POST", path, {"amount": 6}, status=202)
    await ended(shop, run)


async def test_a_trial_says_what_the_whole_would_cost(shop: Shop) -> None:
    body = {"pipeline": "copy", "size": 3, "seed": 7}
    run = (await shop.ask("POST", "/v1/trials", body, status=202))["run"]
    await ended(shop, run)
    trial = await shop.ask("GET", f"/v1/trials/{run}")
    for _ in range(50):  # its worker sums it up after its last item
        if trial["forecast"]:
            break
        await asyncio.sleep(0.1)
        trial = await shop.ask("GET", f"/v1/trials/{run}")
    keeps("trial", trial)
    assert trial["total"] == 3 and trial["forecast"]


async def test_a_trial_with_a_rival_works_both(shop: Shop) -> None:
    body = {"pipeline": "copy", "size": 2, "against": "openai:test-model"}
    problem = await shop.ask("POST", "/v1/trials", body, status=422)
    assert "OPENAI_API_KEY" in problem["detail"]
    body["against"] = "default"
    run = (await shop.ask("POST", "/v1/trials", body, status=202))["run"]
    await ended(shop, run)
    for _ in range(100):
        trial = await shop.ask("GET", f"/v1/trials/{run}")
        if trial["comparison"]:
            break
        await asyncio.sleep(0.1)
    assert trial["comparison"]["pairs"] == 2


async def test_gold_is_a_column_or_an_upload_and_no_path(shop: Shop) -> None:
    body = {"pipeline": "copy", "size": 2, "gold_column": "waremill.toml"}
    problem = await shop.ask("POST", "/v1/trials", body, status=422)
    assert "no column" in problem["detail"]
    gold = b'{"sku": "P0001", "title": "Eau"}\n'
    upload = await shop.ask("POST", "/v1/uploads", files={"file": ("gold.jsonl", gold)}, status=201)
    body = {"pipeline": "copy", "size": 2, "gold_upload": upload["id"], "start": False}
    await shop.ask("POST", "/v1/trials", body, status=202)


async def test_a_run_takes_exactly_an_uploads_rows(shop: Shop) -> None:
    content = b"sku,name,brand,notes\nP0001,Eau,House,rose\nX9,New,House,oud\n"
    upload = await shop.ask(
        "POST", "/v1/uploads", files={"file": ("perfumes.csv", content)}, status=201
    )
    body = {"pipeline": "copy", "upload": upload["id"], "key": "sku", "start": False}
    assert (await shop.ask("POST", "/v1/runs", body, status=202))["total"] == 2


async def test_an_unknown_pipeline_and_a_bad_target_are_said_plainly(shop: Shop) -> None:
    problem = await shop.ask("POST", "/v1/runs", {"pipeline": "cpy"}, status=404)
    assert "copy" in problem["detail"]
    body = {"pipeline": "copy", "targets": ["Klingon"]}
    problem = await shop.ask("POST", "/v1/runs", body, status=422)
    assert "de-DE@amazon" in problem["detail"]
    problem = await shop.ask("POST", "/v1/runs", {"pipeline": "copy", "wher": "1"}, status=422)
    assert problem["errors"][0]["place"] == "body.wher"


async def test_runs_are_listed_newest_first_and_paged(shop: Shop) -> None:
    page = await shop.ask("GET", "/v1/runs", params={"size": 1})
    assert page["rows"][0]["kind"] == "trial" and page["next"]
    rest = await shop.ask("GET", "/v1/runs", params={"cursor": page["next"]})
    assert [one["kind"] for one in rest["rows"]] == ["run"]
    assert rest["rows"][0]["team"] == "main"
    only = await shop.ask("GET", "/v1/runs", params={"kind": "run", "state": "done"})
    assert len(only["rows"]) == 1
    await shop.ask("GET", "/v1/runs", params={"cursor": "nonsense"}, status=422)


async def run_of(shop: Shop) -> str:
    """Give the stocked run's name."""
    page = await shop.ask("GET", "/v1/runs", params={"kind": "run"})
    name: str = page["rows"][-1]["run"]
    return name


async def test_items_are_paged_filtered_and_counted(shop: Shop) -> None:
    run = await run_of(shop)
    page = await shop.ask("GET", f"/v1/runs/{run}/items", params={"size": 5})
    assert len(page["rows"]) == 5 and page["rows"][0]["values"]["title"]
    every = await shop.ask("GET", f"/v1/runs/{run}/count")
    assert every["count"] == WORKED
    params = {"where": "brand = 'House 0'", "states": ["ready", "review"]}
    some = await shop.ask("GET", f"/v1/runs/{run}/items", params=params)
    assert {row["product"]["brand"] for row in some["rows"]} == {"House 0"}
    card = await shop.ask("GET", f"/v1/runs/{run}/items/{page['rows'][0]['id']}")
    assert card["key"] == page["rows"][0]["key"]
    await shop.ask("GET", f"/v1/runs/{run}/items/999999", status=404)


async def test_a_run_is_exported_in_each_format(shop: Shop) -> None:
    run = await run_of(shop)
    for kind in ("xlsx", "csv", "tsv", "jsonl", "parquet"):
        reply = await shop.client.get(f"/v1/runs/{run}/export", params={"format": kind})
        assert reply.status_code == 200
        assert f"{run}.{kind}" in reply.headers["content-disposition"]
        if kind == "csv":
            assert len(reply.text.strip().splitlines()) == WORKED + 1


async def test_a_report_is_html_that_may_load_nothing(shop: Shop) -> None:
    run = await run_of(shop)
    reply = await shop.client.get(f"/v1/runs/{run}/report")
    assert reply.status_code == 200 and "<html" in reply.text
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "sandbox" in policy


async def test_a_run_that_has_stopped_is_followed_to_its_one_event(shop: Shop) -> None:
    run = await run_of(shop)
    reply = await shop.client.get(f"/v1/runs/{run}/events")
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.count("event: status") == 1


async def test_reviews_accept_reject_edit_and_undo_one_by_one(shop: Shop) -> None:
    run = await run_of(shop)
    card = await shop.ask("POST", f"/v1/runs/{run}/reviews/next", {})
    path = f"/v1/runs/{run}/items/{card['item_id']}"
    body = {"verdict": "accept", "version": card["version"]}
    accepted = await shop.ask("POST", f"{path}/verdict", body)
    assert accepted["state"] == "accepted"
    await shop.ask("POST", f"{path}/undo")
    card = await shop.ask("GET", path)
    body = {"verdict": "edit", "version": card["version"], "values": {"title": "Mine"}}
    edited = await shop.ask("POST", f"{path}/verdict", body)
    assert edited["state"] == "edited"
    problem = await shop.ask("POST", f"{path}/verdict", body, status=409)
    assert "local" in problem["detail"]
    body = {"verdict": "reject", "version": edited["version"], "reason": "style", "note": "no"}
    assert (await shop.ask("POST", f"{path}/verdict", body))["state"] == "rejected"


async def test_many_are_accepted_only_when_they_are_as_many_as_confirmed(shop: Shop) -> None:
    run = await run_of(shop)
    count = (await shop.ask("POST", f"/v1/runs/{run}/reviews/count", {}))["count"]
    path = f"/v1/runs/{run}/reviews/accept-all"
    await shop.ask("POST", path, {"expected": count + 1}, status=409)
    assert (await shop.ask("POST", path, {"expected": count}))["count"] == count == WORKED
    reply = await shop.client.post(f"/v1/runs/{run}/reviews/next", json={})
    assert reply.status_code == 204


async def test_a_lot_is_judged_by_its_sample(shop: Shop) -> None:
    run = await run_of(shop)
    body = {"confidence": 0.9, "most_bad": 0.3}
    lot = await shop.ask("POST", f"/v1/runs/{run}/lots", body, status=201)
    assert lot["size"] == WORKED
    for _ in range(lot["sample"]):
        card = await shop.ask("POST", f"/v1/lots/{lot['id']}/next")
        looked = {"good": True, "version": card["version"]}
        lot = await shop.ask("POST", f"/v1/lots/{lot['id']}/items/{card['item_id']}", looked)
    lot = await shop.ask("POST", f"/v1/lots/{lot['id']}/decision", {"accept": True})
    assert lot["state"] == "accepted"
    assert (await shop.ask("GET", f"/v1/runs/{run}"))["states"]["accepted"] == WORKED
    assert [one["id"] for one in await shop.ask("GET", f"/v1/runs/{run}/lots")] == [lot["id"]]


async def test_spend_is_summed_and_exported(shop: Shop) -> None:
    for by in ("model", "run", "user", "target", "month", "team"):
        rows = await shop.ask("GET", "/v1/spend", params={"by": by})
        assert sum(row["calls"] for row in rows) >= WORKED
    reply = await shop.client.get("/v1/spend.csv", params={"by": "model"})
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert "model,calls" in reply.text


async def test_a_trial_is_marked_and_its_score_follows(shop: Shop) -> None:
    page = await shop.ask("GET", "/v1/runs", params={"kind": "trial"})
    run = page["rows"][0]["run"]
    cards = await shop.ask("GET", f"/v1/trials/{run}/cards")
    item = cards[0]["item_id"]
    score = await shop.ask("PUT", f"/v1/trials/{run}/marks/{item}/title", {"verdict": "right"})
    assert score["overall"]["right"] == 1
    wrong = {"verdict": "corrected", "value": "Eau d'or"}
    await shop.ask("PUT", f"/v1/trials/{run}/marks/{item}/title", wrong)
    gold = await shop.client.get(f"/v1/trials/{run}/gold")
    assert "Eau d'or" in gold.text
    score = await shop.ask("DELETE", f"/v1/trials/{run}/marks/{item}/title")
    assert score["overall"]["marked"] == 0


async def test_changes_are_told_explained_and_taken_back(shop: Shop) -> None:
    run = await run_of(shop)
    first = (await shop.ask("GET", f"/v1/runs/{run}/items", params={"size": 1}))["rows"][0]
    path = f"/v1/runs/{run}/items/{first['id']}"
    card = await shop.ask("GET", path)
    body = {"verdict": "edit", "version": card["version"], "values": {"title": "Mine"}}
    await shop.ask("POST", f"{path}/verdict", body)
    told = f"/v1/catalogs/perfumes/changes/{first['key']}"
    changes = await shop.ask("GET", told, params={"field": "title"})
    assert [one["new"] for one in changes] == ["Mine", first["values"]["title"]]
    made = await shop.ask("GET", f"/v1/results/{changes[1]['result_id']}")
    assert made["exact"] and made["answers"] and "product copy" in str(made["messages"])
    body = {"key": first["key"], "field": "title", "result_id": changes[1]["result_id"]}
    back = await shop.ask("POST", "/v1/catalogs/perfumes/revert", body)
    assert back["new"] == first["values"]["title"]
    assert (await shop.ask("POST", f"/v1/runs/{run}/revert"))["count"] == WORKED


async def test_reviews_go_to_excel_and_back(shop: Shop) -> None:
    from io import BytesIO

    import openpyxl

    run = await run_of(shop)
    reply = await shop.client.post(f"/v1/runs/{run}/review-sheet", json={})
    assert reply.status_code == 200 and ".xlsx" in reply.headers["content-disposition"]
    book = openpyxl.load_workbook(BytesIO(reply.content))
    sheet = book.worksheets[0]
    headings = [cell.value for cell in sheet[1]]
    verdict = next(n for n, name in enumerate(headings) if "verdict" in str(name).lower())
    sheet.cell(2, verdict + 1).value = "accept"
    changed = BytesIO()
    book.save(changed)
    files = {"file": ("back.xlsx", changed.getvalue())}
    upload = await shop.ask("POST", "/v1/uploads", files=files, status=201)
    body = {"upload": upload["id"]}
    done = await shop.ask("POST", f"/v1/runs/{run}/review-sheet/import", body)
    assert (done["accepted"], done["conflicts"]) == (1, [])


async def test_an_import_is_previewed_with_nothing_saved(shop: Shop) -> None:
    content = b"sku,name\nP0001,Eau neuve\nN1,New\n"
    upload = await shop.ask(
        "POST", "/v1/uploads", files={"file": ("more.csv", content)}, status=201
    )
    body = {"upload": upload["id"], "catalog": "perfumes", "key": "sku"}
    seen = await shop.ask("POST", "/v1/imports/preview", body)
    assert (seen["new"], seen["changed"], seen["fresh"]) == (1, 1, False)
    counted = await shop.ask("GET", "/v1/catalogs/perfumes/count")
    assert counted["count"] == 30
