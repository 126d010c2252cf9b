"""A half in onnxruntime: one thread unless told, no spinning, names and shapes checked when it is opened."""

from typing import Any

import numpy as np
from jaxtyping import Float

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

    Raises:
        DeployError: It is no ONNX model, or has another interface than stated.
        MissingExtra: onnxruntime is not installed.
    """

    def __init__(
        self, content: bytes, name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], *, threads: int = 1
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
        self.input_shape, self.output_shape = shapes
        sides = (self._session.get_inputs(), self._session.get_outputs())
        for side, expected in zip(sides, shapes, strict=True):
            found = [(tuple(one.shape[1:]), one.type) for one in side]
            if found != [(expected, "tensor(float)")]:
                raise DeployError(
                    f"{name} has {_listed(found)} where the manifest says {_listed([(expected, 'tensor(float)')])}",
                    "It belongs to another cut: export again.",
                )
        self._input, self._output = sides[0][0].name, sides[1][0].name

    @property
    def metadata(self) -> dict[str, str]:
        """What the exporter wrote into the file."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, batch: Float[np.ndarray, "b ..."]) -> Float[np.ndarray, "b ..."]:
        """The half on a batch (b, *input_shape) in float32."""
        answer: np.ndarray[Any, Any] = self._session.run([self._output], {self._input: batch})[0]
        return answer


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


def _listed(found: list[tuple[tuple[int, ...], str]]) -> str:
    return ", ".join(f"{kind} of shape {list(shape)}" for shape, kind in found)
