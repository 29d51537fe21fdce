"""The embedded model, with real weights: the smallest registered ones, fetched once and kept."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import pytest_asyncio

from waremill import weights
from waremill.domain import Chat, Image, Message, Model
from waremill.errors import AccessDenied, ConfigError, NotFound, Rejected, Unavailable
from waremill.providers import local, open_provider
from waremill.providers.cores import physical_cores

FOLDER = Path(os.environ.get("WAREMILL_MODELS") or weights.default_folder())
TINY = Model("tiny", "local:tiny")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 30},
        "points": {
            "type": "array",
            "items": {"type": "string", "maxLength": 20},
            "minItems": 2,
            "maxItems": 2,
        },
        "family": {"type": "string", "enum": ["woody", "fresh"]},
    },
    "required": ["title", "points", "family"],
    "additionalProperties": False,
}


def chat(text: str = "Name three colours.", max_tokens: int = 24, **fields: Any) -> Chat:
    messages = (Message("system", "You are terse."), Message("user", text))
    return Chat(messages, max_tokens, **fields)


@pytest.fixture(scope="module")
def tiny_file() -> Path:
    file = weights.resolve("local:tiny", folder=FOLDER)
    local.fetch_weights_from(folder=FOLDER)
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tiny(tiny_file: Path) -> AsyncIterator[local.LocalModel]:
    provider = open_provider(TINY)
    assert isinstance(provider, local.LocalModel)
    yield provider
    await provider.aclose()


in_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.model
class TestReplies:
    pytestmark = in_one_loop

    async def test_a_schema_gives_valid_compact_json(self, tiny: local.LocalModel) -> None:
        reply = await tiny(chat("Describe a perfume.", 120, schema=SCHEMA))
        assert reply.outcome == "complete"
        jsonschema_rs.validate(SCHEMA, json.loads(reply.text))
        assert "\n" not in reply.text

    async def test_streamed_pieces_join_to_the_whole_text(self, tiny: local.LocalModel) -> None:
        pieces: list[str] = []
        reply = await tiny(chat(), pieces.append)
        assert len(pieces) > 1
        assert "".join(pieces) == reply.text

    async def test_four_requests_at_once_are_each_answered(self, tiny: local.LocalModel) -> None:
        replies = await asyncio.gather(
            *(tiny(chat(f"Count to {n}.", 60, schema=SCHEMA)) for n in range(4))
        )
        for reply in replies:
            assert reply.outcome == "truncated" or json.loads(reply.text)
            assert reply.usage.output > 0

    async def test_running_out_of_tokens_is_truncated(self, tiny: local.LocalModel) -> None:
        reply = await tiny(chat("Tell a long story.", 3))
        assert (reply.outcome, reply.usage.output) == ("truncated", 3)

    async def test_the_fixed_part_of_a_prompt_is_counted_as_cached(
        self, tiny: local.LocalModel
    ) -> None:
        rules = Message("system", "Use only facts from the input. " * 10)
        ask = [Chat((rules, Message("user", f"Product {n}")), 2) for n in range(2)]
        first = await tiny(ask[0])
        second = await tiny(ask[1])
        assert second.usage.cached > 50
        assert first.usage.input == second.usage.input > second.usage.cached

    async def test_a_stop_word_ends_the_reply_and_is_left_out(self, tiny: local.LocalModel) -> None:
        whole = await tiny(chat())
        stop = whole.text[3:5]
        reply = await tiny(chat(options={"stop": [stop]}))
        assert stop not in reply.text
        assert reply.outcome == "complete"

    async def test_samples_and_takes_differ(self, tiny: local.LocalModel) -> None:
        asked = [chat("Tell a story.", 30, sample=n, take=t) for n, t in ((0, 0), (1, 0), (0, 1))]
        assert len({(await tiny(one)).text for one in asked}) == 3

    async def test_a_prompt_beyond_the_context_is_rejected_in_one_sentence(
        self, tiny: local.LocalModel
    ) -> None:
        with pytest.raises(
            Rejected, match=r"tokens long, and the embedded model takes 4096"
        ) as raised:
            await tiny(chat("word " * 6000))
        assert (raised.value.status, raised.value.provider) == (400, "local")

    async def test_a_schema_no_grammar_can_be_made_of_leaves_the_reply_free(
        self, tiny: local.LocalModel
    ) -> None:
        reply = await tiny(chat(schema={"$ref": "#/nowhere"}))
        assert reply.text

    async def test_pictures_are_rejected(self, tiny: local.LocalModel) -> None:
        message = Message("user", ("What is it?", Image("https://example.test/a.png")))
        with pytest.raises(Rejected, match="reads no pictures"):
            await tiny(Chat((message,), 5))

    async def test_cancelling_frees_the_slot_and_the_loop_runs_on(
        self, tiny: local.LocalModel
    ) -> None:
        long = [asyncio.create_task(tiny(chat("Tell a story.", 2000))) for _ in range(tiny.slots)]
        ticks = 0
        for _ in range(20):
            await asyncio.sleep(0.01)
            ticks += 1
        for task in long:
            task.cancel()
        ended = await asyncio.gather(*long, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended)
        reply = await asyncio.wait_for(tiny(chat(max_tokens=2)), 20)
        assert ticks == 20
        assert reply.usage.output > 0

    async def test_aliases_with_the_same_weights_share_one_engine(
        self, tiny: local.LocalModel
    ) -> None:
        await tiny(chat(max_tokens=1))
        other = local.open_provider(Model("again", f"local:{FOLDER / weights.REGISTRY[2].file}"))
        assert other.identity == tiny.identity
        await other(chat(max_tokens=1))
        assert other._engine is tiny._engine
        await other.aclose()
        assert (await tiny(chat(max_tokens=1))).usage.output == 1

    async def test_tokens_are_counted_by_the_models_own_tokenizer(
        self, tiny: local.LocalModel
    ) -> None:
        count = local.local_token_counter(TINY)
        assert count is not None
        assert count("") == 0
        short, long = count("bergamot and cedar"), count("bergamot and cedar " * 20)
        assert 3 <= short < long


@pytest.mark.model
async def test_a_closed_provider_loads_again_when_asked(tiny_file: Path) -> None:
    provider = local.open_provider(TINY)
    await provider(chat(max_tokens=1))
    await provider.aclose()
    assert (await provider(chat(max_tokens=1))).usage.output == 1
    await provider.aclose()


@pytest.mark.model
async def test_closing_ends_what_runs_and_what_waits(tiny_file: Path) -> None:
    provider = local.open_provider(Model("one", "local:tiny", concurrency=1))
    await provider(chat(max_tokens=1))
    asked = [asyncio.create_task(provider(chat("Tell a story.", 2000))) for _ in range(3)]
    await asyncio.sleep(0.1)
    await asyncio.wait_for(provider.aclose(), 20)
    ended = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in ended)


@pytest.mark.model
def test_the_model_says_nothing_on_the_terminal(tiny_file: Path, tmp_path: Path) -> None:
    code = (
        "import asyncio, sys, pathlib\n"
        "from waremill.domain import *\n"
        "from waremill.providers import local\n"
        f"local.fetch_weights_from(folder=pathlib.Path({str(FOLDER)!r}))\n"
        "async def main():\n"
        "    p = local.open_provider(Model('t', 'local:tiny'))\n"
        "    await p(Chat((Message('user', 'Hello'),), 3))\n"
        "    await p.aclose()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.model
def test_any_gguf_file_by_path_is_known_by_its_content(tiny_file: Path, tmp_path: Path) -> None:
    own = tmp_path / "renamed.gguf"
    shutil.copy(tiny_file, own)
    provider = local.open_provider(Model("own", f"local:{own}"))
    assert provider.identity == f"local:{weights.REGISTRY[2].sha256}"
    assert (tmp_path / "renamed.gguf.sha256").is_file()


def test_the_default_models_identity_needs_no_file() -> None:
    provider = local.open_provider(Model("default", "local"))
    assert provider.identity == f"local:{weights.REGISTRY[0].sha256}"
    assert provider.slots == 4
    assert local.open_provider(Model("one", "local", concurrency=1)).slots == 1


def test_what_is_no_model_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    text = tmp_path / "text.gguf"
    text.write_text("not a model")
    with pytest.raises(NotFound, match=r"there is no model “tiniest”; there are"):
        local.open_provider(Model("x", "local:tiniest"))
    with pytest.raises(NotFound, match="there is no model file"):
        local.open_provider(Model("x", f"local:{tmp_path}/absent.gguf"))
    with pytest.raises(ConfigError, match="is not a GGUF model file"):
        local.open_provider(Model("x", f"local:{text}"))


async def test_a_broken_model_file_denies_access(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"nonsense" * 100)
    provider = local.open_provider(Model("x", f"local:{broken}"))
    with pytest.raises(AccessDenied, match="cannot be loaded"):
        await provider(chat())


async def test_weights_that_no_source_has_deny_access(tmp_path: Path) -> None:
    local.fetch_weights_from(folder=tmp_path, hub=None, modelscope=None, index=False)
    try:
        assert local.local_token_counter(TINY) is None
        with pytest.raises(AccessDenied, match=r"could not be fetched \(no source is allowed\)"):
            await local.open_provider(TINY)(chat())
    finally:
        local.fetch_weights_from(folder=FOLDER)


def test_at_least_one_core_is_used() -> None:
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)
