"""Scoring reconstructions of the victims; the only place that sees a victim's pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from goldcut.attacks.features import enlarge, shrink
from goldcut.metrics.bootstrap import bootstrap_mean, bootstrap_ratio
from goldcut.metrics.identification import identification_per_victim
from goldcut.metrics.pixel import cosine_per_image, mse_per_image, psnr, psnr_per_image_mean
from goldcut.metrics.structure import ssim_per_image
from goldcut.metrics.witness import Witness
from goldcut.records import Scores
from goldcut.sources.images import Images

_BATCH = 64


@dataclass(frozen=True, eq=False)
class Judge:
    """The victims and what their reconstructions are measured against.

    Attributes:
        images: The victims.
        shape: (C, H, W) at which reconstructions come.
        mean_image: (C, H, W) mean of the attacker's training images at the model's size.
        same_data: Whether the attacker's images come from the victims' data set.
        seed: Of the bootstrap and of the groups of identification.
        labels: Label that the model predicts for each victim; None without logits.
        class_means: (n, C, H, W) the class-mean image of each victim's label; None without logits.
        witnesses: Networks of the user that look at the reconstructions too.
    """

    images: Images
    shape: tuple[int, int, int]
    mean_image: Float[Tensor, "c h w"]
    same_data: bool
    seed: int
    labels: Int[np.ndarray, " n"] | None = None
    class_means: Float[Tensor, "n c h_small w_small"] | None = None
    witnesses: tuple[Witness, ...] = ()

    def with_labels(self, labels: Int[np.ndarray, " n"], class_means: Float[Tensor, "n c h_small w_small"]) -> "Judge":
        """The same judge, told what the model predicts for the victims."""
        return replace(self, labels=labels, class_means=class_means)

    def first(self, count: int | None) -> "Judge":
        """The same judge for the first victims alone; None for all of them."""
        if count is None or count >= len(self.images):
            return self
        return replace(
            self,
            images=self.images.subset(np.arange(count), self.images.part),
            labels=None if self.labels is None else self.labels[:count],
            class_means=None if self.class_means is None else self.class_means[:count],
        )

    @cached_property
    def victims(self) -> Float[Tensor, "n c h w"]:
        """The victims at the size of the attack."""
        parts = [shrink(self._batch(start), self.shape) for start in range(0, len(self.images), _BATCH)]
        return torch.cat(parts)

    @cached_property
    def small_mean(self) -> Float[Tensor, "1 c h w"]:
        """The attacker's mean image at the size of the attack: averaging and the mean commute."""
        return shrink(self.mean_image[None], self.shape)

    def score(self, made: Float[Tensor, "n c h w"]) -> Scores:
        """All figures of reconstructions, one for each victim in order."""
        return self.summarise(self.per_victim(made))

    def summarise(self, figures: Mapping[str, Float[np.ndarray, " n"]]) -> Scores:
        """What `per_victim` found, over the victims."""
        errors = figures["mse"]
        mse = float(errors.mean())
        against_mean = self._against(self.small_mean)
        low, high = bootstrap_ratio(errors, against_mean, seed=self.seed)
        mse_low, mse_high = bootstrap_mean(errors, seed=self.seed)
        own = None if self.same_data else self._against(self.victims.mean(0, keepdim=True))
        by_class = None if self.class_means is None else self._against(self.class_means)
        shares = figures.get("identification", np.empty(0))
        found = shares[np.isfinite(shares)]
        found_low, found_high = bootstrap_mean(found, seed=self.seed) if len(found) else (None, None)
        return Scores(
            mse=mse,
            mse_low=mse_low,
            mse_high=mse_high,
            mse_channel_sum=mse * self.shape[0],
            psnr=psnr(mse),
            psnr_mean_of_images=psnr_per_image_mean(torch.from_numpy(errors)),
            cosine=float(figures["cosine"].mean()),
            ssim=float(figures["ssim"].mean()) if "ssim" in figures else None,
            recovered=recovered(errors, against_mean),
            recovered_low=1 - high,
            recovered_high=1 - low,
            recovered_own_mean=None if own is None else recovered(errors, own),
            beyond_label=None if by_class is None else recovered(errors, by_class),
            identification=float(found.mean()) if len(found) else None,
            identification_low=found_low,
            identification_high=found_high,
            identification_victims=len(found),
            **self._witnessed(figures),
        )

    def per_victim(self, made: Float[Tensor, "n c h w"]) -> dict[str, Float[np.ndarray, " n"]]:
        """The figures of each victim by name; identification is 0, 1 or a share of a tie, NaN without 19 others."""
        errors, similarity = self._errors(made), ssim_per_image(made, self.victims)
        figures = {
            "mse": errors,
            "psnr": np.array([psnr(float(error)) for error in errors]),
            "cosine": cosine_per_image(made, self.victims).numpy(),
        }
        if similarity is not None:
            figures["ssim"] = similarity.numpy()
        if self.labels is not None:
            figures["identification"] = identification_per_victim(made, self.victims, self.labels, seed=self.seed)
        for witness in self.witnesses:
            figures[witness.figure] = witness.per_image(self._in_view(made), self._in_view(self.victims)).numpy()
        return figures

    def _witnessed(self, figures: Mapping[str, Float[np.ndarray, " n"]]) -> dict[str, float]:
        """Means and limits of what the witnesses said."""
        said: dict[str, float] = {}
        for name in (witness.figure for witness in self.witnesses):
            low, high = bootstrap_mean(figures[name], seed=self.seed)
            said |= {name: float(figures[name].mean()), f"{name}_low": low, f"{name}_high": high}
        return said

    def _in_view(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h_full w_full"]:
        """Images at the size of the data, as a witness takes them."""
        return images if images.shape[1:] == self.images.shape else enlarge(images, self.images.shape)

    def recovered_full_size(self, made: Float[Tensor, "n c h w"]) -> float | None:
        """`recovered` of the enlarged reconstructions at the model's size; None where the attack works at it."""
        if self.shape == self.images.shape:
            return None
        errors, zero = 0.0, 0.0
        for start in range(0, len(self.images), _BATCH):
            truth = self._batch(start)
            errors += float(mse_per_image(enlarge(made[start : start + _BATCH], self.images.shape), truth).sum())
            zero += float(mse_per_image(self.mean_image.expand_as(truth), truth).sum())
        return 1 - errors / zero if zero > 0 else 0.0

    def ceiling(self) -> float | None:
        """`recovered_full_size` of the victims themselves: what the size of the attack alone costs."""
        return self.recovered_full_size(self.victims)

    def _batch(self, start: int) -> Tensor:
        return self.images.batch(np.arange(start, min(start + _BATCH, len(self.images))))

    def _errors(self, made: Tensor) -> Float[np.ndarray, " n"]:
        return np.asarray(mse_per_image(made, self.victims))

    def _against(self, constant: Tensor) -> Float[np.ndarray, " n"]:
        return self._errors(constant.expand_as(self.victims))


def recovered(errors: Float[np.ndarray, " n"], zero: Float[np.ndarray, " n"]) -> float:
    """1 - mean(errors) / mean(zero), not clipped; 0 where the zero of the scale is no error at all."""
    return float(1 - errors.mean() / zero.mean()) if zero.mean() > 0 else 0.0


def mean_of(images: Images) -> Float[Tensor, "c h w"]:
    """The mean image, summed in float64."""
    total = torch.zeros(images.shape, dtype=torch.float64)
    for start in range(0, len(images), _BATCH):
        total += images.batch(np.arange(start, min(start + _BATCH, len(images)))).sum(0, dtype=torch.float64)
    return (total / len(images)).float()
