"""The use case *show a picture*: to whom, which, and how large.

A picture is shown as part of an item, or of a product, that one may see. A reference alone opens
nothing: content is stored once for all teams, so a hash somebody overheard must not be enough. The
item must have the picture from a run of its product: steps made it, or brought it in from where
the product says, or a person chose it at the review desk, which takes only such ones. What a sheet
or a text model writes in the form of a reference shows nothing.

That costs no table: the item's own results say it. A product's photos are looked for as a run looks
for them (`keeping.Bringer`), never elsewhere.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

from waremill.app import keeping
from waremill.app.picture_cards import pictures_of
from waremill.app.picture_files import labelled
from waremill.app.thumbnails import MEDIA_TYPE, SIDES, Thumbnails
from waremill.domain import Asset, named_pictures
from waremill.errors import ConfigError, NotFound
from waremill.store import browsing, recordings, reporting
from waremill.store import changes as store_changes
from waremill.store import reviewing as store
from waremill.store.database import Database
from waremill.store.reviewing import ItemView, Made

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

FOLDER = ".waremill/thumbnails"
ADDRESS_SECONDS = 3600.0
"""How long the thumbnail of a picture at a web address is shown without asking for it again."""
_ADDRESSES = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture as it is sent: its content, or the file that holds it.

    `tag` stands for the content. `lasting` says that the same question is answered the same for
    good.
    """

    media_type: str
    tag: str
    lasting: bool
    content: bytes | None = None
    path: Path | None = None


_THUMBNAILS: WeakKeyDictionary[Database, Thumbnails] = WeakKeyDictionary()


class Pictures:
    """Pictures as the workspace's actor may see them."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._settings = workspace.settings
        self._storage = keeping.storage_at(self._settings.pictures.storage)

    async def of_item(
        self, run: str, item_id: int, asset: Asset, side: int | None = None
    ) -> PictureFile:
        """Give a picture that an item of a run has; with `side`, within so many pixels.

        Needs the role viewer in the run's team. Raises NotFound where the item does not have it.
        """
        check_side(side)
        found = await self._workspace.find_run(run)
        reference = str(asset)

        def has(conn: Connection) -> bool:
            view = store.load_item(conn, found.id, item_id)
            if reference in references(view) or reference in _brought(conn, view).values():
                return True
            return reference in self._elsewhere(conn, view)

        if not await self._workspace.database.read(has):
            raise NotFound(f"item {item_id} has no picture {asset.sha256[:12]}")
        return await self._stored(asset, side)

    async def to_keep(self, run: str, item_id: int, asset: Asset) -> PictureFile:
        """Give a picture of an item as an export would write it: labelled where a model made it.

        Raises as `of_item` does.
        """
        picture = await self.of_item(run, item_id, asset)
        found = await self._workspace.find_run(run)
        (item,) = await self._workspace.database.read(
            reporting.item_page, found.id, item_id - 1, None, 1
        )
        holding = (name for name, value in item.fields.items() if asset in pictures_of(value))
        field = next(holding, None)
        if field is None:  # a photo, or another run's picture
            return picture
        content = await self._storage.read(str(asset))
        made = await asyncio.to_thread(labelled, content, asset, item, field, found.name)
        if made == content:
            return picture
        return PictureFile(asset.media_type, f"{asset.sha256}-labelled", False, made)

    def _elsewhere(self, conn: Connection, view: ItemView) -> frozenset[str]:
        """Give what other runs one may see made of the same product, such as what is live now."""
        ids = sorted({view.product_id, *(made.product_id for made in view.made)})
        made = store_changes.results_of(conn, ids, None)
        actor = self._workspace.actor
        return _references(one for one, run in made if actor.may("viewer", run.team_id))

    async def source_of_item(
        self, run: str, item_id: int, column: str, place: int = 0, side: int | None = None
    ) -> PictureFile:
        """Give the picture an attribute of an item's product names, as the run had it.

        `place` counts what it names from 0. What no step brought in is looked for now.
        """
        check_side(side)
        found = await self._workspace.find_run(run)

        def read(conn: Connection) -> tuple[str, str | None]:
            view = store.load_item(conn, found.id, item_id)
            named = _named(view.attributes.get(column), column, place)
            return named, _brought(conn, view).get(named)

        named, reference = await self._workspace.database.read(read)
        asset = Asset.parse(reference)
        if asset is not None:
            return await self._stored(asset, side)
        return await self._looked_for(named, side)

    async def source_of_product(
        self, catalog: str, key: str, column: str, place: int = 0, side: int | None = None
    ) -> PictureFile:
        """Give the picture an attribute of a product names, as it is now."""
        check_side(side)
        found = await self._workspace.find_catalog(catalog)
        product = await self._workspace.database.read(browsing.product_by_key, found, key)
        return await self._looked_for(
            _named(product.attributes.get(column), column, place), side
        )  # fmt: skip

    async def _stored(self, asset: Asset, side: int | None) -> PictureFile:
        """Give a stored picture; whoever calls this knows that it may be shown."""
        if side is None:
            path = await asyncio.to_thread(self._storage.path, str(asset))
            content = None if path is not None else await self._storage.read(str(asset))
            return PictureFile(asset.media_type, asset.sha256, True, content, path)

        async def load() -> bytes:
            return await self._storage.read(str(asset))

        content = await self._small(asset.sha256, side, load)
        return PictureFile(MEDIA_TYPE, f"{asset.sha256}-{side}", True, content)

    async def _looked_for(self, named: str, side: int | None) -> PictureFile:
        """Give the picture at a path or address a product names, by the rules of a run."""
        bring = keeping.Bringer(self._settings)
        if side is not None and named.startswith(_ADDRESSES):
            # Asking another machine for each look would be slow here and a nuisance there.
            name = name_of_address(named)

            async def fetch() -> bytes:
                return (await bring(named))[0]

            content = await self._small(name, side, fetch, seconds=ADDRESS_SECONDS)
            return PictureFile(MEDIA_TYPE, hashlib.sha256(content).hexdigest(), False, content)
        content, media_type = await bring(named)
        digest = await asyncio.to_thread(_digest, content)
        if side is None:
            return PictureFile(media_type, digest, False, content)

        async def load() -> bytes:
            return content

        small = await self._small(digest, side, load)
        return PictureFile(MEDIA_TYPE, f"{digest}-{side}", False, small)

    async def _small(
        self,
        name: str,
        side: int,
        load: Callable[[], Awaitable[bytes]],
        *,
        seconds: float | None = None,
    ) -> bytes:
        keeping.images("showing a picture")
        database, pictures = self._workspace.database, self._settings.pictures
        kept = _THUMBNAILS.get(database)
        if kept is None:
            # Threads of their own: an operation that takes minutes must not keep pages waiting.
            threads = ThreadPoolExecutor(pictures.threads, thread_name_prefix="thumbnail")
            kept = Thumbnails(self._settings.root / FOLDER, threads, pictures.threads + 1)
            _THUMBNAILS[database] = kept
        return await kept.get(name, side, load, seconds=seconds)


def name_of_address(address: str) -> str:
    """Give the name under which thumbnails of the picture at a web address are kept."""
    return f"a{hashlib.sha256(address.encode()).hexdigest()}"


def check_side(side: int | None) -> None:
    """Raise ConfigError for a size no thumbnail is made in."""
    if side is not None and side not in SIDES:
        sizes = ", ".join(map(str, SIDES))
        raise ConfigError(f"a picture is made small to {sizes} pixels, not to {side}")


def references(view: ItemView) -> frozenset[str]:
    """Give the references of all pictures an item has from its own steps and its reviewers."""
    return _references(view.made)


def _references(results: Iterable[Made]) -> frozenset[str]:
    return frozenset(
        one for made in results if shows_pictures(made) for one in _references_in(made)
    )  # fmt: skip


def shows_pictures(made: Made) -> bool:
    """Say whether references in a result are to pictures that its item really has.

    A step that works on pictures says so in its provenance; a person's edit was held to the item's
    own pictures when it was made. A text model may write anything.
    """
    about = made.provenance
    return made.origin == "human" or "operation" in about or "made_by_model" in about


def _references_in(made: Made) -> Iterator[str]:
    for value in made.values.values():
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, str) and Asset.parse(one) is not None:
                yield one


def _brought(conn: Connection, view: ItemView) -> dict[str, str]:
    """Give what an item's steps brought in: from the path or address to the reference."""
    return recordings.pictures(conn, view.source_id or view.id)


def _named(value: Any, column: str, place: int) -> str:
    """Give the path or address a value names a picture by."""
    found = named_pictures(value)
    if place >= len(found):
        raise NotFound(f"this product has no picture in “{column}”")
    text = found[place]
    if Asset.parse(text) is not None:
        raise NotFound(f"“{column}” holds a reference, which alone shows nothing")
    return text


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


__all__ = ["SIDES", "PictureFile", "Pictures", "check_side", "references", "shows_pictures"]
