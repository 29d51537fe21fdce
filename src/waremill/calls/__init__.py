"""What stands between a request and a provider: journal, coalescing, price, budget, rate, retry.

A call goes fallback → per model (coalesce → journal → budget → rate and retry → wire). The room
must not know runs, steps or templates.
"""

from waremill.calls.assets import Assets, images_of
from waremill.calls.caller import Caller, Endpoint
from waremill.calls.request import canonical, request_hash

__all__ = ["Assets", "Caller", "Endpoint", "canonical", "images_of", "request_hash"]
