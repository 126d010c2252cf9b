"""What a link to a server gives: its round trip and its rate, from requests of an export's own Z."""

import statistics

import numpy as np

from goldcut.deploy.client import EdgeClient
from goldcut.deploy.synthetic import as_floats, synthetic_images
from goldcut.records import LinkRecord

LEAST_SHARE = 0.2
"""A large request must take longer than a small one by this share of it, or the rate is not to be seen."""


def measure_link(
    client: EdgeClient, url: str, *, rows: int = 8, repeats: int = 9, link: str | None = None
) -> LinkRecord:
    """Median round trip of an empty call, and the rate at which Z goes up.

    The rate is the difference of bytes over the difference of time on the network between requests of one sample and
    of several; the server's own time is taken out.

    Args:
        client: To the server; it must send at least `rows` samples in a request.
        url: Where it is, for the record.
        rows: Samples of the large request.
        repeats: Requests of each size; medians count.
        link: The link that is emulated on the way, for the record.

    Raises:
        DeployError: The server refuses or is not reached.
    """
    images = as_floats(synthetic_images(rows, client.manifest.preprocessing.shape))
    client.ping()  # where nobody listens, this says so at once
    client.infer(images)  # the connection and both halves are warm
    trips = [client.ping() for _ in range(repeats)]
    small, few = _time(client, images[:1], repeats)
    large, many = _time(client, images, repeats)
    seen = large - small > LEAST_SHARE * small
    return LinkRecord(
        url=url,
        emulated=link,
        round_trip_ms=statistics.median(trips) * 1e3,
        megabit_per_s=(many - few) * 8 / (large - small) / 1e6 if seen else None,
        sample_ms=small * 1e3,
        sample_bytes=few,
        batch_ms=large * 1e3,
        batch_bytes=many,
        repeats=repeats,
    )


def _time(client: EdgeClient, images: np.ndarray, repeats: int) -> tuple[float, int]:
    """Median seconds on the network, and bytes of Z, of a request."""
    answers = [client.infer(images) for _ in range(repeats)]
    return statistics.median(one.seconds["network"] for one in answers), answers[0].payload_bytes
