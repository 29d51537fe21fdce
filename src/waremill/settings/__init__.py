"""The workspace's settings: `waremill.toml`, the environment and a `.env` file, read once.

This is the only room that reads the environment. It must not open a database, a catalogue or a
connection, and it never lets a key into a message, a `repr` or a file.
"""

from __future__ import annotations

from waremill.settings.load import (
    Limits,
    Pictures,
    Publishing,
    Server,
    Settings,
    Source,
    Tools,
    load_settings,
    weights_place,
)
from waremill.settings.models import VARIABLES, VENDORS
from waremill.settings.table import SETTINGS, Setting
from waremill.settings.workspace import find_workspace, workspace_files

__all__ = [
    "SETTINGS",
    "VARIABLES",
    "VENDORS",
    "Limits",
    "Pictures",
    "Publishing",
    "Server",
    "Setting",
    "Settings",
    "Source",
    "Tools",
    "find_workspace",
    "load_settings",
    "weights_place",
    "workspace_files",
]
