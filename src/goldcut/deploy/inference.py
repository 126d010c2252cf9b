"""What `goldcut infer` says of images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from goldcut.deploy.client import Inference
from goldcut.records import Answer, InferRecord, Manifest


def softmax(logits: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """Probabilities.

    Example:
        >>> softmax(np.zeros((1, 4))).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(1, keepdims=True)
    return shares


def to_record(manifest: Manifest, url: str, images: Sequence[Path], inference: Inference) -> InferRecord:
    """The classes of images, with the names of the manifest; the number itself where a class has none."""
    flat = inference.logits.reshape(len(inference.logits), -1)
    answers = []
    for image, shares in zip(images, softmax(flat), strict=True):
        index = int(shares.argmax())
        label = manifest.classes[index] if index < len(manifest.classes) else str(index)
        answers.append(Answer(image=str(image), label=label, index=index, probability=float(shares[index])))
    return InferRecord(
        model_name=manifest.model_name,
        version=manifest.version,
        url=url,
        answers=tuple(answers),
        request_ids=inference.request_ids,
        attempts=inference.attempts,
        seconds=inference.seconds,
        payload_bytes=inference.payload_bytes,
    )
