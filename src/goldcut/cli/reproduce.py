"""`goldcut reproduce`: a table of the paper again, with a verdict on each of its claims."""

from pathlib import Path

import click

from goldcut.cli.options import json_option, progress_bars


@click.command()
@click.argument("table")
@click.option(
    "--scale", default="cpu", show_default=True, metavar="quick|cpu|paper", help="Small networks, or the paper's."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of image packs: cifar10.npz, ...",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reproduction"),
    show_default=True,
    help="Folder that keeps what is done; tables may share it.",
)
@click.option("--resume", is_flag=True, help="Only go on with what is in --out; never start anew.")
@click.option("--dry-run", is_flag=True, help="Print the steps, then stop.")
@json_option
def reproduce(table: str, scale: str, data: Path | None, out: Path, resume: bool, dry_run: bool, as_json: bool) -> None:
    """Measure TABLE of the paper again: levels, rule, labels, stress, data or edge (or a letter, a to f).

    The steps that are missing in --out are carried out; the same command goes on where it stopped. Writes TABLE.json
    and TABLE.md: the paper's number beside ours, and for each claim whether it holds, does not or cannot be tested.
    """
    from goldcut.records import to_json
    from goldcut.report.reproduced import print_claims
    from goldcut.reproduce.run import plan_table
    from goldcut.reproduce.run import reproduce as run_table

    if dry_run:
        for step in plan_table(table, out, scale=scale):
            click.echo(f"{'done' if step.done else 'to do':>5}  {step.name}")
        return
    with progress_bars() as progress:
        record = run_table(table, out=out, data=data, scale=scale, resume=resume, progress=progress)
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        print_claims(record)
        click.echo(f"Table: {out / record.table}.md")
