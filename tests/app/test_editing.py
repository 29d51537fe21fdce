"""Editing a workspace's files: drafts, approval, history, preview, playground."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select
from tests.vendor import Vendor
from tests.workspaces import COPY, PRICE, make_workspace, perfumes, write_sheet

import waremill as library
from waremill.app import Workspace
from waremill.app.acting import Actor
from waremill.app.editing import Editor, Played, Side, Using, diff_lines
from waremill.app.workfiles import LARGEST_TEXT
from waremill.errors import (
    ConfigError,
    Conflict,
    Forbidden,
    LimitReached,
    NotFound,
    TemplateError,
)
from waremill.store.tables import answers, results, spend
from waremill.store.tables_people import owners, users

PATH = "templates/copy.yaml"
PIPELINE = """\
name: launch
params: {tone: calm}
targets: [en-US]
steps:
  - generate: {template: copy}
  - generate: {template: praise}
review: {accept: "_findings = 0"}
"""
PRAISE = """\
name: praise
instruction: Write one {{ tone }} sentence in {{ language }} about {{ title }}.
input: [name]
output:
  praise: {type: string, max_chars: 90}
"""
FILES = {"pipelines/launch.yaml": PIPELINE, "templates/praise.yaml": PRAISE}
MODELS = f"""{PRICE}
[models.other]
use = "openai:other-model"
base_url = "URL"
price = {{input = 2.0, output = 2.0}}
"""


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    """A vendor that answers everything."""
    async with Vendor() as running:
        yield running


@pytest.fixture
async def workspace(tmp_path: Path, vendor: Vendor) -> AsyncIterator[Workspace]:
    """A workspace of twelve perfumes."""
    models = MODELS.replace("URL", vendor.url)
    make_workspace(tmp_path / "shop", vendor.url, files=FILES, model=models)
    sheet = write_sheet(tmp_path / "stock.csv", perfumes(12))
    async with library.open(tmp_path / "shop") as opened:
        await opened.import_catalog([sheet], key="sku")
        yield opened


def root(workspace: Workspace) -> Path:
    """The workspace's folder."""
    return workspace.settings.root


async def with_accounts(workspace: Workspace) -> tuple[Editor, Editor]:
    """Editors of two operators, in a workspace with accounts."""
    row = {"name": "ann", "admin": False, "language": "en", "disabled": False, "created_at": 0.0}
    await workspace.database.write(lambda conn: conn.execute(insert(users).values(row)))
    ann, bob = (workspace.acting(Actor(name, {1: "operator"})) for name in ("ann", "bob"))
    return Editor(ann), Editor(bob)


OTHER = COPY.replace("in English", "in French")
BROKEN = COPY.replace("max_chars: 400", "max_charz: 400")


async def test_the_files_that_may_be_edited_are_listed(workspace: Workspace) -> None:
    (root(workspace) / "templates" / "includes").mkdir()
    (root(workspace) / "templates" / "includes" / "claims.md").write_text("No claims.\n")
    (root(workspace) / "glossary.csv").write_text("source,de\nrose,Rose\n")
    listed = {one.path: one.kind for one in await Editor(workspace).files()}
    assert listed == {
        "glossary.csv": "glossary", "pipelines/launch.yaml": "pipeline", PATH: "template",
        "templates/includes/claims.md": "include", "templates/praise.yaml": "template",
    }  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "../secret.yaml", "templates/../waremill.toml", "templates/../../etc/passwd.yaml",
        "/etc/passwd", "templates//copy.yaml", "templates/.hidden.yaml", "waremill.toml", ".env",
        "templates/copy.py", "templates", "templates/", "gold/x.jsonl", "templates\\copy.yaml",
        "templates/a\0.yaml", "templates/a\n.yaml", "templates/" + "a" * 250 + ".yaml", "",
        "templates/CON\u202eyaml.yaml",
    ],
)  # fmt: skip
async def test_no_other_file_can_be_read_or_written(workspace: Workspace, path: str) -> None:
    editor = Editor(workspace)
    with pytest.raises(ConfigError):
        await editor.read(path)
    with pytest.raises(ConfigError):
        await editor.save_draft(path, COPY, "new-0")


async def test_links_are_neither_followed_nor_replaced(
    workspace: Workspace, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.yaml").write_text(COPY)
    (root(workspace) / "templates" / "link.yaml").symlink_to(outside / "x.yaml")
    (root(workspace) / "channels").symlink_to(outside, target_is_directory=True)
    os.mkfifo(root(workspace) / "templates" / "pipe.yaml")
    editor = Editor(workspace)
    for path in ("templates/link.yaml", "channels/x.yaml", "templates/pipe.yaml"):
        with pytest.raises(ConfigError):
            await editor.read(path)
        with pytest.raises(ConfigError):
            await editor.save_draft(path, OTHER, "new-0")
    assert (outside / "x.yaml").read_text() == COPY


async def test_what_is_too_large_or_no_text_is_refused(workspace: Workspace) -> None:
    editor = Editor(workspace)
    etag = (await editor.read(PATH)).etag
    for text in ("a" * (LARGEST_TEXT + 1), "half \ud83d", "nul \0"):
        with pytest.raises(ConfigError):
            await editor.save_draft(PATH, text, etag)
    (root(workspace) / PATH).write_bytes(b"a" * (LARGEST_TEXT + 1))
    with pytest.raises(ConfigError):
        await editor.read(PATH)
    (root(workspace) / PATH).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError):
        await editor.read(PATH)


async def test_a_draft_changes_nothing_on_disk_until_it_is_approved(workspace: Workspace) -> None:
    editor = Editor(workspace)
    opened = await editor.read(PATH)
    assert (opened.state, opened.text, opened.approved) == ("approved", COPY, COPY)
    saved = await editor.save_draft(PATH, OTHER, opened.etag, "French")
    assert (saved.state, saved.text, saved.approved) == ("draft", OTHER, COPY)
    assert saved.version is not None and saved.version.note == "French"
    assert (root(workspace) / PATH).read_text() == COPY
    # Alone in a workspace without accounts, one approves what one wrote.
    assert not await editor.needs_approval()
    await editor.approve(saved.version.id)
    assert (root(workspace) / PATH).read_text() == OTHER
    now = await editor.read(PATH)
    assert (now.state, now.text) == ("approved", OTHER)
    assert [one.state for one in (await editor.versions(PATH)).rows] == ["approved", "replaced"]


async def test_with_accounts_a_second_person_approves(workspace: Workspace) -> None:
    ann, bob = await with_accounts(workspace)
    opened = await ann.read(PATH)
    saved = await ann.save_draft(PATH, OTHER, opened.etag)
    assert saved.version is not None and await ann.needs_approval()
    with pytest.raises(Forbidden):
        await ann.approve(saved.version.id)
    done = await bob.approve(saved.version.id)
    assert (done.state, done.author, done.decided_by) == ("approved", "ann", "bob")
    assert (root(workspace) / PATH).read_text() == OTHER


async def test_the_second_person_can_be_switched_off_and_on(workspace: Workspace) -> None:
    settings = root(workspace) / "waremill.toml"
    settings.write_text(settings.read_text() + "[review]\napprovals = true\n")
    async with library.open(root(workspace)) as strict:
        editor = Editor(strict)
        saved = await editor.save_draft(PATH, OTHER, (await editor.read(PATH)).etag)
        assert saved.version is not None
        with pytest.raises(Forbidden):
            await editor.approve(saved.version.id)
    settings.write_text(settings.read_text().replace("approvals = true", "approvals = false"))
    async with library.open(root(workspace)) as loose:
        ann, _ = await with_accounts(loose)
        assert not await ann.needs_approval()
        await ann.approve(saved.version.id)
    assert (root(workspace) / PATH).read_text() == OTHER


async def test_two_who_edit_at_once_do_not_overwrite_each_other(workspace: Workspace) -> None:
    ann, bob = await with_accounts(workspace)
    etag = (await ann.read(PATH)).etag
    await ann.save_draft(PATH, OTHER, etag)
    with pytest.raises(Conflict, match="ann saved"):
        await bob.save_draft(PATH, COPY + "# more\n", etag)
    (root(workspace) / PATH).write_text(COPY + "# by hand\n")
    opened = await bob.read(PATH)
    assert opened.state == "draft"
    with pytest.raises(Conflict):
        await bob.save_draft(PATH, OTHER + "# and\n", etag)


async def test_a_draft_older_than_a_change_on_disk_is_not_approved(workspace: Workspace) -> None:
    editor = Editor(workspace)
    saved = await editor.save_draft(PATH, OTHER, (await editor.read(PATH)).etag)
    assert saved.version is not None
    (root(workspace) / PATH).write_text(COPY + "# by hand\n")
    with pytest.raises(Conflict, match="changed on disk"):
        await editor.approve(saved.version.id)
    again = await editor.save_draft(PATH, OTHER, (await editor.read(PATH)).etag)
    assert again.version is not None
    await editor.approve(again.version.id)
    assert (root(workspace) / PATH).read_text() == OTHER


async def test_a_text_put_on_disk_by_other_means_becomes_a_version(workspace: Workspace) -> None:
    editor = Editor(workspace)
    await editor.read(PATH)
    (root(workspace) / PATH).write_text(OTHER)
    newest, first = (await editor.versions(PATH)).rows
    assert (newest.author, newest.state, first.state) == ("", "approved", "replaced")
    assert await editor.text(newest.id) == OTHER
    assert [one for one in await editor.diff(first.id, newest.id) if one.mark in "+-"]
    # Looking again adds nothing.
    assert len((await editor.versions(PATH)).rows) == 2


async def test_what_runs_could_not_use_is_not_approved(workspace: Workspace) -> None:
    editor = Editor(workspace)
    saved = await editor.save_draft(PATH, BROKEN, (await editor.read(PATH)).etag)
    assert saved.version is not None
    with pytest.raises(ConfigError, match=r"copy\.yaml:7"):
        await editor.approve(saved.version.id)
    assert (root(workspace) / PATH).read_text() == COPY
    assert (await editor.read(PATH)).state == "draft"


async def test_an_earlier_version_is_restored_as_a_draft(workspace: Workspace) -> None:
    editor = Editor(workspace)
    saved = await editor.save_draft(PATH, OTHER, (await editor.read(PATH)).etag)
    assert saved.version is not None
    await editor.approve(saved.version.id)
    first = (await editor.versions(PATH)).rows[-1]
    restored = await editor.restore(first.id, (await editor.read(PATH)).etag)
    assert (restored.state, restored.text, restored.approved) == ("draft", COPY, OTHER)


async def test_a_draft_is_turned_down_and_stays_in_the_history(workspace: Workspace) -> None:
    ann, bob = await with_accounts(workspace)
    saved = await ann.save_draft(PATH, OTHER, (await ann.read(PATH)).etag)
    assert saved.version is not None
    await bob.reject(saved.version.id)
    assert (await ann.read(PATH)).state == "approved"
    assert await ann.text(saved.version.id) == OTHER
    with pytest.raises(Conflict):
        await bob.approve(saved.version.id)


async def test_a_new_file_begins_as_a_draft(workspace: Workspace) -> None:
    editor = Editor(workspace)
    path = "templates/短句.yaml"
    empty = await editor.read(path)
    assert (empty.state, empty.text) == ("new", "")
    text = COPY.replace("name: copy", "name: 短句")
    saved = await editor.save_draft(path, text, empty.etag)
    assert path in {one.path for one in await editor.files() if not one.on_disk}
    assert saved.version is not None
    await editor.approve(saved.version.id)
    assert (root(workspace) / path).read_text(encoding="utf-8") == text


async def test_saving_what_is_there_already_is_said(workspace: Workspace) -> None:
    editor = Editor(workspace)
    with pytest.raises(ConfigError, match="nothing is changed"):
        await editor.save_draft(PATH, COPY, (await editor.read(PATH)).etag)


async def test_who_may_do_what(workspace: Workspace) -> None:
    await workspace.database.write(
        lambda conn: conn.execute(insert(owners).values(kind="template", name="copy", team_id=1))
    )
    viewer = Editor(workspace.acting(Actor("vera", {1: "viewer"})))
    stranger = Editor(workspace.acting(Actor("sam", {2: "admin"})))
    etag = (await viewer.read(PATH)).etag
    assert not (await viewer.read(PATH)).editable
    with pytest.raises(Forbidden):
        await viewer.save_draft(PATH, OTHER, etag)
    with pytest.raises(Forbidden):
        await viewer.play(PATH, COPY, "P0001")
    with pytest.raises(NotFound):
        await stranger.read(PATH)
    assert PATH not in {one.path for one in await stranger.files()}
    version = (await viewer.versions(PATH)).rows[0]
    with pytest.raises(NotFound):
        await stranger.text(version.id)
    with pytest.raises(Forbidden):
        await Editor(workspace.acting(Actor("nobody"))).files()


async def test_lint_points_at_lines_of_a_text_that_is_not_saved(workspace: Workspace) -> None:
    editor = Editor(workspace)
    assert not [one for one in await editor.lint(PATH, COPY) if one.severity == "error"]
    broken = await editor.lint(PATH, BROKEN)
    assert [(one.severity, one.file, one.line) for one in broken][:1] == [("error", PATH, 7)]
    unknown = await editor.lint(PATH, COPY.replace("- brand", "- brnd"))
    assert "did you mean `brand`" in unknown[0].message


async def test_fields_of_earlier_steps_and_parameters_are_known(workspace: Workspace) -> None:
    editor = Editor(workspace)
    found = await editor.lint("templates/praise.yaml", PRAISE)
    assert not [one for one in found if one.severity == "error"]
    offered = {
        (one.name, one.origin): one.used
        for one in await editor.variables("templates/praise.yaml", PRAISE)
    }
    assert offered["title", "field"] and offered["tone", "param"] and offered["name", "column"]
    assert offered["language", "target"] and not offered["brand", "column"]


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("pipelines/launch.yaml", PIPELINE.replace("praise}", "prase}"), "prase"),
        ("pipelines/launch.yaml", PIPELINE.replace("_findings = 0", "_findngs = 0"), "_findngs"),
        ("channels/shop.yaml", "name: [", ""),
        ("schemas/scent.yaml", "attributes: 3\n", ""),
        ("glossary.csv", "nothing\n", ""),
    ],
)
async def test_every_kind_of_file_is_judged(
    workspace: Workspace, path: str, text: str, said: str
) -> None:
    (problem, *_) = await Editor(workspace).lint(path, text)
    assert problem.severity == "error" and said in problem.message


async def test_an_include_that_breaks_a_template_is_said(workspace: Workspace) -> None:
    editor = Editor(workspace)
    (root(workspace) / "templates" / "includes").mkdir()
    include = "templates/includes/claims.md"
    (root(workspace) / include).write_text("No claims.\n")
    text = COPY + "requirements:\n  - {include: claims}\n"
    (root(workspace) / PATH).write_text(text)
    assert not await editor.lint(include, "No claims at all.\n")
    (problem,) = await editor.lint(include, "No {{ claims \n")
    assert problem.severity == "error" and problem.file == include


async def test_the_prompt_of_any_product_and_target_with_tokens_and_price(
    workspace: Workspace,
) -> None:
    editor = Editor(workspace)
    shown = await editor.preview(PATH, OTHER, "P0003")
    (part,) = shown.parts
    assert [role for role, _ in part.messages] == ["system", "user"]
    assert "in French" in part.messages[0][1] and "Eau number 3" in part.messages[1][1]
    assert shown.tokens == part.tokens > 20 and part.max_tokens > 20
    # A dollar a million tokens, both ways.
    assert shown.cost is not None
    assert shown.tokens * 1000 < shown.cost.expected < (shown.tokens + shown.max_tokens) * 1000
    dear = await editor.preview(PATH, OTHER, "P0003", using=Using(model="other"))
    assert dear.cost is not None and dear.cost.expected == 2 * shown.cost.expected
    both = await editor.preview("pipelines/launch.yaml", PIPELINE, "P0003", "de-DE")
    assert [one.step for one in both.parts] == ["copy", "praise"]
    assert (both.target, "German" in str(both.parts[1].messages)) == ("de-DE", True)


async def test_what_cannot_be_previewed_is_said(workspace: Workspace) -> None:
    editor = Editor(workspace)
    with pytest.raises(TemplateError, match=r"copy\.yaml:7"):
        await editor.preview(PATH, BROKEN, "P0003")
    with pytest.raises(NotFound):
        await editor.preview(PATH, COPY, "P9999")
    with pytest.raises(ConfigError, match="target"):
        await editor.preview("templates/praise.yaml", PRAISE, "P0003")
    with pytest.raises(ConfigError):
        await editor.preview("glossary.csv", "source\n", "P0003")


async def counts(workspace: Workspace) -> tuple[int, int, int]:
    """How many answers, results and ledger lines there are."""

    def read(conn):  # type: ignore[no-untyped-def]
        return tuple(
            conn.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (answers, results, spend)
        )

    found: tuple[int, int, int] = await workspace.database.read(read)
    return found


async def test_playing_streams_and_is_paid_once(workspace: Workspace, vendor: Vendor) -> None:
    editor = Editor(workspace)
    heard: list[str] = []
    played = await editor.play(PATH, OTHER, "P0003", emit=heard.append)
    assert len(heard) > 1 and "".join(heard) == played.replies[0]
    assert played.values["title"] and played.error is None and not played.replayed
    assert played.cost and played.input_tokens and played.output_tokens
    assert (vendor.calls, await counts(workspace)) == (1, (1, 0, 1))
    heard.clear()
    again = await editor.play(PATH, OTHER, "P0003", emit=heard.append)
    assert again.replayed and again.values == played.values and heard == [played.replies[0]]
    assert vendor.calls == 1
    # A run of the same text does not pay for it again.
    (root(workspace) / PATH).write_text(OTHER)
    await workspace.run("copy", where="_key = 'P0003'")
    assert vendor.calls == 1


async def test_a_playground_is_no_run_but_is_in_the_ledger(workspace: Workspace) -> None:
    await Editor(workspace).play(PATH, COPY, "P0003")
    await Editor(workspace).play(PATH, COPY, "P0004")
    assert not [run for run in await workspace.runs() if run.kind in ("run", "trial")]
    total = await workspace.database.read(
        lambda conn: conn.execute(select(func.sum(spend.c.calls))).scalar_one()
    )
    assert total == 2


async def test_a_pipeline_plays_all_its_steps(workspace: Workspace) -> None:
    played = await Editor(workspace).play("pipelines/launch.yaml", PIPELINE, "P0003", "de-DE")
    assert set(played.values) == {"title", "points", "praise"}
    assert len(played.replies) == 2


async def test_versions_and_models_side_by_side_on_the_same_products(
    workspace: Workspace,
) -> None:
    seen: list[tuple[int, int]] = []
    sides = (Side(COPY), Side(OTHER), Side(OTHER, "other"))
    keys = ("P0001", "P0002")
    rows = await Editor(workspace).compare(
        PATH, sides, keys, done=lambda row, side, _: seen.append((row, side))
    )
    assert [[one.key for one in row] for row in rows] == [["P0001"] * 3, ["P0002"] * 3]
    assert sorted(seen) == [(row, side) for row in range(2) for side in range(3)]
    assert [one.model for one in rows[0]] == ["default", "default", "other"]
    with pytest.raises(ConfigError):
        await Editor(workspace).compare(PATH, sides, [f"P{n:04}" for n in range(11)])


async def test_what_a_product_lacks_or_a_vendor_refuses_is_said_in_its_place(
    workspace: Workspace, tmp_path: Path
) -> None:
    strict = COPY.replace("- brand", "- volume: {required: true}")
    played = await Editor(workspace).play(PATH, strict, "P0001")
    assert isinstance(played, Played) and played.error and "volume" in played.error
    async with Vendor(keys=("right",)) as closed:
        make_workspace(tmp_path / "closed", closed.url)
        async with library.open(tmp_path / "closed") as other:
            await other.import_catalog([tmp_path / "stock.csv"], key="sku")
            denied = await Editor(other).play(PATH, COPY, "P0001")
    assert denied.error and not denied.values


async def test_a_used_up_month_stops_the_playground(workspace: Workspace) -> None:
    from waremill.store.tables_people import teams

    await workspace.database.write(
        lambda conn: conn.execute(teams.update().values(monthly_budget=1))
    )
    with pytest.raises(LimitReached, match="budget"):
        await Editor(workspace).play(PATH, COPY, "P0001")


def test_a_difference_shows_changed_lines_with_some_around() -> None:
    old = "".join(f"line {n}\n" for n in range(1, 21))
    new = old.replace("line 10\n", "line ten\n")
    shown = [(one.mark, one.text, one.old, one.new) for one in diff_lines(old, new, around=1)]
    assert shown == [
        ("…", "", None, None),
        (" ", "line 9", 9, 9),
        ("-", "line 10", 10, None),
        ("+", "line ten", None, 10),
        (" ", "line 11", 11, 11),
        ("…", "", None, None),
    ]
    assert diff_lines(old, old) == ()


async def test_a_table_with_an_endless_header_is_said_and_not_approved(
    workspace: Workspace,
) -> None:
    editor, text = Editor(workspace), "x" * 200_000
    (problem, *_) = await editor.lint("glossary.csv", text)
    assert (problem.severity, problem.line) == ("error", 1) and "not CSV" in problem.message
    saved = await editor.save_draft("glossary.csv", text, (await editor.read("glossary.csv")).etag)
    assert saved.version is not None
    with pytest.raises(ConfigError, match="not CSV"):
        await editor.approve(saved.version.id)
