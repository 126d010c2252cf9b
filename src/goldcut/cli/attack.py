"""`goldcut attack`: what a real attacker reconstructs at the cuts of a run."""

from pathlib import Path

import click

from goldcut.cli.options import (
    attack_options,
    device_option,
    json_option,
    memory_option,
    progress_bars,
    seed_option,
)


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@attack_options
@device_option
@memory_option
@seed_option
@json_option
def attack(
    run: Path,
    cuts: str,
    attacks: str,
    effort: str,
    aux: str | None,
    aux_seen: str,
    victims: int,
    device: str,
    memory: int,
    seed: int,
    as_json: bool,
) -> None:
    """Attack the cuts of RUN, a folder that `goldcut scan` has made."""
    from goldcut.records import to_json
    from goldcut.report.terminal import print_attack
    from goldcut.study.attack import attack_run

    with progress_bars() as progress:
        record = attack_run(
            run,
            cuts=cuts,
            attacks=attacks,
            effort=effort,
            aux=aux,
            aux_seen=aux_seen,
            victims=victims,
            device=device,
            memory=memory,
            seed=seed,
            progress=progress,
        )
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        print_attack(record)
