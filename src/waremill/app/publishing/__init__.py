"""The use cases of publishing: to a channel of the settings, back again, and what was published.

Only accepted and edited items are published. Every value that is has a receipt; publishing again
writes what differs, and a publication that was cut off is begun anew or brought to its end.
"""

from __future__ import annotations

from waremill.app.publishing.channels import ChannelShown, list_channels
from waremill.app.publishing.history import PublicationShown, list_publications, show_publication
from waremill.app.publishing.making import PublishOptions, publish
from waremill.app.publishing.rolling_back import roll_back
from waremill.app.publishing.stages import STAGES

__all__ = [
    "STAGES",
    "ChannelShown",
    "PublicationShown",
    "PublishOptions",
    "list_channels",
    "list_publications",
    "publish",
    "roll_back",
    "show_publication",
]
