"""`goldcut tradeoff`: runs with and without a defence on one scale, at matched accuracy."""

from pathlib import Path

import click

from goldcut.cli.options import json_option


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--page", type=click.Path(path_type=Path, dir_okay=False), help="Write the charts and tables to this HTML file."
)
@json_option
def tradeoff(runs: tuple[Path, ...], page: Path | None, as_json: bool) -> None:
    """Put the attacked cuts of RUNs on one scale: accuracy, recovered, payload and FLOPs on the device.

    Says which points no other beats, and what leaks least when so much accuracy is given up: the zone alone, a defence
    before it, or both.
    """
    from goldcut.records import to_json, write_atomically
    from goldcut.report.compare import compare_runs
    from goldcut.report.point_tables import print_points
    from goldcut.report.points import compare_points, match_accuracy, points_of_runs
    from goldcut.report.sheet import render_points

    points = compare_points(points_of_runs(runs))
    matches, notes = match_accuracy(points), compare_runs(runs).notes if len(runs) > 1 else ()
    if page:
        write_atomically(page, render_points(f"{len(runs)} runs", points, notes).encode())
    if as_json:
        click.echo(to_json({"points": points, "matches": matches, "notes": notes}), nl=False)
        return
    print_points(points, matches)
    for note in notes:
        click.echo(note)
    if page:
        click.echo(f"Page: {page}")
