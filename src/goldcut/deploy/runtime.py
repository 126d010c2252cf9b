"""A half in onnxruntime: one thread unless told, no spinning, names and shapes checked when it is opened."""

import contextlib
import ctypes
import os
from typing import Any

import numpy as np
from jaxtyping import Float, UInt32

from goldcut.errors import DeployError, MissingExtra


def load_onnxruntime(extra: str = "serve") -> Any:
    """The module onnxruntime.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", extra) from error
    return onnxruntime


class Half:
    """One half: an array in, an array out, for any number of rows.

    Args:
        content: The ONNX file.
        name: What messages call it, such as "cloud.onnx".
        shapes: Of its input and its output per sample, as the manifest states them.
        threads: Of one run.
        random: Shape per sample of a second input, which takes random numbers; empty where there is none.

    Raises:
        DeployError: It is no ONNX model, or has another interface than stated.
        MissingExtra: onnxruntime is not installed.
    """

    def __init__(
        self,
        content: bytes,
        name: str,
        shapes: tuple[tuple[int, ...], tuple[int, ...]],
        *,
        threads: int = 1,
        random: tuple[int, ...] = (),
    ) -> None:
        runtime = load_onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class of its own for every fault of a file
            raise DeployError(
                f"{name} is no model that onnxruntime can run: {_short(error)}", "Export again."
            ) from error
        self._session.disable_fallback()  # to other providers, for which it would keep the whole file
        self._session._model_bytes = None
        _give_memory_back()
        self.input_shape, self.output_shape = shapes
        self.random_shape = random
        sides = (self._session.get_inputs(), self._session.get_outputs())
        stated = ([shapes[0], random] if random else [shapes[0]], [shapes[1]])
        for side, per_sample in zip(sides, stated, strict=True):
            found = [(tuple(one.shape[1:]), one.type) for one in side]
            expected = [(shape, "tensor(float)") for shape in per_sample]
            if found != expected:
                raise DeployError(
                    f"{name} has {_listed(found)} where the manifest says {_listed(expected)}",
                    "It belongs to another cut: export again.",
                )
        self._inputs, self._output = [one.name for one in sides[0]], sides[1][0].name

    @property
    def metadata(self) -> dict[str, str]:
        """What the exporter wrote into the file."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(
        self, batch: Float[np.ndarray, "b ..."], random: Float[np.ndarray, "b ..."] | None = None
    ) -> Float[np.ndarray, "b ..."]:
        """The half on a batch (b, *input_shape) in float32.

        Args:
            batch: What it takes.
            random: (b, *random_shape) in (0, 1), for a check; drawn anew when None, as it must be on a device.
        """
        feeds = [batch]
        if self.random_shape:
            feeds.append(draw_uniform((len(batch), *self.random_shape)) if random is None else random)
        answer: np.ndarray[Any, Any] = self._session.run([self._output], dict(zip(self._inputs, feeds, strict=True)))[0]
        return answer


def draw_uniform(shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """Random numbers of the operating system, which nobody can guess."""
    return to_uniform(np.frombuffer(os.urandom(4 * int(np.prod(shape))), np.uint32).reshape(shape))


def to_uniform(bits: UInt32[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Random bits as float32 in (0, 1), without its ends.

    Example:
        >>> to_uniform(np.array([0, 2**32 - 1], np.uint32)).tolist()
        [5.960464477539063e-08, 0.9999999403953552]
    """
    numbers: np.ndarray[Any, Any] = ((bits >> 9) + np.float32(0.5)) / np.float32(2**23)
    return numbers.astype(np.float32)


def _give_memory_back() -> None:
    """Return to the system what reading the file took: several times its size, and glibc would keep it."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


def _listed(found: list[tuple[tuple[int, ...], str]]) -> str:
    return ", ".join(f"{kind} of shape {list(shape)}" for shape, kind in found)
