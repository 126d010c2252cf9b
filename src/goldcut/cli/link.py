"""`goldcut link`: what a link to a served cloud half gives, over a link of your own choice if you like."""

import contextlib
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import click

from goldcut.cli.options import Flags, credentials_options, json_option


@click.command()
@click.argument("exported", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--url", required=True, metavar="grpc://HOST:PORT", help="Where the cloud half is; grpcs:// for TLS.")
@click.option("--link", metavar="RATE,TRIP", help="Emulate a link on the way, such as 10mbit,40ms, or lte, 5g, wifi.")
@click.option("--listen", type=click.IntRange(1, 65535), help="Keep the emulated link open on this port until Ctrl-C.")
@click.option("--batch", type=click.IntRange(2), default=8, show_default=True, help="Samples of the large request.")
@credentials_options
@json_option
def link(
    exported: Path, url: str, link: str | None, listen: int | None, batch: int, credentials: Flags, as_json: bool
) -> None:
    """Measure round trip and rate to the server of the export DIR, or emulate a link to it."""
    from goldcut.cost.link import parse_link
    from goldcut.deploy.access import show
    from goldcut.deploy.attempts import parse_url
    from goldcut.deploy.client import EdgeClient
    from goldcut.deploy.emulate import emulated
    from goldcut.deploy.link import measure_link
    from goldcut.records import to_json

    if listen is not None and link is None:
        raise click.UsageError("--listen needs a --link")
    token, tls = show(**credentials)
    address, parts = url, urlsplit(url)
    with contextlib.ExitStack() as held:
        if link is not None:
            parse_url(url, tls)
            assert parts.hostname is not None
            assert parts.port is not None
            port = held.enter_context(emulated(parse_link(link), parts.hostname, parts.port, listen=listen or 0))
            address = f"{parts.scheme}://127.0.0.1:{port}"
            tls = replace(tls, name=parts.hostname) if parts.scheme == "grpcs" else tls
        if listen is not None:
            click.echo(f"{address} leads to {url} over {link}; Ctrl-C ends it")
            while True:
                time.sleep(3600)
        client = held.enter_context(EdgeClient(exported, address, token=token, tls=tls, batch=batch, deadline=60.0))
        record = measure_link(client, url, rows=batch, link=link)
    if as_json:
        click.echo(to_json(record), nl=False)
        return
    rate = "too fast to be measured" if record.megabit_per_s is None else f"{record.megabit_per_s:.3g} Mbit/s"
    click.echo(f"{url}{f' over {link}' if link else ''}: round trip {record.round_trip_ms:.2f} ms, {rate} up")
    click.echo(f"one sample of {record.sample_bytes:,} bytes: {record.sample_ms:.2f} ms on the network")
