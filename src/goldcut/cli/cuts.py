"""`goldcut cuts`: every place where a model can be cut, with its price."""

import click

from goldcut.cli.options import Flags, cut_options, json_option, model_options


@click.command()
@click.argument("model")
@model_options
@cut_options
@json_option
def cuts(model: str, model_flags: Flags, cut_flags: Flags, as_json: bool) -> None:
    """List every place where MODEL can be cut.

    MODEL is torchvision:NAME, timm:NAME, hf:PATH_OR_ID, goldcut:NAME or file.py:factory.
    """
    from goldcut.records import to_json
    from goldcut.report.terminal import print_cuts
    from goldcut.sources.models import load_model
    from goldcut.study.scan import list_cuts

    record = list_cuts(load_model(model, **model_flags), **cut_flags)
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        print_cuts(record)
