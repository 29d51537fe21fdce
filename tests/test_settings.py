"""The workspace's settings: found, read, checked, and silent about keys."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest

from waremill.domain import Price
from waremill.errors import ConfigError
from waremill.providers import vendors
from waremill.settings import (
    SETTINGS,
    VARIABLES,
    VENDORS,
    Settings,
    find_workspace,
    load_settings,
    workspace_files,
)

KEY = "sk-Very-Secret-0123456789"
FULL = """
currency = "CNY"
per_usd = 7.1
languages = ["en", "zh-Hant"]

[database]
url = "sqlite:///data/catalogue.db"

[limits]
budget = 20
deadline = 90
error_rate = 0.1
concurrency = 256
asks_again = 1

[prices]
"dashscope:qwen-plus" = {input = 0.8, output = 2, currency = "CNY"}

[models.writer]
use = "openai:gpt-4.1-mini"
base_url = ["https://one.example/v1/", "https://two.example/v1"]
api_key_env = ["WRITER_KEY", "WRITER_KEY_2"]
rpm = 5000
tpm = 2_000_000
concurrency = 32
timeout = 30
fallback = ["qwen", "anthropic:claude-haiku-4-5"]
headers = {X-Team = "catalogue", X-Gate = "Bearer ${GATE_TOKEN}"}
proxy = "http://proxy.example:3128"
price = {input = 0.4, output = 1.6, cached = 0.1}
structured = "schema"
temperature = 0
top_p = 0.9
seed = 7
stop = ["\\n\\n"]
effort = "low"

[models.qwen]
use = "dashscope:qwen-plus"
"""


def load(folder: Path, toml: str = "", **environment: str) -> Settings:
    (folder / "waremill.toml").write_text(toml, encoding="utf-8")
    return load_settings(folder, environment)


def refusal(folder: Path, toml: str, **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, toml, **environment)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_an_empty_file_gives_the_defaults_and_the_embedded_model(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert (settings.currency, settings.per_usd) == ("USD", 1.0)
    assert settings.languages == ("en", "zh", "de", "fr")
    assert settings.database == f"sqlite:///{tmp_path.resolve()}/.waremill/waremill.db"
    assert settings.limits.budget is None
    assert settings.model("default").vendor == "local"
    assert settings.missing_keys("default") == ()


def test_every_setting_is_read(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL, WRITER_KEY="k1", WRITER_KEY_2="k2", GATE_TOKEN="t")
    assert settings.database == f"sqlite:///{tmp_path.resolve()}/data/catalogue.db"
    assert (settings.limits.budget, settings.limits.concurrency) == (20, 256)
    writer = settings.model("writer")
    assert writer.base_urls == ("https://one.example/v1", "https://two.example/v1")
    assert writer.keys == ("k1", "k2")
    assert (writer.rpm, writer.tpm, writer.concurrency, writer.timeout) == (5000, 2000000, 32, 30)
    assert writer.fallback == ("qwen", "anthropic:claude-haiku-4-5")
    assert writer.headers == {"X-Team": "catalogue", "X-Gate": "Bearer t"}
    assert writer.proxy == "http://proxy.example:3128"
    assert writer.price == Price(400_000_000, 1_600_000_000, 100_000_000, source="waremill.toml")
    assert writer.structured == "schema"
    assert writer.options == {
        "temperature": 0, "top_p": 0.9, "seed": 7, "stop": ("\n\n",), "effort": "low",
    }  # fmt: skip


def test_a_price_in_the_workspaces_currency_becomes_nano_dollars(tmp_path: Path) -> None:
    price = load(tmp_path, FULL).model("qwen").price
    assert price is not None
    assert price.input == round(0.8 / 7.1 * 1_000_000_000)


def test_a_missing_key_does_not_stop_loading_and_is_named(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL, WRITER_KEY="k1")
    assert settings.model("writer").keys == ("k1",)
    assert settings.missing_keys("writer") == ("WRITER_KEY_2", "GATE_TOKEN")
    assert settings.missing_keys("qwen") == ("DASHSCOPE_API_KEY",)
    assert "X-Gate" not in settings.model("writer").headers


@pytest.mark.parametrize("vendor", sorted({*VENDORS, *vendors()}))
def test_a_model_may_name_every_vendor_that_a_provider_serves(tmp_path: Path, vendor: str) -> None:
    settings = load(
        tmp_path, f'[models.m]\nuse = "{vendor}:one"\napi_key_env = "MY_KEY"', MY_KEY="k"
    )
    assert settings.model("m").vendor == vendor
    assert settings.model("m").keys == ("k",)
    assert vendor in vendors()


@pytest.mark.parametrize("vendor", [name for name, keys in VENDORS.items() if keys])
def test_each_vendor_has_its_usual_key_variable(tmp_path: Path, vendor: str) -> None:
    for variable in VENDORS[vendor]:
        settings = load(tmp_path, **{variable: f" {KEY}\n"})
        assert settings.model(f"{vendor}:m").keys == (KEY,)
        assert settings.missing_keys(f"{vendor}:m") == ()


def test_on_loopback_no_key_is_needed_and_none_is_handed_over_unnamed(tmp_path: Path) -> None:
    toml = '[models.m]\nuse = "openai:m"\nbase_url = "http://127.0.0.1:8000/v1"\n'
    settings = load(tmp_path, toml, OPENAI_API_KEY=KEY, HTTP_PROXY="http://p.example:1")
    assert settings.model("m").keys == ()
    assert settings.model("m").proxy is None
    assert settings.missing_keys("m") == ()
    named = load(tmp_path, toml + 'api_key_env = "OPENAI_API_KEY"\n', OPENAI_API_KEY=KEY)
    assert named.model("m").keys == (KEY,)


def test_a_literal_vendor_and_model_needs_no_alias(tmp_path: Path) -> None:
    toml = '[prices]\n"openai:gpt-4.1-mini" = {input = 1, output = 2}\n'
    model = load(tmp_path, toml, OPENAI_API_KEY=KEY).model("openai:gpt-4.1-mini")
    assert (model.vendor, model.name, model.keys) == ("openai", "gpt-4.1-mini", (KEY,))
    assert model.price is not None
    assert model.price.output == 2_000_000_000


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("wirter", "did you mean “writer”"),
        ("zzz", "configured are default, qwen, writer"),
        ("opnai:gpt-4.1", "did you mean “openai”"),
        ("acme:one", "known vendors: openai"),
        ("openai:", "write openai:MODEL"),
    ],
)
def test_an_unknown_model_gets_a_suggestion(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(tmp_path, FULL).model(name)


def test_the_environments_proxy_is_used_except_where_excluded(tmp_path: Path) -> None:
    toml = (
        '[models.far]\nuse = "openai:m"\nbase_url = "https://api.far.example/v1"\n'
        '[models.near]\nuse = "openai:m"\nbase_url = "https://gw.corp.example/v1"\n'
    )
    environment = {"https_proxy": "http://p.example:3128", "NO_PROXY": "localhost, .corp.example"}
    settings = load(tmp_path, toml, **environment)
    assert settings.model("far").proxy == "http://p.example:3128"
    assert settings.model("near").proxy is None
    assert settings.model("anthropic:m").proxy == "http://p.example:3128"
    assert settings.model("default").proxy is None
    assert load(tmp_path, toml, **{**environment, "NO_PROXY": "*"}).model("far").proxy is None


@pytest.mark.parametrize(
    ("toml", "line", "words"),
    [
        ("curency = 'USD'", 1, "no setting “curency”, did you mean “currency”"),
        ("\n[models.w]\nuse = 'openai:m'\nrmp = 5", 4, "did you mean “rpm”"),
        ("[modles.w]\nuse = 'openai:m'", 1, "did you mean “models”"),
        ("[models.w]\nuse = 'openai:m'\nrpm = 0", 3, "“models.w.rpm” must be a whole number"),
        ("[models.w]\nuse = 'openai:m'\ntpm = 'many'", 3, "whole number of 1 or more"),
        ("[models.w]\nuse = 'openai:m'\ntimeout = 0", 3, "must be a number above 0"),
        ("[models.w]\nuse = 'openai:m'\nrpm = true", 3, "whole number"),
        ("models.w.use = 'opena:m'", 1, "no vendor “opena”, did you mean “openai”"),
        ("[models.w]\nrpm = 5", 1, "names no model; add use"),
        ("[models]\nw = {use = 'openai:m', seed = 'x'}", 2, "“models.w.seed” must be a whole"),
        ("[models]\nw = 'openai:m'", 2, "must be a table, written [models.w]"),
        ("models = 3", 1, "must be a table"),
        ('[models."a:b"]\nuse = "local"', 1, "must not hold a colon"),
        ("[models.w]\nuse = 'openai:m'\nstructured = 'xml'", 3, "must be one of auto, schema"),
        ("[models.w]\nuse = 'openai:m'\nbase_url = 'api.example'", 3, "starts with http://"),
        ("[models.w]\nuse = 'openai:m'\nproxy = 'nowhere'", 3, "must be a proxy address"),
        ("[models.w]\nuse = 'openai:m'\nheaders = {A = 1}", 3, "must be a table of header"),
        ("[models.w]\nuse = 'openai:m'\nprice = {input = 1}", 3, "must be a table such as"),
        ("[models.w]\nuse = 'openai:m'\nprice = {input = -1, output = 1}", 3, "for “input”"),
        ("[models.w]\nuse = 'openai:m'\nprice = {input=1, output=1, x=1}", 3, "no part “x”"),
        (
            "[models.w]\nuse = 'openai:m'\nprice = {input=1, output=1, currency='EUR'}",
            3,
            "must be in USD",
        ),
        (
            "[models.a]\nuse = 'openai:m'\nfallback = 'b'\n[models.b]\nuse = 'openai:n'\n"
            "fallback = ['c']\n[models.c]\nuse = 'openai:o'\nfallback = 'a'",
            3,
            "falls back to itself",
        ),
        ("[models.a]\nuse = 'openai:m'\nfallback = 'qwem'\n[models.qwen]\nuse='local'", 3, "qwen"),
        ("per_usd = 0", 1, "must be a number above 0"),
        ("per_usd = nan", 1, "must be a number"),
        ("per_usd = 7", 1, "must be 1 while the currency is USD"),
        ("currency = 'CNY'", 1, "how many CNY does one US dollar buy"),
        ("currency = 'usd'", 1, "did you mean “USD”"),
        ("currency = 'RMB'", 1, "ISO 4217"),
        ("languages = ['en', 'german']", 1, "holds “german”"),
        ("languages = ['de-DE']", 1, "belong to targets"),
        ("[limits]\nerror_rate = 2", 2, "at most 1"),
        ("[limits]\nbudget = -1", 2, "must be a number of 0 or more"),
        ("'limits.budget' = 1", 1, "no setting “limits.budget”"),
        ("a = 1\nb = = 2", 2, "not valid TOML"),
        ("a = 'x", 1, "not valid TOML"),
        ("a = " + "[" * 5000, None, "not valid TOML"),
        ("[database]\nurl = 'mysql://u:hunter2@h/d'", 2, "must be a URL such as sqlite"),
        ("[database]\nurl = 'sqlite://x/file.db'", 2, "three slashes"),
    ],
)
def test_every_mistake_is_one_sentence_with_file_and_line(
    tmp_path: Path, toml: str, line: int | None, words: str
) -> None:
    said = refusal(tmp_path, toml)
    assert said.startswith("waremill.toml" if line is None else f"waremill.toml:{line}: ")
    assert words in said
    assert "\n" not in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "toml",
    [
        f"[models.w]\nuse = 'openai:m'\napi_key = '{KEY}'",
        f"[models.w]\nuse = 'openai:m'\napi_key_env = '{KEY}'",
        "[models.w]\nuse = 'openai:m'\napi_key_env = 'AIzaVerySecret_0123456789abcdefghijklmn'",
        f"[models.w]\nuse = 'openai:m'\nbase_url = 'https://u:{KEY}@host.example/v1'",
        f"[models.w]\nuse = 'openai:m'\nbase_url = 'https://host.example/v1?key={KEY}'",
        f"[models.w]\nuse = 'openai:m'\nproxy = '{KEY}'",
        f"[models.w]\nuse = 'openai:m'\nrpm = '{KEY}'",
    ],
)
def test_a_key_written_into_the_file_is_refused_and_not_repeated(tmp_path: Path, toml: str) -> None:
    said = refusal(tmp_path, toml)
    assert "Secret" not in said
    assert "waremill.toml:3" in said


def test_keys_are_in_no_repr_text_log_or_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    toml = FULL + '[models.p]\nuse = "vllm:m"\nheaders = {Authorization = "Bearer ${WRITER_KEY}"}\n'
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    settings = load(
        tmp_path,
        toml,
        WRITER_KEY=KEY,
        HTTPS_PROXY=f"http://u:{KEY}@p.example:1",
        WAREMILL_DATABASE_URL=f"postgresql://u:{KEY}@h/d",
    )
    assert settings.model("p").headers == {"Authorization": f"Bearer {KEY}"}
    assert settings.model("openai:x").keys == (KEY,)
    shown = [repr(settings), str(settings), f"{settings.model('p')!r}", repr(settings.models)]
    with pytest.raises(ConfigError) as caught:
        settings.model("nobody")
    shown += [str(caught.value), repr(caught.value), caplog.text]
    assert not any("Secret" in text for text in shown)
    assert "Secret" not in refusal(tmp_path, "", WAREMILL_DATABASE_URL=f"mysql://u:{KEY}@h/d")


def test_the_environment_goes_before_the_file_and_dot_env(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "\ufeff# keys\n"
        "export OPENAI_API_KEY='from file'  # trailing\n"
        'ANTHROPIC_API_KEY="a\\"b # not a comment"\n'
        "DASHSCOPE_API_KEY = plain # comment\n"
        "DEEPSEEK_API_KEY=\n"
        "GEMINI_API_KEY=a#b\n\n",
        encoding="utf-8",
    )
    settings = load(tmp_path, "", OPENAI_API_KEY="from process")
    assert settings.model("openai:m").keys == ("from process",)
    assert settings.model("anthropic:m").keys == ('a"b # not a comment',)
    assert settings.model("dashscope:m").keys == ("plain",)
    assert settings.missing_keys("deepseek:m") == ("DEEPSEEK_API_KEY",)
    assert settings.model("google:m").keys == ("a#b",)
    url = "postgres://me@db.example/waremill"
    assert load(tmp_path, FULL, WAREMILL_DATABASE_URL=url).database == (
        "postgresql+psycopg://me@db.example/waremill"
    )


@pytest.mark.parametrize("line", [f"OPENAI KEY={KEY}", f'A="{KEY}', KEY])
def test_a_broken_dot_env_line_is_named_without_its_text(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"A=1\n{line}\n")
    said = refusal(tmp_path, "")
    assert said.startswith(".env:2: ")
    assert "Secret" not in said


def test_the_nearest_workspace_upward_is_found(tmp_path: Path) -> None:
    load(tmp_path)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_workspace(deep) == tmp_path.resolve()
    assert load_settings(deep, {}).root == tmp_path.resolve()
    with pytest.raises(ConfigError, match="no such folder"):
        find_workspace(tmp_path / "absent")


def test_without_a_workspace_the_user_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="waremill init"):
        find_workspace(tmp_path)


def test_settings_survive_pickling(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL, WRITER_KEY=KEY)
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    (tmp_path / "waremill.toml").write_bytes(
        b'\xef\xbb\xbfcurrency = "USD"\r\nlanguages = ["en"]\r\n'
    )
    assert load_settings(tmp_path, {}).languages == ("en",)
    (tmp_path / "waremill.toml").write_bytes("currency = 'USD'\n# caf\xe9".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"waremill\.toml:2: the file is not UTF-8"):
        load_settings(tmp_path, {})


def test_every_setting_and_variable_is_described() -> None:
    for name, setting in SETTINGS.items():
        assert setting.description.endswith("."), name
        assert setting.default, name
    assert all(line.endswith(".") for line in VARIABLES.values())


# -- workspace files -----------------------------------------------------------------------------


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    for name, text in {
        "waremill.toml": "",
        "glossary.csv": "source,de\n",
        "templates/a.yaml": "name: a\n",
        "templates/parts/b.yaml": "name: b\n",
        "templates/.hidden.yaml": "no",
        "schemas/perfume.yaml": "\ufeffcategory: Perfume\n",
        ".waremill/secret": "no",
        "notes.txt": "no",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "outside.yaml").write_text("secret")
    return root


def test_workspace_files_lists_and_reads_only_what_belongs(workspace: Path) -> None:
    files = workspace_files(workspace)
    names = ["templates/a.yaml", "templates/parts/b.yaml", "schemas/perfume.yaml", "glossary.csv"]
    assert list(files) == names
    assert len(files) == 4
    assert files["schemas/perfume.yaml"] == "category: Perfume\n"
    assert files.get("templates/none.yaml") is None


def test_workspace_files_are_read_when_asked_for(workspace: Path) -> None:
    files = workspace_files(workspace)
    (workspace / "templates/a.yaml").write_text("changed")
    assert files["templates/a.yaml"] == "changed"


@pytest.mark.parametrize(
    "key",
    [
        "../outside.yaml",
        "templates/../../outside.yaml",
        "templates/../waremill.toml",
        "/etc/passwd",
        "templates//a.yaml",
        "./templates/a.yaml",
        "templates\\a.yaml",
        "templates/.hidden.yaml",
        ".waremill/secret",
        "notes.txt",
        "templates",
        "",
        "templates/a.yaml\0",
    ],
)
def test_no_name_leads_out_of_the_workspace(workspace: Path, key: str) -> None:
    files: Mapping[str, str] = workspace_files(workspace)
    assert key not in files
    assert files.get(key) is None


def test_a_link_out_of_the_workspace_is_refused(workspace: Path) -> None:
    (workspace / "templates/link.yaml").symlink_to(workspace.parent / "outside.yaml")
    (workspace / "examples").symlink_to(workspace.parent)
    files = workspace_files(workspace)
    for key in ("templates/link.yaml", "examples/outside.yaml"):
        with pytest.raises(ConfigError, match="leads out of the workspace"):
            files[key]
    assert not any(name.startswith("examples/") for name in files)


def test_a_link_inside_the_workspace_is_fine(workspace: Path) -> None:
    (workspace / "templates/same.yaml").symlink_to("a.yaml")
    assert workspace_files(workspace)["templates/same.yaml"] == "name: a\n"


def test_files_too_large_or_not_text_are_refused_in_one_sentence(workspace: Path) -> None:
    with (workspace / "templates/large.yaml").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    (workspace / "templates/latin.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
    os.mkfifo(workspace / "templates/pipe.yaml")
    files = workspace_files(workspace)
    with pytest.raises(ConfigError, match=r"templates/large\.yaml: the file is larger than 16 MB"):
        files["templates/large.yaml"]
    with pytest.raises(ConfigError, match=r"templates/latin\.yaml:2: the file is not UTF-8"):
        files["templates/latin.yaml"]
    assert "templates/pipe.yaml" not in files


# -- models of pictures --------------------------------------------------------------------------

SCENE = """[models.scene]
use = "comfyui:scene"
workflow = "workflows/scene.json"
options = {sampler = "euler", loras = [{name = "soft", weight = 0.5}], tiled = true}
seed = 5
"""


def test_a_workflow_is_read_from_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "scene.json").write_text('{"1": {}}', encoding="utf-8")
    scene = load(tmp_path, SCENE).model("scene")
    assert scene.workflow == '{"1": {}}'
    assert scene.workflow not in repr(scene)
    assert scene.options == {
        "sampler": "euler", "loras": [{"name": "soft", "weight": 0.5}], "tiled": True, "seed": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("toml", "line", "words"),
    [
        (SCENE, 3, "no file “workflows/scene.json” in the workspace"),
        ("[models.m]\nuse = 'comfyui:m'\nworkflow = '../../etc/passwd'", 3, "no file"),
        ("[models.m]\nuse = 'comfyui:m'\nworkflow = 1", 3, "must be text"),
        ("[models.m]\nuse = 'forge:m'\noptions = 'fast'", 3, "must be a table"),
        ("[models.m]\nuse = 'forge:m'\noptions = {since = 2026-01-01}", 3, "must hold texts"),
        ("[models.m]\nuse = 'forge:m'\noptions = {steps = [inf]}", 3, "must hold texts"),
    ],
)
def test_a_mistake_about_pictures_is_one_sentence_with_its_line(
    tmp_path: Path, toml: str, line: int, words: str
) -> None:
    told = refusal(tmp_path, toml)
    assert told.startswith(f"waremill.toml:{line}: ") and words in told
