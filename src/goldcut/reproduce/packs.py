"""The image packs of a folder: which files are expected, and who sees which of their images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goldcut.errors import DataError
from goldcut.reproduce.scale import Scale
from goldcut.sources.images import Images, Pack, from_arrays, load_images

FILES: dict[str, str] = {
    "natural": "cifar10.npz",
    "faces": "faces.npz",
    "xray": "xray.npz",
    "digits": "kmnist.npz",
    "other-faces": "faces-auxiliary.npz",
    "other-digits": "mnist.npz",
}
"""By what they hold. "other-..." are the attacker's, of another origin; their labels are not read.

Each holds uint8 images (N, H, W[, 3]) and integer labels as x_train, y_train, x_test, y_test, or all of them as x, y.
"""

AUXILIARY: dict[str, str] = {"faces": "other-faces", "digits": "other-digits"}
"""Whose images the attacker of a target has where it has none of the same origin."""

LEAST_SIDE = 32
"""Smaller images are padded with black up to it: VGG19 halves an image five times."""

TEST_SHARE = 0.3
"""Of a pack that comes in one part."""


@dataclass(frozen=True)
class Shares:
    """Who sees which images of a pack; no image is in two of them.

    Attributes:
        target: The target's training part, and the scanned one.
        attack: The same scanned part, and the attacker's own images.
    """

    target: Pack
    attack: Pack


def missing_files(names: tuple[str, ...], folder: Path | None) -> tuple[str, ...]:
    """The files of these packs that the folder lacks."""
    return tuple(FILES[name] for name in names if folder is None or not (folder / FILES[name]).is_file())


def check_files(names: tuple[str, ...], folder: Path | None) -> None:
    """Refuse a folder that lacks a pack.

    Raises:
        DataError: It names every missing file.
    """
    if missing := missing_files(names, folder):
        where = f"{folder} does not hold" if folder is not None else "this table reads images, and --data is not given:"
        raise DataError(
            f"{where} {', '.join(missing)}",
            "Put npz files with uint8 x_train, y_train, x_test, y_test (or x, y) there, as docs/reproduce.md says.",
        )


def open_shares(name: str, folder: Path, scale: Scale, *, auxiliary: str | None = None) -> Shares:
    """Divide a pack; the division depends on nothing but the pack and the sizes.

    Args:
        name: A key of FILES.
        folder: Of the files.
        scale: How many images of each part.
        auxiliary: Another pack, whose images the attacker has instead.

    Raises:
        DataError: The files cannot be used.
    """
    training, scanned = _read(name, folder, scale)
    wanted = scale.training_images + scale.attacker_images
    share = min(1.0, len(training) / wanted)
    order = np.random.default_rng(0).permutation(len(training))
    bound = round(share * scale.training_images)
    own, rest = order[:bound], order[bound : bound + round(share * scale.attacker_images)]
    attacker = training.subset(np.sort(rest), "attacker")
    if auxiliary is not None:
        other, _ = _read(auxiliary, folder, scale, labelled=False)
        drawn = np.random.default_rng(0).permutation(len(other))[: scale.attacker_images]
        attacker = other.subset(np.sort(drawn), "attacker")
    tested = np.random.default_rng(1).permutation(len(scanned))[: scale.scanned_images]
    shown = scanned.subset(np.sort(tested), "scanned")
    return Shares(Pack(shown, training.subset(np.sort(own), "target")), Pack(shown, attacker))


def _read(name: str, folder: Path, scale: Scale, *, labelled: bool = True) -> tuple[Images, Images]:
    """The training and the test images of a pack, at the size of the scale."""
    path = folder / FILES[name]
    pack = load_images(f"npz:{path}", labelled=labelled)
    if pack.attacker is None:
        order = np.random.default_rng(2).permutation(len(pack.scanned))
        bound = round(TEST_SHARE * len(order))
        test, training = pack.scanned.subset(order[:bound], "test"), pack.scanned.subset(order[bound:], "train")
    else:
        training, test = pack.attacker, pack.scanned
    height, width = training.shape[1:]
    if scale.side is not None and (height, width) != (scale.side, scale.side):
        raise DataError(
            f"{path} holds images of {height}x{width} pixels and the {scale.name} scale has {scale.side}x{scale.side}",
            "Resize them, or use --scale cpu.",
        )
    return _pad(training), _pad(test)


def _pad(images: Images) -> Images:
    """Images with black around them where they are smaller than LEAST_SIDE."""
    height, width = images.shape[1:]
    down, right = max(0, LEAST_SIDE - height), max(0, LEAST_SIDE - width)
    if not down and not right:
        return images
    pixels = images.pixels(range(len(images)))
    edges = ((0, 0), (down // 2, down - down // 2), (right // 2, right - right // 2), (0, 0))
    return from_arrays(
        np.pad(pixels, edges),
        images.labels,
        spec=images.spec,
        part=images.part,
        classes=images.classes,
        labelled=False,
    )


def digest(shares: Shares) -> str:
    """Hash of the scanned images: what ties results to the pack."""
    return shares.attack.scanned.record.sha256
