"""A challenge: Z of the victims for a third party to attack without the model, and the score of its images."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from safetensors import SafetensorError
from torch import Tensor

from goldcut import records
from goldcut.attacks.base import Sample
from goldcut.attacks.baselines import class_mean_images
from goldcut.attacks.features import attack_shape, read_features, read_pixels, shrink
from goldcut.attacks.layout import Layout
from goldcut.attacks.scoring import Judge, mean_of
from goldcut.cuts.graph import CutGraph
from goldcut.errors import RunError
from goldcut.progress import Progress, silent
from goldcut.records import ChallengeRecord, ScanRecord, ScoreRecord
from goldcut.sources.images import Images, Parts
from goldcut.study.attack import VICTIMS, divide_parts
from goldcut.study.defended import open_graph
from goldcut.study.run import Run, reopen

Z_FILE, CHALLENGE_FILE, SCORE_FILE = "z.safetensors", "challenge.json", "score.json"
ANSWERS = ("images.safetensors", "images.npy")


def write_challenge(run: Path, cut: str, out: Path, *, progress: Progress = silent) -> ChallengeRecord:
    """Write Z of a run's victims at a cut, and what is to be known about them, but none of their images.

    The victims and the seed are those of the run's attack; a thousand with seed 0 where it has none.

    Args:
        run: Folder of a scan.
        cut: Name or alias.
        out: Folder for challenge.json and z.safetensors.
        progress: Told the images.

    Raises:
        GoldcutError: The run or its sources cannot be used, there is no such cut, or `out` cannot be written.
    """
    opened = _open(run)
    place = opened.graph.cut(cut)
    z = torch.empty((len(opened.parts.victims), *place.shape))
    layout = Layout(place.shape, place.kind, place.shape)
    _read(opened, opened.parts.victims, progress, {place.name: layout}, {place.name: z})
    packed = safetensors.numpy.save({"z": z.numpy()})
    settings = opened.settings
    challenge = ChallengeRecord(
        model=opened.scan.model.spec,
        scan_sha256=Run(run).scan_sha256(),
        cut=place.name,
        kind=place.kind,
        z_shape=place.shape,
        z_sha256=hashlib.sha256(packed).hexdigest(),
        image_shape=opened.scan.model.input_shape,
        reconstruction_shape=attack_shape(opened.scan.model.input_shape),
        victims=len(z),
        seed=settings["seed"],
        auxiliary=settings.get("aux") or (opened.scan.data.spec if Run(run).attack() else None),
    )
    records.write_atomically(out / Z_FILE, packed)
    records.save(challenge, out / CHALLENGE_FILE)
    return challenge


def score_challenge(run: Path, folder: Path, *, progress: Progress = silent) -> ScoreRecord:
    """Score the images that came back for a challenge and write score.json beside them.

    Args:
        run: Folder of the scan that the challenge was made from.
        folder: Of challenge.json and the answer.
        progress: Told the images.

    Raises:
        GoldcutError: The answer is missing or does not fit, or the challenge was made from another run.
    """
    if not (folder / CHALLENGE_FILE).exists():
        raise RunError(f"{folder} holds no challenge", "Make one with `goldcut challenge`.")
    challenge = records.load(folder / CHALLENGE_FILE, ChallengeRecord)
    Run(run).scan()  # says what is wrong where there is none
    if challenge.scan_sha256 != Run(run).scan_sha256():
        raise RunError(f"{folder} was made from another scan than {run}", "Name the run that the challenge came from.")
    path, made = _read_answer(folder, challenge)
    opened = _open(run, challenge)
    parts, shape = opened.parts, challenge.reconstruction_shape
    judge = Judge(parts.victims, shape, mean_of(parts.training), parts.auxiliary_same_data, challenge.seed)
    if opened.scan.cuts[-1].radius_sq_paper is not None:
        own = Sample(read_pixels(parts.training, shape), torch.empty(0), _read(opened, parts.training, progress))
        labels = _read(opened, parts.victims, progress)
        assert labels is not None
        judge = judge.with_labels(labels, class_mean_images(own, judge.small_mean[0], labels))
    score = ScoreRecord(
        challenge_sha256=hashlib.sha256((folder / CHALLENGE_FILE).read_bytes()).hexdigest(),
        images_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        cut=challenge.cut,
        scores=judge.score(shrink(made, shape)),
        class_mean=None if judge.class_means is None else judge.score(judge.class_means),
    )
    records.save(score, folder / SCORE_FILE)
    return score


@dataclass(frozen=True, eq=False)
class _Opened:
    scan: ScanRecord
    graph: CutGraph
    parts: Parts
    settings: dict[str, Any]


def _open(folder: Path, challenge: ChallengeRecord | None = None) -> _Opened:
    """A run with the parts of its attack, or with those that a challenge was made of."""
    run = Run(folder)
    scan, target, pack = reopen(run)
    attacked = run.attack()
    settings: dict[str, Any] = {"aux": None, "victims": VICTIMS, "seed": 0}
    if attacked is not None:
        settings.update({key: attacked.provenance.settings[key] for key in settings})
    if challenge is not None:
        foreign = challenge.auxiliary if challenge.auxiliary != scan.data.spec else None
        settings = {"aux": foreign, "victims": challenge.victims, "seed": challenge.seed}
    parts = divide_parts(target, pack, settings["aux"], settings["victims"], settings["seed"])
    return _Opened(
        scan, open_graph(target, pack.scanned, scan.defense, seed=scan.provenance.seeds["seed"]), parts, settings
    )


def _read(
    opened: _Opened,
    images: Images,
    progress: Progress,
    layouts: dict[str, Layout] | None = None,
    into: dict[str, Tensor] | None = None,
) -> np.ndarray[Any, Any] | None:
    """One pass over images: Z at the cuts of `layouts`, and the predicted labels."""
    read = read_features(
        opened.graph,
        images,
        layouts or {},
        into or {},
        logits=opened.scan.cuts[-1].radius_sq_paper is not None,
        device="cpu",
        task=images.part,
        progress=progress,
    )
    return read.labels


def _read_answer(folder: Path, challenge: ChallengeRecord) -> tuple[Path, Tensor]:
    """The images that came back, as floats in [0, 1]."""
    path = next((folder / name for name in ANSWERS if (folder / name).exists()), None)
    if path is None:
        raise RunError(f"{folder} holds no {' or '.join(ANSWERS)}", f"Put there {challenge.answer}.")
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        else:
            values = safetensors.numpy.load_file(path)["images"]
    except (OSError, ValueError, KeyError, SafetensorError, json.JSONDecodeError) as error:
        raise RunError(f"{path} cannot be read: {type(error).__name__}: {error}", challenge.answer) from error
    fitting = [(challenge.victims, *shape) for shape in (challenge.reconstruction_shape, challenge.image_shape)]
    if values.shape not in fitting:
        raise RunError(
            f"{path} holds images of shape {values.shape} and the challenge asks for {fitting[0]}",
            f"Send back {challenge.answer}.",
        )
    made = torch.from_numpy(np.ascontiguousarray(values)).float()
    made = made / 255 if values.dtype == np.uint8 else made
    if not torch.isfinite(made).all() or made.min() < 0 or made.max() > 1:
        raise RunError(
            f"{path} holds values from {float(made.min()):g} to {float(made.max()):g}", f"Send back {challenge.answer}."
        )
    return path, made
