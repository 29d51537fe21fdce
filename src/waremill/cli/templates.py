"""The command `templates`: list, check, show."""

from __future__ import annotations

from typing import Any

import click

from waremill.app import Workspace
from waremill.app.options import parameters
from waremill.cli.door import command, print_json, print_table, with_workspace


@command("templates", short_help="List, check and show templates.")
@click.argument("action", required=False, type=click.Choice(["check", "show"]))
@click.argument("name", required=False)
@click.option("--on", "key", metavar="KEY", help="With show: the product.")
@click.option("--target", metavar="T", help="With show: the target.")
@click.option("--set", "params", metavar="K=V", multiple=True, help="With show: a parameter.")
@click.option("--catalog", metavar="NAME", help="The catalogue (default: the only one).")
def templates_command(
    folder: str | None, as_json: bool, action: str | None, name: str | None, **given: Any
) -> int:
    """List templates; `check NAME` lints one; `show NAME --on KEY` renders a product's prompt."""
    if action is not None and name is None:
        raise click.UsageError(f"templates {action} needs a template's name")
    key, catalog = given["key"], given["catalog"]
    if action == "show" and key is None:
        raise click.UsageError("templates show needs --on KEY")

    async def work(workspace: Workspace) -> int:
        from waremill.app import prompting

        if action is None:
            rows = prompting.list_templates(workspace)
            if as_json:
                print_json(rows)
            else:
                print_table(rows, ["name", "version", "fields", "description"])
            return 0
        if action == "check":
            problems = await prompting.check(workspace, str(name), catalog)
            if as_json:
                print_json(problems)
            for problem in [] if as_json else problems:
                click.echo(f"{problem['severity']}: {problem['where']}: {problem['message']}")
            if not problems and not as_json:
                click.echo(f"{name}: nothing to mend")
            return 2 if any(problem["severity"] == "error" for problem in problems) else 0
        shown = await prompting.show(
            workspace,
            str(name),
            str(key),
            target=given["target"],
            params=parameters(given["params"]),
            catalog=catalog,
        )
        if as_json:
            print_json(shown)
        else:
            click.echo(shown["prompt"])
            click.echo(
                f"— about {shown['tokens']:,} tokens in, at most {shown['max_tokens']:,} out"
            )
        return 0

    return with_workspace(folder, as_json, work)
