"""`goldcut serve` over sockets: the stock client's answers, every bad request refused while a good client beside it
loses nothing, and a stop that loses nothing.

Clauses of the Open Inference Protocol (version 2) that are tested here: server live, server ready, server metadata,
model ready, model metadata, infer, over HTTP (also below /versions/V) and gRPC; the id of a request comes back; raw and
typed contents; flat and nested JSON data; the binary tensor extension for inputs and outputs; requested outputs; an
unknown model or version is not found; errors are {"error": "..."} with a status of 4xx.
"""

import asyncio
import contextlib
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
import zstandard
from benchmarks.serving import Served, serving

import exports
from goldcut.deploy.attempts import Tally, attempts
from goldcut.deploy.client import EdgeClient
from goldcut.errors import DeployError
from goldcut.wire.codec import Codec
from goldcut.wire.messages import MESSAGES, SERVICE
from goldcut.wire.tensors import from_strings

MOST_ROWS = 8
FLAGS = ("--max-batch", str(MOST_ROWS), "--body-timeout", "3")
IMAGES = np.random.default_rng(1).random((4, *exports.SHAPE), np.float32)
Z = exports.edge_of(IMAGES)
LOGITS = exports.cloud_of(Z)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Exports by codec."""
    root = tmp_path_factory.mktemp("exports")
    exports.write_export(root / "fp32")
    exports.write_export(root / "int8", "int8", True)
    return root


@pytest.fixture(scope="module")
def plain(folders, tmp_path_factory) -> Iterator[Served]:
    """A server of fp32."""
    with serving(folders / "fp32", tmp_path_factory.mktemp("log") / "log", *FLAGS) as served:
        yield served


@pytest.fixture(scope="module")
def packed(folders, tmp_path_factory) -> Iterator[Served]:
    """A server of int8 in zstd frames."""
    with serving(folders / "int8", tmp_path_factory.mktemp("log") / "log", *FLAGS) as served:
        yield served


# --- the stock client -------------------------------------------------------------------------------


def asked(kind: Any, z: np.ndarray, **flags: Any) -> list[Any]:
    """The inputs of a stock client."""
    value = kind.InferInput("z", list(z.shape), "FP32")
    value.set_data_from_numpy(z, **flags)
    return [value]


def test_the_stock_grpc_client_gets_the_models_answers(plain):
    with tritonclient.grpc.InferenceServerClient(plain.grpc) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("tiny")
        metadata = client.get_model_metadata("tiny", as_json=True)
        assert [one["name"] for one in metadata["inputs"]] == ["z"]
        assert metadata["inputs"][0]["shape"] == ["-1", "1", "4", "4"]
        assert client.get_server_metadata(as_json=True)["name"] == "goldcut"
        for rows in (1, 3):
            answer = client.infer("tiny", asked(tritonclient.grpc, Z[:rows]), request_id=f"r{rows}")
            assert np.allclose(answer.as_numpy("logits"), LOGITS[:rows], atol=1e-5)
            assert answer.get_response().id == f"r{rows}"
        assert json.loads(next(line for line in plain.log().splitlines() if '"r3"' in line))["rows"] == 3


@pytest.mark.parametrize("sent", [False, True], ids=["json in", "binary in"])
@pytest.mark.parametrize("back", [False, True], ids=["json out", "binary out"])
def test_the_stock_http_client_gets_the_models_answers(plain, sent, back):
    with tritonclient.http.InferenceServerClient(plain.http) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("tiny")
        metadata = client.get_model_metadata("tiny")
        assert metadata["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [-1, 3]}]
        version = metadata["versions"][0]
        outputs = [tritonclient.http.InferRequestedOutput("logits", binary_data=back)]
        for rows in (1, 3):
            inputs = asked(tritonclient.http, Z[:rows], binary_data=sent)
            answer = client.infer("tiny", inputs, model_version=version, outputs=outputs, request_id="one")
            assert np.allclose(answer.as_numpy("logits"), LOGITS[:rows], atol=1e-5)
            assert answer.get_response()["id"] == "one"


def test_typed_contents_are_as_good_as_raw_ones(plain):
    request = MESSAGES["ModelInferRequest"](model_name="tiny")
    request.inputs.add(name="z", datatype="FP32", shape=Z.shape).contents.fp32_contents.extend(Z.ravel().tolist())
    answer = ask(plain, request.SerializeToString())
    assert np.allclose(np.frombuffer(answer.raw_output_contents[0], "<f4").reshape(-1, 3), LOGITS, atol=1e-5)


def test_the_stock_client_can_send_a_coded_z(packed):
    tensors = Codec("int8", True, exports.SHAPE).encode(Z)
    for kind, address in ((tritonclient.grpc, packed.grpc), (tritonclient.http, packed.http)):
        inputs = []
        for tensor, dtype in zip(tensors, (None, np.float32, np.uint8), strict=True):
            inputs.append(kind.InferInput(tensor.name, list(tensor.shape), tensor.datatype))
            values = np.array(rows_of(tensor.raw), object) if dtype is None else np.frombuffer(tensor.raw, dtype)
            inputs[-1].set_data_from_numpy(values)
        with kind.InferenceServerClient(address) as client:
            assert np.allclose(client.infer("tiny", inputs).as_numpy("logits"), LOGITS, atol=0.03)


def rows_of(raw: bytes) -> list[bytes]:
    rows, start = [], 0
    while start < len(raw):
        (size,) = struct.unpack_from("<I", raw, start)
        rows.append(raw[start + 4 : start + 4 + size])
        start += 4 + size
    return rows


# --- the device's client ----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "tolerance"), [("fp32", 1e-5), ("int8", 0.03)])
def test_the_edge_client_sync_and_async(folders, plain, packed, name, tolerance):
    served = {"fp32": plain, "int8": packed}[name]

    async def together(client: EdgeClient) -> list[Any]:
        async with client:
            return await asyncio.gather(*(client.infer_async(IMAGES) for _ in range(4)))

    with EdgeClient(folders / name, f"grpc://{served.grpc}", batch=3) as client:
        answer = client.infer(IMAGES)
    assert np.allclose(answer.logits, LOGITS, atol=tolerance)
    assert answer.attempts == len(answer.request_ids) == 2
    assert all(request_id in served.log() for request_id in answer.request_ids)
    assert set(answer.seconds) == {"edge", "codec", "network", "cloud"}
    assert all(seconds > 0 for seconds in answer.seconds.values())
    for other in asyncio.run(together(EdgeClient(folders / name, f"grpc://{served.grpc}"))):
        assert np.array_equal(other.logits, answer.logits)


# --- bad requests -----------------------------------------------------------------------------------


@contextlib.contextmanager
def a_good_client(folder: Any, served: Served) -> Iterator[None]:
    """A client that asks all the time: every answer is right, and none is missing, while it is inside."""
    stop, answers, faults = threading.Event(), [], []

    def work() -> None:
        with EdgeClient(folder, f"grpc://{served.grpc}") as client:
            while not stop.is_set():
                try:
                    answer = client.infer(IMAGES)
                    answers.append(answer.attempts)
                    if not np.allclose(answer.logits, LOGITS, atol=0.03):
                        faults.append(answer.logits)
                except Exception as error:
                    faults.append(error)
                time.sleep(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive() and not answers and not faults:
        time.sleep(0.01)
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not faults
    assert answers
    assert set(answers) == {1}


def message(change: Callable[[Any], None] = lambda request: None) -> bytes:
    """A good request of fp32, changed."""
    request = MESSAGES["ModelInferRequest"](model_name="tiny", id="bad")
    request.inputs.add(name="z", datatype="FP32", shape=Z.shape)
    request.raw_input_contents.append(Z.tobytes())
    change(request)
    return request.SerializeToString()


def ask(served: Served, content: bytes, method: str = "ModelInfer") -> Any:
    with grpc.insecure_channel(served.grpc) as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/{method}", response_deserializer=MESSAGES["ModelInferResponse"].FromString
        )
        return call(content, timeout=20)


def shaped(*shape: int) -> Callable[[Any], None]:
    """Another shape, with as many bytes as it says where it says something possible."""

    def change(request: Any) -> None:
        del request.inputs[0].shape[:]
        request.inputs[0].shape.extend(shape)
        elements = int(np.prod(shape, dtype=object))
        if 0 <= elements <= 10_000:
            request.raw_input_contents[0] = bytes(4 * elements)

    return change


def valued(value: float) -> Callable[[Any], None]:
    """One value of Z that is another."""

    def change(request: Any) -> None:
        z = Z.copy()
        z[-1, -1, -1, -1] = value
        request.raw_input_contents[0] = z.tobytes()

    return change


def with_raw(content: bytes) -> Callable[[Any], None]:
    return lambda request: request.raw_input_contents.__setitem__(0, content)


def with_type(name: str) -> Callable[[Any], None]:
    return lambda request: setattr(request.inputs[0], "datatype", name)


def added(name: str) -> Callable[[Any], None]:
    def change(request: Any) -> None:
        request.inputs.add(name=name, datatype="FP32", shape=Z.shape)
        request.raw_input_contents.append(Z.tobytes())

    return change


def parameter(name: str, **value: Any) -> Callable[[Any], None]:
    return lambda request: setattr(request.parameters[name], *next(iter(value.items())))


def without_inputs(request: Any) -> None:
    del request.inputs[:]
    del request.raw_input_contents[:]


def too_short_typed(request: Any) -> None:
    del request.raw_input_contents[:]
    request.inputs[0].contents.fp32_contents.extend([1.0, 2.0])


def twice(request: Any) -> None:
    request.inputs[0].contents.fp32_contents.extend([1.0])


GRPC_FAULTS: dict[str, tuple[Callable[[Any], None], str]] = {
    "another model": (lambda request: setattr(request, "model_name", "other"), "NOT_FOUND"),
    "no model": (lambda request: setattr(request, "model_name", ""), "NOT_FOUND"),
    "another version": (lambda request: setattr(request, "model_version", "0" * 12), "NOT_FOUND"),
    "no input": (without_inputs, "INVALID_ARGUMENT"),
    "another name": (lambda request: setattr(request.inputs[0], "name", "x"), "INVALID_ARGUMENT"),
    "an empty name": (lambda request: setattr(request.inputs[0], "name", ""), "INVALID_ARGUMENT"),
    "one input more": (added("y"), "INVALID_ARGUMENT"),
    "the input twice": (added("z"), "INVALID_ARGUMENT"),
    "FP64": (with_type("FP64"), "INVALID_ARGUMENT"),
    "FP16": (with_type("FP16"), "INVALID_ARGUMENT"),
    "a datatype in small letters": (with_type("fp32"), "INVALID_ARGUMENT"),
    "no datatype": (with_type(""), "INVALID_ARGUMENT"),
    "BYTES": (with_type("BYTES"), "INVALID_ARGUMENT"),
    "rank 0": (shaped(), "INVALID_ARGUMENT"),
    "rank 1": (shaped(64), "INVALID_ARGUMENT"),
    "rank 3": (shaped(4, 4, 4), "INVALID_ARGUMENT"),
    "rank 5": (shaped(4, 1, 4, 4, 1), "INVALID_ARGUMENT"),
    "a thousand dimensions": (shaped(*[1] * 1000), "INVALID_ARGUMENT"),
    "the second dimension": (shaped(2, 2, 4, 4), "INVALID_ARGUMENT"),
    "the third dimension": (shaped(4, 1, 2, 4), "INVALID_ARGUMENT"),
    "the last dimension": (shaped(4, 1, 4, 8), "INVALID_ARGUMENT"),
    "dimensions exchanged": (shaped(4, 4, 4, 1), "INVALID_ARGUMENT"),
    "no row": (shaped(0, 1, 4, 4), "INVALID_ARGUMENT"),
    "a dimension of 0": (shaped(4, 1, 0, 4), "INVALID_ARGUMENT"),
    "-1 rows": (shaped(-1, 1, 4, 4), "INVALID_ARGUMENT"),
    "a dimension of -1": (shaped(4, 1, 4, -1), "INVALID_ARGUMENT"),
    "two dimensions of -1": (shaped(4, 1, -4, -4), "INVALID_ARGUMENT"),
    "too many rows": (shaped(MOST_ROWS + 1, 1, 4, 4), "INVALID_ARGUMENT"),
    "2**40 rows": (shaped(2**40, 1, 4, 4), "INVALID_ARGUMENT"),
    "2**62 rows": (shaped(2**62, 1, 4, 4), "INVALID_ARGUMENT"),
    "a byte missing": (with_raw(Z.tobytes()[:-1]), "INVALID_ARGUMENT"),
    "a value missing": (with_raw(Z.tobytes()[:-4]), "INVALID_ARGUMENT"),
    "a byte left over": (with_raw(Z.tobytes() + b"\0"), "INVALID_ARGUMENT"),
    "a row left over": (with_raw(Z.tobytes() + bytes(64)), "INVALID_ARGUMENT"),
    "no bytes": (with_raw(b""), "INVALID_ARGUMENT"),
    "NaN": (valued(np.nan), "INVALID_ARGUMENT"),
    "infinity": (valued(np.inf), "INVALID_ARGUMENT"),
    "minus infinity": (valued(-np.inf), "INVALID_ARGUMENT"),
    "values that overflow in the cloud half": (valued(3e38), "INVALID_ARGUMENT"),
    "raw contents more than inputs": (
        lambda request: request.raw_input_contents.append(Z.tobytes()),
        "INVALID_ARGUMENT",
    ),
    "neither raw nor typed": (lambda request: request.raw_input_contents.pop(), "INVALID_ARGUMENT"),
    "raw and typed": (twice, "INVALID_ARGUMENT"),
    "too few typed values": (too_short_typed, "INVALID_ARGUMENT"),
    "an unknown output": (lambda request: request.outputs.add(name="z"), "INVALID_ARGUMENT"),
    "the output twice": (
        lambda request: request.outputs.extend([MESSAGES["RequestedOutput"](name="logits")] * 2),
        "INVALID_ARGUMENT",
    ),
    "classification": (
        lambda request: setattr(request.outputs.add(name="logits").parameters["classification"], "int64_param", 3),
        "INVALID_ARGUMENT",
    ),
    "shared memory": (
        lambda request: setattr(request.inputs[0].parameters["shared_memory_region"], "string_param", "/dev/mem"),
        "INVALID_ARGUMENT",
    ),
    "another codec": (parameter("codec", string_param="int8"), "INVALID_ARGUMENT"),
    "a sequence": (parameter("sequence_id", int64_param=7), "INVALID_ARGUMENT"),
    "a negative timeout": (parameter("timeout", int64_param=-1), "INVALID_ARGUMENT"),
    "a timeout in words": (parameter("timeout", string_param="soon"), "INVALID_ARGUMENT"),
    "a timeout that is over": (parameter("timeout", double_param=1e-3), "DEADLINE_EXCEEDED"),
    "a hundred inputs": (
        lambda request: request.inputs.extend([MESSAGES["InferTensor"](name="z")] * 100),
        "INVALID_ARGUMENT",
    ),
    "a hundred raw contents": (lambda request: request.raw_input_contents.extend([b""] * 100), "INVALID_ARGUMENT"),
    "a hundred parameters": (
        lambda request: [setattr(request.parameters[str(turn)], "int64_param", turn) for turn in range(100)],
        "INVALID_ARGUMENT",
    ),
    "a long id": (lambda request: setattr(request, "id", "x" * 1000), "INVALID_ARGUMENT"),
    "an id of two lines": (lambda request: setattr(request, "id", 'a\n{"level": "error"}'), "INVALID_ARGUMENT"),
}


def test_bad_requests_over_grpc_are_refused_and_harm_nobody(folders, plain):
    found = {}
    with a_good_client(folders / "fp32", plain):
        for name, (change, _) in GRPC_FAULTS.items():
            found[name] = refusal(plain, message(change))
    assert {name: code for name, (code, _) in found.items()} == {name: code for name, (_, code) in GRPC_FAULTS.items()}
    assert all(0 < len(text) < 400 and "\n" not in text and "Traceback" not in text for _, text in found.values())


def refusal(served: Served, content: bytes, method: str = "ModelInfer") -> tuple[str, str]:
    """Code and sentence with which a request is refused."""
    try:
        ask(served, content, method)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", ""


MALFORMED = {
    "no message": (b"\xff\xff\xff\xff", "ModelInfer", "INVALID_ARGUMENT"),
    "a message cut off": (message()[:-10], "ModelInfer", "INVALID_ARGUMENT"),
    "text": (b"GET / HTTP/1.1", "ModelInfer", "INVALID_ARGUMENT"),
    "another message": (b"\xff", "ModelMetadata", "INVALID_ARGUMENT"),
    "an empty message": (b"", "ModelInfer", "NOT_FOUND"),
    "an unknown call": (b"", "ModelForget", "UNIMPLEMENTED"),
    "a message larger than any": (bytes(10_000_000), "ModelInfer", "RESOURCE_EXHAUSTED"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_message_is_refused(plain, name):
    content, method, code = MALFORMED[name]
    assert refusal(plain, content, method)[0] == code


def coded(**changes: Any) -> bytes:
    """A good request of int8 in frames, with other tensors: (datatype, shape, raw) or None to leave one out."""
    request = MESSAGES["ModelInferRequest"](model_name="tiny")
    for tensor in Codec("int8", True, exports.SHAPE).encode(Z):
        given = changes.get(tensor.name, (tensor.datatype, tensor.shape, tensor.raw))
        if given is not None:
            request.inputs.add(name=tensor.name, datatype=given[0], shape=given[1])
            request.raw_input_contents.append(given[2])
    return request.SerializeToString()


def frames(*rows: bytes) -> tuple[str, tuple[int, ...], bytes]:
    tensor = from_strings("z_q", list(rows))
    return tensor.datatype, tensor.shape, bytes(tensor.raw)


def scales(*values: float) -> tuple[str, tuple[int, ...], bytes]:
    return "FP32", (len(values),), np.array(values, "<f4").tobytes()


ROW = zstandard.ZstdCompressor().compress(bytes(16))
CODED_FAULTS = {
    "a scale of 0": {"scale": scales(1, 1, 0, 1)},
    "a negative scale": {"scale": scales(1, -1, 1, 1)},
    "a scale of NaN": {"scale": scales(1, 1, np.nan, 1)},
    "an infinite scale": {"scale": scales(np.inf, 1, 1, 1)},
    "a scale that overflows": {"scale": scales(3e38, 1, 1, 1)},
    "no scale": {"scale": None},
    "no zero": {"zero": None},
    "one scale for all": {"scale": scales(1)},
    "a scale a channel": {"scale": ("FP32", (4, 1), bytes(16))},
    "a zero of another datatype": {"zero": ("FP32", (4,), bytes(16))},
    "one zero for all": {"zero": ("UINT8", (1,), b"\0")},
    "Z without compression": {"z_q": ("UINT8", (4, 1, 4, 4), bytes(64))},
    "a frame less": {"z_q": frames(ROW, ROW, ROW)},
    "a bomb": {"z_q": frames(ROW, ROW, ROW, zstandard.ZstdCompressor().compress(bytes(200_000_000)))},
    "a bomb that hides its size": {
        "z_q": frames(ROW, ROW, ROW, zstandard.ZstdCompressor(write_content_size=False).compress(bytes(10_000_000)))
    },
    "a frame cut off": {"z_q": frames(ROW, ROW, ROW, ROW[:-2])},
    "no frame": {"z_q": frames(ROW, ROW, ROW, b"x")},
    "a length that is too large": {"z_q": ("BYTES", (4,), struct.pack("<I", 2**31) + ROW)},
    "lengths that end early": {"z_q": ("BYTES", (4,), frames(ROW, ROW, ROW, ROW)[2] + b"\0")},
}


def test_wrong_codec_parameters_and_bombs_are_refused_and_harm_nobody(folders, packed):
    found = {}
    with a_good_client(folders / "int8", packed):
        for name, changes in CODED_FAULTS.items():
            found[name] = refusal(packed, coded(**changes))
    assert {name: code for name, (code, _) in found.items()} == dict.fromkeys(CODED_FAULTS, "INVALID_ARGUMENT")


def body(**changes: Any) -> bytes:
    """A good body in JSON, changed; a value of ... leaves a field out."""
    tensor = {"name": "z", "datatype": "FP32", "shape": list(Z.shape), "data": Z.ravel().tolist()}
    tensor |= {
        key: value for key, value in changes.items() if key in ("name", "datatype", "shape", "data", "parameters")
    }
    whole = {"id": "bad", "inputs": [{key: value for key, value in tensor.items() if value is not ...}]}
    whole |= {key: value for key, value in changes.items() if key in ("id", "inputs", "outputs")}
    return json.dumps({key: value for key, value in whole.items() if value is not ...}).encode()


def binary(size: int, tail: bytes, length: str | None = None, **changes: Any) -> tuple[bytes, dict[str, str]]:
    """A body with a binary tensor, and its header."""
    head = body(**{"data": ..., "parameters": {"binary_data_size": size}, **changes})
    return head + tail, {"Inference-Header-Content-Length": length or str(len(head))}


INFER = "/v2/models/tiny/infer"
RAW = Z.tobytes()
NESTED = b'{"inputs": [{"name": "z", "datatype": "FP32", "shape": [1], "data": ' + b"[" * 5000 + b"]" * 5000 + b"}]}"
HTTP_FAULTS: dict[str, tuple[bytes, int, dict[str, str]]] = {
    "no body": (b"", 400, {}),
    "no JSON": (b"{", 400, {}),
    "text": (b"hello", 400, {}),
    "bytes": (b"\xff\xfe\x00", 400, {}),
    "a list": (b"[]", 400, {}),
    "no inputs": (body(inputs=...), 400, {}),
    "inputs that are no list": (body(inputs={}), 400, {}),
    "an empty list of inputs": (body(inputs=[]), 400, {}),
    "an input without a name": (body(name=...), 400, {}),
    "an input of another name": (body(name="x"), 400, {}),
    "an input without a shape": (body(shape=...), 400, {}),
    "a shape in words": (body(shape="4x1x4x4"), 400, {}),
    "a shape of fractions": (body(shape=[4, 1, 4, 4.5]), 400, {}),
    "a shape of -1": (body(shape=[-1, 1, 4, 4]), 400, {}),
    "a shape beyond 64 bits": (body(shape=[2**70, 1, 4, 4]), 400, {}),
    "too many rows in JSON": (body(shape=[MOST_ROWS + 1, 1, 4, 4]), 400, {}),
    "an unknown datatype": (body(datatype="COMPLEX"), 400, {}),
    "an integer datatype": (body(datatype="UINT8", data=[1] * 64), 400, {}),
    "BYTES in JSON": (body(datatype="BYTES", data=["a"] * 4), 400, {}),
    "no data": (body(data=...), 400, {}),
    "data of strings": (body(data=["1.0"] * 64), 400, {}),
    "data of a long string and many": (body(data=["x" * 2000] + [""] * 63), 400, {}),
    "data of booleans": (body(data=[True] * 64), 400, {}),
    "data of nothing": (body(data=[None] * 64), 400, {}),
    "data of objects": (body(data={"a": 1}), 400, {}),
    "a value missing": (body(data=Z.ravel().tolist()[:-1]), 400, {}),
    "a value too many": (body(data=[*Z.ravel().tolist(), 1.0]), 400, {}),
    "ragged data": (body(data=[[1.0], [1.0, 2.0]]), 400, {}),
    "data nested otherwise": (body(data=Z.reshape(4, 16).tolist()), 400, {}),
    "data nested too deep": (NESTED, 400, {}),
    "NaN in JSON": (body().replace(b"0.0,", b"NaN,", 1), 400, {}),
    "a number beyond FP32": (body(data=[1e300] * 64), 400, {}),
    "a number beyond everything": (body().replace(b"0.0,", b"1e999,", 1), 400, {}),
    "an integer beyond 64 bits": (body(data=[10**30] * 64), 400, {}),
    "an id that is no string": (body(id=5), 400, {}),
    "an unknown output": (body(outputs=[{"name": "z"}]), 400, {}),
    "outputs that are no objects": (body(outputs=["logits"]), 400, {}),
    "a header longer than the body": (body(), 400, {"Inference-Header-Content-Length": "100000"}),
    "a negative header": (body(), 400, {"Inference-Header-Content-Length": "-1"}),
    "a header in words": (body(), 400, {"Inference-Header-Content-Length": "all"}),
    "a header of many digits": (body(), 400, {"Inference-Header-Content-Length": "9" * 5000}),
    "a header that cuts the JSON": (body(), 400, {"Inference-Header-Content-Length": "20"}),
    "fewer binary bytes than announced": (*binary(256, RAW[:-4])[:1], 400, binary(256, b"")[1]),
    "more binary bytes than announced": (*binary(256, RAW + b"xxxx")[:1], 400, binary(256, b"")[1]),
    "another size than the shape's": (*binary(252, RAW[:252])[:1], 400, binary(252, b"")[1]),
    "a negative binary size": (*binary(-256, RAW)[:1], 400, binary(-256, b"")[1]),
    "a huge binary size": (*binary(2**62, RAW)[:1], 400, binary(2**62, b"")[1]),
    "a binary size in words": (*binary("256", RAW)[:1], 400, binary("256", b"")[1]),  # type: ignore[arg-type]
    "binary and data": (*binary(256, RAW, data=[1.0])[:1], 400, binary(256, b"", data=[1.0])[1]),
    "NaN in binary": (binary(256, RAW[:-4])[0] + np.float32("nan").tobytes(), 400, binary(256, b"")[1]),
    "a compressed body": (body(), 400, {"Content-Encoding": "gzip"}),
    "a body larger than any": (bytes(1_000_000), 413, {}),
}
PATHS = {
    "another model": ("POST", "/v2/models/other/infer", 404),
    "another version": ("POST", "/v2/models/tiny/versions/9/infer", 404),
    "an unknown action": ("POST", "/v2/models/tiny/explain", 404),
    "an unknown path": ("GET", "/v1/predict", 404),
    "a path upwards": ("GET", "/v2/models/../../etc/passwd", 404),
    "the root": ("GET", "/", 404),
    "metadata of another model": ("GET", "/v2/models/other", 404),
    "readiness of another version": ("GET", "/v2/models/tiny/versions/9/ready", 404),
    "GET where POST is meant": ("GET", INFER, 405),
    "DELETE": ("DELETE", "/v2/models/tiny", 405),
    "POST where GET is meant": ("POST", "/v2/health/ready", 405),
}


def fetch(
    served: Served, method: str, path: str, content: Any = None, headers: Any = None
) -> tuple[int, dict[str, Any]]:
    """Status and JSON of an answer."""
    connection = http.client.HTTPConnection(served.http, timeout=20)
    try:
        with contextlib.suppress(BrokenPipeError):  # the answer came before all of the body was sent
            connection.request(method, path, content, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_bad_requests_over_http_are_refused_and_harm_nobody(folders, plain):
    assert b"0.0," in body(), "the faults that replace a zero need one"
    found = {}
    with a_good_client(folders / "fp32", plain):
        for name, (content, _, headers) in HTTP_FAULTS.items():
            found[name] = fetch(plain, "POST", INFER, content, headers)
        for name, (method, path, _) in PATHS.items():
            found[name] = fetch(plain, method, path, body() if method == "POST" else None)
    expected = {
        **{key: fault[1] for key, fault in HTTP_FAULTS.items()},
        **{key: path[2] for key, path in PATHS.items()},
    }
    assert {name: status for name, (status, _) in found.items()} == expected
    for _, answer in found.values():
        assert set(answer) == {"error"}
        assert 0 < len(answer["error"]) < 400
    assert '"level": "error"' not in plain.log()


def talk(served: Served, *parts: bytes, pause: float = 0.0) -> bytes:
    """Write bytes to the HTTP port, and what comes back until it closes."""
    host, port = served.http.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while content := connection.recv(65536):
                answer += content
        return answer


HEAD = b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ((HEAD + b"Content-Length: 100\r\n\r\n", b'{"inputs"'), b"408"),
        ((HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"fffff\r\n" + bytes(0xFFFFF) + b"\r\n"), b"413"),
        ((HEAD + b"Content-Length: ten\r\n\r\n",), b"400"),
        ((HEAD + b"Content-Length: -1\r\n\r\n",), b"400"),
        ((HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",), b"400"),
        ((HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",), b"400"),
        ((HEAD + b"X: " + b"a" * 100_000 + b"\r\n\r\n",), b"400"),
        ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",), b"400"),
        ((b"hello\r\n\r\n",), b"400"),
        ((HEAD,), b""),
    ],
    ids=[
        "slow body", "chunks without end", "length in words", "negative length", "two lengths", "no chunk",
        "long header", "TLS on a plain port", "no HTTP", "half a header",
    ],
)  # fmt: skip
def test_broken_http_is_refused_in_time(folders, plain, parts, status):
    with a_good_client(folders / "fp32", plain):
        answer = talk(plain, *parts)
    assert answer.startswith(b"HTTP/1.") if status else not answer
    assert status in answer[:15]


def test_a_broken_chunk_that_comes_later_is_refused_when_the_body_is_due(folders, plain):
    """aiohttp tells a reader that already waits nothing of it."""
    with a_good_client(folders / "fp32", plain):
        answer = talk(plain, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n", pause=0.2)
    assert b"408" in answer[:15]


def test_a_client_that_leaves_in_the_middle_harms_nobody(folders, plain):
    host, port = plain.http.split(":")
    with a_good_client(folders / "fp32", plain):
        for _ in range(5):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
            with grpc.insecure_channel(plain.grpc) as channel:
                call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
                call.future(message(), timeout=5).cancel()
    assert '"level": "error"' not in plain.log()


def test_expect_continue_is_answered(plain):
    content = body()
    head = HEAD + b"Expect: 100-continue\r\nContent-Length: " + str(len(content)).encode() + b"\r\n\r\n"
    answer = talk(plain, head, content, pause=0.05)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")


def test_what_is_counted_is_what_was_asked(plain):
    def count(outcome: str) -> float:
        connection = http.client.HTTPConnection(plain.http, timeout=20)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        wanted = f'goldcut_requests_total{{outcome="{outcome}",transport="http"}} '
        return next((float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted)), 0.0)

    before = count("answered"), count("invalid")
    for _ in range(3):
        assert fetch(plain, "POST", INFER, body())[0] == 200
    fetch(plain, "POST", INFER, body(datatype="FP16", shape=[4, 1, 4, 5]))
    assert (count("answered"), count("invalid")) == (before[0] + 3, before[1] + 1)


def test_a_timeout_of_any_length_is_a_timeout(plain):
    content = body()[:-1] + b', "parameters": {"timeout": 1' + b"0" * 350 + b"}}"
    assert fetch(plain, "POST", INFER, content)[0] == 200


def test_the_log_holds_no_id_that_is_refused(plain):
    assert fetch(plain, "POST", INFER, body(id="0.5 " * 100))[0] == 400
    assert "0.5 0.5" not in plain.log()


def test_an_answer_to_another_request_is_refused(folders, plain):
    with EdgeClient(folders / "fp32", f"grpc://{plain.grpc}") as client:
        answer = ask(plain, message())
        attempt = next(attempts("x", 1.0, Tally()))
        assert client._take(attempt, answer, len(Z), "bad").shape == (len(Z), 3)
        for rows, request_id in ((len(Z) - 1, "bad"), (len(Z), "another")):
            with pytest.raises(DeployError, match="without the logits"):
                client._take(attempt, answer, rows, request_id)


def test_the_log_holds_no_tensor(plain):
    z = np.full((1, *exports.SHAPE), 0.123456, np.float32)
    with tritonclient.http.InferenceServerClient(plain.http) as client:
        client.infer("tiny", asked(tritonclient.http, z, binary_data=False))
    assert "0.1234" not in plain.log()
    for line in plain.log().splitlines():
        assert isinstance(json.loads(line), dict)
