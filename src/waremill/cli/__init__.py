"""The command line: parse, call the application, print. No logic and no SQL.

Results go to stdout, everything else to stderr. Exit codes are a contract: 0 done, 1 some items
failed, 2 the user must fix something, 3 the run is paused, 70 our bug, 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from waremill import __version__

COMMANDS: dict[str, str] = {
    "init": "setup",
    "doctor": "setup",
    "models": "models",
    "import": "catalogue",
    "products": "catalogue",
    "templates": "templates",
    "estimate": "tasks",
    "trial": "tasks",
    "run": "tasks",
    "runs": "running",
    "status": "running",
    "resume": "running",
    "pause": "running",
    "cancel": "running",
    "work": "running",
    "review": "running",
    "report": "running",
    "export": "running",
    "publish": "publishing",
    "faq": "faq",
    "schedule": "schedules",
    "knowledge": "knowledge",
    "chat": "chat",
    "image": "images",
    "serve": "serving",
    "user": "people",
    "backup": "operations",
    "restore": "operations",
    "erase": "operations",
    "retain": "operations",
}
"""Every command and the module that holds it; a module is imported when its command is used."""

SUMMARIES: dict[str, str] = {
    "init": "Make a workspace, empty or with an example.",
    "doctor": "Check the workspace, its database and its models' keys.",
    "models": "Show the configured models, their prices, and whether they answer.",
    "import": "Import sheets, files or a database into a catalogue.",
    "products": "Show the products a selection picks.",
    "templates": "List, check and show templates.",
    "estimate": "Say what a run would cost and how long it would take.",
    "trial": "Run a sample: accuracy, cost, and what the whole would take.",
    "run": "Run a pipeline over a selection or a sheet.",
    "runs": "List the runs.",
    "status": "Show how far a run is and what it cost.",
    "resume": "Go on with a run that was paused or interrupted.",
    "pause": "Ask a run's worker to stop after the calls in flight.",
    "cancel": "Stop a run for good; what is finished stays.",
    "work": "Work a planned run in this process.",
    "review": "Show what waits for review, or accept it by a rule.",
    "report": "Write a run's HTML report.",
    "export": "Write a run's items to a file.",
    "publish": "Publish what was accepted, in stages; roll back; what was published.",
    "faq": "A run's answers by category, and its open questions.",
    "schedule": "Runs that begin by themselves, over what is new or changed.",
    "knowledge": "Documents to search, and searching them.",
    "chat": "Talk about the catalogue and the shop's documents.",
    "image": "Work on a picture or a folder of pictures.",
    "serve": "Serve the REST API and the console.",
    "user": "Accounts, teams, roles and API tokens.",
    "backup": "Write database, files and pictures to one file.",
    "restore": "Make a workspace from a backup.",
    "erase": "Erase what there is of products.",
    "retain": "Delete what is older than the settings keep it.",
}
"""One line on each command, here so that `--help` imports nothing."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order of a user's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and give a command."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        loaded = importlib.import_module(f"waremill.cli.{module}")
        command: click.Command = getattr(loaded, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their summaries, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in COMMANDS])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Suggest a near command for an unknown one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            if not near or "did you mean" in error.message.lower():
                raise
            raise click.UsageError(f"{error.message} Did you mean “{near[0]}”?", ctx) from None


_HELP = """Mass-produce product content for a catalogue, with known quality and known cost.

\b
A first run:
  waremill init shop --example perfume && cd shop
  waremill import perfumes.xlsx --key sku --group group
  waremill trial launch -n 5
  waremill run launch --limit 20 -o copy.xlsx
"""


@click.group(
    cls=LazyGroup,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "--version", prog_name="waremill")
def cli() -> None:
    """Stand for the whole command line; its commands are found by name."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except click.Abort:
        code = 130
    except BrokenPipeError:
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
