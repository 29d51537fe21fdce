"""Forms in a dialog: drawn by the page, kept open while what was typed cannot work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from waremill.errors import WaremillError
from waremill.web.pages.frame import put_away
from waremill.web.pages.shell import View

Save = Callable[[], Awaitable[object]]


async def ask(view: View, title: str, action: str, draw: Callable[[], Save]) -> bool:
    """Show a form; True when it was saved.

    `draw` draws the inputs and gives what saves them. An error stands in the form, which stays.
    """
    with ui.dialog() as dialog, ui.element("form").classes("wm-dialog") as form:
        ui.label(title).classes("wm-h2").props("role=heading aria-level=2").style("margin: 0")
        save = draw()
        problem = ui.element("div")
        with ui.element("div").classes("wm-actions"):
            ui.button(view.t("shell.cancel"), on_click=dialog.close).classes("wm-quiet")
            button = ui.button(action).props("type=submit")

    async def submit() -> None:
        problem.clear()
        button.disable()
        try:
            await save()
        except WaremillError as error:
            view.problem(error, problem)
            return
        finally:
            button.enable()
        dialog.submit(True)

    form.on("submit.prevent", submit)
    answer = await dialog
    put_away(dialog)
    return bool(answer)
