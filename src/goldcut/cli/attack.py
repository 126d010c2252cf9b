"""`goldcut attack`: what a real attacker reconstructs at the cuts of a run."""

from pathlib import Path

import click

from goldcut.cli.options import Flags, attack_options, json_option, progress_bars, run_options

TAKEN = ("attacks", "effort", "aux", "aux_seen", "victims")
"""Flags of an attack that mean something for an export."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--data", metavar="DATA", help="Images, where RUN is an export: its edge half and codec are attacked.")
@attack_options
@run_options
@json_option
def attack(run: Path, data: str | None, attack_flags: Flags, run_flags: Flags, as_json: bool) -> None:
    """Attack the cuts of RUN, a folder that `goldcut scan` has made, or what an export in RUN sends."""
    if data is not None:
        _attack_export(run, data, attack_flags, run_flags, as_json)
        return
    from goldcut.records import to_json
    from goldcut.report.terminal import print_attack
    from goldcut.study.attack import attack_run

    with progress_bars() as progress:
        record = attack_run(run, **attack_flags, **run_flags, progress=progress)
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        print_attack(record)


def _attack_export(folder: Path, data: str, attack_flags: Flags, run_flags: Flags, as_json: bool) -> None:
    from goldcut.deploy.attack import attack_export
    from goldcut.deploy.manifest import open_export
    from goldcut.records import to_json
    from goldcut.report.deployed import print_edge_attack
    from goldcut.sources.images import load_images

    context = click.get_current_context()
    for name in sorted({*attack_flags, *run_flags} - {*TAKEN, "memory", "seed"}):
        if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} is not for an export: attack the RUN of its audit")
    flags = {name: attack_flags[name] for name in TAKEN}
    shape = open_export(folder).manifest.preprocessing.shape
    with progress_bars() as progress:
        pack = load_images(data, shape=shape)
        record = attack_export(
            folder, pack, **flags, memory=run_flags["memory"], seed=run_flags["seed"], progress=progress
        )
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        print_edge_attack(record)
