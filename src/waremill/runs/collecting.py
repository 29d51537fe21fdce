"""How often Python looks for reference cycles while items are worked."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_AFTER = 20_000
"""Objects made and not freed before the youngest are searched for cycles; Python's own is 700."""


@contextmanager
def fewer_collections() -> Iterator[None]:
    """Look for reference cycles more seldom, and never among what is loaded already.

    Items at work are many young objects that live for a reply's time; Python's collector walks
    them, and at times everything loaded, again and again: a sixth of a run's processor time.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
