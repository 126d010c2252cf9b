"""The Open Inference Protocol over gRPC: messages in and out, everything else is the service's."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import DecodeError

from goldcut.deploy.attempts import PUSHBACK
from goldcut.deploy.checks import OUTPUT, Question, check_model
from goldcut.deploy.refusals import TERMS, Refusal
from goldcut.deploy.service import LOG, Reply, Service
from goldcut.wire.messages import MESSAGES, SERVICE, parameters_of
from goldcut.wire.tensors import BYTES, Tensor, from_array, from_strings

TYPED: dict[str, str] = {"FP32": "fp32_contents", "UINT8": "uint_contents", BYTES: "bytes_contents"}
"""Datatype -> where its values lie when they are not raw."""

MOST_ENTRIES = 64
"""Inputs, outputs or parameters of a request at most; a codec has three inputs, a stock client few parameters."""

Handler = Callable[[Any, Any], Awaitable[Any]]


class Rpc:
    """The six calls of the protocol.

    Args:
        service: That answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def handlers(self) -> grpc.GenericRpcHandler:
        """For grpc.aio.server; requests come as bytes, so that one that is no message is refused like any other."""
        calls: dict[str, tuple[Handler, bool]] = {
            "ServerLive": (self._live, False),
            "ServerReady": (self._ready, False),
            "ModelReady": (self._model_ready, False),
            "ServerMetadata": (self._server_metadata, True),
            "ModelMetadata": (self._model_metadata, True),
            "ModelInfer": (self._infer, True),
        }
        methods = {
            name: grpc.unary_unary_rpc_method_handler(
                self._guarded(name, call, known_only), response_serializer=lambda message: message.SerializeToString()
            )
            for name, (call, known_only) in calls.items()
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def _guarded(self, name: str, call: Handler, known_only: bool) -> Handler:
        """A call whose request is parsed and whose refusals become status codes."""
        kind = MESSAGES[f"{name}Request"]

        async def answer(content: bytes, context: Any) -> Any:
            try:
                if known_only:
                    self._service.access.check(dict(context.invocation_metadata()).get("authorization"))
                return await call(kind.FromString(content), context)
            except DecodeError:
                refusal = Refusal("invalid", f"the request is no {name}Request of the Open Inference Protocol")
            except Refusal as error:
                refusal = error
            except asyncio.CancelledError:
                raise
            except Exception:
                LOG.exception("failed")
                return await context.abort(grpc.StatusCode.INTERNAL, "the server failed; its log says why")
            code = getattr(grpc.StatusCode, TERMS[refusal.reason].grpc)
            trailers = () if refusal.retry_after is None else ((PUSHBACK, str(int(refusal.retry_after * 1e3))),)
            return await context.abort(code, refusal.sentence, trailers)

        return answer

    async def _live(self, request: Any, context: Any) -> Any:
        return MESSAGES["ServerLiveResponse"](live=True)

    async def _ready(self, request: Any, context: Any) -> Any:
        return MESSAGES["ServerReadyResponse"](ready=self._service.ready)

    async def _model_ready(self, request: Any, context: Any) -> Any:
        check_model(request.name, request.version, self._service.manifest)
        return MESSAGES["ModelReadyResponse"](ready=self._service.ready)

    async def _server_metadata(self, request: Any, context: Any) -> Any:
        return MESSAGES["ServerMetadataResponse"](**self._service.server())

    async def _model_metadata(self, request: Any, context: Any) -> Any:
        check_model(request.name, request.version, self._service.manifest)
        return MESSAGES["ModelMetadataResponse"](**self._service.model())

    async def _infer(self, request: Any, context: Any) -> Any:
        started = time.perf_counter()
        reply = await self._service.infer(to_question(request), "grpc", started, context.time_remaining())
        return to_response(reply, self._service)


def to_question(request: Any) -> Question:
    """A ModelInferRequest as either transport brings it.

    Raises:
        Refusal: More entries than any request has, raw contents that do not belong to the inputs, or typed ones of a
            datatype that has none.
    """
    raw = request.raw_input_contents
    entries = {"inputs": request.inputs, "raw contents": raw, "outputs": request.outputs}
    parts = {f"parameters of {one.name[:40]}": one.parameters for one in request.inputs[:MOST_ENTRIES]}
    for name, found in {**entries, "parameters": request.parameters, **parts}.items():
        if len(found) > MOST_ENTRIES:
            raise Refusal("invalid", f"the request has {len(found)} {name}, at most {MOST_ENTRIES} are read")
    if raw and (len(raw) != len(request.inputs) or any(one.HasField("contents") for one in request.inputs)):
        raise Refusal(
            "invalid", f"there are {len(request.inputs)} inputs and {len(raw)} raw contents, expected as many"
        )
    inputs = tuple(
        Tensor(one.name, one.datatype, tuple(one.shape), raw[turn] if raw else typed(one))
        for turn, one in enumerate(request.inputs)
    )
    return Question(
        model=request.model_name,
        version=request.model_version,
        id=request.id,
        inputs=inputs,
        parameters=parameters_of(request.parameters),
        input_parameters=tuple(parameters_of(one.parameters) for one in request.inputs),
        outputs=tuple(one.name for one in request.outputs),
        output_parameters=tuple(parameters_of(one.parameters) for one in request.outputs),
    )


def typed(one: Any) -> bytes | memoryview:
    """The raw bytes of an input whose values came typed.

    Raises:
        Refusal: Its datatype has no typed values, or they do not fit it.
    """
    field = TYPED.get(one.datatype)
    if field is None:
        raise Refusal("invalid", f"input {one.name[:40]} of datatype {one.datatype[:20]!r} must come as raw contents")
    values = getattr(one.contents, field)
    if one.datatype == BYTES:
        return from_strings(one.name, list(values)).raw
    try:
        return from_array(one.name, one.datatype, np.fromiter(values, np.float64 if field[0] == "f" else np.uint8)).raw
    except OverflowError as error:
        raise Refusal("invalid", f"input {one.name[:40]} holds values outside {one.datatype}") from error


def to_response(reply: Reply, service: Service) -> Any:
    """The answer as a ModelInferResponse with raw contents."""
    response = MESSAGES["ModelInferResponse"](
        model_name=service.manifest.model_name, model_version=service.manifest.version, id=reply.id
    )
    for name, value in reply.microseconds.items():
        response.parameters[name].int64_param = value
    tensor = from_array(OUTPUT, "FP32", reply.logits)
    response.outputs.add(name=OUTPUT, datatype="FP32", shape=tensor.shape)
    response.raw_output_contents.append(bytes(tensor.raw))
    return response
