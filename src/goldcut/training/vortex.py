"""What the representation does while a model trains: recorded epoch by epoch, and at chosen steps split by its causes.

The figures are those of a scan (see goldcut.probe), on a fixed part of the selection images, in eval mode.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import log_softmax

from goldcut.cuts.graph import CutGraph
from goldcut.cuts.split import split_at
from goldcut.cuts.taps import read_cuts
from goldcut.probe.geometry import Scatter
from goldcut.probe.labels import predict
from goldcut.probe.reserves import check_labels
from goldcut.probe.sample import measure_sample
from goldcut.probe.tally import deal, tally_cuts
from goldcut.records import Cut, CutRadius, EpochRow, SplitRow
from goldcut.sources.images import Images
from goldcut.training.labels import one_hot
from goldcut.training.sending import Sending
from goldcut.training.swing import Swing, class_radius_sq, split_step
from goldcut.training.targets import Targets

MEASURED = 500
"""Selection images behind the figures of the cuts."""

SPLIT = 128
"""Selection images behind the split of one step."""

BATCH = 128


@dataclass(frozen=True)
class Open:
    """A split whose step has not been taken yet."""

    step: int
    gamma: float
    radii: dict[str, float]
    swings: dict[str, Swing]


class RadiusMonitor:
    """Records rows; what is shown of them is derived elsewhere.

    Args:
        graph: The traced model, whose weights are those in training; on `device`.
        selection: Selection images.
        cuts: What is watched.
        targets: The label distribution, for the split.
        split_steps: Numbers of steps taken, after which the next step is split.
        steps: Steps of the whole training.
        device: Where the model is.
        seed: Chooses the fixed images.
        sending: The defence behind which the model is judged, if there is one.

    Attributes:
        epochs: A row an epoch so far.
        splits: A row for each watched cut at each chosen step so far.

    Raises:
        DataError: The selection images have no class with two of them.
    """

    def __init__(
        self,
        graph: CutGraph,
        selection: Images,
        cuts: Sequence[Cut],
        targets: Targets,
        *,
        split_steps: Sequence[int] = (),
        steps: int = 1,
        device: str = "cpu",
        seed: int = 0,
        sending: Sending | None = None,
    ) -> None:
        self.graph = graph
        self.selection = selection
        self.cuts = tuple(cuts)
        self.targets = targets
        self.split_steps = frozenset(split_steps)
        self.steps = steps
        self.device = device
        self.seed = seed
        self.sending = sending
        order = np.random.default_rng((seed, 3)).permutation(len(selection))
        self.measured = selection.subset(np.sort(order[:MEASURED]), f"{selection.part}/measured")
        self.split = selection.subset(np.sort(order[:SPLIT]), f"{selection.part}/split")
        if self.cuts:
            check_labels(self.measured.labels, len(self.measured), self.classes)
        self.epochs: list[EpochRow] = []
        self.splits: list[SplitRow] = []
        self._open: Open | None = None

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.graph.output_shape[0]

    def rewind(self, step: int) -> None:
        """Forget what was recorded beyond this step: a resumed or restarted training records it again."""
        self.epochs = [row for row in self.epochs if row.step <= step]
        self.splits = [row for row in self.splits if row.step < step]
        self._open = None

    def stand(self, step: int, gamma: float) -> bool:
        """To be called between two steps; tells whether rows were added.

        Args:
            step: Steps taken.
            gamma: Learning rate of the next step.
        """
        added = self._close(step)
        if self.cuts and step in self.split_steps:
            self._open = self._look(step, gamma)
        return added

    def end_epoch(self, epoch: int, step: int, rate: float) -> EpochRow:
        """Record the state of the model."""
        logits = judge(self.graph, self.selection, self.sending, device=self.device, seed=self.seed)
        labels = torch.from_numpy(self.selection.labels)
        log_p = log_softmax(logits.double(), 1)
        row = EpochRow(
            epoch=epoch,
            step=step,
            rate=rate,
            accuracy=float((logits.argmax(1) == labels).double().mean()),
            cross_entropy=float(-log_p.gather(1, labels[:, None]).mean()),
            entropy=float(-(log_p.exp() * log_p).sum(1).mean()),
            images=len(self.measured),
            cuts=measure_cuts(self.graph, self.measured, self.cuts, device=self.device, seed=self.seed),
        )
        self.epochs = [*(old for old in self.epochs if old.epoch != epoch), row]
        return row

    def _look(self, step: int, gamma: float) -> Open:
        z = self._read()
        images, labels = self._batch()
        targets = self._taught(images, labels, step / self.steps)
        swings = {}
        for cut in self.cuts:
            cloud = _identity if cut.level == "output" else split_at(self.graph, cut.name).cloud
            swings[cut.name] = split_step(cloud, z[cut.name], labels, targets, gamma)
        return Open(step, gamma, {name: class_radius_sq(one.flatten(1), labels) for name, one in z.items()}, swings)

    def _close(self, step: int) -> bool:
        """Turn the open split into rows, now that its step was taken."""
        held, self._open = self._open, None
        if held is None or step != held.step + 1:
            return False
        _, labels = self._batch()
        after = {name: class_radius_sq(one.flatten(1), labels) for name, one in self._read().items()}
        for cut in self.cuts:
            swing = held.swings[cut.name]
            self.splits.append(
                SplitRow(
                    cut=cut.name,
                    step=held.step,
                    gamma=held.gamma,
                    images=len(self.split),
                    radius_sq=held.radii[cut.name],
                    pull=swing.pull,
                    interference=swing.interference,
                    second_order=swing.second_order,
                    past_flip=swing.past_flip,
                    change=after[cut.name] - held.radii[cut.name],
                )
            )
        return True

    def _batch(self) -> tuple[Tensor, Tensor]:
        images = self.split.batch(range(len(self.split))).to(self.device)
        return images, torch.from_numpy(self.split.labels).to(self.device)

    def _read(self) -> dict[str, Tensor]:
        images, _ = self._batch()
        kept: dict[str, Tensor] = {}
        read_cuts(self.graph, images, [cut.name for cut in self.cuts], lambda name, z: kept.setdefault(name, z.clone()))
        return kept

    def _taught(self, images: Tensor, labels: Tensor, share: float) -> Float[Tensor, "n k"]:
        """q of the fixed images: the rule's; that of the single images where the rule blends."""
        if self.targets.blends:
            return one_hot(labels, self.classes)
        return self.targets.lesson(images, labels, self.classes, share, torch.Generator().manual_seed(0)).targets


def judge(
    graph: CutGraph, images: Images, sending: Sending | None, *, device: str = "cpu", seed: int = 0
) -> Float[Tensor, "n k"]:
    """The logits, of what is sent where there is a defence."""
    if sending is None:
        return predict(graph, images, batch_size=BATCH, device=device)
    return sending.answers(graph, images, device=device, seed=seed)


def measure_cuts(
    graph: CutGraph, images: Images, cuts: Sequence[Cut], *, device: str = "cpu", seed: int = 0
) -> tuple[CutRadius, ...]:
    """R_c^2, the shares by true and by predicted labels, and the effective rank of Z at cuts."""
    if not cuts:
        return ()
    classes = graph.output_shape[0]
    truth, predicted = _scatters(graph, images, images.labels, cuts, classes, device)
    one_class = len(np.unique(predicted)) < 2
    by_model = {} if one_class else _scatters(graph, images, predicted, cuts, classes, device)[0]
    sample = measure_sample(graph, images, cuts, batch_size=BATCH, device=device, seed=seed)
    rows = []
    for cut in cuts:
        own, other = truth[cut.name], by_model.get(cut.name)
        radius_sq = float(own.radius_sq()[0])
        rows.append(
            CutRadius(
                cut=cut.name,
                radius_sq=radius_sq,
                radius_sq_per_element=radius_sq / cut.elements,
                total_variance=float(own.total_variance()[0]),
                within_share=float(own.within_share()[0]),
                within_share_standardised=float(own.within_share_standardised()[0]),
                radius_sq_predicted=_finite(float(other.radius_sq()[0])) if other else None,
                within_share_predicted=float(other.within_share()[0]) if other else None,
                within_share_standardised_predicted=float(other.within_share_standardised()[0]) if other else None,
                effective_rank=sample.ranks[cut.name],
            )
        )
    return tuple(rows)


def _scatters(
    graph: CutGraph, images: Images, labels: Int[ndarray, " n"], cuts: Sequence[Cut], classes: int, device: str
) -> tuple[dict[str, Scatter], Int[ndarray, " n"]]:
    plan = deal(labels, classes, n_folds=1, seed=0)
    tallies, predicted = tally_cuts(graph, images, cuts, plan, batch_size=BATCH, device=device)
    return {name: tally.scatter() for name, tally in tallies.items()}, predicted


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _identity(z: Tensor) -> Tensor:
    return z
