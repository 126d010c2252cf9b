"""`goldcut scan`: measure every cut in one pass and locate the zone from statistics alone."""

from pathlib import Path

import click

from goldcut.cli.options import (
    Flags,
    cluster_option,
    cut_options,
    defense_option,
    json_option,
    labels_option,
    model_options,
    out_option,
    progress_bars,
    run_options,
)


@click.command()
@click.argument("model")
@click.argument("data")
@out_option
@model_options
@labels_option
@cut_options
@defense_option
@run_options
@click.option("--shards", type=click.IntRange(min=1), help="Share the images out among so many processes.")
@cluster_option
@json_option
def scan(
    model: str,
    data: str,
    out: Path,
    model_flags: Flags,
    labels: str,
    cut_flags: Flags,
    defense: str | None,
    run_flags: Flags,
    shards: int | None,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Measure Z at every cut of MODEL on the labelled images DATA.

    DATA is imagefolder:DIR, npz:FILE, torchvision:NAME[:ROOT] or file.py:factory.
    """
    from goldcut.records import to_json
    from goldcut.report.terminal import print_scan
    from goldcut.study.scan import open_sources
    from goldcut.study.scan import scan as run_scan
    from goldcut.sweeps.shards import scan_in_shards
    from goldcut.sweeps.trials import name_source

    flags = {"out": out, "labels": labels, "defense": defense, **cut_flags, **run_flags}
    with progress_bars() as progress:
        if shards is None and cluster is None:
            target, pack = open_sources(model, data, **model_flags)
            record = run_scan(target, pack, **flags, progress=progress)
        else:
            source = name_source(model, **model_flags)
            record = scan_in_shards(source, data, **flags, shards=shards, cluster=cluster, progress=progress)
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        print_scan(record)
