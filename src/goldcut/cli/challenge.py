"""`goldcut challenge` and `goldcut score`: let a third party attack, and judge what it sends back."""

from pathlib import Path

import click

from goldcut.cli.options import json_option, progress_bars

folder = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("run", type=folder)
@click.option("--cut", required=True, help="The cut that is attacked.")
@click.option("--out", type=folder, required=True, help="Folder to hand over.")
@json_option
def challenge(run: Path, cut: str, out: Path, as_json: bool) -> None:
    """Write the victims' Z at a cut of RUN, without their images, for someone else to attack."""
    from goldcut.records import to_json
    from goldcut.study.challenge import write_challenge

    with progress_bars() as progress:
        record = write_challenge(run, cut, out, progress=progress)
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        click.echo(f"{out}: Z of {record.victims} victims at {record.cut}. Expected back: {record.answer}.")


@click.command()
@click.argument("run", type=folder)
@click.argument("challenged", metavar="DIR", type=folder)
@json_option
def score(run: Path, challenged: Path, as_json: bool) -> None:
    """Score the images that came back in DIR for a challenge of RUN."""
    from goldcut.records import to_json
    from goldcut.report.terminal import print_score
    from goldcut.study.challenge import score_challenge

    with progress_bars() as progress:
        record = score_challenge(run, challenged, progress=progress)
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        print_score(record)
