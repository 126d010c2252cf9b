"""Z through the codec: what comes back, against the definition; and bytes that are no Z."""

import contextlib

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from goldcut.errors import WireError
from goldcut.wire.codec import NUMBERS, Codec, payload_bytes
from goldcut.wire.tensors import Tensor, from_array, from_strings, to_strings

CODECS = [(number, zstd) for number in NUMBERS for zstd in (False, True)]
SHAPE = (2, 3)


def some_z(rows: int = 4, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, *shape)).astype(np.float32)


@pytest.mark.parametrize(("number", "zstd"), CODECS)
@settings(max_examples=30, deadline=None)
@given(z=arrays(np.float32, (3, *SHAPE), elements=st.floats(-1e4, 1e4, width=32)))
def test_what_comes_back_is_as_near_as_the_format_allows(number, zstd, z):
    codec = Codec(number, zstd, SHAPE)
    back = codec.decode(codec.encode(z), most_rows=3)
    assert back.dtype == np.float32
    assert back.shape == z.shape
    span = np.maximum(z.max((1, 2)), 0) - np.minimum(z.min((1, 2)), 0)
    allowed = {
        "fp32": 0 * np.abs(z),
        "fp16": 2**-11 * np.abs(z) + 2**-25,
        "int8": (span / 255 * 0.501)[:, None, None] + 1e-6,
    }
    assert (np.abs(back - z) <= allowed[number] + 0 * z).all()


@pytest.mark.parametrize(("number", "zstd"), CODECS)
def test_zero_stays_exactly_zero(number, zstd):
    z = np.maximum(some_z(), 0)
    codec = Codec(number, zstd, SHAPE)
    back = codec.decode(codec.encode(z), most_rows=4)
    assert (back[z == 0] == 0).all()


@pytest.mark.parametrize(("number", "zstd"), CODECS)
@pytest.mark.parametrize("value", [0.0, 3.25, -7.0])
def test_a_constant_z(number, zstd, value):
    z = np.full((2, *SHAPE), value, np.float32)
    codec = Codec(number, zstd, SHAPE)
    assert np.allclose(codec.decode(codec.encode(z), most_rows=2), z, rtol=1e-6)


@pytest.mark.parametrize(("number", "zstd"), CODECS)
def test_rows_do_not_depend_on_their_neighbours(number, zstd):
    z = some_z(5)
    codec = Codec(number, zstd, SHAPE)
    together = codec.decode(codec.encode(z), most_rows=5)
    apart = np.concatenate([codec.decode(codec.encode(row[None]), most_rows=1) for row in z])
    assert np.array_equal(together, apart)


def test_int8_is_the_affine_map_of_its_definition():
    z = some_z()
    numbers, scale, zero = (
        np.frombuffer(tensor.raw, dtype)
        for tensor, dtype in zip(Codec("int8", False, SHAPE).encode(z), ("u1", "<f4", "u1"), strict=True)
    )
    low, high = np.minimum(z.min((1, 2)), 0), np.maximum(z.max((1, 2)), 0)
    assert np.allclose(scale, (high - low) / 255, rtol=1e-6)
    assert np.array_equal(zero, np.rint(-low / scale))
    expected = np.clip(np.rint(z / scale[:, None, None]) + zero[:, None, None], 0, 255)
    assert np.array_equal(numbers.reshape(z.shape), expected)


def test_bytes_on_the_wire():
    z = some_z(4)
    assert payload_bytes(Codec("fp32", False, SHAPE).encode(z)) == 4 * 6 * 4
    assert payload_bytes(Codec("fp16", False, SHAPE).encode(z)) == 4 * 6 * 2
    assert payload_bytes(Codec("int8", False, SHAPE).encode(z)) == 4 * (6 + 5)
    sparse = np.zeros((1, 64, 8, 8), np.float32)
    assert payload_bytes(Codec("int8", True, (64, 8, 8)).encode(sparse)) < 64


def test_fp16_keeps_what_is_too_large_at_its_limit():
    z = np.array([[[1e9, -1e9, 0], [1, 2, 3]]], np.float32)
    codec = Codec("fp16", False, SHAPE)
    assert codec.decode(codec.encode(z), most_rows=1)[0, 0, :2].tolist() == [65504, -65504]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_not_sent(bad):
    z = some_z()
    z[1, 1, 1] = bad
    with pytest.raises(WireError, match="NaN or infinite"):
        Codec("int8", True, SHAPE).encode(z)


@pytest.mark.parametrize("shape", [(0, 2, 3), (2, 3), (1, 3, 2), (1, 2, 3, 1)])
def test_another_shape_is_not_sent(shape):
    with pytest.raises(WireError, match="Z has shape"):
        Codec("fp32", False, SHAPE).encode(np.zeros(shape, np.float32))


def frame(content: bytes, **settings) -> bytes:
    return zstandard.ZstdCompressor(**settings).compress(content)


BOMB = frame(bytes(50_000_000))
ROW = np.ones(SHAPE, "<f4").tobytes()
FRAMES = {
    "a bomb": (BOMB, "states 50000000 bytes"),
    "a frame that states no size": (frame(ROW, write_content_size=False), "states no size"),
    "a smaller row": (frame(ROW[:-4]), "states 20 bytes"),
    "a larger row": (frame(ROW + ROW), "states 48 bytes"),
    "an empty row": (frame(b""), "states 0 bytes"),
    "no frame": (b"no frame at all", "no whole zstd frame"),
    "nothing": (b"", "no whole zstd frame"),
    "a frame cut off": (frame(ROW * 1)[:-3], "no whole zstd frame"),
    "two frames": (frame(ROW) + frame(ROW), "no whole zstd frame"),
    "a frame and a byte": (frame(ROW) + b"x", "no whole zstd frame"),
    "a frame with a wrong checksum": (frame(ROW, write_checksum=True)[:-1] + b"\0", "no whole zstd frame"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_that_is_no_row_is_refused(name):
    content, words = FRAMES[name]
    with pytest.raises(WireError, match=words):
        Codec("fp32", True, SHAPE).decode([from_strings("z", [content])], most_rows=4)


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch):
    def never(*_, **__):
        raise AssertionError("decompression began")

    monkeypatch.setattr(zstandard, "ZstdDecompressor", never)
    with pytest.raises(WireError, match="states 50000000 bytes"):
        Codec("fp32", True, SHAPE).decode([from_strings("z", [BOMB])], most_rows=4)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 4))
def test_any_bytes_are_rows_or_refused(content, rows):
    for number, zstd in CODECS:
        codec = Codec(number, zstd, SHAPE)
        main = codec.parts[0]
        extra = [from_array("scale", "FP32", np.ones(rows)), from_array("zero", "UINT8", np.zeros(rows))]
        shape = (rows,) if zstd else (rows, *SHAPE)
        tensors = [Tensor(main.name, main.datatype, shape, content), *(extra if number == "int8" else [])]
        with contextlib.suppress(WireError):
            z = codec.decode(tensors, most_rows=4)
            assert z.shape == (rows, *SHAPE)
            assert np.isfinite(z).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_strings_come_back(rows):
    assert [bytes(row) for row in to_strings(from_strings("z", rows))] == rows
