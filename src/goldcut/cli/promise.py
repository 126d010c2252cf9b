"""`goldcut promise`: the least noise that keeps a promise against any attack, and what it costs."""

from pathlib import Path

import click

from goldcut.cli.options import Finite, Flags, json_option, progress_bars, run_options


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--cut", required=True, help="Where Z is sent.")
@click.option("--bits", type=Finite(min=0), help="Promise that Z tells at most so many bits of the input.")
@click.option("--gallery", type=int, default=1000, show_default=True, help="Images of one class to pick from.")
@click.option(
    "--odds", type=Finite(min=0), default=0.2, show_default=True, help="How often the pick may be right at most."
)
@click.option("--releases", type=int, default=1, show_default=True, help="How often the same input is sent.")
@click.option("--attacks", default="standard", show_default=True, metavar="SET|NAMES|none", help="What is tried.")
@click.option("--effort", type=click.Choice(["small", "standard", "large"]), default="small", show_default=True)
@click.option("--adapt", is_flag=True, help="Train the cloud half on noisy Z, into RUN/adapted.safetensors.")
@run_options
@json_option
def promise(
    run: Path,
    cut: str,
    bits: float | None,
    gallery: int,
    odds: float,
    releases: int,
    attacks: str,
    effort: str,
    adapt: bool,
    run_flags: Flags,
    as_json: bool,
) -> None:
    """Find the noise at a cut of RUN that no attacker can get round, and its price in accuracy.

    The promise is about a gallery unless --bits is given: however good the attack, it picks the image that was sent
    among --gallery images of its class in at most --odds of the cases.
    """
    from goldcut.records import to_json
    from goldcut.report.terminal import print_promise
    from goldcut.study.promise import promise as find_promise

    with progress_bars() as progress:
        record = find_promise(
            run,
            cut,
            most_bits=bits,
            gallery=gallery,
            most_odds=odds,
            releases=releases,
            attacks=None if attacks == "none" else attacks,
            effort=effort,
            adapt=adapt,
            **run_flags,
            progress=progress,
        )
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        print_promise(record)
