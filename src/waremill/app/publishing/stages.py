"""Stages: 1 % of the products, 10 %, all. Each holds the one before it. Pure.

Which products a stage holds is decided by a hash of their key, or of their group's, so that the
variants of a product are published together and a stage is the same at every time and place.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b

from waremill.errors import ConfigError, Conflict

STAGES = {"1%": 100, "10%": 1_000, "all": 10_000}
"""Ten-thousandths of the products, by a stage's name, in their order."""


def read_stage(text: str) -> str:
    """Read a stage's name; `100%` is all."""
    name = text.strip().lower().replace(" ", "")
    name = {"1": "1%", "10": "10%", "100%": "all", "100": "all"}.get(name, name)
    if name not in STAGES:
        raise ConfigError(f"there is no stage “{text}”; the stages are {', '.join(STAGES)}")
    return name


def in_stage(key: str, stage: str) -> bool:
    """Say whether a stage holds a product; `key` is its group's key where it has a group."""
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 10_000 < STAGES[stage]


def next_stage(stage: str) -> str | None:
    """Give the stage that follows; None after the last."""
    names = list(STAGES)
    place = names.index(stage) + 1
    return names[place] if place < len(names) else None


def check_order(stage: str, done: Collection[str], channel: str) -> None:
    """Raise Conflict where the stage before one was not published."""
    names = list(STAGES)
    place = names.index(stage)
    if place and not set(names[place - 1 :]) & set(done):
        before = names[place - 1]
        raise Conflict(
            f"the stage {stage} of “{channel}” opens after {before}: publish --stage {before} first"
        )
