"""The loopback vendor itself: valid replies, faults that repeat, counters that add up."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema_rs
from tests.providers.asking import SCHEMA
from tests.vendor import Vendor

ROOT = Path(__file__).resolve().parents[2]


def body(number: int, schema: dict[str, Any] | None = SCHEMA) -> dict[str, Any]:
    product = f"name: Scent {number}\nbrand: Maison\nnotes: rose, oud\nvolume_ml: {number}"
    request: dict[str, Any] = {
        "model": "m",
        "max_tokens": 400,
        "messages": [{"role": "system", "content": "Write."}, {"role": "user", "content": product}],
    }
    if schema:
        shape = {"name": "r", "schema": schema}
        request["response_format"] = {"type": "json_schema", "json_schema": shape}
    return request


async def outcomes(vendor: Vendor, count: int) -> list[int | str]:
    seen: list[int | str] = []
    async with aiohttp.ClientSession() as session:
        for number in range(count):
            try:
                url = vendor.url + "/chat/completions"
                async with session.post(url, json=body(number)) as response:
                    text = await response.text()
                    try:
                        json.loads(text)
                        seen.append(response.status)
                    except ValueError:
                        seen.append("malformed")
            except aiohttp.ClientError:
                seen.append("cut")
    return seen


async def test_replies_keep_the_schema_and_use_the_products_words() -> None:
    async with Vendor() as vendor, aiohttp.ClientSession() as session:
        url = vendor.url + "/chat/completions"
        replies = []
        for _ in range(2):
            async with session.post(url, json=body(7)) as response:
                replies.append((await response.json())["choices"][0]["message"]["content"])
    assert replies[0] == replies[1]
    value = json.loads(replies[0])
    assert jsonschema_rs.is_valid(SCHEMA, value)
    assert value["title"] == "Scent 7"


async def test_nullable_fields_are_null_unless_the_prompt_has_them() -> None:
    schema = {
        "type": "object",
        "properties": {
            "brand": {"type": ["string", "null"]},
            "volume_ml": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "colour": {"type": ["string", "null"]},
        },
    }
    async with Vendor() as vendor, aiohttp.ClientSession() as session:
        url = vendor.url + "/chat/completions"
        async with session.post(url, json=body(50, schema)) as response:
            text = (await response.json())["choices"][0]["message"]["content"]
    assert json.loads(text) == {"brand": "Maison", "volume_ml": 50.0, "colour": None}


async def test_faults_come_at_their_rates_and_repeat_with_the_seed() -> None:
    shares: dict[str, Any] = {"rate_limited": 0.2, "unavailable": 0.1, "malformed": 0.1, "cut": 0.1}
    runs = []
    for seed in (1, 1, 2):
        async with Vendor(seed=seed, **shares) as vendor:
            runs.append(await outcomes(vendor, 200))
            assert sum(vendor.outcomes.values()) == vendor.calls == 200
    assert runs[0] == runs[1] != runs[2]
    assert 20 <= runs[0].count(429) <= 60 and 8 <= runs[0].count(500) <= 35
    assert runs[0].count("malformed") > 5 and runs[0].count("cut") > 5


async def test_a_failed_body_may_succeed_when_sent_again_and_repeats_are_counted() -> None:
    async with Vendor(seed=3, rate_limited=0.5) as vendor:
        for _ in range(6):
            await outcomes(vendor, 20)
        stats = vendor.stats()
    assert stats["calls"] == 120 and stats["bodies"] == 20
    answered = stats["outcomes"]["ok"]
    assert sum(int(n) * count for n, count in stats["answered"].items()) == answered
    assert stats["repeated"] == answered - sum(stats["answered"].values())


async def test_calls_at_once_are_held_for_the_latency() -> None:
    async with Vendor(latency=0.05) as vendor:
        await asyncio.gather(*(outcomes(vendor, 2) for _ in range(20)))
        assert vendor.peak_in_flight >= 10 and vendor.in_flight == 0


def test_it_runs_as_a_process_and_tells_its_port_and_counters() -> None:
    command = [sys.executable, "-m", "tests.vendor", "--seed", "1", "--model", "m", "--key", "k"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        info = json.loads(process.stdout.readline())
        request = urllib.request.Request(
            info["url"] + "/chat/completions",
            json.dumps(body(1)).encode(),
            {"Authorization": "Bearer k", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            assert json.load(response)["choices"]
        with urllib.request.urlopen(f"http://127.0.0.1:{info['port']}/stats?full=1") as response:
            stats = json.load(response)
        assert stats["calls"] == 1 and list(stats["bodies_answered"].values()) == [1]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
