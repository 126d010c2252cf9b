"""Who sees which images: the attacker's training and selection, and the victims, without a common image."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from goldcut.errors import DataError
from goldcut.sources.labelled import Hashes, Images

SELECTION_SHARE = 0.1
LEAST = 10
"""Different images that an attacker needs, so that one of them can be for selection."""


@dataclass(frozen=True)
class Parts:
    """Parts that share no image, by hash.

    Attributes:
        training: The attacker's, to learn from.
        selection: The attacker's, to choose by: a tenth of its different images.
        victims: Scored once; all different.
        duplicates_removed: Images of the attacker that were dropped because a victim has the same pixels.
        auxiliary_same_data: Whether the attacker's images come from the victims' data set.
    """

    training: Images
    selection: Images
    victims: Images
    duplicates_removed: int
    auxiliary_same_data: bool


def divide(
    scanned: Images, attacker: Images | None, *, victims: int, seed: int, auxiliary_same_data: bool = True
) -> Parts:
    """Draw victims uniformly from the scanned images and give the attacker what shares no image with them.

    The drawing is not stratified: classes come in their natural shares. With the same seed, fewer victims are the
    first of more. Images that the attacker holds twice stay together, in training or in selection. The order of all
    parts is drawn, so that the first few stand for all, also where a data set comes class by class.

    Args:
        scanned: Images that hold the victims.
        attacker: The attacker's images; None leaves it the rest of the scanned ones.
        victims: How many.
        seed: Of the drawing.
        auxiliary_same_data: Passed on.

    Raises:
        DataError: Too few different images, or images of another shape.
    """
    if attacker is not None and attacker.shape != scanned.shape:
        raise DataError(
            f"the attacker's images are {attacker.shape} and the victims {scanned.shape}", "Load both at one shape."
        )
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(scanned))
    different = order[_first_of_each(scanned.hashes()[order])]
    if not 1 <= victims <= len(different):
        raise DataError(
            f"{victims} victims were asked for and there are {len(different)} different images", "Correct --victims."
        )
    chosen = different[:victims]
    pool = scanned if attacker is None else attacker
    offered = np.setdiff1d(np.arange(len(scanned)), chosen) if attacker is None else np.arange(len(attacker))
    known = np.isin(pool.hashes()[offered], scanned.hashes()[chosen])
    kept = offered[~known]
    for_selection = _draw_selection(pool.hashes()[kept], generator)
    return Parts(
        training=pool.subset(generator.permutation(kept[~for_selection]), f"{pool.part}/training"),
        selection=pool.subset(generator.permutation(kept[for_selection]), f"{pool.part}/selection"),
        victims=scanned.subset(chosen, f"{scanned.part}/victims"),
        duplicates_removed=int(known.sum()),
        auxiliary_same_data=auxiliary_same_data,
    )


def _first_of_each(hashes: Hashes) -> Int64[np.ndarray, " m"]:
    """Positions at which an image comes for the first time, in order."""
    return np.sort(np.unique(hashes, return_index=True)[1])


def _draw_selection(hashes: Hashes, generator: np.random.Generator) -> Bool[np.ndarray, " n"]:
    different, which = np.unique(hashes, return_inverse=True)
    if len(different) < LEAST:
        raise DataError(
            f"the attacker is left with {len(different)} different images and needs {LEAST}",
            "Give fewer --victims or more images.",
        )
    drawn = generator.permutation(len(different))[: max(1, round(SELECTION_SHARE * len(different)))]
    return np.isin(which, drawn)
