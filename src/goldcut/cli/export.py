"""`goldcut export` and `goldcut verify`: the two halves of a cut as files, and whether they are still those."""

from pathlib import Path

import click

from goldcut.cli.options import Flags, defense_option, json_option, model_options, progress_bars

folder = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("model")
@click.option("--cut", required=True, metavar="NAME", help="Where to cut; `recommended` takes the audit's.")
@click.option("--out", type=folder, required=True, help="New folder for both halves and the manifest.")
@model_options
@click.option("--data", metavar="DATA", help="Real images to compare with the model on, and names of its classes.")
@click.option(
    "--codec",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="How an element of Z is written on the wire.",
)
@click.option("--zstd", is_flag=True, help="Compress each Z.")
@defense_option
@click.option("--audit", type=folder, metavar="RUN", help="Audit of this model: the manifest carries a certificate.")
@click.option("--format", "formats", default="onnx", show_default=True, help="onnx, or onnx,pt2.")
@click.option("--name", help="Name of the model on the network; default: from MODEL.")
@json_option
def export(
    model: str,
    cut: str,
    out: Path,
    model_flags: Flags,
    data: str | None,
    codec: str,
    zstd: bool,
    defense: str | None,
    audit: Path | None,
    formats: str,
    name: str | None,
    as_json: bool,
) -> None:
    """Write both halves of MODEL at a cut into a folder, after comparing them with the model."""
    from goldcut.deploy.export import export as run_export
    from goldcut.records import to_json
    from goldcut.report.deployed import print_export
    from goldcut.sources.models import load_model
    from goldcut.study.scan import open_sources

    with progress_bars() as progress:
        if data is None:
            target, pack = load_model(model, **model_flags), None
        else:
            target, pack = open_sources(model, data, **model_flags)
        manifest = run_export(
            target,
            cut,
            out,
            pack=pack,
            codec=codec,  # type: ignore[arg-type]
            zstd=zstd,
            defense=defense,
            audit=audit,
            formats=[one.strip() for one in formats.split(",")],
            name=name,
            progress=progress,
        )
    if as_json:
        click.echo(to_json(manifest), nl=False)
    else:
        print_export(manifest, out)


@click.command()
@click.argument("exported", metavar="DIR", type=folder)
@click.option("--audit", type=folder, metavar="RUN", help="Make the certificate again from this audit and compare.")
@json_option
@click.pass_context
def verify(context: click.Context, exported: Path, audit: Path | None, as_json: bool) -> None:
    """Check hashes, equality with the model's answers, and certificate of an export; exit 1 with what differs."""
    from goldcut.deploy.verify import verify as run_verify
    from goldcut.records import to_json
    from goldcut.report.deployed import print_verified

    record = run_verify(exported, audit=audit)
    if as_json:
        click.echo(to_json(record), nl=False)
    else:
        print_verified(record)
    context.exit(0 if record.passed else 1)
