"""What `--json` prints is held to the committed JSON Schemas, on a real catalogue and vendor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
from click.testing import CliRunner
from PIL import Image
from tests.web.served import serving
from tests.workspaces import PRICE, make_workspace, perfumes, vendor_process, write_sheet

from waremill.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = {
    path.stem: orjson.loads(path.read_bytes())
    for path in sorted((ROOT / "src" / "waremill" / "cli" / "schemas").glob("*.json"))
}
TWO_MODELS = (
    PRICE
    + """
[models.other]
use = "openai:other-model"
base_url = "URL"
price = {input = 2.0, output = 2.0}
"""
)


class Shell:
    """Runs commands in a workspace and keeps what `--json` printed, by the schema it must keep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed: dict[str, list[Any]] = {}

    def run(self, schema: str, *arguments: str, code: int = 0, typed: str | None = None) -> Any:
        """Run one command with `--json`; give the document."""
        command = [*arguments, "-C", str(self.folder), "--json"]
        done = CliRunner().invoke(cli, command, input=typed)
        assert done.exit_code == code, (arguments, done.output)
        document = orjson.loads(done.stdout)
        self.printed.setdefault(schema, []).append(document)
        return document


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Any]]:
    """What every command prints with `--json` about one small catalogue and a loopback vendor."""
    folder = tmp_path_factory.mktemp("json") / "shop"
    with vendor_process() as url:
        make_workspace(folder, url, model=TWO_MODELS.replace("URL", url))
        rows = [*perfumes(12), {"sku": "", "name": "No key", "brand": "", "notes": ""}]
        sheet = write_sheet(folder / "perfumes.csv", rows)
        gold = folder / "gold.jsonl"
        gold.write_text('{"sku": "P0001", "title": "Eau"}\n{"sku": "P0002", "title": null}\n')
        shell = Shell(folder)
        shell.run("error", "status", "last", code=2)
        shell.run("runs", "runs")
        shell.run("import", "import", str(sheet), "--key", "sku")
        shell.run("models", "models")
        shell.run("models", "models", "--check")
        shell.run("products", "products", "--where", "brand = 'House 1'", "--limit", "1")
        pictured(shell)
        operated(shell)
        shell.run("templates", "templates")
        bad = "name: bad\ninstruction: Write {{ nam.\noutput: {title: string}\n"
        (folder / "templates" / "bad.yaml").write_text(bad, encoding="utf-8")
        shell.run("templates-check", "templates", "check", "bad", code=2)
        shell.run("doctor", "doctor", code=1)
        shell.run("templates-show", "templates", "show", "copy", "--on", "P0001")
        shell.run("estimate", "estimate", "copy")
        shell.run("trial", "trial", "copy", "-n", "12", "--gold", str(gold))
        shell.run("run", "run", "copy", "--model", "other", "--budget", "0.000001", code=3)
        shell.run("run", "resume", "last", "--budget", "5")
        shell.run("run", "status", "last")
        shell.run("run", "run", "copy", "-o", str(folder / "copy.csv"))
        shell.run("run", "work", "last")
        shell.run("runs", "runs")
        shell.run("error", "pause", "last", code=2)
        shell.run("run", "run", "copy", "--fresh", "--budget", "0.000001", code=3)
        shell.run("run", "pause", "last")
        shell.run("run", "cancel", "last")
        finished = shell.printed["run"][-4]["run"]
        shell.run("review", "review", finished, "--accept-where", "_findings = 0")
        shell.run("export", "export", finished, str(folder / "copy.xlsx"), "--accepted")
        shell.run("report", "report", finished)
        shared(shell, finished)
        shell.run("backup", "backup", str(folder.parent / "b.tar.gz"))
        shell.run("error", "backup", str(folder.parent / "b.tar.gz"), code=2)
        shell.run("erase", "erase", "P0011")
        with (folder / "waremill.toml").open("a", encoding="utf-8") as file:
            file.write("[retention]\nanswers = 30\n")
        shell.run("retain", "retain", "--yes")
        back = Shell(folder.parent / "back")
        back.folder.mkdir()
        back.run("restore", "restore", str(folder.parent / "b.tar.gz"))
        shell.printed |= back.printed
        made = Shell(folder.parent / "new")
        made.run("init", "init", "--example", "perfume")
        with serving(folder) as server:
            shell.printed["serve"] = [server.document]
        scheduled(shell)
        known(shell)
        asked(shell, url)
        talked(shell)
        people(shell)
    return {**shell.printed, **made.printed}


def shared(shell: Shell, run: str) -> None:
    """Publish a run to a feed whose one row too long is refused, and take it back."""
    folder = shell.folder
    with (folder / "waremill.toml").open("a", encoding="utf-8") as file:
        file.write('[publish.feed]\nformat = "acp"\nout = "feed.jsonl"\n')
    (folder / "publish").mkdir()
    text = "".join(f"  {name}: {{value: {value}}}\n" for name, value in {
        "url": "https://shop.example", "image_url": "https://shop.example/a.jpg", "price": "5 USD",
        "availability": "in_stock", "is_eligible_search": "true", "is_eligible_checkout": "false",
        "seller_name": "Shop", "seller_url": "https://shop.example", "store_country": "US",
        "target_countries": "US",
    }.items())  # fmt: skip
    text += "  item_id: sku\n  title: title\n  description: notes\n  brand: {from: brand}\n"
    place = folder / "publish" / "feed.yaml"
    place.write_text(f"columns:\n{text}  color: {{value: {'x' * 41}}}\n", encoding="utf-8")
    refused = shell.run("publish", "publish", run, "feed", "--dry-run", code=1)
    assert refused["publications"][0]["refusals"]
    shell.run("publish", "publish", run, "feed", code=1)
    shell.run("publish-refusals", "publish", "refusals", "last")
    shell.run("export", "publish", "refusals", "last", "refused.csv")
    place.write_text(f"columns:\n{text}", encoding="utf-8")
    shell.run("publish", "publish", "run", run, "feed")
    shell.run("publish-list", "publish", "list")
    shell.run("publish-show", "publish", "show", "last")
    shell.run("publish-show", "publish", "rollback", "last")
    shell.run("publish-channels", "publish", "channels")
    shell.run("error", "publish", run, "feeds", code=2)


def operated(shell: Shell) -> None:
    """Work on a folder of pictures, one of which is none."""
    photos = shell.folder / "photos"
    photos.mkdir()
    Image.new("RGB", (40, 30), "red").save(photos / "good.png")
    (photos / "bad.png").write_bytes(b"no picture")
    (photos / "notes.txt").write_text("not one either")
    out = str(shell.folder / "small")
    shell.run("image", "image", "resize", str(photos), out, "--longest", "20", code=1)


def pictured(shell: Shell) -> None:
    """Print a product with picture slots, from a workspace of its own."""
    schema = "category: Eau\nattributes: {main_image: {type: image}, scene_image: {type: image}}\n"
    folder = shell.folder.parent / "pictured"
    make_workspace(folder, "http://127.0.0.1:9/v1", files={"schemas/eau.yaml": schema})
    row = {"sku": "P1", "category": "Eau", "main_image": "eau.jpg"}
    own = Shell(folder)
    own.run("import", "import", str(write_sheet(folder / "eau.csv", [row])), "--key", "sku")
    document = own.run("products", "products", "--target", "de-DE")
    assert len(document["products"][0]["slots"]) == 2
    shell.printed["products"].append(document)


def known(shell: Shell) -> None:
    """Make a knowledge base of one document and one that cannot be read, and look at it."""
    folder = shell.folder / "help"
    folder.mkdir()
    (folder / "remote.md").write_text("# Remote\n\nHold the button for five seconds to reset it.")
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4 cut")
    shell.run("knowledge-add", "knowledge", "add", "help", str(folder), "--meta", "a=1", code=1)
    shell.run("knowledge-list", "knowledge", "list")
    shell.run("knowledge-show", "knowledge", "show", "help")
    shell.run("knowledge-document", "knowledge", "show", "help", "remote.md")
    shell.run("knowledge-search", "knowledge", "search", "help", "reset", "--where", "a=1")
    shell.run("export", "knowledge", "export", "help", str(folder / "passages.csv"))
    shell.run("knowledge-rebuild", "knowledge", "rebuild", "help")
    shell.run("knowledge-remove", "knowledge", "remove", "help", "remote.md")
    shell.run("knowledge-remove", "knowledge", "remove", "help", "--all")
    shell.run("error", "knowledge", "show", "help", code=2)


def asked(shell: Shell, url: str) -> None:
    """Print the answers and the open questions of a run, from a workspace of its own."""
    steps = "  - faq: {questions: questions/asked.csv, knowledge: guide, facts: [name]}\n"
    folder = shell.folder.parent / "asked"
    files = {
        "pipelines/ask.yaml": f"name: ask\ntargets: [en-US]\nsteps:\n{steps}",
        "questions/asked.csv": "question\nHow long does it last?\nIs there a refill?\n",
        "guide/care.md": "# Care\n\nThe scent lasts eight hours on the skin.\n",
    }
    make_workspace(folder, url, files=files)
    own = Shell(folder)
    own.run("import", "import", str(write_sheet(folder / "a.csv", perfumes(3))), "--key", "sku")
    own.run("knowledge-add", "knowledge", "add", "guide", str(folder / "guide"))
    own.run("run", "run", "ask")
    place = str(folder / "faq.jsonl")
    own.run("faq-entries", "faq", "entries", "last", "-o", place)
    own.run("faq-unanswered", "faq", "unanswered", "last")
    shell.printed |= {name: own.printed[name] for name in ("faq-entries", "faq-unanswered")}


def talked(shell: Shell) -> None:
    """Ask two questions, of which the model's replies say nothing to the point, and look at it."""
    document = shell.run("chat", "chat", typed="How long does it last?\nAnd then?\n")
    assert len(document["turns"]) == 2
    shell.run("chat-list", "chat", "--list")
    place = str(shell.folder / "chat.md")
    shell.run("chat-done", "chat", "--resume", "last", "--export", place)
    shell.run("chat-done", "chat", "--resume", str(document["id"]), "--delete")
    shell.run("error", "chat", "--resume", "last", code=2)


def scheduled(shell: Shell) -> None:
    """Add a schedule, fire it, and look at it."""
    words = ["--cron", "0 3 * * *", "--timezone", "Asia/Shanghai", "--budget", "1"]
    shell.run("schedule", "schedule", "add", "nightly", "copy", *words, "--only", "new")
    shell.run("schedule-slot", "schedule", "run", "nightly")
    shell.run("schedules", "schedule", "list")
    shell.run("schedule-show", "schedule", "show", "nightly")
    shell.run("schedule", "schedule", "pause", "nightly")
    shell.run("schedule", "schedule", "resume", "nightly")
    shell.run("schedule-removed", "schedule", "remove", "nightly")
    shell.run("error", "schedule", "pause", "nightly", code=2)
    shell.run("schedule-show", "schedule", "show", "nightly")
    shell.run("schedules", "schedule", "list", "--removed")
    shell.printed["schedule-work"] = [{"schedules": 0}]  # it ends with Ctrl-C alone


def people(shell: Shell) -> None:
    """Print accounts, teams and tokens."""
    shell.run("user", "user", "add", "shop", "--password-stdin", typed="correct horse\n")
    shell.run("user", "user", "add", "ben", "--no-password", "--role", "reviewer")
    shell.run("user", "user", "role", "ben", "none")
    shell.run("user", "user", "disable", "ben")
    shell.run("users", "user", "list")
    shell.run("team", "user", "team", "perfume", "--add", "--monthly-budget", "30")
    shell.run("teams", "user", "team")
    shell.run("owner", "user", "owner", "template", "copy", "--team", "perfume")
    shell.run("owner", "user", "owner", "template", "copy")
    shell.run("owner", "user", "owner", "template", "copy", "--everybody")
    shell.run("token-new", "user", "token", "add", "nightly", "--user", "shop")
    shell.run("token", "user", "token", "revoke", "1")
    shell.run("tokens", "user", "token", "list")
    shell.run("error", "user", "role", "nobody", "admin", code=2)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a trial of one model against another prints."""
    folder = tmp_path_factory.mktemp("against") / "shop"
    with vendor_process() as url:
        make_workspace(folder, url, model=TWO_MODELS.replace("URL", url))
        shell = Shell(folder)
        shell.run("import", "import", str(write_sheet(folder / "a.csv", perfumes(6))))
        gold = folder / "gold.jsonl"
        gold.write_text('{"sku": "P0001", "title": "Eau"}\n{"sku": "P0002", "title": "Eau 2"}\n')
        return shell.run("trial", "trial", "copy", "--gold", str(gold), "--against", "other")


def strict(schema: Any) -> Any:
    """Refuse what a schema does not describe: documents may grow only together with it."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        closed["additionalProperties"] = False
    return closed


@pytest.mark.parametrize("schema", SCHEMAS)
def test_json_output_keeps_its_schema_and_prints_nothing_undescribed(
    schema: str, printed: Mapping[str, list[Any]]
) -> None:
    validator = jsonschema_rs.validator_for(strict(SCHEMAS[schema]))
    for document in printed[schema]:
        assert [f"{e.instance_path}: {e.message}" for e in validator.iter_errors(document)] == []


def test_a_comparison_keeps_the_schema_too(compared: Any) -> None:
    validator = jsonschema_rs.validator_for(strict(SCHEMAS["trial"]))
    assert [f"{e.instance_path}: {e.message}" for e in validator.iter_errors(compared)] == []
    assert compared["comparison"]["pairs"] == 6


def test_every_command_has_a_schema_and_every_schema_a_command() -> None:
    used = [one for schema in SCHEMAS.values() for one in schema["x-commands"]]
    assert {one.partition(" ")[0] for one in used} - {"every"} == set(COMMANDS)
    for schema in SCHEMAS.values():
        jsonschema_rs.meta.validate(schema)
    page = (ROOT / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
    assert not [name for name in SCHEMAS if f"\n## {name}\n" not in page]
