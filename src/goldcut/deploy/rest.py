"""The Open Inference Protocol over HTTP, with the extension for binary tensors; everything else is the service's."""

import asyncio
import time
from typing import Any

import msgspec
import numpy as np
from aiohttp import web

from goldcut.deploy.checks import OUTPUT, Question, check_model
from goldcut.deploy.openapi import JSON_LENGTH, describe
from goldcut.deploy.refusals import TERMS, Refusal
from goldcut.deploy.service import LOG, Reply, Service
from goldcut.wire.tensors import BYTES, DTYPES, Tensor, from_array


class Input(msgspec.Struct):
    """An input tensor in JSON."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, bool | int | float | str] = {}
    data: Any = None


class Output(msgspec.Struct):
    """An output that is asked for."""

    name: str
    parameters: dict[str, bool | int | float | str] = {}


class Infer(msgspec.Struct):
    """The JSON of an inference request."""

    inputs: list[Input]
    id: str = ""
    parameters: dict[str, bool | int | float | str] = {}
    outputs: list[Output] = []


DECODER = msgspec.json.Decoder(Infer)


class Rest:
    """The paths of the protocol.

    Args:
        service: That answers.
        body_seconds: A body that is not complete by then is refused.
    """

    def __init__(self, service: Service, body_seconds: float) -> None:
        self._service = service
        self._body_seconds = body_seconds

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request; a client's fault is a 4xx with one sentence."""
        try:
            return await self._route(request)
        except Refusal as refusal:
            return _refused(refusal)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            LOG.exception("failed")
            return _answer({"error": "the server failed; its log says why"}, status=500)

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.rstrip("/")
        service = self._service
        if path == "/v2/health/live":
            return _allowed(request, "GET") or _answer({"live": True})
        if path == "/v2/health/ready":
            return _allowed(request, "GET") or _answer({"ready": service.ready}, status=200 if service.ready else 503)
        service.access.check(request.headers.get("authorization"))
        if path == "/metrics":
            kind = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
            return _allowed(request, "GET") or web.Response(body=service.metrics.text(), headers=kind)
        if path == "/v2/openapi.json":
            described = describe(service.manifest, service.codec, service.most_rows)
            return _allowed(request, "GET") or _answer(described)
        if path == "/v2":
            return _allowed(request, "GET") or _answer(service.server())
        return await self._model(request, path)

    async def _model(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """/v2/models/NAME[/versions/VERSION][/ready|/infer]"""
        name, version, action = _parse(path)
        if action == "infer":
            return _allowed(request, "POST") or await self._infer(request, name, version)
        check_model(name, version, self._service.manifest)
        if refused := _allowed(request, "GET"):
            return refused
        if action == "ready":
            ready = self._service.ready
            return _answer({"name": name, "ready": ready}, status=200 if ready else 503)
        return _answer(self._service.model())

    async def _infer(self, request: web.BaseRequest, name: str, version: str) -> web.Response:
        started = time.perf_counter()
        body = await _read(request, self._service.most_bytes, self._body_seconds)
        question, binary = to_question(body, request.headers.get(JSON_LENGTH), name, version)
        return to_response(await self._service.infer(question, "http", started), self._service, binary)


def to_question(body: bytes, json_length: str | None, name: str, version: str) -> tuple[Question, bool]:
    """A body as either transport brings it, and whether the answer is wanted in binary.

    Raises:
        Refusal: No JSON of the protocol, or binary tensors that are not as announced.
    """
    size = _header_size(json_length, len(body))
    try:
        infer = DECODER.decode(memoryview(body)[:size])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("invalid", f"the body is no inference request in JSON: {str(error)[:160]}") from error
    inputs, start = [], size
    for one in infer.inputs:
        announced = one.parameters.get("binary_data_size")
        if announced is None:
            inputs.append(_from_json(one))
            continue
        end = start + _announced(one.name, announced)
        if one.data is not None or end > len(body):
            raise Refusal("invalid", f"input {one.name[:40]} announces {announced} bytes that are not in the body")
        inputs.append(Tensor(one.name, one.datatype, tuple(one.shape), memoryview(body)[start:end]))
        start = end
    if start != len(body):
        raise Refusal("invalid", f"the body has {len(body) - start} bytes after the last tensor")
    binary = any(one.parameters.get("binary_data") is True for one in infer.outputs)
    question = Question(
        model=name,
        version=version,
        id=infer.id,
        inputs=tuple(inputs),
        parameters=infer.parameters,
        input_parameters=tuple(one.parameters for one in infer.inputs),
        outputs=tuple(one.name for one in infer.outputs),
        output_parameters=tuple(one.parameters for one in infer.outputs),
    )
    return question, binary or (infer.parameters.get("binary_data_output") is True and not infer.outputs)


def to_response(reply: Reply, service: Service, binary: bool) -> web.Response:
    """The answer in JSON, its tensor behind it where that was asked for."""
    raw = bytes(from_array(OUTPUT, "FP32", reply.logits).raw)
    output: dict[str, object] = {"name": OUTPUT, "datatype": "FP32", "shape": list(reply.logits.shape)}
    if binary:
        output["parameters"] = {"binary_data_size": len(raw)}
    else:
        output["data"] = reply.logits.ravel().tolist()
    head: dict[str, object] = {
        "model_name": service.manifest.model_name,
        "model_version": service.manifest.version,
        **({"id": reply.id} if reply.id else {}),
        "parameters": reply.microseconds,
        "outputs": [output],
    }
    if not binary:
        return _answer(head)
    content = msgspec.json.encode(head)
    headers = {"Content-Type": "application/octet-stream", JSON_LENGTH: str(len(content))}
    return web.Response(body=content + raw, headers=headers)


def _from_json(one: Input) -> Tensor:
    """A tensor whose values came as JSON numbers, flat or nested.

    Raises:
        Refusal: They are no numbers of its datatype, or not as many as its shape says.
    """
    name = one.name[:40]
    if one.datatype == BYTES:
        raise Refusal("invalid", f"input {name} of datatype BYTES must come in binary")
    dtype = DTYPES.get(one.datatype)
    if dtype is None:
        raise Refusal("invalid", f"input {name} is {one.datatype[:20]!r}, expected one of {', '.join(DTYPES)}")
    try:
        if not _are_numbers(one.data):  # before an array is made of them: strings take the longest one's room each
            raise ValueError("they are no numbers")
        values = np.array(one.data)
        if values.dtype.kind not in ("iuf" if dtype.kind == "f" else "iu"):
            raise ValueError("they are no numbers")
        with np.errstate(over="ignore"):
            packed = values.astype(dtype)
        if dtype.kind == "u" and (packed != values).any():
            raise ValueError(f"they lie outside {one.datatype}")
    except (ValueError, TypeError, OverflowError) as error:
        raise Refusal("invalid", f"the data of input {name} cannot be used: {str(error)[:80]}") from error
    if values.ndim != 1 and list(values.shape) != one.shape:
        raise Refusal("invalid", f"the data of input {name} has shape {values.shape}, expected {one.shape[:8]} or flat")
    return Tensor(one.name, one.datatype, tuple(one.shape), packed.tobytes())


def _are_numbers(data: object) -> bool:
    """Whether nested lists hold integers and floats alone."""
    waiting = [data]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        elif type(one) not in (int, float):
            return False
    return True


async def _read(request: web.BaseRequest, most: int, seconds: float) -> bytes:
    """The body, within limits of size and time.

    Raises:
        Refusal: It is encoded, larger, or does not come.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal("invalid", "the body has a Content-Encoding; only plain bodies are taken")
    if (request.content_length or 0) > most:
        raise Refusal("too_large", f"the body has {request.content_length} bytes, at most {most} are taken")
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for part in request.content.iter_any():
                body += part
                if len(body) > most:
                    raise Refusal("too_large", f"the body has more than {most} bytes")
    except TimeoutError as error:
        raise Refusal("too_slow", f"the body did not come within {seconds:g} seconds") from error
    except web.RequestPayloadError as error:
        raise Refusal("invalid", "the body ended before its stated length") from error
    return bytes(body)


def _parse(path: str) -> tuple[str, str, str]:
    """Name, version and action of a path below /v2/models.

    Raises:
        Refusal: There is no such path.
    """
    parts = path.split("/")[1:]
    if parts[:2] == ["v2", "models"] and len(parts) >= 3:
        name, rest, version = parts[2], parts[3:], ""
        if rest[:1] == ["versions"] and len(rest) >= 2:
            version, rest = rest[1], rest[2:]
        if len(rest) <= 1 and (not rest or rest[0] in ("ready", "infer")):
            return name, version, rest[0] if rest else ""
    raise Refusal("not_found", f"there is nothing at {path[:80]!r}; the protocol's paths begin with /v2")


def _header_size(text: str | None, most: int) -> int:
    if text is None:
        return most
    if not text.isascii() or not text.isdigit() or len(text) > 12 or int(text) > most:
        raise Refusal("invalid", f"the header {JSON_LENGTH} is {text[:20]!r}, expected 0 to {most}")
    return int(text)


def _announced(name: str, size: Any) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise Refusal(
            "invalid", f"input {name[:40]} has binary_data_size {str(size)[:20]!r}, expected a size from 0 on"
        )
    return size


def _allowed(request: web.BaseRequest, method: str) -> web.Response | None:
    if request.method == method:
        return None
    return _answer({"error": f"{request.method[:10]} is not for this path, {method} is"}, 405, {"Allow": method})


def _refused(refusal: Refusal) -> web.Response:
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(refusal.retry_after)))
    if refusal.reason == "unauthenticated":
        headers["WWW-Authenticate"] = "Bearer"
    response = _answer({"error": refusal.sentence}, TERMS[refusal.reason].http, headers)
    if refusal.reason in ("too_large", "too_slow", "unauthenticated"):
        response.force_close()  # what is left of the body is not read
    return response


def _answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    kind = {"Content-Type": "application/json", **(headers or {})}
    return web.Response(body=msgspec.json.encode(content), status=status, headers=kind)
