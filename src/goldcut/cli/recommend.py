"""`goldcut recommend`: the cuts of an audit that keep all limits, and why the others do not."""

from pathlib import Path

import click

from goldcut.cli.options import Finite, Memory, json_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--max-recovered", type=Finite(min=0), help="Most that the strongest attack may recover (upper 95 % limit)."
)
@click.option("--edge-flops", type=Finite(min=0), help="Most FLOPs of the edge half, such as 5e8.")
@click.option("--edge-memory", type=Memory(), help="Most bytes of the edge half (after a scan with --measure).")
@click.option("--payload", type=Memory(), help="Most bytes of Z in fp32, such as 64K.")
@click.option("--link", metavar="RATE,TRIP", help="Link for the time, such as 10mbit,40ms, or lte, 5g, wifi, lan, iot.")
@click.option(
    "--max-ms", type=Finite(min=0), help="Most milliseconds of a sample on the link, and in the halves if timed."
)
@json_option
@click.pass_context
def recommend(
    context: click.Context,
    run: Path,
    max_recovered: float | None,
    edge_flops: float | None,
    edge_memory: int | None,
    payload: int | None,
    link: str | None,
    max_ms: float | None,
    as_json: bool,
) -> None:
    """Search the cuts of RUN for those that keep all limits; exit 3 when none does."""
    from goldcut import records
    from goldcut.records import AttackRecord, Limits, ScanRecord
    from goldcut.report.deployed import print_recommended
    from goldcut.report.recommend import recommend as search

    if max_ms is not None and link is None:
        raise click.UsageError("--max-ms needs a --link")
    for flag, value, most in (
        ("--max-recovered", max_recovered, 1.0),
        ("--edge-flops", edge_flops, 1e30),
        ("--max-ms", max_ms, 1e30),
    ):
        if value is not None and not 0 <= value <= most:
            raise click.UsageError(f"{flag} is {value}, expected a number from 0 to {most:g}")
    limits = Limits(
        recovered=max_recovered,
        edge_flops=edge_flops,
        edge_memory=edge_memory,
        payload=payload,
        link=link,
        seconds=None if max_ms is None else max_ms / 1e3,
    )
    scan = records.load(run / "scan.json", ScanRecord)
    attacked = run / "attack.json"
    record = search(scan, records.load(attacked, AttackRecord) if attacked.exists() else None, limits)
    if as_json:
        click.echo(records.to_json(record), nl=False)
    else:
        print_recommended(record)
    context.exit(0 if record.recommended else 3)
