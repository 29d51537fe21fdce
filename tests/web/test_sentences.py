"""What the application says in English is said in 中文, and without the command line's words."""

from __future__ import annotations

import pickle
import re
import time

import pytest
from tests.web.raised import raised, words_written

from waremill import checks, errors
from waremill.app.reporting import ADVICE
from waremill.checks import pictures
from waremill.domain import Finding
from waremill.errors import (
    NotFound,
    OutputInvalid,
    SourceError,
    Unavailable,
    WaremillError,
    Where,
)
from waremill.web.strings import all_texts, word
from waremill.web.strings.sentences import (
    find,
    kinds_above,
    kinds_of,
    say,
    say_error,
    say_finding,
    say_kind,
    say_rule,
    sentences,
)

ROOMS = (
    "app", "calls", "catalog", "chat", "checks", "domain", "images", "knowledge", "pipeline.py",
    "providers", "review", "rules", "runs", "steps", "store", "templates", "tools", "web/pages",
)  # fmt: skip
"""Whose sentences a page may show."""
NO_PAGE = {
    "app/auditing.py": "a secret in the audit log is our bug",
    "app/notifying.py": "webhooks are set over the API",
    "app/operations/archive.py": "backups are made on the command line",
    "app/operations/backing_up.py": "backups are made on the command line",
    "app/operations/examining.py": "what doctor says is for who runs the machine",
    "app/operations/surroundings.py": "what doctor says is for who runs the machine",
    "app/operations/erasing.py": "products are erased on the command line",
    "app/operations/retaining.py": "retention is applied on the command line",
    "app/operations/restoring.py": "backups are restored on the command line",
    "app/passwords.py": "without the extra there is no console",
    "app/picturing.py": "the command for single pictures",
    "app/setup.py": "a workspace is made on the command line",
    "app/workspace.py": "for who writes Python",
    "catalog/query.py": "what is wrong with a question is told to the model that wrote it",
    "catalog/units.py": "units are known before they are converted",
    "images/avif_boxes.py": "what it raises is said by who writes notes into a picture",
    "images/embedding.py": "its ValueErrors are caught and said as one sentence, which is there",
    "providers/automatic1111.py": "how a picture server is set up",
    "providers/comfyui.py": "how a picture server is set up",
    "providers/diffusion.py": "how a picture model is set up",
    "providers/diffusion_files.py": "how a picture model is set up",
    "providers/langchain_models.py": "how a model is set up",
    "providers/openai_images.py": "how a picture server is set up",
    "providers/workflow.py": "how a picture server is set up",
    "runs/intervals.py": "numbers that only our own code hands over",
    "steps/__init__.py": "weights are asked for when the server is set up",
    "steps/pictures/drawing.py": "how a step is set up",
    "store/assets.py": "how the place for files is set up",
    "store/backups.py": "backups are made on the command line",
    "tools/adapters/langchain.py": "how a tool of one's own is set up",
    "tools/adapters/llamaindex.py": "how a retriever of one's own is set up",
    "tools/adapters/opening.py": "how tools and retrievers of one's own are set up",
    "tools/adapters/semantic_kernel.py": "how a tool of one's own is set up",
    "tools/tool.py": "how a tool of one's own is set up",
}
"""Files whose sentences need no 中文 of their own, and why: no page of the console shows them."""
ELSEWHERE = {
    "Connection refused", "Connection reset by peer", "Name or service not known",
    "Network is unreachable", "No route to host",  # the system's own
    "{message} (and {count} more problem)", "{message} (and {count} more problems)",
    "the workbook has no rows but {count} picture, which are not read",
    "the workbook has no rows but {count} pictures, which are not read",
    "{count} error cells (the first in {place}) were read as missing",
    "{count} error cell (the first in {place}) were read as missing",
    "{count} lines are not UTF-8 and read as {name}: check them",
    "{count} line is not UTF-8 and read as {name}: check them",
    "the budget does not cover the next call",
    "a whole number in {unit}", "accept all: {what}", "reject all: {what}",
    "{bad} of {looked} bad, more than the {allowed} allowed",
}  # fmt: skip
"""Sentences that are put together of pieces too small to be found again."""
COMMANDS = re.compile(
    r"`?waremill [a-z]|(?<![\w-])--[a-z]|resume --|\bre-?run the command|pip install"
)
"""Words of the command line."""
LATIN_SENTENCE = re.compile(r"(?:[a-z]+ ){4,}[a-z]+")


def is_shown(place: str) -> bool:
    """Say whether a page may show what is raised at a place, such as `app/lots.py:204`."""
    return place.rpartition(":")[0] not in NO_PAGE


def test_every_sentence_a_page_may_show_is_said_in_chinese() -> None:
    """One that fails here is new: add a line with its 中文 to a table in web/strings/sentences."""
    found = [one for one in raised(*ROOMS) if is_shown(one.place)]
    assert len(found) > 400, "the sentences are not found in the source any more"
    silent = [
        f"{one.place}  {one.text!r}"
        for one in found
        if not any(find(text) for text in one.filled())
    ]
    assert silent == []


def test_no_sentence_of_the_tables_has_lost_its_source() -> None:
    """What nobody says any more is deleted: the longest words of each line stand in the source."""
    written = "\n".join(words_written())
    lost = []
    for one in sentences():
        parts = [
            part.strip() for text in one.literals for part in re.split(r"[;:(“]| and | but ", text)
        ]
        longest = max(parts, key=len)
        if longest not in written and one.source not in ELSEWHERE:
            lost.append(one.source)
    assert lost == []


def test_tables_are_whole() -> None:
    seen: dict[str, str] = {}
    for one in sentences():
        assert one.chinese.strip() and one.source not in seen, one.source
        seen[one.source] = one.chinese
        assert one.weight >= 2, one.source
        for (_, hint), between in zip(one.places[1:], one.literals[1:-1], strict=False):
            assert between or hint, f"two places stand side by side: {one.source}"
        places = {name for name, _ in one.places}
        assert len(places) == len(one.places), f"a place stands twice: {one.source}"
        for text in (one.chinese, one.english or ""):
            assert set(re.findall(r"\{([a-z]+\d?)[!]?\}", text)) <= places, one.source


def test_no_sentence_shown_speaks_of_the_command_line() -> None:
    for one in raised(*ROOMS):
        if not is_shown(one.place):
            continue
        for text in one.filled():
            if find(text):
                for language in ("en", "zh"):
                    shown = say(language, text)  # type: ignore[arg-type]
                    assert not COMMANDS.search(shown), (one.place, shown)
    for english, chinese in all_texts().values():
        assert not COMMANDS.search(english) and not COMMANDS.search(chinese), english


def test_every_check_and_every_kind_of_error_has_a_chinese_name() -> None:
    rules = [
        *checks.names(), *checks.RUN_LEVEL, *pictures.names(),
        "contract", "duplicate-pictures", "refused", "outputinvalid",
    ]  # fmt: skip
    for rule in rules:
        assert re.search(r"[\u4e00-\u9fff]", say_rule("zh", rule)), rule
        assert rule in say_rule("en", rule) or rule == "outputinvalid"
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, WaremillError):
            assert "（{message}）" in word("zh", "error", name), name


def test_advice_is_there_for_every_kind_that_has_one() -> None:
    for kind in ADVICE:
        for language in ("en", "zh"):
            assert word(language, "advice", kind) != kind  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("“12 h” does not stand in the product's data; leave the number out",
         "商品资料中没有“12 h”，请删去该数字"),
        ("entry 2 of `points` has 90 characters; at most 80 are allowed",
         "“points”的第 2 项有 90 个字符，最多允许 80 个"),
        ("`points` has 2 different entries; exactly 3 are wanted",
         "“points”有 2 个不同的项，应恰好 3 个"),
        ("amazon does not allow the character “!”; leave it out",
         "amazon 不允许字符“!”，请删去"),
        ("the text is in French; write it in German", "文本语言是法语，应为德语"),
        ("unknown field `brnad`, did you mean `brand`?", "未知的字段“brnad”，是不是“brand”？"),
        ("unknown field `brnad`", "未知的字段“brnad”"),
        ("templates/a b.yaml:3: unknown check `x`; there are language, no-urls",
         "templates/a b.yaml，第 3 行：未知的检查“x”；现有：language, no-urls"),
        ("access denied: openai refused the key (401): no such key",
         "无权访问：openai 拒绝了密钥（401）：no such key"),
        ("maria rejected (wrong-fact) A-1 for de-DE 5 s ago; look again",
         "maria 5 秒前驳回了 A-1（de-DE）（事实错误），请重新查看"),
        ("run 7-ab is cancelled: its planning was cut off", "任务 7-ab已取消：规划被中断"),
        ("run 7-ab needs the role operator; maria is viewer",
         "任务 7-ab 需要“运营”角色，maria 的角色是“查看”"),
    ],
)  # fmt: skip
def test_sentences_are_said_with_what_stands_in_them(english: str, chinese: str) -> None:
    assert say("zh", english) == chinese
    assert say("en", english).replace(", line 3", ":3") == english


def test_the_command_lines_words_are_replaced_in_english_too() -> None:
    said = "there is no run “nope”; `waremill runs` lists them"
    assert say("en", said) == "there is no run “nope”; the page Runs lists them"
    assert say("zh", said) == "没有任务“nope”，请在“任务”页面查看"


def test_why_a_run_stands_still_says_what_to_press() -> None:
    reason = "budget: the budget does not cover the next call"
    assert say("zh", reason) == "预算不足以支付下一次调用，请点“调整预算”后继续"
    assert say("en", reason).endswith("raise it with “Change budget”, then press “Resume”")
    team = "budget: the team's monthly budget does not cover the next call"
    assert say("zh", team) == "团队每月预算不足以支付下一次调用"


def test_an_error_says_its_place_and_no_folder_of_the_server() -> None:
    where = Where("/srv/shop/.waremill/uploads/4f/perfumes.xlsx", sheet="Tabelle 1", row=3)
    error = SourceError("the key column “sku” is empty", where)
    assert say_error("zh", error) == "perfumes.xlsx，工作表“Tabelle 1”，第 3 行：编号列“sku”为空"
    assert say_error("en", error) == (
        "perfumes.xlsx, sheet “Tabelle 1”, row 3: the key column “sku” is empty"
    )


def test_an_unknown_sentence_is_said_by_its_kind() -> None:
    assert say_error("zh", NotFound("no such moon")) == "没有找到（no such moon）"
    assert say_error("en", NotFound("no such moon")) == "no such moon"

    class Eclipse(Unavailable):
        """A kind that this program does not know yet."""

    assert say_error("zh", Eclipse("it is dark")) == "模型服务暂不可用（it is dark）"
    assert say_kind("zh", kinds_above("RateLimited"), "slow down") == (
        "模型服务限制了请求频率（slow down）"
    )
    assert say_kind("zh", kinds_above("ZeroDivisionError"), "1/0") == "操作未完成（1/0）"
    assert kinds_of(OutputInvalid)[:2] == ("OutputInvalid", "WaremillError")


def test_a_finding_of_an_unknown_sentence_is_said_by_its_rule() -> None:
    found = Finding("title", "no-urls", "error", "something new", "www.example.com")
    assert say_finding("zh", found) == "网址或联系方式：www.example.com"
    assert say_finding("en", found) == "something new"
    kept = {"rule": "unheard-of", "message": "something new", "evidence": ""}
    assert say_finding("zh", kept) == "unheard-of：something new"


def test_what_a_model_is_told_stays_english() -> None:
    """Findings are only said otherwise where they are shown; they travel as they were made."""
    made = Finding("title", "no-urls", "error", "“a.de” is a web address; leave it out", "a.de")
    assert say_finding("zh", made) == "“a.de”是网址，请删去"
    assert pickle.loads(pickle.dumps(made)).message == "“a.de” is a web address; leave it out"


@pytest.mark.parametrize(
    "text",
    [
        "openai rejected the request (400): " + "a; (b) , " * 200,
        "a: “b” the c (d): " * 110,
        "“x” of `y` is " * 140,
        "x.y, sheet “" + "a, row 1" * 240,
        "x" * 100_000,
    ],
)
def test_words_of_somebody_else_take_no_time(text: str) -> None:
    began = time.perf_counter()
    say("zh", text)
    assert time.perf_counter() - began < 0.2


def test_what_was_said_in_chinese_holds_no_english_sentence() -> None:
    for one in sentences():
        words = re.sub(r"\{[^{}]*\}|“[^”]*”|[A-Z]{2,}", " ", one.chinese)
        assert not LATIN_SENTENCE.search(words), one.source
