"""Publishing: only what is accepted, with receipts, in stages, whole files, and back again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import pytest_asyncio
from sqlalchemy import select

from app.publishing_shop import (
    CHANNELS,
    FILES,
    accepted_run,
    bring,
    count,
    feed,
    make_shop,
    perfume_rows,
)  # fmt: skip
from waremill.app import Workspace, open_workspace, publishing
from waremill.app.accounts import Accounts
from waremill.app.publishing import PublishOptions
from waremill.app.publishing.stages import STAGES, in_stage
from waremill.errors import ConfigError, Conflict, Forbidden, NotFound, UserError
from waremill.store import publishing as store
from waremill.store.tables_publishing import publications, published, receipts


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    root = make_shop(tmp_path / "shop", database_url)
    async with open_workspace(root) as opened:
        await bring(opened, perfume_rows(9))
        yield opened


async def test_only_accepted_items_are_published_and_the_others_are_counted(
    workspace: Workspace,
) -> None:
    run = await accepted_run(workspace, waiting=["P003", "P004"])
    (made,) = await publishing.publish(workspace, run, "google")
    assert made.state == "done" and made.left_out == {"review": 2}
    assert made.rows == {"new": 7, "changed": 0, "unchanged": 0, "refused": 0}
    assert set(feed(workspace)) == {f"P{n:03}" for n in range(9)} - {"P003", "P004"}


async def test_a_run_without_accepted_items_is_refused_and_writes_nothing(
    workspace: Workspace,
) -> None:
    run = await accepted_run(workspace, waiting=[f"P{n:03}" for n in range(9)])
    with pytest.raises(Conflict, match="only what is accepted"):
        await publishing.publish(workspace, run, "google")
    assert not (workspace.settings.root / "feeds").exists()
    assert await count(workspace, publications) == 0


async def test_what_a_model_wrote_says_so_and_a_group_has_its_id(workspace: Workspace) -> None:
    run = await accepted_run(workspace)
    await publishing.publish(workspace, run, "google")
    item = feed(workspace)["P001"]
    assert item["structured_title"] == "trained_algorithmic_media|Title P001 清新"
    assert item["structured_description"] == "trained_algorithmic_media|One\n第二点"
    assert "title" not in item and item["item_group_id"] == "G1" and item["price"] == "11.50 EUR"
    assert "item_group_id" not in feed(workspace)["P000"]


async def test_publishing_again_writes_no_receipt_and_the_same_file(workspace: Workspace) -> None:
    run = await accepted_run(workspace)
    await publishing.publish(workspace, run, "google")
    before = (workspace.settings.root / "feeds/google.xml").read_bytes()
    receipts_before = await count(workspace, receipts)
    (made,) = await publishing.publish(workspace, run, "google")
    assert made.rows["unchanged"] == 9 and not made.rows["changed"] and not made.rows["new"]
    assert await count(workspace, receipts) == receipts_before
    assert (workspace.settings.root / "feeds/google.xml").read_bytes() == before


async def test_only_what_differs_gets_a_receipt(workspace: Workspace) -> None:
    run = await accepted_run(workspace)
    await publishing.publish(workspace, run, "google")
    receipts_before = await count(workspace, receipts)
    rows = perfume_rows(9)
    rows[2]["price"] = "99.00"
    await bring(workspace, rows)
    (made,) = await publishing.publish(workspace, run, "google")
    assert made.rows["changed"] == 1 and made.fields["price"]["changed"] == 1
    assert await count(workspace, receipts) == receipts_before + 1
    assert feed(workspace)["P002"]["price"] == "99.00 EUR" or feed(workspace)["P002"][
        "price"
    ].startswith("99")


async def test_a_missing_value_never_replaces_a_live_one(workspace: Workspace) -> None:
    first = await accepted_run(workspace)
    await publishing.publish(workspace, first, "google")
    rows = perfume_rows(9)
    rows[4]["brand"] = ""
    await bring(workspace, rows)
    empty = {"P005": {"title": "", "points": []}}
    second = await accepted_run(workspace, word="New", values=empty)
    (made,) = await publishing.publish(workspace, second, "google")
    found = feed(workspace)
    assert found["P004"]["brand"] == "House 1" and made.fields["brand"]["kept"] == 1
    assert found["P005"]["structured_title"].endswith("Title P005 清新")
    assert found["P004"]["structured_title"].endswith("New P004 清新")
    assert made.refused == 0 and made.fields["structured_title"]["kept"] == 1


async def test_a_refused_row_says_where_and_leaves_what_is_live(workspace: Workspace) -> None:
    first = await accepted_run(workspace)
    await publishing.publish(workspace, first, "google")
    second = await accepted_run(workspace, word="New", values={"P001": {"title": "长" * 151}})
    (made,) = await publishing.publish(workspace, second, "google")
    assert made.refused == 1 and made.refused_for == {"title": 1}
    refusal = made.refusals[0]
    assert (refusal.key, refusal.target, refusal.field) == ("P001", "en-US", "title")
    assert "151 characters, 150 are allowed" in refusal.message
    assert feed(workspace)["P001"]["structured_title"].endswith("Title P001 清新")
    assert feed(workspace)["P002"]["structured_title"].endswith("New P002 清新")


async def test_no_two_products_are_published_under_one_id(workspace: Workspace) -> None:
    rows = perfume_rows(4)
    mapping = FILES["publish/google.yaml"].replace("id: sku", "id: brand")
    (workspace.settings.root / "publish/google.yaml").write_text(mapping, encoding="utf-8")
    await bring(workspace, rows)
    run = await accepted_run(workspace)
    (made,) = await publishing.publish(workspace, run, "google", PublishOptions(dry_run=True))
    assert made.rows["new"] == 3 and made.refused == 6
    assert made.refusals[0].message == "“House 0” is what the product P000 has already"


async def test_a_dry_run_says_the_same_and_writes_nothing(workspace: Workspace) -> None:
    run = await accepted_run(workspace, values={"P001": {"title": "x" * 151}})
    (dry,) = await publishing.publish(workspace, run, "google", PublishOptions(dry_run=True))
    assert dry.publication is None and dry.state == "dry-run"
    assert not (workspace.settings.root / "feeds").exists()
    assert await count(workspace, receipts) == await count(workspace, publications) == 0
    (made,) = await publishing.publish(workspace, run, "google")
    assert (made.rows, made.fields, made.refusals) == (dry.rows, dry.fields, dry.refusals)


async def test_all_that_a_dry_run_would_refuse_is_written_to_a_table(workspace: Workspace) -> None:
    run = await accepted_run(workspace, values={"P001": {"title": "x" * 151}})
    place = workspace.settings.root / "拒绝.jsonl"
    options = PublishOptions(dry_run=True, refusals=str(place))
    (dry,) = await publishing.publish(workspace, run, "google", options)
    said = [orjson.loads(line) for line in place.read_bytes().splitlines()]
    assert [(one["key"], one["field"]) for one in said] == [("P001", "title")]
    (made,) = await publishing.publish(workspace, run, "google", replace(options, dry_run=False))
    assert [orjson.loads(line) for line in place.read_bytes().splitlines()] == said
    assert made.refusals == dry.refusals and made.refusal_count == 1
    with pytest.raises(ConfigError, match="cannot be written"):
        await publishing.publish(workspace, run, "google", replace(options, refusals="a.pdf"))


async def test_a_feed_holds_what_earlier_runs_published(workspace: Workspace) -> None:
    run = await accepted_run(workspace)
    await publishing.publish(workspace, run, "google")
    waiting = [f"P{n:03}" for n in range(1, 9)]
    second = await accepted_run(workspace, word="New", waiting=waiting)
    (made,) = await publishing.publish(workspace, second, "google")
    found = feed(workspace)
    assert len(found) == 9 and made.files[0].rows == 9
    assert found["P000"]["structured_title"].endswith("New P000 清新")


async def test_a_column_that_left_the_mapping_leaves_the_feed(workspace: Workspace) -> None:
    run = await accepted_run(workspace)
    await publishing.publish(workspace, run, "google")
    mapping = FILES["publish/google.yaml"].replace("  brand: brand\n", "")
    (workspace.settings.root / "publish/google.yaml").write_text(mapping, encoding="utf-8")
    (made,) = await publishing.publish(workspace, run, "google")
    assert made.fields["brand"]["taken_back"] == 9
    assert all("brand" not in item for item in feed(workspace).values())


# Stages.


def test_each_stage_holds_the_one_before_and_about_its_share() -> None:
    keys = [f"产品-{n}" for n in range(20_000)]
    small, middle = ({k for k in keys if in_stage(k, one)} for one in ("1%", "10%"))
    assert small < middle and 150 < len(small) < 260 and 1_800 < len(middle) < 2_200
    assert all(in_stage(key, "all") for key in keys) and list(STAGES) == ["1%", "10%", "all"]


async def test_a_stage_opens_after_the_one_before(workspace: Workspace) -> None:
    run = await accepted_run(workspace)
    for stage in ("10%", "all"):
        with pytest.raises(Conflict, match="opens after"):
            await publishing.publish(workspace, run, "acp", PublishOptions(stage=stage))
    with pytest.raises(Conflict, match="published in stages"):
        await publishing.publish(workspace, run, "acp")
    rows = 0
    for stage in STAGES:
        (made,) = await publishing.publish(workspace, run, "acp", PublishOptions(stage=stage))
        rows += made.rows["new"]
        assert made.stage == stage and sum(made.rows.values()) + made.later == 9
    assert rows == 9
    with pytest.raises(ConfigError, match="stages are 1%, 10%, all"):
        await publishing.publish(workspace, run, "acp", PublishOptions(stage="half"))


async def test_few_refusals_open_the_next_stage_and_many_do_not(
    tmp_path: Path, database_url: str
) -> None:
    channels = CHANNELS.replace("staged = true", 'staged = true\nopen_at_refused = "20%"')
    root = make_shop(tmp_path / "shop", database_url, channels=channels)
    async with open_workspace(root) as workspace:
        await bring(workspace, perfume_rows(9))
        run = await accepted_run(workspace, values={"P001": {"title": "x" * 200}})
        made = await publishing.publish(workspace, run, "acp", PublishOptions(stage="1%"))
        assert [one.stage for one in made] == ["1%", "10%", "all"] and made[-1].refused == 1
        long = {f"P{n:03}": {"title": "x" * 200} for n in range(9)}
        bad = await accepted_run(workspace, values=long)
        made = await publishing.publish(workspace, bad, "acp", PublishOptions(stage="1%"))
        judged = [one for one in made if sum(one.rows.values())]
        assert len(judged) == 1 and judged[0] is made[-1]  # it stopped where rows were refused


# Back again.


async def test_a_rollback_publishes_what_stood_before(workspace: Workspace) -> None:
    first = await accepted_run(workspace)
    await publishing.publish(workspace, first, "google")
    before = (workspace.settings.root / "feeds/google.xml").read_bytes()
    second = await accepted_run(workspace, word="New")
    (made,) = await publishing.publish(workspace, second, "google")
    assert (workspace.settings.root / "feeds/google.xml").read_bytes() != before
    kept = await count(workspace, receipts)
    back = await publishing.roll_back(workspace, str(made.publication))
    assert back.rolls_back == made.publication and back.rows["changed"] == 9
    assert (workspace.settings.root / "feeds/google.xml").read_bytes() == before
    assert await count(workspace, receipts) == kept + 9  # nothing is deleted
    with pytest.raises(Conflict, match="is live any more"):
        await publishing.roll_back(workspace, str(made.publication))
    (again,) = await publishing.publish(workspace, second, "google")
    assert again.rows["changed"] == 9


async def test_a_rollback_of_the_first_takes_rows_out_and_leaves_what_came_later(
    workspace: Workspace,
) -> None:
    first = await accepted_run(workspace)
    (made,) = await publishing.publish(workspace, first, "google")
    waiting = [f"P{n:03}" for n in range(1, 9)]
    second = await accepted_run(workspace, word="New", waiting=waiting)
    await publishing.publish(workspace, second, "google")
    back = await publishing.roll_back(workspace, str(made.publication))
    found = feed(workspace)
    assert list(found) == ["P000"]
    assert found["P000"]["structured_title"].endswith("New P000 清新")
    assert found["P000"]["brand"] == "House 0"  # a row is never left without its parts
    assert back.notes == (
        "1 values were published anew since; they stay",
        "7 values had none before; they stay as they are",
    )


# Wrong words.


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title: title", "title: titel", "publish/google.yaml:4: “titel” is neither .* “title”"),
        ("brand: brand", "brnd: brand", "publish/google.yaml:10: Google's .* did you mean “brand”"),
        ("  brand: brand", "  brand: {form: brand}", "no setting “form”, did you mean “from”"),
        ("brand: brand", "brand: {from: brand, value: x}", "needs one of from and value"),
        ("columns:", "colums:", "did you mean “columns”"),
        ("brand: brand", "brand:", "says nothing"),
    ],
)
async def test_a_wrong_name_in_a_mapping_is_said_with_its_line(
    workspace: Workspace, old: str, new: str, said: str
) -> None:
    text = FILES["publish/google.yaml"].replace(old, new)
    (workspace.settings.root / "publish/google.yaml").write_text(text, encoding="utf-8")
    run = await accepted_run(workspace)
    with pytest.raises(UserError, match="(?s)" + said) as caught:
        await publishing.publish(workspace, run, "google")
    assert str(caught.value).startswith("publish/google.yaml:")


async def test_wrong_channels_targets_and_files_are_plain_sentences(workspace: Workspace) -> None:
    run = await accepted_run(workspace, targets=("en-US", "zh-CN"))
    with pytest.raises(NotFound, match="did you mean “google”"):
        await publishing.publish(workspace, run, "gogle")
    with pytest.raises(ConfigError, match="has no target “de-DE”; it has en-US, zh-CN"):
        await publishing.publish(workspace, run, "google", PublishOptions(targets=("de-DE",)))
    with pytest.raises(ConfigError, match="2 targets and 1 files are named"):
        await publishing.publish(workspace, run, "shopify", PublishOptions(out=("a.csv",)))
    with pytest.raises(ConfigError, match=r"shopify-csv writes \.csv"):
        await publishing.publish(workspace, run, "shopify", PublishOptions(out=("a.xml", "b.csv")))
    with pytest.raises(ConfigError, match="the same file"):
        out = ("a.csv", "a.csv")
        await publishing.publish(workspace, run, "shopify", PublishOptions(out=out))
    with pytest.raises(NotFound, match="there is no publication “p9”"):
        await publishing.show_publication(workspace, "p9")


async def test_each_target_has_its_own_file_and_its_own_receipts(
    workspace: Workspace, tmp_path: Path
) -> None:
    run = await accepted_run(workspace, targets=("en-US", "zh-CN"))
    options = PublishOptions(out=(str(tmp_path / "{target}.csv"),))
    (made,) = await publishing.publish(workspace, run, "shopify", options)
    assert [one.target for one in made.files] == ["en-US", "zh-CN"]
    assert all((tmp_path / f"{one}.csv").is_file() for one in ("en-US", "zh-CN"))
    lines = await workspace.database.read(
        lambda conn: conn.execute(select(published.c.target).distinct()).scalars().all()
    )
    assert sorted(lines) == ["en-US", "zh-CN"]


async def test_stored_pictures_become_addresses_or_are_refused(
    tmp_path: Path, database_url: str
) -> None:
    asset = f"asset:{'ab' * 32}.png"
    made = {f"P{n:03}": {"points": [asset]} for n in range(2)}
    mapping = (
        FILES["publish/google.yaml"]
        .replace(
            "image_link: {from: sku, prefix: https://shop.example/i/, suffix: .jpg}",
            "image_link: {from: points, item: 1}",
        )
        .replace('{from: points, join: "\\n"}', "{from: name}")
    )
    root = make_shop(
        tmp_path / "shop", database_url, {**FILES, "publish/google.yaml": mapping},
        CHANNELS.replace('out = "feeds/google.xml"', "out = 'f.xml'"),
    )  # fmt: skip
    async with open_workspace(root) as workspace:
        await bring(workspace, perfume_rows(2))
        run = await accepted_run(workspace, values=made)
        (refused,) = await publishing.publish(
            workspace, run, "google", PublishOptions(dry_run=True)
        )
        assert refused.refused == 2 and "pictures_url" in refused.refusals[0].message
    toml = (root / "waremill.toml").read_text()
    address = "out = 'f.xml'\npictures_url = 'https://cdn.example/p/'"
    (root / "waremill.toml").write_text(toml.replace("out = 'f.xml'", address))
    async with open_workspace(root) as workspace:
        await publishing.publish(workspace, run, "google")
        link = feed(workspace, "f.xml")["P001"]["image_link"]
        assert link == f"https://cdn.example/p/ab/ab/{'ab' * 32}.png"


# Who may.


async def test_publishing_is_for_operators_and_audited(workspace: Workspace) -> None:
    run = await accepted_run(workspace)
    accounts = Accounts(workspace)
    await accounts.add_user("vera", "correct horse battery")
    await accounts.set_role("vera", "main", "viewer")
    secret, _ = await accounts.sign_in("vera", "correct horse battery")
    actor = await accounts.actor_of_session(secret)
    assert actor is not None
    vera = workspace.acting(actor[0])
    with pytest.raises(Forbidden, match="operator"):
        await publishing.publish(vera, run, "google")
    (made,) = await publishing.publish(workspace, run, "google")
    with pytest.raises(Forbidden, match="operator"):
        await publishing.roll_back(vera, str(made.publication))
    shown = await publishing.show_publication(vera, "last")
    assert shown.publication == made.publication
    from waremill.app import auditing

    entries = await auditing.entries(workspace)
    actions = [one.action for one in entries.rows if one.subject.startswith("publication")]
    assert actions == ["publication.done", "publication.start"]


async def test_the_acp_feed_is_json_lines_with_its_required_fields(workspace: Workspace) -> None:
    run = await accepted_run(workspace)
    await publishing.publish(workspace, run, "acp", PublishOptions(stage="1%"))
    await publishing.publish(workspace, run, "acp", PublishOptions(stage="10%"))
    await publishing.publish(workspace, run, "acp", PublishOptions(stage="all"))
    lines = (workspace.settings.root / "feeds/acp-en-US.jsonl").read_bytes().splitlines()
    rows = {row["item_id"]: row for row in map(orjson.loads, lines)}
    assert len(rows) == 9 and rows["P001"]["is_eligible_search"] is True
    assert rows["P001"]["group_id"] == "G1" and rows["P001"]["listing_has_variations"] is True
    assert rows["P000"]["listing_has_variations"] is False and "group_id" not in rows["P000"]
    assert rows["P001"]["target_countries"] == ["US"] and rows["P001"]["price"] == "11.50 USD"


async def test_a_receipt_names_the_result_it_came_from_and_what_it_replaced(
    workspace: Workspace,
) -> None:
    first = await accepted_run(workspace)
    await publishing.publish(workspace, first, "google")
    second = await accepted_run(workspace, word="New")
    await publishing.publish(workspace, second, "google")
    query = select(receipts).where(receipts.c.field == "structured_title").order_by(receipts.c.id)
    rows = await workspace.database.read(lambda conn: conn.execute(query).all())
    older, newer = rows[0], rows[9]
    assert newer.product_id == older.product_id and newer.before_id == older.id
    assert older.result_id and newer.result_id and newer.result_id != older.result_id
    assert older.hash == store.value_hash(orjson.loads(older.value))
