"""The use cases of publishing: to a channel of the settings, back again, and what was published.

Only accepted and edited items are published. Every value that is has a receipt; publishing again
writes what differs, and a publication that was cut off is begun anew or brought to its end.
"""

from __future__ import annotations

from waremill.app.publishing.background import close, finish
from waremill.app.publishing.channels import ChannelShown, list_channels
from waremill.app.publishing.downloading import copy_file, find_file
from waremill.app.publishing.history import list_publications, show_publication
from waremill.app.publishing.making import PublishOptions, begin, publish
from waremill.app.publishing.refused import export_refusals, list_refusals
from waremill.app.publishing.rolling_back import begin_rollback, roll_back
from waremill.app.publishing.shapes import FileShown, PublicationShown, RefusalShown
from waremill.app.publishing.stages import STAGES
from waremill.app.publishing.writing import settle_all

__all__ = [
    "STAGES",
    "ChannelShown",
    "FileShown",
    "PublicationShown",
    "PublishOptions",
    "RefusalShown",
    "begin",
    "begin_rollback",
    "close",
    "copy_file",
    "export_refusals",
    "find_file",
    "finish",
    "list_channels",
    "list_publications",
    "list_refusals",
    "publish",
    "roll_back",
    "settle_all",
    "show_publication",
]
