"""The same requests through other libraries; runs in the environment `bench.run` makes for them.

python -m bench.rivals langchain|litellm|curator URL REQUESTS COUNT
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from bench.meter import Meter
from bench.workload import CONCURRENCY, MODEL


def requests(path: str, count: int) -> list[dict[str, Any]]:
    """Read the first `count` requests."""
    with open(path, "rb") as file:
        return [orjson.loads(line) for line in islice(file, count)]


async def langchain(url: str, asked: list[dict[str, Any]]) -> None:
    """A chain of prompt and model with structured output, through `abatch`."""
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    shape = asked[0]["response_format"]["json_schema"]["schema"]
    schema = {"title": "reply", "description": "The reply.", **shape}
    model = ChatOpenAI(
        model=MODEL, base_url=url, api_key=SecretStr("none"), max_retries=0,
        max_completion_tokens=asked[0]["max_tokens"],
    )  # fmt: skip
    prompt = ChatPromptTemplate.from_messages([("system", "{system}"), ("user", "{user}")])
    chain = prompt | model.with_structured_output(schema, method="json_schema", strict=True)
    inputs = [
        {"system": one["messages"][0]["content"], "user": one["messages"][1]["content"]}
        for one in asked
    ]
    meter = Meter()
    replies = await chain.abatch(inputs, config={"max_concurrency": CONCURRENCY})
    meter.report(len(asked), done=sum("title" in reply for reply in replies))


async def litellm(url: str, asked: list[dict[str, Any]]) -> None:
    """`acompletion` by a pool of tasks, the reply's text parsed with orjson."""
    import litellm as library

    left = iter(asked)
    done = 0
    meter = Meter()

    async def work() -> None:
        nonlocal done
        for one in left:
            reply = await library.acompletion(
                model=f"openai/{MODEL}", api_base=url, api_key="none", messages=one["messages"],
                max_tokens=one["max_tokens"], response_format=one["response_format"],
                num_retries=0,
            )  # fmt: skip
            done += "title" in orjson.loads(reply.choices[0].message.content)

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    meter.report(len(asked), done=done)


def curator(url: str, asked: list[dict[str, Any]]) -> None:
    """One `LLM` with a response format over a list of rows, its cache and viewer left alone."""
    folder = os.environ["BENCH_FOLDER"]
    # Curator counts tokens with a file it would download; LiteLLM, which it needs, has it along.
    found = importlib.util.find_spec("litellm")
    assert found is not None and found.origin is not None
    tokens = Path(found.origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ |= {
        "TIKTOKEN_CACHE_DIR": str(tokens),
        "CURATOR_CACHE_DIR": folder,
        "HF_HOME": folder,
        "TELEMETRY_ENABLED": "false",
        "CURATOR_DISABLE_RICH_DISPLAY": "1",
        "OPENAI_API_KEY": "none",
    }
    from bespokelabs import curator as library
    from pydantic import BaseModel

    class Copy(BaseModel):
        title: str
        selling_points: list[str]

    class Writer(library.LLM):  # type: ignore[misc]
        response_format = Copy

        def prompt(self, row: dict[str, Any]) -> list[dict[str, str]]:
            return [
                {"role": "system", "content": row["system"]},
                {"role": "user", "content": row["user"]},
            ]

        def parse(self, row: dict[str, Any], reply: Copy) -> dict[str, Any]:
            return {"title": reply.title, "selling_points": reply.selling_points}

    rows = [
        {"system": one["messages"][0]["content"], "user": one["messages"][1]["content"]}
        for one in asked
    ]
    writer = Writer(
        model_name=MODEL, backend="openai",
        backend_params={"base_url": url, "max_requests_per_minute": 10_000_000,
                        "max_tokens_per_minute": 100_000_000_000,
                        "max_concurrent_requests": CONCURRENCY, "max_retries": 1,
                        "require_all_responses": True},
    )  # fmt: skip
    meter = Meter()
    made = writer(rows)
    table = getattr(made, "dataset", made)
    meter.report(len(asked), done=len(table))


def main() -> None:
    """Run the library the command line names."""
    name, url, path, count = sys.argv[1:]
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # prices from its own file, no download
    asked = requests(path, int(count))
    if name == "curator":
        curator(url, asked)
        return
    import uvloop

    work = {"langchain": langchain, "litellm": litellm}[name]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work(url, asked))


if __name__ == "__main__":
    main()
