"""The commands for who keeps it running: `backup`, `restore`, `erase` and `retain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from waremill.app import Workspace
from waremill.cli.door import command, exit_code, print_json, run_loop, with_workspace


@command("backup", short_help="Back up the workspace.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--no-pictures", is_flag=True, help="Leave pictures out, where others keep them.")
def backup_command(folder: str | None, as_json: bool, file: Path, no_pictures: bool) -> int:
    """Write database, files and pictures to FILE (.tar.gz); runs and servers go on meanwhile.

    Keys and .env are never in it. FILE is written whole or not at all.
    """

    async def work(workspace: Workspace) -> int:
        from waremill.app.operations.backing_up import back_up

        made = await back_up(workspace, file, pictures=not no_pictures)
        if as_json:
            print_json({
                "file": str(made.path), "bytes": made.size, "files": made.files,
                "pictures": made.pictures, "pictures_in": made.kept_in,
                "left_out": list(made.left_out), "seconds": round(made.seconds, 3),
            })  # fmt: skip
            return 0
        click.echo(
            f"{made.path}: {made.size / 1e6:,.2f} MB: the database, {made.files} files, "
            f"{made.pictures:,} pictures, {made.seconds:.1f} s"
        )
        if made.kept_in:
            click.echo(f"not in it: the pictures in {made.kept_in}; back them up there", err=True)
        if made.left_out:
            click.echo(f"not in it: {', '.join(made.left_out)}", err=True)
        return 0

    return with_workspace(folder, as_json, work)


@command("restore", short_help="Make a workspace from a backup.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True,
              help="Take the place of a workspace that is there.")  # fmt: skip
def restore_command(folder: str | None, as_json: bool, file: Path, replace: bool) -> int:
    """Make the workspace that FILE holds in the folder -C names (default: here).

    The folder and the database must be empty; a .env may lie there, for no backup has one.
    """

    async def work() -> int:
        from waremill.app.operations.restoring import restore

        made = await restore(file, Path(folder or "."), replace=replace)
        found: dict[str, Any] = {
            "workspace": str(made.root), "files": made.files, "pictures": made.pictures,
            "pictures_in": made.kept_in, "made_at": made.created_at,
            "database_before": None if made.before is None else str(made.before),
        }  # fmt: skip
        if as_json:
            print_json(found)
            return 0
        click.echo(f"{made.root}: {made.files} files, {made.pictures:,} pictures, and the database")
        if made.before is not None:
            click.echo(f"the database before lies in {made.before}", err=True)
        if made.kept_in:
            click.echo(f"the pictures are not in it; they were in {made.kept_in}", err=True)
        click.echo("next: put the keys into .env, then waremill doctor", err=True)
        return 0

    return exit_code(as_json, lambda: run_loop(work()))


@command("erase", short_help="Erase what there is of products.")
@click.argument("keys", nargs=-1, required=True)
@click.option("--catalog", metavar="NAME", help="Their catalogue (default: the only one).")
@click.option("--yes", "really", is_flag=True, help="Erase; without it is only said what would be.")
def erase_command(
    folder: str | None, as_json: bool, keys: tuple[str, ...], catalog: str | None, really: bool
) -> int:
    """Erase the products with these KEYS: attributes, versions, results, replies, pictures.

    Sums and receipts' hashes stay; backups and what was published elsewhere are not reached.
    """

    async def work(workspace: Workspace) -> int:
        from waremill.app.operations.erasing import erase

        found = await erase(workspace, keys, catalog=catalog, really=really)
        if as_json:
            print_json({"catalog": found.catalog, "products": found.products,
                        "rows": found.counts, "erased": found.done})  # fmt: skip
            return 0
        rows = ", ".join(f"{count:,} {name}" for name, count in found.counts.items() if count)
        verb = "erased" if found.done else "would erase"
        click.echo(f"{verb} {found.products:,} products of {found.catalog}: {rows or 'no rows'}")
        if not found.done:
            click.echo("nothing was done; add --yes to erase them", err=True)
        return 0

    return with_workspace(folder, as_json, work)


@command("retain", short_help="Delete what is older than the settings keep it.")
@click.option("--yes", "really", is_flag=True, help="Delete; else it is only said what would be.")
def retain_command(folder: str | None, as_json: bool, really: bool) -> int:
    """Delete what [retention] no longer keeps: replies, chats, messages, what old runs made, calls,
    batches, pictures nothing refers to, logs.
    """

    async def work(workspace: Workspace) -> int:
        from waremill.app.operations.retaining import retain

        found = await retain(workspace, really=really)
        if as_json:
            print_json([{"kind": one.kind, "days": one.days, "rows": one.rows,
                         "deleted": one.done} for one in found])  # fmt: skip
            return 0
        for one in found:
            verb = "deleted" if one.done else "would delete"
            what = "items of runs" if one.kind == "runs" else one.kind
            age = f"{one.days} day" + ("" if one.days == 1 else "s")
            click.echo(f"{verb} {one.rows:,} {what} older than {age}")
        if not really:
            click.echo("nothing was done; add --yes to delete them", err=True)
        return 0

    return with_workspace(folder, as_json, work)
