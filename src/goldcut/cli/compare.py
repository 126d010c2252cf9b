"""`goldcut compare`: runs side by side, such as before and after a defence."""

from pathlib import Path

import click

from goldcut.cli.options import json_option


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@json_option
def compare(runs: tuple[Path, ...], as_json: bool) -> None:
    """Show two or more RUNs side by side, cut by cut."""
    from goldcut.records import to_json
    from goldcut.report.compare import compare_runs
    from goldcut.report.terminal import print_comparison

    if len(runs) < 2:
        raise click.UsageError("give at least two runs to compare")
    comparison = compare_runs(runs)
    if as_json:
        click.echo(to_json(comparison), nl=False)
    else:
        print_comparison(comparison)
