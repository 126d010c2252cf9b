"""The device's side: the edge half in onnxruntime, the codec, and a request that survives a lost server.

Needs numpy, onnxruntime, grpcio and Pillow, and no torch.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float

from goldcut.deploy.attempts import UNREACHED, Attempt, Tally, Tls, attempts, load_grpc, parse_url
from goldcut.deploy.manifest import open_export
from goldcut.errors import DataError, DeployError
from goldcut.sources.pictures import fit_picture, open_picture
from goldcut.wire.codec import QUERY, payload_bytes
from goldcut.wire.tensors import DTYPES, Tensor

Images = Sequence[str | Path] | Float[np.ndarray, "n c h w"]
Logits = Float[np.ndarray, "n ..."]


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

    logits: Logits
    seconds: dict[str, float]
    request_ids: tuple[str, ...]
    attempts: int
    payload_bytes: int


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
        self._grpc = load_grpc()
        export = open_export(Path(folder))
        self.manifest = export.manifest
        self._edge = export.open_edge(threads=threads)
        self._codec = export.codec
        self._address, self._open = parse_url(url, tls or Tls())
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._deadline, self._batch = deadline, batch
        self._channel: Any = None
        self._async_channel: Any = None

    def infer(self, images: Images) -> Inference:
        """The logits of images: paths of pictures, or an array (n, C, H, W) in [0, 1].

        Raises:
            DataError: An image cannot be used.
            DeployError: The server refuses, or is not reached within the deadline.
        """
        tally = Tally()
        return _collect([self._ask(*request, tally) for request in self._requests(images, tally)], tally)

    async def infer_async(self, images: Images) -> Inference:
        """The same without blocking the event loop while the network works; the edge half runs in place."""
        tally = Tally()
        return _collect([await self._ask_async(*request, tally) for request in self._requests(images, tally)], tally)

    def ping(self) -> float:
        """Seconds of an empty call and its answer.

        Raises:
            DeployError: The server is not reached within the deadline.
        """
        from goldcut.wire.messages import SERVICE

        self._channel = self._channel or self._open(self._grpc)
        start = time.monotonic()
        try:
            self._channel.unary_unary(f"/{SERVICE}/ServerLive")(b"", timeout=self._deadline)
        except self._grpc.RpcError as error:
            raise DeployError(f"{self._address} is not reached: {error.details()}", UNREACHED) from error
        return time.monotonic() - start

    def close(self) -> None:
        """Close the connection of `infer`."""
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

    def _requests(self, images: Images, tally: Tally) -> Iterator[tuple[bytes, int]]:
        """The request of each batch, and its rows."""
        if len(images) == 0:
            raise DataError("there are no images", "Give at least one.")
        for start in range(0, len(images), self._batch):
            with _timed(tally, "edge"):
                z = self._edge(self._pixels(images[start : start + self._batch]))
            with _timed(tally, "codec"):
                tensors = self._codec.encode(z)
            tally.payload_bytes += payload_bytes(tensors)
            tally.request_ids.append(uuid.uuid4().hex)
            yield self._message(tensors, tally.request_ids[-1]), len(z)

    def _pixels(self, images: Images) -> Float[np.ndarray, "b c h w"]:
        shape = self.manifest.preprocessing.shape
        if not isinstance(images, np.ndarray):
            return np.stack([read_picture(Path(path), shape) for path in images])
        if images.ndim != 4 or images.shape[1:] != shape:
            raise DataError(f"images have shape {images.shape}, expected (n, {', '.join(map(str, shape))})")
        if images.dtype.kind != "f" or not (images.min() >= 0 and images.max() <= 1):
            raise DataError(f"images are {images.dtype} or outside [0, 1]", "Divide 8-bit pixels by 255.")
        return np.ascontiguousarray(images, np.float32)

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

    # --- on the network --------------------------------------------------------------------------

    def _ask(self, request: bytes, rows: int, tally: Tally) -> Logits:
        """Send one request until it is answered, refused or late."""
        self._channel = self._channel or self._open(self._grpc)
        call = _infer_call(self._channel)
        for attempt in attempts(self._address, self._deadline, tally):
            try:
                response = call(request, timeout=attempt.seconds, metadata=self._metadata)
                return self._take(attempt, response, rows, tally.request_ids[-1])
            except self._grpc.RpcError as error:
                time.sleep(attempt.pause_after(error))
        raise AssertionError("an attempt either answers or raises")

    async def _ask_async(self, request: bytes, rows: int, tally: Tally) -> Logits:
        self._async_channel = self._async_channel or self._open(self._grpc.aio)
        call = _infer_call(self._async_channel)
        for attempt in attempts(self._address, self._deadline, tally):
            try:
                response = await call(request, timeout=attempt.seconds, metadata=self._metadata)
                return self._take(attempt, response, rows, tally.request_ids[-1])
            except self._grpc.RpcError as error:
                await asyncio.sleep(attempt.pause_after(error))
        raise AssertionError("an attempt either answers or raises")

    def _take(self, attempt: Attempt, response: Any, rows: int, request_id: str) -> Logits:
        """The logits of a response, checked like anything that comes from outside.

        Raises:
            DeployError: It is no answer of this model, or none to this request.
        """
        attempt.book(response.parameters["server_us"].int64_param / 1e6)
        outputs, raw = response.outputs, response.raw_output_contents
        if len(outputs) == len(raw) == 1 and outputs[0].datatype == "FP32" and response.id == request_id:
            shape, dtype = tuple(outputs[0].shape), DTYPES["FP32"]
            if shape == (rows, *self.manifest.logits_shape) and len(raw[0]) == np.prod(shape) * dtype.itemsize:
                return np.frombuffer(raw[0], dtype).reshape(shape)
        raise DeployError(f"{self._address} answers without the logits of this model", "Check the address.")


def read_picture(path: Path, shape: tuple[int, int, int]) -> Float[np.ndarray, "c h w"]:
    """A picture as the edge half takes it: float32 in [0, 1].

    Raises:
        DataError: It cannot be read or used.
    """
    with open_picture(path) as picture:
        pixels = fit_picture(picture, shape, str(path))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / np.float32(255)


def _infer_call(channel: Any) -> Any:
    from goldcut.wire.messages import MESSAGES, SERVICE

    read = MESSAGES["ModelInferResponse"].FromString
    return channel.unary_unary(f"/{SERVICE}/ModelInfer", response_deserializer=read)


@contextlib.contextmanager
def _timed(tally: Tally, stage: str) -> Iterator[None]:
    start = time.monotonic()
    try:
        yield
    finally:
        tally.seconds[stage] += time.monotonic() - start


def _collect(parts: list[Logits], tally: Tally) -> Inference:
    return Inference(
        np.concatenate(parts), tally.seconds, tuple(tally.request_ids), tally.attempts, tally.payload_bytes
    )
