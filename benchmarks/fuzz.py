"""Random damage to good requests, for a time: whatever comes out is an answer or a refusal, never another exception.

    python -m benchmarks.fuzz [--seconds 60] [--seed 0]

Targets: the REST parser (JSON and binary tensors), the gRPC message, and the decoder of every codec. A failure prints
the bytes that caused it, and the seed makes it happen again.
"""

import json
import random
import time
from collections.abc import Callable

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
    """Content with one to four changes: bytes flipped, cut, repeated, or words put in."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((1, 1, 4, 40)))
        data[start:end] = chance.choice(
            (b"", bytes(data[start:end]) * 2, chance.randbytes(end - start), chance.choice(WORDS))
        )
    return bytes(data)


def rest(content: bytes, chance: random.Random) -> None:
    """The REST parser, with and without a header of the binary extension, and every codec behind it."""
    header = chance.choice((None, str(chance.randrange(len(content) + 2)), "x", "-1"))
    question, _ = from_rest(content, header, "tiny", "")
    for codec in CODECS:
        decode(codec, question.inputs)


def rpc(content: bytes, chance: random.Random) -> None:
    """The gRPC message and every codec behind it."""
    question = from_rpc(MESSAGES["ModelInferRequest"].FromString(content))
    for codec in CODECS:
        decode(codec, question.inputs)


def decode(codec: Codec, inputs: tuple[Tensor, ...]) -> None:
    """What comes out is a finite Z of the right shape, or a refusal."""
    try:
        z = codec.decode(inputs, MOST_ROWS)
    except WireError:
        return
    assert z.shape[1:] == SHAPE
    assert 1 <= len(z) <= MOST_ROWS
    assert np.isfinite(z).all()


def good_requests() -> list[tuple[Callable[[bytes, random.Random], None], bytes]]:
    """A good request of every codec on both transports."""
    found: list[tuple[Callable[[bytes, random.Random], None], bytes]] = []
    for codec in CODECS:
        tensors = codec.encode(Z)
        message = MESSAGES["ModelInferRequest"](model_name="tiny", id="1")
        inputs, tail = [], b""
        for tensor in tensors:
            message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
            message.raw_input_contents.append(bytes(tensor.raw))
            size = {"binary_data_size": len(tensor.raw)}
            inputs.append(
                {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape), "parameters": size}
            )
            tail += bytes(tensor.raw)
        found.append((rpc, message.SerializeToString()))
        found.append((rest, json.dumps({"inputs": inputs}).encode() + tail))
    plain = {"name": "z", "datatype": "FP32", "shape": list(Z.shape), "data": Z.tolist()}
    return [*found, (rest, json.dumps({"inputs": [plain], "outputs": [{"name": "logits"}]}).encode())]


@click.command()
@click.option("--seconds", type=float, default=60.0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(seconds: float, seed: int) -> None:
    """Damage requests until the time is over."""
    chance, requests = random.Random(seed), good_requests()
    until, tried, refused = time.monotonic() + seconds, 0, 0
    while time.monotonic() < until:
        target, good = chance.choice(requests)
        content = damaged(chance, good)
        tried += 1
        try:
            target(content, chance)
        except (Refusal, DecodeError):
            refused += 1
        except Exception:
            print(json.dumps({"target": target.__name__, "seed": seed, "try": tried, "content": content.hex()}))
            raise
    print(json.dumps({"benchmark": "fuzz", "seed": seed, "requests": tried, "refused_by_the_parser": refused}))


if __name__ == "__main__":
    main()
