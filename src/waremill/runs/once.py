"""One maker of a thing at a time: whoever asks for it while it is being made waits for it.

Keeps nothing once it is made; what lasts is for whoever makes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Once(Generic[V]):
    """What is being made by this process, by what stands for it."""

    def __init__(self) -> None:
        self._making: dict[Hashable, asyncio.Future[V]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[V]]) -> V:
        """Give what `make` gives, or what somebody else's gives who makes the same just now.

        Raises what that raises, to all who wait. Where the maker is cancelled, one of those who
        wait makes it instead.
        """
        while (making := self._making.get(key)) is not None:
            try:
                return await asyncio.shield(making)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not making.cancelled() or (task is not None and task.cancelling()):
                    raise
        making = self._making[key] = asyncio.get_running_loop().create_future()
        try:
            value = await make()
        except BaseException as error:
            if isinstance(error, Exception):
                making.set_exception(error)
                making.exception()  # whoever waited may have left
            else:
                making.cancel()
            raise
        else:
            making.set_result(value)
            return value
        finally:
            del self._making[key]
