"""`goldcut serve` and `goldcut infer`: the cloud half behind a server, and the edge half that asks it."""

import functools
import sys
from pathlib import Path

import click

from goldcut.cli.options import Finite, Flags, Replicas, credentials_options, json_option

folder = click.Path(path_type=Path, file_okay=False)
file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("exported", metavar="DIR", type=folder)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8001, show_default=True, help="Of gRPC.")
@click.option("--http-port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Of HTTP.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option(
    "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="What runs the half."
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="With --engine ray: HOST:PORT or auto for a cluster of this machine; by default local, which starts Ray.",
)
@click.option(
    "--replicas", type=Replicas(), help="With --engine ray: at least and at most; default: 1 to as many as CPUs."
)
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Threads of a worker's run.")
@click.option(
    "--max-batch", type=click.IntRange(1, 4096), default=32, show_default=True, help="Samples of a request, of a batch."
)
@click.option("--max-queue", type=click.IntRange(1), default=256, show_default=True, help="Samples that may wait.")
@click.option("--body-timeout", type=Finite(min=0.1), default=10.0, show_default=True, help="Seconds for an HTTP body.")
@click.option("--tls-cert", type=file, help="PEM of the server's certificate.")
@click.option("--tls-key", type=file, help="PEM of its key.")
@click.option("--client-ca", type=file, help="PEM of the authorities whose certificates a client must have.")
@click.option("--token-file", type=file, help="Bearer tokens, one a line.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option("--worker-of", type=int, hidden=True)
def serve(
    exported: Path,
    host: str,
    port: int,
    http_port: int,
    workers: int,
    engine: str,
    cluster: str | None,
    replicas: tuple[int, int] | None,
    threads: int,
    max_batch: int,
    max_queue: int,
    body_timeout: float,
    tls_cert: Path | None,
    tls_key: Path | None,
    client_ca: Path | None,
    token_file: Path | None,
    log_level: str,
    worker_of: int | None,
) -> None:
    """Serve the cloud half of the export DIR over the Open Inference Protocol, until SIGTERM."""
    from goldcut.deploy.access import Access, read_tokens
    from goldcut.deploy.logs import start_log
    from goldcut.deploy.manifest import open_export
    from goldcut.deploy.server import Place, check_packages, run_server
    from goldcut.deploy.supervisor import as_worker, run_workers

    if engine == "local" and (cluster or replicas):
        raise click.UsageError("--cluster and --replicas need --engine ray")
    if engine == "ray" and workers > 1:
        raise click.UsageError("--workers is for --engine local; with ray give --replicas")
    start_log(log_level)
    export = open_export(exported)
    access = Access(read_tokens(token_file) if token_file else (), tls_cert, tls_key, client_ca)
    place = Place(host, port, http_port, max_batch, max(max_queue, max_batch), threads, body_timeout)
    if not place.loopback and not (access.tokens or access.client_ca) and worker_of is None:
        click.echo(f"warning: whoever reaches {host} may ask; see --token-file and --client-ca", err=True)
    if engine == "ray":
        from goldcut.cluster import LOCAL
        from goldcut.deploy.fleet import Fleet, start_replicas

        check_packages()
        least, most = replicas or (1, None)
        told = functools.partial(click.echo, file=sys.stdout)
        with start_replicas(export, place, Fleet(least, most, cluster or LOCAL)) as elsewhere:
            run_server(export, access, place, told, elsewhere)
    elif workers > 1:
        export.open_cloud()
        flags = {
            "--host": host,
            "--threads": threads,
            "--max-batch": max_batch,
            "--max-queue": max_queue,
            "--body-timeout": body_timeout,
            "--tls-cert": tls_cert,
            "--tls-key": tls_key,
            "--client-ca": client_ca,
            "--token-file": token_file,
            "--log-level": log_level,
        }
        given = [text for flag, value in flags.items() if value is not None for text in (flag, str(value))]
        run_workers([str(exported), *given], workers, place, click.echo, scheme="s" if tls_cert else "")
    else:
        run_server(export, access, place if worker_of is None else as_worker(place, worker_of), click.echo)


@click.command()
@click.argument("exported", metavar="DIR", type=folder)
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=file)
@click.option("--url", required=True, metavar="grpc://HOST:PORT", help="Where the cloud half is; grpcs:// for TLS.")
@credentials_options
@click.option("--deadline", type=Finite(min=0.001), default=10.0, show_default=True, help="Seconds a request.")
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Images a request.")
@json_option
def infer(
    exported: Path,
    images: tuple[Path, ...],
    url: str,
    credentials: Flags,
    deadline: float,
    batch: int,
    as_json: bool,
) -> None:
    """Run the edge half of the export DIR on images and ask the cloud half for their classes."""
    from goldcut.deploy.access import show
    from goldcut.deploy.client import EdgeClient
    from goldcut.deploy.inference import to_record
    from goldcut.records import to_json

    token, tls = show(**credentials)
    with EdgeClient(exported, url, token=token, tls=tls, deadline=deadline, batch=batch) as client:
        record = to_record(client.manifest, url, images, client.infer(images))
    if as_json:
        click.echo(to_json(record), nl=False)
        return
    for answer in record.answers:
        click.echo(f"{answer.image}: {answer.label} ({answer.probability:.1%})")
    spent = ", ".join(f"{stage} {seconds * 1e3:.1f} ms" for stage, seconds in record.seconds.items())
    click.echo(f"{spent}; {record.payload_bytes:,} bytes of Z in {record.attempts} requests")
