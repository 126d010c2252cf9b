"""`goldcut report`: one page to decide from."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
def report(run: Path) -> None:
    """Write RUN/report.html from what the run holds so far, and print the verdict."""
    from goldcut.report.page import write_report
    from goldcut.report.terminal import print_verdict

    page = write_report(run)
    print_verdict(run)
    click.echo(f"Report: {page}")
