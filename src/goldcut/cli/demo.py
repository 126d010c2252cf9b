"""`goldcut demo`: the whole path on real digits in a few minutes."""

from pathlib import Path

import click

from goldcut.cli.options import progress_bars


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-run"),
    show_default=True,
    help="Folder of the run.",
)
def demo(out: Path) -> None:
    """Train a small CNN on real handwritten digits, audit it, and print the verdict.

    Everything it makes is in the folder: the images, the checkpoint, the records and the report.
    """
    from goldcut.report.page import write_report
    from goldcut.report.terminal import print_attack, print_scan, print_verdict
    from goldcut.study.demo import attack_demo, prepare_demo
    from goldcut.study.scan import scan

    with progress_bars() as progress:
        target, pack = prepare_demo(out, progress=progress)
        scanned = scan(target, pack, out=out, progress=progress)
        attacked = attack_demo(target, pack, scanned, out=out, progress=progress)
        page = write_report(out)
    print_scan(scanned)
    print_attack(attacked)
    print_verdict(out)
    click.echo(f"Report: {page}")
