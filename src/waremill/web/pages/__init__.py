"""The console: one module a page, drawn with NiceGUI. What it shows comes from the application.

`install` puts it on a FastAPI application, last of all, as it answers every path left over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from waremill.app import Workspace


def open_paths() -> tuple[str, ...]:
    """Give the paths that the sign-in page needs before anybody has signed in."""
    from waremill.web.pages.mounting import OPEN_PATHS

    return OPEN_PATHS


def install(app: FastAPI, workspace: Workspace) -> None:
    """Put the console on an application: its pages, its files and its downloads."""
    from waremill.web.pages.mounting import mount

    mount(app, workspace)


__all__ = ["install", "open_paths"]
