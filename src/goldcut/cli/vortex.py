"""`goldcut vortex`: one page from the records of trainings."""

from pathlib import Path

import click


@click.command()
@click.argument("records", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("vortex.html"), show_default=True)
def vortex(records: tuple[Path, ...], out: Path) -> None:
    """Draw what became of the class radius in trainings, from their RECORDS (CKPT.json), one curve each."""
    from goldcut.report.vortex import write_vortex

    click.echo(f"Page: {write_vortex(records, out)}")
