"""Calls that are answered by vendors' batches: written down, sent together, settled one by one.

    deferring → forming → the vendor → settling → the journal, and the items wake

The room must not know runs' items beyond their numbers, nor any vendor's protocol.
"""

from waremill.calls.batching.driving import Batching
from waremill.calls.batching.lanes import BatchRules, Lane, Stock

__all__ = ["BatchRules", "Batching", "Lane", "Stock"]
