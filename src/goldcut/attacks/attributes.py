"""What Z says without any pixels: the class and the attributes of a victim, by probes and by its neighbours.

Alain, Bengio: Understanding Intermediate Layers Using Linear Classifier Probes, 2017; as an attack on what is sent
Song, Raghunathan: Information Leakage in Embedding Models, 2020.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from goldcut.attacks.base import BATCH, Sample, View
from goldcut.attacks.linear import principal_axes
from goldcut.attacks.transforms import choose_transform
from goldcut.fitting import Settings, fit
from goldcut.metrics.bootstrap import bootstrap_mean
from goldcut.networks.decoders import seeded_weights
from goldcut.progress import Progress, silent
from goldcut.records import LABEL, Inferred, Knowledge

INVERSE_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
"""Candidates of scikit-learn's C for the linear probe."""

WEIGHT_DECAYS = (1e-2, 1.0)
"""Candidates for the network."""

TIES = 1e-6
"""Cosines that differ by less differ by the rounding of float32."""

Labels = Int[np.ndarray, " n"]
Kind = Literal["linear", "mlp", "retrieval"]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Regressors (n, d) made of Z, and labels (n,)."""

    z: Float[Tensor, "n d"]
    labels: Labels


@dataclass(frozen=True)
class Probe:
    """Probes for class and attributes, learned from the attacker's pairs with Z, and a look at the neighbours.

    Attributes:
        most: Regressors at most; a larger Z is rotated to its leading principal axes.
        axes_from: Training images behind the principal axes.
        images: Training images at most.
        hidden: Hidden units of the network.
        settings: How the network is trained.
    """

    most: int = 512
    axes_from: int = 2048
    images: int = 8192
    hidden: int = 256
    settings: Settings = field(default_factory=lambda: Settings(max_steps=1000, batch=128, round_steps=50))

    @property
    def name(self) -> str:
        return "attributes"

    @property
    def needs(self) -> Knowledge:
        """What the attacker must know at least."""
        return "queries"

    def infer(
        self,
        view: View,
        z: Float[Tensor, "m ..."],
        classes: Labels,
        *,
        attributes: Mapping[str, Labels] | None = None,
        n_classes: int = 0,
        cut: str,
        seed: int,
        progress: Progress = silent,
    ) -> tuple[Inferred, ...]:
        """How well class and attributes of the victims are inferred by probes and by the nearest victim.

        Args:
            view: The attacker's pairs: with the classes that it knows, else with the labels that the model predicts;
                and with the attributes that it knows.
            z: Z of the victims.
            classes: The victims' true classes; they score the probes and nothing else.
            attributes: The same of their attributes.
            n_classes: How many classes there are, where the victims are not of all of them.
            cut: Name of the cut.
            seed: The same seed gives the same figures.
            progress: Told how far it is.

        Returns:
            Of each target three figures: a linear probe, a network, the nearest victim; the last alone where the
            attacker does not know the target of its own images. A target that all victims share is left out.
        """
        targets = {LABEL: classes, **(attributes or {})}
        targets = {name: values for name, values in targets.items() if len(np.unique(values)) > 1}
        samples = (view.training, view.selection)
        rows = np.sort(np.random.default_rng((seed, 15)).permutation(len(view.training))[: self.images])
        numbered = max(int(classes.max()) + 1, n_classes)
        known = {
            name: pair
            for name, values in targets.items()
            if (pair := _known(name, samples, rows, numbered)) is not None and np.isin(values, pair[0]).any()
        }
        found: list[Inferred] = []

        def file(name: str, probe: Kind, right: Tensor, chance: float, since: float) -> None:
            values = right.double().numpy()
            low, high = bootstrap_mean(values, seed=seed)
            found.append(
                Inferred(
                    cut=cut,
                    probe=probe,
                    target=name,
                    accuracy=float(values.mean()),
                    accuracy_low=low,
                    accuracy_high=high,
                    chance=chance,
                    classes=len(np.unique(targets[name])),
                    victims=len(classes),
                    seconds=monotonic() - since,
                )
            )
            progress(self.name, len(found), 3 * len(targets))

        if known:
            reduce = self._reduction(view, torch.from_numpy(rows), seed)
            seen = [reduce(part) for part in (view.training.features[rows], view.selection.features, z)]
        for name, true in targets.items():
            if name in known:
                started = monotonic()
                own, other = (Pairs(part, labels) for part, labels in zip(seen, known[name], strict=False))
                majority = float(np.bincount(true).max() / len(true))
                file(name, "linear", torch.from_numpy(learn_linear(own, other)(seen[2]) == true), majority, started)
                started = monotonic()
                network = self._learn_network(own, other, view.device, seed, progress)
                file(name, "mlp", torch.from_numpy(network(seen[2]) == true), majority, started)
            started = monotonic()
            file(name, "retrieval", nearest_is_same(z, true), expected_same(true), started)
        return tuple(found)

    def _reduction(self, view: View, rows: Tensor, seed: int) -> Callable[[Tensor], Tensor]:
        """From Z to regressors of mean square 1: transformed, and rotated where it is long."""
        transform = choose_transform(view, seed=seed).to("cpu")
        spread = torch.linspace(0, len(rows) - 1, min(self.axes_from, len(rows))).long()
        few = transform(view.training.features[rows[spread]]).flatten(1)
        axes = principal_axes(few, self.most) if few.shape[1] > self.most else None
        if axes is not None and axes.shape[1] == 0:  # Z is constant
            axes = few.new_zeros(few.shape[1], 1)
        scale = (few if axes is None else few @ axes).square().mean().sqrt().clamp_min(1e-12)

        def reduce(z: Tensor) -> Tensor:
            parts = (transform(part.cpu()).flatten(1) for part in torch.split(z, BATCH))
            return torch.cat([(part if axes is None else part @ axes) / scale for part in parts])

        return reduce

    def _learn_network(
        self, own: Pairs, other: Pairs, device: str, seed: int, progress: Progress
    ) -> Callable[[Tensor], Labels]:
        """A network with one hidden layer, its weight decay chosen by the cross-entropy on selection images."""
        outputs = int(max(own.labels.max(), other.labels.max())) + 1
        z, labels = own.z.to(device), torch.from_numpy(own.labels).to(device)
        z_other, labels_other = other.z.to(device), torch.from_numpy(other.labels).to(device)

        def learn(decay: float) -> tuple[float, nn.Module]:
            with seeded_weights(seed):
                network = nn.Sequential(
                    nn.Linear(z.shape[1], self.hidden), nn.ReLU(), nn.Linear(self.hidden, outputs)
                ).to(device)
            fitted = fit(
                network,
                lambda index, noise: functional.cross_entropy(network(z[index]), labels[index]),
                lambda: float(functional.cross_entropy(network(z_other), labels_other)),
                samples=len(z),
                settings=replace(self.settings, weight_decay=decay),
                seed=seed,
                task=self.name,
                progress=progress,
            )
            return fitted.score, network

        _, best = min((learn(decay) for decay in WEIGHT_DECAYS), key=lambda one: one[0])

        @torch.no_grad()
        def guess(seen: Tensor) -> Labels:
            return np.asarray(best(seen.to(device)).argmax(1).cpu())

        return guess


def _known(name: str, samples: tuple[Sample, Sample], rows: Labels, classes: int) -> tuple[Labels, Labels] | None:
    """What the attacker knows of some training images and its selection images; None where it can learn nothing."""
    training, selection = (_labels(one) if name == LABEL else one.attributes.get(name) for one in samples)
    if training is None or selection is None or len(np.unique(training[rows])) < 2:
        return None
    # Labels that a model predicts may number other classes: a model of 1,000 classes does not number the victims' 10.
    told = name != LABEL or samples[0].classes is not None or int(training.max()) < classes
    return (training[rows], selection) if told else None


def _labels(sample: Sample) -> Labels | None:
    return sample.labels if sample.classes is None else sample.classes


def learn_linear(own: Pairs, other: Pairs) -> Callable[[Tensor], Labels]:
    """Multinomial logistic regression with the penalty that is most often right on selection images."""
    from sklearn.linear_model import LogisticRegression

    models = [LogisticRegression(C=one, max_iter=1000).fit(own.z.numpy(), own.labels) for one in INVERSE_PENALTIES]
    best = max(models, key=lambda model: float(model.score(other.z.numpy(), other.labels)))
    return lambda seen: np.asarray(best.predict(seen.numpy()))


def nearest_is_same(z: Float[Tensor, "m ..."], classes: Labels) -> Float[Tensor, " m"]:
    """Whether the other victim with the largest cosine of Z is of the same class; the share of them where some tie.

    Nobody learns anything for this: who sees Z of two users sees that their images show the same.
    """
    flat = functional.normalize(z.flatten(1).cpu(), dim=1)
    own = torch.from_numpy(classes)
    shares = []
    for rows in torch.split(torch.arange(len(flat)), BATCH):
        cosines = flat[rows] @ flat.T
        cosines[torch.arange(len(rows)), rows] = -torch.inf
        nearest = cosines >= cosines.amax(1, keepdim=True) - TIES
        same = own[rows, None] == own[None]
        shares.append((nearest & same).sum(1) / nearest.sum(1))
    return torch.cat(shares)


def expected_same(classes: Labels) -> float:
    """How often another victim, drawn at random, is of the same class.

    Example:
        >>> expected_same(np.array([0, 0, 1, 1]))
        0.3333333333333333
    """
    counts = np.bincount(classes)
    return float((counts * (counts - 1)).sum() / (len(classes) * (len(classes) - 1)))
