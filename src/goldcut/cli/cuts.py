"""`goldcut cuts`: every place where a model can be cut, with its price."""

from pathlib import Path

import click

from goldcut.cli.options import json_option, level_option, measure_option, model_options


@click.command()
@click.argument("model")
@model_options
@level_option
@measure_option
@json_option
def cuts(
    model: str,
    input_shape: tuple[int, int, int] | None,
    checkpoint: Path | None,
    weights: str | None,
    classes: int | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    level: str,
    measure: bool,
    as_json: bool,
) -> None:
    """List every place where MODEL can be cut.

    MODEL is torchvision:NAME, timm:NAME, hf:PATH_OR_ID, goldcut:NAME or file.py:factory.
    """
    from goldcut.records import to_json
    from goldcut.report.terminal import print_cuts
    from goldcut.sources.models import load_model
    from goldcut.study.scan import list_cuts

    target = load_model(
        model, input_shape=input_shape, checkpoint=checkpoint, weights=weights, classes=classes, mean=mean, std=std
    )
    record = list_cuts(target, level=level, measure=measure)
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        print_cuts(record)
