"""The command `models`."""

from __future__ import annotations

import click

from waremill.app import Workspace
from waremill.cli.door import command, print_json, print_table, with_workspace


@command("models", short_help="Show the configured models.")
@click.option("--check", is_flag=True, help="Call each model and say what works and why not.")
def models_command(folder: str | None, as_json: bool, check: bool) -> int:
    """Show the configured models with their prices; with --check, whether they answer."""

    async def work(workspace: Workspace) -> int:
        from waremill.app.modelling import describe_models, probe_models

        rows = describe_models(workspace.settings)
        found = await probe_models(workspace.settings) if check else {}
        for row in rows:
            if row["model"] in found:
                row["check"] = found[row["model"]]
        if as_json:
            print_json(rows)
        else:
            print_table(rows, ["model", "use", "input", "output", "per", "call", "key"])
            for name, lines in found.items():
                for line in lines:
                    click.echo(f"{'ok ' if line['works'] else '!! '} {name}: {line['message']}")
        works = all(line["works"] for lines in found.values() for line in lines)
        return 0 if works else 1

    return with_workspace(folder, as_json, work)
