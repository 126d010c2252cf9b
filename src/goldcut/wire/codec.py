"""The codec: Z as tensors of a request, and back after every check.

fp32 and fp16 are the values as they are; int8 writes whole numbers q in 0..255 with a scale and a zero for each
sample, Z = (q - zero) * scale (Jacob et al., Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, 2018, equation 1), so that 0 stays exactly 0. With zstd each sample is one frame.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from goldcut.errors import WireError
from goldcut.records import Number
from goldcut.wire.compression import compress, decompress, load_zstd
from goldcut.wire.tensors import (
    BYTES,
    DTYPES,
    Part,
    Tensor,
    check_tensor,
    from_array,
    from_strings,
    is_finite,
    to_array,
    to_strings,
)

Z = Float[np.ndarray, "b ..."]

NUMBERS: dict[Number, str] = {"fp32": "FP32", "fp16": "FP16", "int8": "UINT8"}
"""Number format of a codec -> datatype of its elements on the wire."""

LARGEST_FP16 = float(np.finfo(np.float16).max)
QUERY = "codec"
"""Parameter of a request with which a client may state its codec; another one is refused."""


@dataclass(frozen=True)
class Codec:
    """How Z of a cut crosses.

    Args:
        number: Format of an element.
        zstd: Whether each sample is compressed.
        shape: Shape of Z per sample.

    Example:
        >>> codec = Codec("int8", False, (2, 2))
        >>> [part.name for part in codec.parts]
        ['z_q', 'scale', 'zero']
        >>> z = np.array([[[0.0, 1.0], [2.0, 4.0]]], dtype="float32")
        >>> bool(abs(codec.decode(codec.encode(z), most_rows=1) - z).max() <= 4 / 255 / 2)
        True
    """

    number: Number
    zstd: bool
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.zstd:
            load_zstd()

    @cached_property
    def name(self) -> str:
        """As in "int8+zstd"."""
        return f"{self.number}+zstd" if self.zstd else self.number

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The inputs of a request, in order."""
        name = "z_q" if self.number == "int8" else "z"
        first = Part(name, BYTES) if self.zstd else Part(name, NUMBERS[self.number], self.shape)
        return (first, Part("scale", "FP32"), Part("zero", "UINT8")) if self.number == "int8" else (first,)

    @property
    def row_bytes(self) -> int:
        """Bytes of a sample before compression, scale and zero included."""
        elements = math.prod(self.shape) * DTYPES[NUMBERS[self.number]].itemsize
        return elements + (5 if self.number == "int8" else 0)

    def encode(self, z: Z) -> tuple[Tensor, ...]:
        """Z (rows, *shape) as the inputs of a request.

        fp16 keeps what lies outside +-65504 at that limit.

        Raises:
            WireError: Z has another shape, no row, or values that are not finite.
        """
        if z.ndim != 1 + len(self.shape) or z.shape[1:] != self.shape or len(z) == 0:
            raise WireError(f"Z has shape {z.shape}, expected (rows, {', '.join(map(str, self.shape))})")
        if not is_finite(z):
            raise WireError("Z holds NaN or infinite values", "Check the image and the edge half.")
        values, extra = ENCODERS[self.number](z)
        name = self.parts[0].name
        if self.zstd:
            return from_strings(name, [compress(row.tobytes()) for row in values]), *extra
        return from_array(name, NUMBERS[self.number], values), *extra

    def decode(self, tensors: Sequence[Tensor], most_rows: int) -> Z:
        """Z (rows, *shape) in float32 from the inputs of a request, which may have any fault.

        Args:
            tensors: In any order.
            most_rows: Largest number of rows.

        Raises:
            WireError: Anything is not as `parts` says, or a value is not finite; one sentence says what.
        """
        found = self._checked(tensors, most_rows)
        main = self.parts[0].name
        values = self._decompressed(found[main]) if self.zstd else to_array(found[main])
        z = DECODERS[self.number](values, found)
        if not is_finite(z):
            raise WireError(f"input {main} holds NaN or infinite values", "Send finite values.")
        return z

    def _checked(self, tensors: Sequence[Tensor], most_rows: int) -> dict[str, Tensor]:
        """The tensors by name, each as its part says and all with the same number of rows."""
        expected = {part.name: part for part in self.parts}
        found = {tensor.name: tensor for tensor in tensors}
        if found.keys() != expected.keys() or len(found) != len(tensors):
            names = ", ".join(tensor.name[:40] for tensor in tensors[:8]) or "none"
            raise WireError(f"the inputs are {names}; expected {', '.join(expected)}, each once", "Read the metadata.")
        for name, part in expected.items():
            check_tensor(found[name], part, most_rows)
        rows = {name: tensor.shape[0] for name, tensor in found.items()}
        if len(set(rows.values())) > 1:
            raise WireError(f"the inputs have different numbers of rows ({rows})", "Send one of each for every sample.")
        return found

    def _decompressed(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """The rows of a tensor of frames, of which each holds exactly a sample."""
        dtype = DTYPES[NUMBERS[self.number]]
        size = math.prod(self.shape) * dtype.itemsize
        content = b"".join(decompress(frame, size) for frame in to_strings(tensor))
        return np.frombuffer(content, dtype).reshape(-1, *self.shape)


def payload_bytes(tensors: Sequence[Tensor]) -> int:
    """Bytes of Z on the wire, without an envelope."""
    return sum(len(tensor.raw) for tensor in tensors)


# --- number formats --------------------------------------------------------------------------------

Encoded = tuple[np.ndarray[Any, Any], tuple[Tensor, ...]]


def _encode_fp32(z: Z) -> Encoded:
    return np.ascontiguousarray(z, "<f4"), ()


def _encode_fp16(z: Z) -> Encoded:
    return np.clip(z, -LARGEST_FP16, LARGEST_FP16).astype("<f2"), ()


def _encode_int8(z: Z) -> Encoded:
    quantised, scale, zero = quantise(z)
    return quantised, (from_array("scale", "FP32", scale), from_array("zero", "UINT8", zero))


def quantise(
    z: Z,
) -> tuple[UInt8[np.ndarray, "b ..."], Float[np.ndarray, " b"], UInt8[np.ndarray, " b"]]:
    """Whole numbers, scale and zero of each sample; the range of a sample always includes 0."""
    flat = z.reshape(len(z), -1).astype(np.float64)
    low, high = np.minimum(flat.min(1), 0), np.maximum(flat.max(1), 0)
    span = (high - low) / 255
    scale = np.where(span > np.finfo(np.float32).tiny, span, 1.0).astype(np.float32)
    zero = np.clip(np.rint(-low / scale), 0, 255).astype(np.uint8)
    numbers = np.rint(flat / scale[:, None]) + zero[:, None]
    return np.clip(numbers, 0, 255).astype(np.uint8).reshape(z.shape), scale, zero


def _decode_plain(values: np.ndarray[Any, Any], found: dict[str, Tensor]) -> Z:
    return values.astype(np.float32, copy=False)


def _decode_int8(values: np.ndarray[Any, Any], found: dict[str, Tensor]) -> Z:
    scale, zero = to_array(found["scale"]), to_array(found["zero"])
    if not (np.isfinite(scale).all() and (scale > 0).all() and float(scale.max()) < np.finfo(np.float32).max / 256):
        raise WireError("input scale holds a value that is no finite number above 0", "Send the codec's own scale.")
    ones = (1,) * (values.ndim - 1)
    numbers = values.astype(np.float32)
    numbers -= zero.reshape(-1, *ones).astype(np.float32)
    numbers *= scale.reshape(-1, *ones)
    return numbers


ENCODERS: dict[Number, Callable[[Z], Encoded]] = {
    "fp32": _encode_fp32,
    "fp16": _encode_fp16,
    "int8": _encode_int8,
}
DECODERS: dict[Number, Callable[[np.ndarray[Any, Any], dict[str, Tensor]], Z]] = {
    "fp32": _decode_plain,
    "fp16": _decode_plain,
    "int8": _decode_int8,
}
