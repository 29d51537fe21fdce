"""A source read on a thread of its own: a server that waits for a disk answers nobody.

Opening, reading and closing are all done on the one thread, one after the other, as readers expect.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from waremill.catalog.reading import Batch, Reader, read_source

T = TypeVar("T")


class ReadingThread:
    """The thread; an async context manager. Leaving it waits for nothing that still reads."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reading")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: Any) -> None:
        self._thread.shutdown(wait=False)  # once what was handed to it is done

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do some work on the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    @asynccontextmanager
    async def open(
        self, source: str, sheet: str | None = None, since: tuple[str, Any] | None = None
    ) -> AsyncIterator[Reader]:
        """Open a source; it is closed also where the wait for it was cut off."""
        reader = await self.run(lambda: read_source(source, sheet=sheet, since=since))
        try:
            yield reader
        finally:
            self._thread.submit(reader.close)

    async def batches(self, reader: Reader) -> AsyncIterator[Batch]:
        """Read batch after batch of a source that was opened here."""
        batches: Iterator[Batch] = iter(reader.batches())
        while (batch := await self.run(next, batches, None)) is not None:
            yield batch


__all__ = ["ReadingThread"]
