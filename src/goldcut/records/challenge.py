"""The files of a challenge: Z of the victims for a third party to attack, and the score of what comes back."""

from dataclasses import dataclass
from typing import Literal

from goldcut.records.attack import Scores
from goldcut.records.cuts import Kind


@dataclass(frozen=True, kw_only=True)
class ChallengeRecord:
    """The file challenge.json: all that is said of the victims beside their Z.

    Attributes:
        model: Spec of the model; its weights are not handed over.
        scan_sha256: Hash of the scan.json of the run.
        cut: Name of the cut.
        kind: What the axes of Z mean: "map" (C, H, W), "tokens" (T, D) or "vector".
        z_shape: Shape of Z of one victim; z.safetensors holds "z" (victims, *z_shape) as float32.
        z_sha256: Hash of z.safetensors.
        image_shape: (C, H, W) that the model receives.
        reconstruction_shape: (C, H, W) at which images are scored; those of image_shape are averaged down to it.
        victims: How many, in the order of Z.
        seed: Of the draw of the victims.
        auxiliary: The attacker's images of the run, whose victims were left out; None where a run has no attack yet.
        answer: What is to be sent back.
    """

    schema: Literal["goldcut.challenge/1"] = "goldcut.challenge/1"
    model: str
    scan_sha256: str
    cut: str
    kind: Kind
    z_shape: tuple[int, ...]
    z_sha256: str
    image_shape: tuple[int, int, int]
    reconstruction_shape: tuple[int, int, int]
    victims: int
    seed: int
    auxiliary: str | None = None
    answer: str = (
        'images.safetensors with "images", or images.npy: (victims, C, H, W), in the order of Z, at either shape; '
        "floats in [0, 1] or uint8"
    )


@dataclass(frozen=True, kw_only=True)
class ScoreRecord:
    """The file score.json: how near the images that came back are to the victims.

    Attributes:
        challenge_sha256: Hash of challenge.json.
        images_sha256: Hash of the file that came back.
        cut: Name of the cut.
        scores: The same figures as of any attack.
        class_mean: The class mean's, which needs no Z; None without logits.
    """

    schema: Literal["goldcut.score/1"] = "goldcut.score/1"
    challenge_sha256: str
    images_sha256: str
    cut: str
    scores: Scores
    class_mean: Scores | None = None
