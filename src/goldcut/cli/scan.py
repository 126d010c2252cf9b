"""`goldcut scan`: measure every cut in one pass and locate the zone from statistics alone."""

from pathlib import Path

import click

from goldcut.cli.options import (
    device_option,
    json_option,
    memory_option,
    model_options,
    out_option,
    progress_bars,
    scan_options,
    seed_option,
)


@click.command()
@click.argument("model")
@click.argument("data")
@out_option
@model_options
@scan_options
@device_option
@memory_option
@seed_option
@json_option
def scan(
    model: str,
    data: str,
    out: Path,
    input_shape: tuple[int, int, int] | None,
    checkpoint: Path | None,
    weights: str | None,
    classes: int | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    labels: str,
    level: str,
    measure: bool,
    device: str,
    memory: int,
    seed: int,
    as_json: bool,
) -> None:
    """Measure Z at every cut of MODEL on the labelled images DATA.

    DATA is imagefolder:DIR, npz:FILE, torchvision:NAME[:ROOT] or file.py:factory.
    """
    from goldcut.records import to_json
    from goldcut.report.terminal import print_scan
    from goldcut.study.scan import open_sources
    from goldcut.study.scan import scan as run_scan

    with progress_bars() as progress:
        target, pack = open_sources(
            model,
            data,
            input_shape=input_shape,
            checkpoint=checkpoint,
            weights=weights,
            classes=classes,
            mean=mean,
            std=std,
        )
        record = run_scan(
            target,
            pack,
            out=out,
            labels=labels,
            level=level,
            measure=measure,
            device=device,
            memory=memory,
            seed=seed,
            progress=progress,
        )
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        print_scan(record)
