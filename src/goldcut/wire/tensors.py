"""Named tensors as raw bytes, as the Open Inference Protocol sends them: little-endian, rows first."""

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from goldcut.errors import WireError

DTYPES: dict[str, np.dtype[Any]] = {
    "FP32": np.dtype("<f4"),
    "FP16": np.dtype("<f2"),
    "UINT8": np.dtype("u1"),
}
"""Protocol datatypes of a fixed size, and how numpy calls them."""

BYTES = "BYTES"
"""The protocol datatype of byte strings: each with its length before it, four bytes, little-endian."""

LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Tensor:
    """A tensor in a request.

    Attributes:
        name: Of the input.
        datatype: One of DTYPES, or BYTES.
        shape: Rows first.
        raw: Its values.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    raw: bytes | memoryview


@dataclass(frozen=True)
class Part:
    """What a request must hold: a tensor of this name and datatype, with this shape in every row."""

    name: str
    datatype: str
    row_shape: tuple[int, ...] = ()

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a datatype of a fixed size."""
        return math.prod(self.row_shape) * DTYPES[self.datatype].itemsize


def from_array(name: str, datatype: str, values: np.ndarray[Any, Any]) -> Tensor:
    """An array as a tensor.

    Example:
        >>> from_array("z", "FP32", np.zeros((2, 3))).shape
        (2, 3)
    """
    packed = np.ascontiguousarray(values, DTYPES[datatype])
    return Tensor(name, datatype, values.shape, packed.tobytes())


def to_array(tensor: Tensor) -> np.ndarray[Any, Any]:
    """A tensor of a fixed size as an array over the same bytes; its length must have been checked."""
    return np.frombuffer(tensor.raw, DTYPES[tensor.datatype]).reshape(tensor.shape)


def is_finite(values: np.ndarray[Any, Any]) -> bool:
    """Whether no value is NaN or infinite.

    The sum of squares settles it in one pass for nearly all; only where it overflows is each value looked at.

    Example:
        >>> is_finite(np.array([1e30, -1e30], np.float32)), is_finite(np.array([0.0, np.nan], np.float32))
        (True, False)
    """
    return math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


def from_strings(name: str, rows: list[bytes]) -> Tensor:
    """A byte string a row."""
    return Tensor(name, BYTES, (len(rows),), b"".join(LENGTH.pack(len(row)) + row for row in rows))


def to_strings(tensor: Tensor) -> list[memoryview]:
    """The byte strings of a tensor, one a row, without copying.

    Raises:
        WireError: The lengths do not add up to the bytes, or to the rows.
    """
    raw, start = memoryview(tensor.raw), 0
    found: list[memoryview] = []
    while start < len(raw) and len(found) < tensor.shape[0]:
        end = start + LENGTH.size
        if end > len(raw):
            break
        (size,) = LENGTH.unpack_from(raw, start)
        if end + size > len(raw):
            break
        found.append(raw[end : end + size])
        start = end + size
    if len(found) != tensor.shape[0] or start != len(raw):
        raise WireError(
            f"input {tensor.name} holds {len(raw)} bytes that are not {tensor.shape[0]} strings with their lengths",
            "Write each string as four bytes of length, little-endian, and its content.",
        )
    return found


def check_tensor(tensor: Tensor, part: Part, most_rows: int) -> None:
    """Refuse a tensor that is not what a part asks for.

    Raises:
        WireError: Another datatype, rank or dimension; no row, or too many; bytes missing or left over.
    """
    if tensor.datatype != part.datatype:
        raise WireError(
            f"input {part.name} is {tensor.datatype[:20]!r}, expected {part.datatype}", "Use the export's codec."
        )
    expected = f"(rows, {', '.join(map(str, part.row_shape))})" if part.row_shape else "(rows,)"
    if len(tensor.shape) != 1 + len(part.row_shape) or tuple(tensor.shape[1:]) != part.row_shape:
        raise WireError(
            f"input {part.name} has shape {_short(tensor.shape)}, expected {expected}", "Send Z of this cut."
        )
    rows = tensor.shape[0]
    if rows < 1 or rows > most_rows:
        raise WireError(
            f"input {part.name} has {rows} rows, expected 1 to {most_rows}", "Send several smaller requests."
        )
    if part.datatype != BYTES and len(tensor.raw) != rows * part.row_bytes:
        raise WireError(
            f"input {part.name} holds {len(tensor.raw)} bytes, expected {rows * part.row_bytes}",
            "Send exactly what the shape says.",
        )


def _short(shape: tuple[int, ...]) -> str:
    """A shape for a message, however long it came."""
    shown = ", ".join(map(str, shape[:8]))
    return f"({shown}{', ...' if len(shape) > 8 else ''})"
