"""The commands `estimate`, `trial` and `run`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from waremill.app import Estimate, RunStatus, TrialResult, Workspace, watching
from waremill.app.batching.showing import BatchShown
from waremill.app.options import TaskOptions, parameters
from waremill.app.status import money
from waremill.cli.bar import Bar
from waremill.cli.door import INTERRUPTED, PAUSED, command, print_json, print_table, with_workspace

F = TypeVar("F", bound=Callable[..., Any])
WORTH_SAYING = 1.0
"""Seconds a call waits for rate limits from which on `status` tells of it."""
CAUSES_SHOWN = 3
"""Causes of failures that are printed; a report has all."""


def task_options(function: F, *, files: bool = True) -> F:
    """Give a command the options that choose products, targets, parameters and a model.

    Without `files` those that import a file are left out.
    """
    from_file = (
        click.option("--from", "source", metavar="FILE", help="Import FILE and take its rows."),
        click.option("--key", metavar="COL", help="With --from: the key column."),
        click.option("--sheet", metavar="S", help="With --from: the sheet."),
    )
    for option in reversed(
        (
            click.argument("pipeline"),
            click.option("--where", metavar="SQL", help="Which products: SQL over attributes."),
            click.option("--search", metavar="TEXT",
                         help="Those that fit TEXT best, as many as --limit (default: 100)."),
            click.option("--stale", is_flag=True,
                         help="Only those whose results by PIPELINE are "
                         "outdated: it or the product changed since."),
            *(from_file if files else ()),
            click.option("--catalog", metavar="NAME", help="The catalogue (default: the one)."),
            click.option("--target", "targets", metavar="T", multiple=True,
                         help="A target, such as de-DE@amazon; may be repeated."),
            click.option("--set", "params", metavar="K=V", multiple=True,
                         help="A parameter of the templates; may be repeated."),
            click.option("--model", metavar="M", help="The model instead of the default one."),
            click.option("--limit", metavar="N", type=int, help="At most N products."),
            click.option("--order-by", metavar="SQL", help="The products' order."),
            click.option("--mode", type=click.Choice(["live", "batch"]), default="live",
                         show_default=True,
                         help="batch: through the vendor's batches, for half the price."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def work_options(function: F) -> F:
    """Give a command the options that say how a run is worked."""
    for option in reversed(
        (
            click.option("--priority", type=click.Choice(["high", "normal", "low"]),
                         default="normal", show_default=True,
                         help="Which of several runs draws on a model's limits first."),
            click.option("--fresh", is_flag=True,
                         help="Ask anew, even what was answered before."),
            click.option("--engine", type=click.Choice(["local", "ray"]), default="local",
                         show_default=True,
                         help="Work it in a process of this machine, or on a Ray cluster."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def _options(given: dict[str, Any]) -> TaskOptions:
    options: TaskOptions = {**given, "params": parameters(given.get("params", ()))}  # type: ignore[typeddict-item]
    return options


@command("estimate", short_help="Say what a run would cost.")
@task_options
def estimate_command(folder: str | None, as_json: bool, pipeline: str, **given: Any) -> int:
    """Say what running PIPELINE would cost and how long it would take. No paid call is made."""

    async def work(workspace: Workspace) -> int:
        estimate = await workspace.estimate(pipeline, **_options(given))
        if as_json:
            print_json(estimate_json(estimate, workspace))
        else:
            show_estimate(estimate, workspace)
        return 0

    return with_workspace(folder, as_json, work)


def estimate_json(estimate: Estimate, workspace: Workspace) -> dict[str, Any]:
    """Give an estimate in the shape `--json` prints."""
    per_usd, cost = workspace.settings.per_usd, estimate.cost
    batch = estimate.batch_cost
    return {
        "products": estimate.products, "items": estimate.items, "calls": round(estimate.calls),
        "cost": None if cost is None else money(cost.expected, per_usd),
        "cost_range": None
        if cost is None
        else [money(cost.low, per_usd), money(cost.high, per_usd)],
        "cost_per_product": money(estimate.cost_per_product, per_usd),
        "batch_cost": None if batch is None else money(batch.expected, per_usd),
        "batch_cost_range": None
        if batch is None
        else [money(batch.low, per_usd), money(batch.high, per_usd)],
        "currency": workspace.settings.currency,
        "seconds": round(estimate.seconds.expected, 1),
        "seconds_range": [round(estimate.seconds.low, 1), round(estimate.seconds.high, 1)],
        "unknown_prices": list(estimate.unpriced), "notes": list(estimate.notes),
        "steps": [
            {
                "step": step.step, "model": step.model, "calls": round(step.calls),
                "answered_before": round(step.answered), "input_tokens": round(step.input.expected),
                "output_tokens": round(step.output.expected), "counted_by": step.counted_by,
            }
            for step in estimate.steps
        ],
    }  # fmt: skip


def show_estimate(estimate: Estimate, workspace: Workspace) -> None:
    """Print an estimate."""
    document = estimate_json(estimate, workspace)
    currency = document["currency"]
    click.echo(
        f"{estimate.products:,} products, {estimate.items:,} items, {document['calls']:,} calls"
    )
    if estimate.cost is None:
        names = ", ".join(estimate.unpriced)
        click.echo(
            f"cost: unknown, since the price of {names} is not known; set it in waremill.toml"
        )
    else:
        low, high = document["cost_range"]
        click.echo(
            f"cost: {document['cost']:.4g} {currency} ({low:.4g}–{high:.4g}), "
            f"{document['cost_per_product']:.4g} {currency} a product"
        )
        if document["batch_cost"] is not None:
            low, high = document["batch_cost_range"]
            click.echo(
                f"in batches: {document['batch_cost']:.4g} {currency} ({low:.4g}–{high:.4g}), "
                "within a day or more; --mode batch"
            )
    low, high = document["seconds_range"]
    click.echo(f"time: {_time(document['seconds'])} ({_time(low)}–{_time(high)})")
    print_table(document["steps"], ["step", "model", "calls", "answered_before", "input_tokens",
                                    "output_tokens", "counted_by"])  # fmt: skip
    for note in estimate.notes:
        click.echo(f"note: {note}")


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@command("trial", short_help="Run a sample.")
@task_options
@click.option(
    "-n",
    "size",
    metavar="N",
    type=click.IntRange(1, 5000),
    default=20,
    show_default=True,
    help="How many products.",
)
@click.option("--gold", metavar="FILE|COL", help="Right values: a file by key, or a column.")
@click.option(
    "--seed", metavar="N", type=int, default=0, show_default=True, help="Which sample is drawn."
)
@click.option("--stratify", metavar="COL", help="Draw the same share of each value of COL.")
@click.option("--against", metavar="VERSION", help="A version of the pipeline, or a model.")
@click.option("-o", "--report", "place", metavar="FILE.html", help="Where the report goes.")
def trial_command(
    folder: str | None, as_json: bool, pipeline: str, place: str | None, **given: Any
) -> int:
    """Run PIPELINE over a random sample and say how good, how dear and how fast it was.

    The answers are kept: a run does not pay for them again.
    """

    async def work(workspace: Workspace) -> int:
        bar = Bar(workspace.settings.currency, workspace.settings.per_usd, quiet=as_json)
        try:
            result = await workspace.trial(pipeline, bar.start, **_options(given))
        finally:
            bar.close()
        report = await workspace.report(result.status.run, place)
        if as_json:
            print_json({**result.as_json(), "report": str(report)})
        else:
            await show_status(workspace, result.status)
            show_trial(result)
            click.echo(f"report: {report}")
        return ending(result.status)

    return with_workspace(folder, as_json, work)


def show_trial(result: TrialResult) -> None:
    """Print a trial's figures."""
    for line in result.accuracy:
        parts = [f"{line['field']}:"]
        if line.get("correct"):
            value, low, high, count = line["correct"]
            parts.append(f"{value:.0%} right ({low:.0%}–{high:.0%}, {count} compared)")
        if line.get("f1") is not None:
            parts.append(f"F1 {line['f1']:.2f}")
        if line.get("invented"):
            value, low, high, count = line["invented"]
            parts.append(f"invented {value:.0%} ({low:.0%}–{high:.0%}, {count} absent in gold)")
        click.echo("  " + " ".join(parts))
    for sentence in result.sentences:
        click.echo(sentence)


@command("run", short_help="Run a pipeline.")
@task_options
@click.option(
    "--budget", metavar="AMOUNT", type=float, help="Most money, in the workspace's currency."
)
@work_options
@click.option("-o", "--output", metavar="OUT", help="xlsx, csv, tsv, jsonl or parquet.")
def run_command(folder: str | None, as_json: bool, pipeline: str, **given: Any) -> int:
    """Run PIPELINE (a pipeline's or a single template's name) over a selection.

    An interrupted run goes on with `waremill resume`; nothing is paid twice.
    """

    async def work(workspace: Workspace) -> int:
        bar = Bar(workspace.settings.currency, workspace.settings.per_usd, quiet=as_json)
        try:
            status = await workspace.run(pipeline, bar.start, **_options(given))
        finally:
            bar.close()
        if as_json:
            print_json(status_json(status))
        else:
            await show_status(workspace, status)
        return ending(status)

    return with_workspace(folder, as_json, work)


def status_json(status: RunStatus) -> dict[str, Any]:
    """Give a run's status in the shape `--json` prints; the notes are of an output just written."""
    return {**status.as_json(), "notes": list(status.notes)}


async def show_status(workspace: Workspace, status: RunStatus) -> None:
    """Print a run's state in a few lines, and why items failed where some did."""
    reason = f" ({status.reason})" if status.reason else ""
    click.echo(f"{status.kind} {status.run} of {status.pipeline}: {status.state}{reason}")
    states = ", ".join(
        f"{count:,} {state}" for state, count in sorted(status.states.items()) if count
    )
    click.echo(f"  {status.total:,} items: {states}")
    for batch in status.batches:
        click.echo(f"  waits for {_batch(batch)}")
    if status.waiting and not status.batches:
        click.echo(
            f"  {status.waiting:,} items wait for a batch that is yet to be sent, or for what "
            "another run has in one"
        )
    if status.batches_settled:
        many = "batch is" if status.batches_settled == 1 else "batches are"
        click.echo(f"  {status.batches_settled:,} {many} done")
    if status.knowledge:
        bases = ", ".join(status.knowledge)
        click.echo(f"  knowledge: {bases}; a model was asked anew for {status.asked:,} items")
    paid = "unknown" if status.cost is None else f"{status.cost:.4g} {status.currency}"
    listed = "unknown" if status.list_cost is None else f"{status.list_cost:.4g} {status.currency}"
    click.echo(
        f"  paid {paid}, list cost {listed}, {status.calls:,} calls, "
        f"{status.input_tokens:,} + {status.output_tokens:,} tokens, {_time(status.seconds)}"
    )
    if status.rate_wait is not None and status.rate_wait >= WORTH_SAYING:
        click.echo(f"  a call waited {_time(status.rate_wait)} for rate limits on average")
    if status.priority == "low" and status.state == "running":
        click.echo("  priority low: more urgent runs of the same model go first")
    if status.output and status.state == "done":
        click.echo(f"  output: {status.output}")
    for note in status.notes:
        click.echo(f"note: {note}", err=True)
    if status.state == "paused":
        click.echo(f"  go on with: waremill resume {status.run}")
    if status.failed:
        found = await watching.causes(workspace, status.run)
        for one in found[:CAUSES_SHOWN]:
            such = ", such as" if one.count > 1 else ""
            click.echo(f"  {one.count:,} failed{such}: {one.example[:300]}")
    if status.failed and status.state != "paused":
        click.echo(f"  try the failed again with: waremill resume {status.run} --retry-failed")


def _batch(batch: BatchShown) -> str:
    """Say how far a batch at a vendor is."""
    if batch.state == "intended":
        words = f"a batch of {batch.requests:,} requests to {batch.model} that is being sent"
    else:
        name = f"batch {batch.id} of {batch.model}"
        words = f"{name}: {batch.done:,} of {batch.requests:,} requests done"
        if batch.failed:
            words += f", {batch.failed:,} failed"
        if batch.submitted_at is not None:
            words += f", sent {_clock(batch.submitted_at)}"
        if batch.expires_at is not None:
            words += f", expires {_clock(batch.expires_at)}"
    return f"{words} ({batch.note})" if batch.note else words


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def ending(status: RunStatus) -> int:
    """Give the exit code a run's state means."""
    if status.state == "paused":
        return INTERRUPTED if status.reason == "interrupted" else PAUSED
    return 1 if status.failed or status.state == "cancelled" else 0
