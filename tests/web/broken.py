"""`waremill` with three pages more that are bugs, each at another moment.

python -m tests.web.broken serve …    takes what `waremill` takes
"""

from __future__ import annotations

import sys

from nicegui import ui

from waremill.cli import main
from waremill.web.pages.shell import View, console

SECRET = "what only the log may say"


def add_pages() -> None:
    """Add them to the application of this process."""

    @console("/broken", "nav.runs")
    async def broken_page(view: View) -> None:
        """Fail while the page is drawn."""
        raise ZeroDivisionError(SECRET)

    @console("/breaking", "nav.runs")
    async def breaking_page(view: View) -> None:
        """Fail once the page is in use."""

        def fail() -> None:
            raise ZeroDivisionError(SECRET)

        ui.button("break", on_click=fail)

    @ui.page("/frameless")
    def frameless_page() -> None:
        """Fail before there is any frame."""
        raise ZeroDivisionError(SECRET)


if __name__ == "__main__":
    add_pages()
    sys.exit(main())
