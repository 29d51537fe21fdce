"""The use case *erase*: a product's data, everywhere but in backups, files and the world outside.

A dry run unless it is told otherwise. What is counted stays: money, calls, how many items a run
had. Only what is the product's alone goes; an answer or a picture that others have too stays.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from waremill.app import auditing, showing
from waremill.app.keeping import storage_at
from waremill.app.product_index import product_text
from waremill.domain import Asset
from waremill.errors import Conflict, NotFound
from waremill.store import erasing as store
from waremill.store import erasing_mentions as mentions
from waremill.store.vectors import key_of

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

ANSWERS_AT_ONCE = 500
PRODUCTS_AT_ONCE = 500
LARGEST = 100_000_000
"""Bytes; no photo of a product is larger."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, or would be: how many products, and rows by kind."""

    catalog: str
    products: int
    counts: dict[str, int]
    done: bool


async def erase(
    workspace: Workspace, keys: Sequence[str], *, catalog: str | None = None, really: bool = False
) -> Erased:
    """Erase the products of these keys, or say what that would be; for admins of their team.

    Raises NotFound for an unknown key before anything is done, and Conflict while a run has still
    to work on one of them.
    """
    found = await workspace.find_catalog(catalog, "admin")
    ids = await workspace.database.read(store.find_products, found.id, list(dict.fromkeys(keys)))
    unknown = [key for key in keys if key not in ids]
    if unknown:
        raise NotFound(f"the catalogue “{found.name}” has no product “{unknown[0]}”")
    for key, product in ids.items():
        name = await workspace.database.read(store.waiting_run, product)
        if name is not None:
            raise Conflict(f"run {name} has still to work on “{key}”; let it end, or cancel it")
    whole = await _own(workspace, set(ids.values()))
    counts = {**whole.counts, "answers": len(whole.answers), "pictures": len(whole.pictures)}
    if really:
        said = [
            one for product in ids.values()
            for one in await workspace.database.read(store.texts_of, product)
        ]  # fmt: skip
        await _erase_shared(workspace, whole)
        await _sent(workspace, sorted(ids.values()), True)
        await _erase_mentions(workspace, ids, said)
        for key, product in ids.items():
            await _erase_one(workspace, found.id, found.team_id, key, product)
        # Made again by the next search; what it is made from has no erased product any more.
        index = workspace.settings.root / ".waremill" / "products" / str(found.id)
        await asyncio.to_thread(shutil.rmtree, index, ignore_errors=True)
        root = workspace.settings.root
        await asyncio.to_thread(_forget_thumbnails, root, whole.pictures, said)
        await workspace.database.settle()
    return Erased(found.name, len(ids), counts, really)


async def _own(workspace: Workspace, ids: set[int]) -> store.Erasable:
    """Find what is these products' alone: one pass over others' results where that is needed."""
    read = workspace.database.read_all
    whole = store.Erasable()
    for product in sorted(ids):
        found = await read(store.look, product)
        for name, count in found.counts.items():
            whole.counts[name] = whole.counts.get(name, 0) + count
        whole.answers |= found.answers
        whole.pictures |= found.pictures
    whole.answers |= await _sent(workspace, sorted(ids), False)
    after: int | None = 0 if whole.answers or whole.pictures else None
    while after is not None:
        after = await read(store.keep_shared, whole, ids, after)
    place: tuple[int, str] | None = (0, "") if whole.pictures else None
    while place is not None:
        place = await read(store.keep_recorded, whole, ids, place)
    return whole


async def _sent(workspace: Workspace, ids: Sequence[int], really: bool) -> set[bytes]:
    """Find what was asked for these products, and forget what went wrong when `really`."""
    database = workspace.database
    run = database.write if really else database.read_all
    found: set[bytes] = set()
    for start in range(0, len(ids), PRODUCTS_AT_ONCE):
        some = ids[start : start + PRODUCTS_AT_ONCE]
        for number in await database.read(store.runs_of, some):
            after: int | None = 0
            while after is not None:
                hashes, after = await run(store.sent_step, some, number, after, really)
                found |= hashes
    return found


async def _erase_shared(workspace: Workspace, whole: store.Erasable) -> None:
    """Erase answers and pictures; the results that lead to them are erased after."""
    write = workspace.database.write
    hashes = sorted(whole.answers)
    for start in range(0, len(hashes), ANSWERS_AT_ONCE):
        await write(store.erase_answers, hashes[start : start + ANSWERS_AT_ONCE])
    after: bytes | None = b"" if whole.pictures else None
    while after is not None:
        after = await write(store.erase_derivations, whole.pictures, after)
    storage = storage_at(workspace.settings.pictures.storage)
    for reference in sorted(whole.pictures):
        await storage.forget(reference)


async def _erase_mentions(
    workspace: Workspace, ids: dict[str, int], said: Collection[dict[str, object]]
) -> None:
    """Take the products out of what is told of them elsewhere, while their keys are known."""
    write = workspace.database.write
    names = {key: f"erased-{product}" for key, product in ids.items()}
    after: int | None = 0
    while after is not None:
        after = await write(mentions.scrub_findings, names, after)
    after = 0
    while after is not None:
        after = await write(mentions.scrub_messages, names, ids.values(), after)
    place: str | None = ""
    while place is not None:
        place = await write(mentions.scrub_examples, names, said, place)
    await write(mentions.forget_answered, names)


def _forget_thumbnails(root: Path, pictures: Collection[str], said: Collection[Any]) -> None:
    """Delete the small versions a server of this machine made of pictures and of photos named."""
    names = {asset.sha256 for one in pictures if (asset := Asset.parse(one)) is not None}
    for value in {value for one in said for value in one.values() if isinstance(value, str)}:
        names.add(showing.name_of_address(value))
        with suppress(OSError, ValueError):
            photo = (root / value).resolve()
            if photo.is_relative_to(root) and photo.is_file() and photo.stat().st_size <= LARGEST:
                names.add(hashlib.sha256(photo.read_bytes()).hexdigest())
    for name in names:
        for path in (root / showing.FOLDER / name[:2]).glob(f"{name}-*"):
            path.unlink(missing_ok=True)


async def _erase_one(workspace: Workspace, catalog: int, team: int, key: str, product: int) -> None:
    database = workspace.database
    after: int | None = 0
    while after is not None:
        after = await database.write(store.erase_items, product, after)
    models = await database.read(store.embedding_models)
    texts = [product_text(one) for one in await database.read(store.texts_of, product)]
    hashes = [key_of(model, text) for model in models for text in texts]
    # Whoever has the key can find the entry; nobody reads the key out of it.
    digest = hashlib.sha256(f"{catalog}:{key}".encode()).hexdigest()

    def last(conn: Connection) -> None:
        store.erase_product(conn, product, hashes)
        auditing.record(conn, workspace.actor, "product.erase", f"product sha256:{digest}", team)

    await database.write(last)
