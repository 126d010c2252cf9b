"""`goldcut sweep`: many trials from one file, by several processes, as one table."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from goldcut.cli.audit import duration
from goldcut.cli.options import Memory, cluster_option, json_option, out_option, progress_bars

if TYPE_CHECKING:
    from goldcut.sweeps.estimate import Forecast
    from goldcut.sweeps.summary import Summary


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@out_option
@click.option("--workers", type=click.IntRange(min=1), help="Trials at once; default: one for each four cores.")
@cluster_option
@click.option("--device", default="cpu", show_default=True, help="Where each trial computes: cpu, cuda, ...")
@click.option("--memory", type=Memory(), default="4G", show_default=True, help="Most memory for each trial.")
@click.option("--retry-failed", is_flag=True, help="Try trials again that have failed.")
@click.option("--dry-run", is_flag=True, help="Print the plan and an estimate of the time, then stop.")
@json_option
@click.pass_context
def sweep(
    context: click.Context,
    file: Path | None,
    out: Path,
    workers: int | None,
    cluster: str | None,
    device: str,
    memory: int,
    retry_failed: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Carry out every combination that FILE asks for: models, images, defences, attackers and seeds.

    The same command goes on where an interrupted one stopped, and exits with 1 when a trial has failed. Without FILE it
    shows what the folder holds.
    """
    if dry_run and cluster:
        raise click.UsageError("--dry-run estimates for this machine: leave --cluster out.")
    from goldcut.records import to_json
    from goldcut.sweeps.estimate import forecast
    from goldcut.sweeps.executors import count_cores, share_cores
    from goldcut.sweeps.store import open_store
    from goldcut.sweeps.summary import summarise
    from goldcut.sweeps.sweep import plan_sweep, run_sweep

    with progress_bars() as progress:
        if file is None:
            with open_store(out) as store:
                summary = summarise(store)
        elif dry_run:
            many, threads = share_cores(count_cores(), workers)
            trials, entries = plan_sweep(file, out, progress=progress)
            plan = forecast(trials, entries, threads=threads, device=device, progress=progress)
        else:
            summary = run_sweep(
                file,
                out,
                workers=workers,
                cluster=cluster,
                device=device,
                memory=memory,
                retry_failed=retry_failed,
                progress=progress,
            )
    if file and dry_run:
        if as_json:
            click.echo(to_json(plan), nl=False)
        else:
            _print_plan(plan, many, threads)
        return
    if as_json:
        click.echo(to_json(summary), nl=False)
    else:
        _print_summary(summary)
    context.exit(1 if summary.counts["failed"] else 0)


def _print_plan(plan: "tuple[Forecast, ...]", workers: int, threads: int) -> None:
    for one in plan:
        click.echo(f"{one.id}  {one.state:>8}  {duration(one.seconds):>8}  {one.trial}")
    left = [one for one in plan if one.state != "done"]
    seconds = sum(one.seconds for one in left) / workers
    click.echo(
        f"{len(plan)} trials, {len(left)} to do: at most {duration(seconds)} with {workers} at a time, {threads} "
        "threads each; nothing was written"
    )
    if unknown := sorted({name for one in left for name in one.unknown}):
        click.echo(f"Not in the estimate: {', '.join(unknown)}.")


def _print_summary(summary: "Summary") -> None:
    from goldcut.report.point_tables import print_points
    from goldcut.sweeps.summary import say_counts

    print_points(summary.points, summary.matches)
    for one in summary.trials:
        if one.state == "failed":
            click.echo(f"failed: {one.id}, {one.trial}: {one.error}")
    click.echo(say_counts(summary))
    click.echo(f"Page: {summary.page}")
