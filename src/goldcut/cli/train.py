"""`goldcut train`: train a classifier under a label distribution and watch what its representation does."""

from pathlib import Path

import click

from goldcut.cli.options import Finite, Flags, bundle, defense_option, json_option, model_options, progress_bars

recipe_options = bundle(
    "recipe_flags",
    targets=click.option(
        "--targets",
        default="one-hot",
        show_default=True,
        metavar="SPEC",
        help="Label distribution: one-hot, smooth:A, teacher:CKPT, mixup:A, cutmix:A.",
    ),
    loss=click.option(
        "--loss",
        default="ce",
        show_default=True,
        metavar="SPEC",
        help="ce, focal:2, logit-norm:1e-2, shrink:0.01, maxsup:0.1, supcon:0.1, radius:8, radius-standard:1, "
        "nopeek:0.5, adversary:1, bottleneck:1e-3, funnel:0.4.",
    ),
    at=click.option(
        "--at",
        metavar="CUTS",
        help="Cuts that the loss acts on, or where the defence stands; default: the last before the output.",
    ),
    defense=defense_option,
    watch=click.option(
        "--watch",
        default="spread",
        show_default=True,
        metavar="CUTS|spread|all|none",
        help="Cuts whose radius is recorded every epoch.",
    ),
    epochs=click.option("--epochs", type=click.IntRange(min=1), default=10, show_default=True),
    batch=click.option("--batch", type=click.IntRange(min=2), default=128, show_default=True, help="Images a step."),
    rate=click.option(
        "--rate",
        type=Finite(min=0, min_open=True),
        default=1e-3,
        show_default=True,
        help="Highest learning rate of AdamW.",
    ),
    weight_decay=click.option("--weight-decay", type=Finite(min=0), default=1e-2, show_default=True),
    augment=click.option(
        "--augment",
        type=click.Choice(["none", "flip", "shift", "shift+flip"]),
        default="none",
        show_default=True,
        help="Random changes of the training images.",
    ),
    splits=click.option(
        "--splits",
        type=click.IntRange(min=0),
        default=10,
        show_default=True,
        help="At how many steps the change of the radius is split by its causes.",
    ),
    precision=click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16"]),
        default="auto",
        show_default=True,
        help="auto: bfloat16 on a GPU.",
    ),
    device=click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ..."),
    seed=click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    resume=click.option("--resume", is_flag=True, help="Only go on with an interrupted training; never start anew."),
)


@click.command()
@click.argument("model")
@click.argument("data")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Weights: CKPT.safetensors."
)
@recipe_options
@model_options
@json_option
def train(model: str, data: str, out: Path, recipe_flags: Flags, model_flags: Flags, as_json: bool) -> None:
    """Train MODEL on the training part of DATA and write its weights to CKPT.

    The epoch is chosen on a tenth of the training part; the test part is looked at once, at the end. CKPT.json beside
    the weights says how they came to be. The same command goes on where an interrupted one stopped.
    """
    from goldcut.records import to_json
    from goldcut.report.training import print_training
    from goldcut.study.train import open_training
    from goldcut.study.train import train as run_training

    with progress_bars() as progress:
        target, pack = open_training(model, data, **model_flags)
        record = run_training(target, pack, out=out, **recipe_flags, progress=progress)
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        print_training(record)
