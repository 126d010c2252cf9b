"""The one place where a request is checked, before it is put into any queue."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from goldcut.deploy.refusals import Refusal
from goldcut.errors import WireError
from goldcut.records import Manifest
from goldcut.wire.codec import QUERY, Codec
from goldcut.wire.tensors import Tensor

OUTPUT = "logits"
LONGEST_ID = 128
LONGEST_SECONDS = 3600.0

Parameters = Mapping[str, bool | int | float | str]


@dataclass(frozen=True)
class Question:
    """An inference request as either transport brings it.

    Attributes:
        model: Name that was asked for.
        version: Version that was asked for; empty for any.
        id: The client's own name of the request; empty for none.
        parameters: Of the request.
        inputs: Its tensors.
        input_parameters: Of each tensor.
        outputs: Names that were asked for; empty for all.
        output_parameters: Of each of them.
    """

    model: str
    version: str
    id: str
    inputs: tuple[Tensor, ...]
    parameters: Parameters = field(default_factory=dict)
    input_parameters: tuple[Parameters, ...] = ()
    outputs: tuple[str, ...] = ()
    output_parameters: tuple[Parameters, ...] = ()


@dataclass(frozen=True, eq=False)
class Accepted:
    """A request with nothing wrong.

    Attributes:
        z: (rows, *z_shape) float32, finite.
        seconds: What is left of the client's patience by the request's own parameter; None without one.
    """

    z: Float[np.ndarray, "b ..."]
    seconds: float | None


def check_question(question: Question, manifest: Manifest, codec: Codec, most_rows: int) -> Accepted:
    """Every check on a request, the cheap ones first.

    Raises:
        Refusal: The first thing that is wrong, in one sentence.
    """
    check_id(question.id)
    check_model(question.model, question.version, manifest)
    _check_outputs(question)
    _check_parameters(question, codec)
    seconds = _timeout(question.parameters)
    try:
        return Accepted(codec.decode(question.inputs, most_rows), seconds)
    except WireError as error:
        raise Refusal("invalid", str(error)) from error


def check_model(name: str, version: str, manifest: Manifest) -> None:
    """Refuse another model, or another version of this one.

    Raises:
        Refusal: Nothing else is served here.
    """
    if name != manifest.model_name:
        raise Refusal("not_found", f"there is no model {name[:64]!r} here, only {manifest.model_name!r}")
    if version and version != manifest.version:
        raise Refusal(
            "not_found",
            f"the model {name} is here in version {manifest.version} and not in {version[:64]!r}; the edge half "
            "belongs to another export",
        )


def is_loggable(text: str) -> bool:
    """Whether a request id may stand in a log."""
    return len(text) <= LONGEST_ID and text.isprintable()


def check_id(text: str) -> None:
    """Refuse a request id that does not belong into a log.

    Raises:
        Refusal: Too long, or not printable.
    """
    if not is_loggable(text):
        raise Refusal(
            "invalid", f"the request id has {len(text)} characters; up to {LONGEST_ID} printable ones are taken"
        )


def _check_outputs(question: Question) -> None:
    if any(name != OUTPUT for name in question.outputs) or len(question.outputs) > 1:
        asked = ", ".join(name[:40] for name in question.outputs[:8])
        raise Refusal("invalid", f"the outputs {asked} were asked for; the model has {OUTPUT}, once")
    for parameters in question.output_parameters:
        if parameters.get("classification"):
            raise Refusal("invalid", f"the output {OUTPUT} comes as it is; the classification extension is not there")


def _check_parameters(question: Question, codec: Codec) -> None:
    stated = question.parameters.get(QUERY, codec.name)
    if stated != codec.name:
        raise Refusal("invalid", f"the request is coded as {str(stated)[:40]!r}, this model takes {codec.name}")
    for parameters in (*question.input_parameters, *question.output_parameters):
        if any(key.startswith("shared_memory") for key in parameters):
            raise Refusal("invalid", "tensors are sent in the request; there is no shared memory")
    if question.parameters.get("sequence_id"):
        raise Refusal("invalid", "the model keeps no state, so there are no sequences")


def _timeout(parameters: Parameters) -> float | None:
    """The parameter `timeout`, in microseconds; 0 stands for none."""
    stated = parameters.get("timeout", 0)
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not 0 <= stated < math.inf:
        raise Refusal("invalid", f"the parameter timeout is {str(stated)[:40]!r}, expected microseconds from 0 on")
    return min(stated, LONGEST_SECONDS * 1e6) / 1e6 if stated else None  # in this order: an integer may be any size
