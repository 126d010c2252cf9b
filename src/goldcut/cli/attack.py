"""`goldcut attack`: what a real attacker reconstructs at the cuts of a run."""

from pathlib import Path

import click

from goldcut.cli.options import Flags, attack_options, json_option, progress_bars, run_options


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@attack_options
@run_options
@json_option
def attack(run: Path, attack_flags: Flags, run_flags: Flags, as_json: bool) -> None:
    """Attack the cuts of RUN, a folder that `goldcut scan` has made."""
    from goldcut.records import to_json
    from goldcut.report.terminal import print_attack
    from goldcut.study.attack import attack_run

    with progress_bars() as progress:
        record = attack_run(run, **attack_flags, **run_flags, progress=progress)
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        print_attack(record)
