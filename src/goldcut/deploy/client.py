"""The device's side: the edge half in onnxruntime, the codec, and a request that survives a lost server.

Needs numpy, onnxruntime, grpcio and Pillow, and no torch.
"""

import contextlib
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import Float

from goldcut.deploy.manifest import Export, open_export, read_file
from goldcut.errors import DataError, DeployError, MissingExtra
from goldcut.sources.pictures import fit_picture, open_picture
from goldcut.wire.codec import QUERY, payload_bytes
from goldcut.wire.tensors import BYTES, DTYPES, Tensor

PUSHBACK = "grpc-retry-pushback-ms"
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds before the second attempt, and at most before any."""

STAGES = ("edge", "codec", "network", "cloud")

Images = Sequence[str | Path] | Float[np.ndarray, "n c h w"]


@dataclass(frozen=True)
class Tls:
    """How the client knows the server, and the server the client.

    Args:
        ca: PEM of the authorities to trust; the system's when None.
        certificate: PEM of the client's own certificate.
        key: PEM of its key.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, eq=False)
class Inference:
    """The answer to a batch of images.

    Attributes:
        logits: (n, classes) float32.
        seconds: By stage: edge (preprocessing and edge half), codec, network, cloud (queue and cloud half).
        request_ids: One a request.
        attempts: Requests that were sent, retries included.
        payload_bytes: Bytes of Z on the wire.
    """

    logits: Float[np.ndarray, "n ..."]
    seconds: dict[str, float]
    request_ids: tuple[str, ...]
    attempts: int
    payload_bytes: int


@dataclass(eq=False)
class _Tally:
    """What the requests of one call took."""

    seconds: dict[str, float]
    request_ids: list[str]
    attempts: int = 0
    payload: int = 0


class EdgeClient:
    """The edge half of an export, and its cloud half at an address.

    Args:
        folder: Of the export; edge.onnx and manifest.json are enough.
        url: "grpc://host:port", or "grpcs://host:port" for TLS.
        token: Bearer token.
        tls: Certificates; used with grpcs.
        deadline: Seconds for each request, with all its retries.
        batch: Images a request.
        threads: Of the edge half.

    Raises:
        RunError, DeployError: The export or the address cannot be used.
        MissingExtra: A package is not installed.

    Example:
        with EdgeClient("export", "grpc://127.0.0.1:8001") as client:
            print(client.infer(["a.png", "b.png"]).logits.argmax(1))
    """

    def __init__(
        self,
        folder: str | Path,
        url: str,
        *,
        token: str | None = None,
        tls: Tls | None = None,
        deadline: float = 10.0,
        batch: int = 8,
        threads: int = 1,
    ) -> None:
        self._grpc = _load_grpc()
        self._export: Export = open_export(Path(folder))
        self._edge = self._export.open_edge(threads=threads)
        self._codec = self._export.codec
        self._address, self._credentials = _parse_url(url, tls or Tls(), self._grpc)
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._deadline, self._batch = deadline, batch
        self._channel: Any = None
        self._async_channel: Any = None
        self.manifest = self._export.manifest

    def infer(self, images: Images) -> Inference:
        """The logits of images: paths of pictures, or an array (n, C, H, W) float32 in [0, 1].

        Raises:
            DataError: An image cannot be used.
            DeployError: The server refuses, or is not reached within the deadline.
        """
        tally = _Tally(dict.fromkeys(STAGES, 0.0), [])
        return _collect([self._ask(z, tally) for z in self._representations(images, tally)], tally)

    async def infer_async(self, images: Images) -> Inference:
        """The same without blocking the event loop while the network works; the edge half runs in place."""
        tally = _Tally(dict.fromkeys(STAGES, 0.0), [])
        return _collect([await self._ask_async(z, tally) for z in self._representations(images, tally)], tally)

    def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    async def close_async(self) -> None:
        """Close the connections of both kinds."""
        if self._async_channel is not None:
            await self._async_channel.close()
            self._async_channel = None
        self.close()

    def __enter__(self) -> "EdgeClient":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> "EdgeClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close_async()

    # --- on the device ---------------------------------------------------------------------------

    def _representations(self, images: Images, tally: _Tally) -> Iterator[tuple[Tensor, ...]]:
        """Z of each batch as the inputs of a request."""
        if len(images) == 0:
            raise DataError("there are no images", "Give at least one.")
        for start in range(0, len(images), self._batch):
            with _timed(tally, "edge"):
                z = self._edge(self._pixels(images[start : start + self._batch]))
            with _timed(tally, "codec"):
                tensors = self._codec.encode(z)
            tally.payload += payload_bytes(tensors)
            yield tensors

    def _pixels(self, images: Images) -> Float[np.ndarray, "b c h w"]:
        shape = self.manifest.preprocessing.shape
        if not isinstance(images, np.ndarray):
            return np.stack([read_picture(Path(path), shape) for path in images])
        if images.ndim != 4 or images.shape[1:] != shape:
            raise DataError(f"images have shape {images.shape}, expected (n, {', '.join(map(str, shape))})")
        if images.dtype.kind != "f" or not (images.min() >= 0 and images.max() <= 1):
            raise DataError(f"images are {images.dtype} or outside [0, 1]", "Divide 8-bit pixels by 255.")
        return np.ascontiguousarray(images, np.float32)

    # --- on the network --------------------------------------------------------------------------

    def _ask(self, tensors: tuple[Tensor, ...], tally: _Tally) -> Any:
        """Send one request until it is answered, refused or late."""
        self._channel = self._channel or self._open(self._grpc)
        call, attempts = self._call(self._channel), self._attempts(tensors, tally)
        for attempt in attempts:
            try:
                return attempt.take(call(attempt.content, timeout=attempt.seconds, metadata=self._metadata))
            except self._grpc.RpcError as error:
                time.sleep(attempt.pause_after(error))
        raise AssertionError("an attempt either answers or raises")

    async def _ask_async(self, tensors: tuple[Tensor, ...], tally: _Tally) -> Any:
        import asyncio

        self._async_channel = self._async_channel or self._open(self._grpc.aio)
        call, attempts = self._call(self._async_channel), self._attempts(tensors, tally)
        for attempt in attempts:
            try:
                return attempt.take(await call(attempt.content, timeout=attempt.seconds, metadata=self._metadata))
            except self._grpc.RpcError as error:
                await asyncio.sleep(attempt.pause_after(error))
        raise AssertionError("an attempt either answers or raises")

    def _open(self, kind: Any) -> Any:
        options = [
            ("grpc.max_receive_message_length", 64 * 2**20),
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.min_reconnect_backoff_ms", 2000),  # also the patience of one attempt to connect
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.enable_retries", 0),
        ]
        if self._credentials is None:
            return kind.insecure_channel(self._address, options=options)
        return kind.secure_channel(self._address, self._credentials, options=options)

    def _call(self, channel: Any) -> Any:
        from goldcut.wire.messages import MESSAGES, SERVICE

        return channel.unary_unary(
            f"/{SERVICE}/ModelInfer", response_deserializer=MESSAGES["ModelInferResponse"].FromString
        )

    def _attempts(self, tensors: tuple[Tensor, ...], tally: _Tally) -> Iterator["_Attempt"]:
        request_id = uuid.uuid4().hex
        tally.request_ids.append(request_id)
        content = self._message(tensors, request_id)
        until = time.monotonic() + self._deadline
        pause = FIRST_PAUSE
        while True:
            tally.attempts += 1
            yield _Attempt(self, content, until, pause, tally)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _message(self, tensors: tuple[Tensor, ...], request_id: str) -> bytes:
        from goldcut.wire.messages import MESSAGES

        request = MESSAGES["ModelInferRequest"](
            model_name=self.manifest.model_name, model_version=self.manifest.version, id=request_id
        )
        request.parameters[QUERY].string_param = self._codec.name
        for tensor in tensors:
            request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
            request.raw_input_contents.append(bytes(tensor.raw))
        content: bytes = request.SerializeToString()
        return content

    def logits_of(self, response: Any) -> Float[np.ndarray, "b ..."]:
        """The answer of a response, checked like anything that comes from outside.

        Raises:
            DeployError: It is no answer of this model.
        """
        shape = tuple(response.outputs[0].shape) if len(response.outputs) == 1 else ()
        raw = response.raw_output_contents[0] if len(response.raw_output_contents) == 1 else b""
        size = int(np.prod(shape)) * DTYPES["FP32"].itemsize
        if shape[1:] != self.manifest.logits_shape or len(raw) != size or response.outputs[0].datatype == BYTES:
            raise DeployError("the server's answer has no logits of this model", "Check the address.")
        return np.frombuffer(raw, DTYPES["FP32"]).reshape(shape)


@dataclass(eq=False)
class _Attempt:
    """One try of a request."""

    client: EdgeClient
    content: bytes
    until: float
    pause: float
    tally: _Tally

    def __post_init__(self) -> None:
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Until the deadline of all tries."""
        return max(0.001, self.until - self.started)

    def take(self, response: Any) -> Float[np.ndarray, "b ..."]:
        """The logits; the time is booked on network and cloud."""
        total = time.monotonic() - self.started
        cloud = min(total, response.parameters["server_us"].int64_param / 1e6)
        self.tally.seconds["cloud"] += cloud
        self.tally.seconds["network"] += total - cloud
        return self.client.logits_of(response)

    def pause_after(self, error: Any) -> float:
        """Seconds to wait before the next try.

        Raises:
            DeployError: There is no sense in another: the request was refused, or the deadline is over.
        """
        code, address = error.code().name, self.client._address
        now = time.monotonic()
        self.tally.seconds["network"] += now - self.started
        if code != "UNAVAILABLE":
            raise DeployError(f"{address} refuses: {error.details()} ({code})", CURES.get(code, "")) from error
        pushed = dict(error.trailing_metadata() or ()).get(PUSHBACK)
        pause = max(self.pause * random.uniform(0.5, 1.5), int(pushed) / 1e3 if pushed and pushed.isdigit() else 0.0)
        if now + pause >= self.until:
            raise DeployError(
                f"{address} did not answer in time, after {self.tally.attempts} attempts: {error.details()}",
                "Check the address and that `goldcut serve` runs there.",
            ) from error
        return pause


CURES = {
    "DEADLINE_EXCEEDED": "Give a longer deadline, or look at the server's load.",
    "UNAUTHENTICATED": "Give the token that the server knows.",
    "NOT_FOUND": "Serve the same export that the device has.",
}
"""gRPC code -> what to do."""


def read_picture(path: Path, shape: tuple[int, int, int]) -> Float[np.ndarray, "c h w"]:
    """A picture as the edge half takes it: float32 in [0, 1].

    Raises:
        DataError: It cannot be read or used.
    """
    with open_picture(path) as picture:
        pixels = fit_picture(picture, shape, str(path))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / np.float32(255)


def softmax(logits: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """Probabilities.

    Example:
        >>> softmax(np.zeros((1, 4))).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(1, keepdims=True)
    return shares


@contextlib.contextmanager
def _timed(tally: _Tally, stage: str) -> Iterator[None]:
    start = time.monotonic()
    try:
        yield
    finally:
        tally.seconds[stage] += time.monotonic() - start


def _collect(parts: list[Any], tally: _Tally) -> Inference:
    return Inference(np.concatenate(parts), tally.seconds, tuple(tally.request_ids), tally.attempts, tally.payload)


def _load_grpc() -> Any:
    try:
        import google.protobuf  # noqa: F401
        import grpc
        import grpc.aio
    except ImportError as error:
        raise MissingExtra("grpcio", "serve") from error
    return grpc


def _parse_url(url: str, tls: Tls, grpc: Any) -> tuple[str, Any]:
    """Address and credentials.

    Raises:
        DeployError: It is no address, or a certificate cannot be read.
    """
    try:
        parts = urlsplit(url)
        place = (parts.scheme, parts.hostname, parts.port)
    except ValueError:
        place = ("", None, None)
    if place[0] not in ("grpc", "grpcs") or not place[1] or not place[2] or parts.path.strip("/"):
        raise DeployError(f"{url!r} is no address", "Give grpc://host:port, or grpcs://host:port for TLS.")
    if place[0] == "grpc":
        return parts.netloc, None
    ca, certificate, key = (None if path is None else read_file(path) for path in (tls.ca, tls.certificate, tls.key))
    if (certificate is None) != (key is None):
        raise DeployError("a client certificate needs its key", "Give --tls-cert and --tls-key together.")
    return parts.netloc, grpc.ssl_channel_credentials(ca, key, certificate)
