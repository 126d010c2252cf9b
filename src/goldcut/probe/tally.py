"""One pass over images sorted by class, keeping O(D) numbers a cut whatever the number of classes.

Only the class being read has its own moments, one group for each jackknife fold. When its last image
has been seen they become its scatter (with all folds and without each) and join those of all images. Parts of the
images can be tallied apart and joined in order: what a part has of a class that an earlier one began it keeps apart.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from goldcut.cuts.graph import CutGraph
from goldcut.cuts.taps import read_cuts
from goldcut.errors import ModelError
from goldcut.probe.geometry import Scatter
from goldcut.probe.moments import Layout, Moments, pool
from goldcut.probe.resume import Bookmark
from goldcut.progress import Progress, silent
from goldcut.records import Cut
from goldcut.sources.images import Images

MOST_GROUPS = 32
"""Groups summed at a time: a few classes with all their folds; each needs three more Z of memory."""


@dataclass(frozen=True)
class Segment:
    """Neighbouring images of one class inside a piece.

    Attributes:
        label: Their class.
        groups: Their groups among those of the piece, one for each fold.
        folds: Those folds.
        last: Whether the class ends with them.
    """

    label: int
    groups: slice
    folds: slice
    last: bool


@dataclass(frozen=True)
class Piece:
    """What is summed at a time: neighbouring images, in groups of one class and fold; a group may be empty.

    Attributes:
        rows: Where they are in the batch.
        groups: Group of each image, not decreasing.
        n_groups: Number of groups.
        segments: The classes, in order.
    """

    rows: slice
    groups: Int[Tensor, " n"]
    n_groups: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Plan:
    """In which order images are read: by class, and by fold within a class.

    Attributes:
        order: Index of each image, in the order of reading.
        labels: Class of each, not decreasing.
        folds: Fold of each, not decreasing within a class.
        n_classes: Number of classes.
        n_folds: Number of folds.
    """

    order: Int[ndarray, " n"]
    labels: Int[ndarray, " n"]
    folds: Int[ndarray, " n"]
    n_classes: int
    n_folds: int

    def __len__(self) -> int:
        return len(self.order)

    def carried(self, place: int) -> int | None:
        """The class that has images on both sides of a place in the order, if there is one."""
        inside = 0 < place < len(self)
        return int(self.labels[place]) if inside and self.labels[place - 1] == self.labels[place] else None

    def pieces(self, start: int, stop: int) -> Iterator[Piece]:
        """Images start to stop of the order: as few pieces as MOST_GROUPS allows."""
        labels, folds = self.labels[start:stop], self.folds[start:stop]
        edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
        groups = np.empty(len(labels), dtype=np.int64)
        segments: list[Segment] = []
        begin = n_groups = 0
        for low, high in pairwise(edges):
            span = slice(int(folds[low]), int(folds[high - 1]) + 1)
            size = span.stop - span.start
            if segments and n_groups + size > MOST_GROUPS:
                yield Piece(slice(begin, low), torch.from_numpy(groups[begin:low]), n_groups, tuple(segments))
                begin, n_groups, segments = low, 0, []
            groups[low:high] = folds[low:high] + (n_groups - span.start)
            last = bool(start + high == len(self) or self.labels[start + high] != labels[low])
            segments.append(Segment(int(labels[low]), slice(n_groups, n_groups + size), span, last))
            n_groups += size
        yield Piece(slice(begin, len(labels)), torch.from_numpy(groups[begin:]), n_groups, tuple(segments))


def deal(labels: Int[ndarray, " n"], n_classes: int, n_folds: int, seed: int) -> Plan:
    """Deal each class's images into folds whose sizes differ by at most one, over all images as well.

    Example:
        >>> plan = deal(np.array([1, 0, 1, 0, 1]), n_classes=2, n_folds=2, seed=0)
        >>> plan.labels.tolist(), plan.folds.tolist()
        ([0, 0, 1, 1, 1], [0, 1, 0, 0, 1])
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    folds = np.arange(len(labels)) % n_folds
    final = np.lexsort((folds, labels[by_class]))
    order = by_class[final]
    return Plan(order, labels[order], folds[final], n_classes, n_folds)


class Tally:
    """Adds up what one cut shows of the images as they come.

    Args:
        cut: The cut.
        plan: What is read.
        device: Where Z is.
        start: Place in the order from which on it is read.
    """

    def __init__(self, cut: Cut, plan: Plan, device: torch.device | str = "cpu", start: int = 0) -> None:
        views = 1 + plan.n_folds
        self.cut = cut
        self.layout = Layout.of(cut)
        self.total = Moments.empty(self.layout, plan.n_folds, device)
        self.current = Moments.empty(self.layout, plan.n_folds, device)
        self.begun = plan.carried(start)
        self.head = None if self.begun is None else Moments.empty(self.layout, plan.n_folds, device)
        self.class_count = torch.zeros(views, plan.n_classes, dtype=torch.float64)
        self.class_within = torch.zeros(views, plan.n_classes, dtype=torch.float64)
        self.channel_within = torch.zeros(views, self.layout.channels, dtype=torch.float64, device=device)

    def add(self, z: Float[Tensor, " n *shape"], piece: Piece) -> None:
        """Take in the images of a piece; a class whose last images are in it is closed.

        Raises:
            ModelError: Z has a value that is not finite, or too large to be squared in float32.
        """
        moments = Moments.of(z, self.layout, piece.groups, piece.n_groups)
        if not bool(moments.scatter.isfinite().all()):
            raise ModelError(
                f"Z at {self.cut.name}, and at no cut read before it, has values that are NaN, infinite or above 1e19",
                "Check the model's weights and the range of the images.",
            )
        for segment in piece.segments:
            part = moments.rows(segment.groups)
            if self.head is not None and segment.label == self.begun:
                self.head.rows(segment.folds).absorb(part)
                continue
            whole = segment.last and len(part.count) == len(self.current.count) and not bool(self.current.count.any())
            if not whole:
                self.current.rows(segment.folds).absorb(part)
            if segment.last:
                self._close(segment.label, part if whole else self.current)

    def _close(self, label: int, moments: Moments) -> None:
        pooled = pool(moments)
        self.class_count[:, label] = pooled.count
        self.class_within[:, label] = pooled.scatter.sum(1).cpu()
        self.channel_within += pooled.scatter
        self.total.absorb(moments)
        self.current.clear()

    def join(self, later: "Tally", ended: bool) -> None:
        """Take in the tally of the images right behind these; this one has seen all images before them.

        Args:
            later: Its own state stays as it is.
            ended: Whether a class that both have images of has none behind them.
        """
        if later.head is not None and later.begun is not None:
            self.current.absorb(later.head)
            if ended:
                self._close(later.begun, self.current)
        self.class_count += later.class_count
        self.class_within += later.class_within
        self.channel_within += later.channel_within
        self.total.absorb(later.total)
        self.current.absorb(later.current)

    def scatter(self) -> Scatter:
        """What the pass leaves, once every class is closed."""
        pooled = pool(self.total)
        return Scatter(
            class_count=self.class_count,
            class_within=self.class_within,
            channel_within=self.channel_within.cpu(),
            channel_total=pooled.scatter.cpu(),
            channel_level=self.layout.squares(pooled.mean[None])[0].cpu(),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Its whole state, by reference: writing into them restores it."""
        moments = {
            f"{which}.{part}": getattr(getattr(self, which), part)
            for which in ("total", "current", *(("head",) if self.head is not None else ()))
            for part in ("count", "mean", "scatter")
        }
        own = ("class_count", "class_within", "channel_within")
        return moments | {name: getattr(self, name) for name in own}


def tally_cuts(
    graph: CutGraph,
    images: Images,
    cuts: Sequence[Cut],
    plan: Plan,
    *,
    batch_size: int,
    device: str = "cpu",
    bookmark: Bookmark | None = None,
    span: tuple[int, int] | None = None,
    progress: Progress = silent,
) -> tuple[dict[str, Tally], Int[ndarray, " n"]]:
    """Read the images of a plan, or a part of them, once and tally every cut.

    Args:
        graph: The traced model, already on `device`.
        images: The plan's images.
        cuts: What is tallied.
        plan: In which order they are read.
        batch_size: Images at a time; the figures do not depend on it.
        device: Where the model is.
        bookmark: Where the state is kept meanwhile, and taken up from.
        span: Places in the order from the first to behind the last; all when None.
        progress: Told how far it is, after each batch.

    Returns:
        The tallies by name of the cut, and the index of the largest output for each image.
    """
    start, end = span or (0, len(plan))
    tallies = {cut.name: Tally(cut, plan, device, start) for cut in cuts}
    largest = torch.zeros(len(plan), dtype=torch.long)
    state = state_of(tallies, largest)
    start = (bookmark.restore(state) if bookmark else 0) or start
    while start < end:
        stop = min(start + batch_size, end)
        pieces = tuple(plan.pieces(start, stop))

        def visit(name: str, z: Tensor, pieces: tuple[Piece, ...] = pieces) -> None:
            for piece in pieces:
                tallies[name].add(z[piece.rows], piece)

        index = plan.order[start:stop]
        outputs = read_cuts(graph, images.batch(index).to(device), tuple(tallies), visit)
        largest[index] = outputs.flatten(1).argmax(1).cpu()
        start = stop
        if bookmark:
            bookmark.offer(state, start)
        progress("scan", start, len(plan))
    return tallies, largest.numpy()


def state_of(tallies: Mapping[str, Tally], largest: Int[Tensor, " n"]) -> dict[str, Tensor]:
    """The whole state of a pass, by reference."""
    state = {f"{name}.{part}": tensor for name, tally in tallies.items() for part, tensor in tally.tensors().items()}
    return state | {"largest": largest}
