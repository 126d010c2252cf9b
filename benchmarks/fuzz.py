"""Random damage to good requests, for a time: whatever comes out is an answer or a refusal, never another exception.

    python -m benchmarks.fuzz [--seconds 60] [--seed 0]

Targets: the REST parser (JSON and binary tensors), the gRPC message, and the decoder of every codec. A failure prints
the bytes that caused it, and the seed makes it happen again.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import click
import numpy as np
from google.protobuf.message import DecodeError

from goldcut.deploy.refusals import Refusal
from goldcut.deploy.rest import to_question as from_rest
from goldcut.deploy.rpc import to_question as from_rpc
from goldcut.errors import WireError
from goldcut.wire.codec import NUMBERS, Codec
from goldcut.wire.messages import MESSAGES
from goldcut.wire.tensors import Tensor

SHAPE = (2, 3, 3)
MOST_ROWS = 4
WORDS = (b"{", b"}", b"[", b"]", b'"', b",", b"-1", b"1e999", b"NaN", b"null", b"true", b"\x00", b"\xff" * 8, b"9" * 30)

Z = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
CODECS = [Codec(number, zstd, SHAPE) for number in NUMBERS for zstd in (False, True)]


def damaged(chance: random.Random, content: bytes) -> bytes:
    """Content with one other byte, so that most get past the parser; or bytes cut, repeated, drawn, or words put in."""
    data = bytearray(content)
    if chance.random() < 0.5:
        data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((1, 1, 4, 40)))
        data[start:end] = chance.choice(
            (b"", bytes(data[start:end]) * 2, chance.randbytes(end - start), chance.choice(WORDS))
        )
    return bytes(data)


def rest(content: bytes, header: str | None) -> int:
    """The REST parser and every codec behind it; gives how many of them took the request."""
    question, _ = from_rest(content, header, "tiny", "")
    return sum(decode(codec, question.inputs) for codec in CODECS)


def rpc(content: bytes, header: str | None) -> int:
    """The gRPC message and every codec behind it."""
    question = from_rpc(MESSAGES["ModelInferRequest"].FromString(content))
    return sum(decode(codec, question.inputs) for codec in CODECS)


def decode(codec: Codec, inputs: tuple[Tensor, ...]) -> bool:
    """Whether a finite Z of the right shape comes out; else it must be a refusal."""
    try:
        z = codec.decode(inputs, MOST_ROWS)
    except WireError:
        return False
    assert z.shape[1:] == SHAPE
    assert 1 <= len(z) <= MOST_ROWS
    assert np.isfinite(z).all()
    return True


@dataclass(frozen=True)
class Good:
    """A request with nothing wrong.

    Attributes:
        target: That takes it.
        content: The message, or the body.
        header: Of the binary extension; None without it.
    """

    target: Callable[[bytes, str | None], int]
    content: bytes
    header: str | None = None


def good_requests() -> list[Good]:
    """A good request of every codec on both transports."""
    found: list[Good] = []
    for codec in CODECS:
        message = MESSAGES["ModelInferRequest"](model_name="tiny", id="1")
        inputs, tail = [], b""
        for tensor in codec.encode(Z):
            message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
            message.raw_input_contents.append(bytes(tensor.raw))
            size = {"binary_data_size": len(tensor.raw)}
            inputs.append(
                {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape), "parameters": size}
            )
            tail += bytes(tensor.raw)
        head = json.dumps({"inputs": inputs}).encode()
        found += [Good(rpc, message.SerializeToString()), Good(rest, head + tail, str(len(head)))]
    plain = {"name": "z", "datatype": "FP32", "shape": list(Z.shape), "data": Z.tolist()}
    return [*found, Good(rest, json.dumps({"inputs": [plain], "outputs": [{"name": "logits"}]}).encode())]


def attempt(good: Good, chance: random.Random) -> str:
    """Damage a request and send it: "answered", or "refused" by the decoders or by the parser."""
    content, header = damaged(chance, good.content), good.header
    if good.target is rest and chance.random() < 0.2:
        header = chance.choice((None, str(chance.randrange(len(content) + 2)), "x", "-1"))
    try:
        return "answered" if good.target(content, header) else "refused by the decoders"
    except (Refusal, DecodeError):
        return "refused by the parser"
    except Exception:
        print(json.dumps({"target": good.target.__name__, "header": header, "content": content.hex()}), flush=True)
        raise


def fuzz(seconds: float, seed: int) -> Counter[str]:
    """Damage requests until the time is over; gives what became of them.

    Raises:
        AssertionError: A good request is refused, or what came out is no Z of this model.
    """
    chance, requests = random.Random(seed), good_requests()
    for good in requests:
        assert good.target(good.content, good.header), "a good request is refused"
    until, outcomes = time.monotonic() + seconds, Counter[str]()
    while time.monotonic() < until:
        outcomes[attempt(chance.choice(requests), chance)] += 1
    return outcomes


@click.command()
@click.option("--seconds", type=float, default=60.0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(seconds: float, seed: int) -> None:
    """Damage requests until the time is over."""
    print(json.dumps({"benchmark": "fuzz", "seed": seed, **fuzz(seconds, seed)}))


if __name__ == "__main__":
    main()
