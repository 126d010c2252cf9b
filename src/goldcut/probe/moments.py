"""Count, mean and scatter of groups of representations: streamed, exact, mergeable, in float64.

Merging follows T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating Formulae and a Pairwise Algorithm
for Computing Sample Variances" (1979). A batch is summed in float32 around the mean of
its own first samples, so that nothing cancels, and everything after that is float64.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from goldcut.records import Cut

PILOT = 8
"""Samples whose mean a batch is centred on before it is summed in float32."""

CACHED = 2**19
"""Elements handled at a time: few enough to stay in the cache between two passes, enough to hide the calls."""

LONG = 16
"""Positions from which a norm over them is faster than squaring all and summing."""


@dataclass(frozen=True)
class Layout:
    """Where the channels of a flattened Z are: Z read as (before, channels, after).

    A map (C, H, W) is (1, C, H W), tokens (T, D) are (T, D, 1), a vector (D,) is (1, D, 1).

    Example:
        >>> Layout.of_cut("tokens", (65, 192))
        Layout(before=65, channels=192, after=1)
    """

    before: int
    channels: int
    after: int

    @classmethod
    def of_cut(cls, kind: str, shape: Sequence[int]) -> "Layout":
        """The layout of a cut's Z: channels of maps, embedding dimensions of tokens, features of vectors."""
        if kind == "map":
            return cls(1, shape[0], math.prod(shape[1:]))
        if kind == "tokens":
            return cls(math.prod(shape[:-1]), shape[-1], 1)
        return cls(1, math.prod(shape), 1)

    @classmethod
    def of(cls, cut: Cut) -> "Layout":
        """The layout of Z at a cut."""
        return cls.of_cut(cut.kind, cut.shape)

    @property
    def elements(self) -> int:
        """Number of elements of Z per sample."""
        return self.before * self.channels * self.after

    def squares(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n channels"]:
        """Sum of squares over all positions of each channel, in float64."""
        if self.after >= LONG:
            norms: Tensor = torch.linalg.vector_norm(rows.view(-1, self.channels, self.after), dim=2)
            return norms.double().square_()
        return self.totals(rows.square())

    def totals(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n channels"]:
        """Sum over all positions of each channel, in float64."""
        return rows.view(-1, self.before, self.channels, self.after).sum((1, 3), dtype=torch.float64)


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of `g` groups of samples; groups without samples count 0.

    Attributes:
        layout: Where the channels are.
        count: Samples in each group.
        mean: Mean Z of each group.
        scatter: Per channel, the sum of squared distances to the group's mean.

    Example:
        >>> z = torch.tensor([[1.0, 2.0], [3.0, 2.0], [8.0, -1.0]])
        >>> both = Moments.of(z[:2], Layout(1, 2, 1)).merge(Moments.of(z[2:], Layout(1, 2, 1)))
        >>> both.count.tolist(), round(both.scatter.sum().item(), 9)
        ([3.0], 32.0)
    """

    layout: Layout
    count: Float[Tensor, " g"]
    mean: Float[Tensor, "g d"]
    scatter: Float[Tensor, "g k"]

    @classmethod
    def empty(cls, layout: Layout, groups: int = 1, device: torch.device | str = "cpu") -> "Moments":
        """Moments of no samples."""
        return cls(
            layout,
            torch.zeros(groups, dtype=torch.float64),
            torch.zeros(groups, layout.elements, dtype=torch.float64, device=device),
            torch.zeros(groups, layout.channels, dtype=torch.float64, device=device),
        )

    @classmethod
    def of(
        cls,
        z: Float[Tensor, " n *shape"],
        layout: Layout,
        groups: Int[Tensor, " n"] | None = None,
        n_groups: int = 1,
    ) -> "Moments":
        """Moments of a batch.

        Args:
            z: At least one sample; read as float32.
            layout: Where the channels are.
            groups: Group of each sample in [0, n_groups); everything is group 0 when left out.
                Fastest when equal groups lie together.
            n_groups: Number of groups.
        """
        rows = z.reshape(len(z), -1).float()
        into = torch.zeros(len(rows), dtype=torch.long) if groups is None else groups
        count = torch.bincount(into, minlength=n_groups).double()
        into = into.to(rows.device)
        shift = rows[:PILOT].mean(0)
        sums = rows.new_zeros(n_groups, layout.elements)
        squares = sums.new_zeros(sums.shape) if layout.after < LONG else None
        scatter = sums.new_zeros(n_groups, layout.channels, dtype=torch.float64)
        size = _chunk(rows)
        buffer = rows.new_empty(min(size, len(rows)), layout.elements)
        for start in range(0, len(rows), size):
            part, where = rows[start : start + size], into[start : start + size]
            deviation = torch.sub(part, shift, out=buffer[: len(part)])
            sums.index_add_(0, where, deviation)
            if squares is None:
                scatter.index_add_(0, where, layout.squares(deviation))
            else:
                squares.index_add_(0, where, deviation.square_())
        if squares is not None:
            scatter += layout.totals(squares)
        each = count.to(rows.device).clamp(min=1)[:, None]
        sums /= each.float()
        scatter.sub_(layout.squares(sums) * each).clamp_(min=0)
        mean = torch.add(sums, shift.double())
        for empty in (count == 0).nonzero():
            mean[empty] = 0
        return cls(layout, count, mean, scatter)

    def merge(self, other: "Moments") -> "Moments":
        """Moments of the samples of both, group by group; associative up to rounding."""
        return Moments(self.layout, self.count.clone(), self.mean.clone(), self.scatter.clone()).absorb(other)

    def absorb(self, other: "Moments") -> "Moments":
        """Merge `other` into this object, in place, and return it."""
        if not bool(self.count.any()):
            for mine, theirs in ((self.count, other.count), (self.mean, other.mean), (self.scatter, other.scatter)):
                mine.copy_(theirs)
            return self
        total = self.count + other.count
        share = other.count / total.clamp(min=1)
        delta = other.mean - self.mean
        self.scatter.add_(other.scatter)
        self.scatter.addcmul_((self.count * share).to(delta.device)[:, None], self.layout.squares(delta))
        self.mean.addcmul_(delta, share.to(delta.device)[:, None])
        self.count.copy_(total)
        return self

    def rows(self, groups: slice) -> "Moments":
        """A view on some groups; absorbing into it changes this object."""
        return Moments(self.layout, self.count[groups], self.mean[groups], self.scatter[groups])

    def clear(self) -> None:
        """Forget all samples."""
        self.count.zero_()
        self.mean.zero_()
        self.scatter.zero_()


@dataclass(frozen=True)
class Pooled:
    """All groups taken together (row 0), then all but group f (row 1 + f).

    Attributes:
        count: Samples.
        scatter: Per channel, the sum of squared distances to the mean of those samples.
        mean: Mean of all samples.
    """

    count: Float[Tensor, " views"]
    scatter: Float[Tensor, "views k"]
    mean: Float[Tensor, " d"]


def pool(moments: Moments) -> Pooled:
    """Moments of all groups together, and of all but one, without looking at a sample again.

    With n_f, m_f, S_f of group f and n, m of all: S = sum_f S_f + n_f |m_f - m|^2, and without group f
    S - S_f - n n_f / (n - n_f) |m_f - m|^2 (Chan et al. solved for the other part).
    """
    counts = moments.count.tolist()
    n = sum(counts)
    mean = moments.count.to(moments.mean.device) @ moments.mean / max(n, 1)
    apart = moments.layout.squares(moments.mean - mean)
    weight = moments.count.to(apart.device)[:, None]
    everything = (moments.scatter + weight * apart).sum(0)
    rest = n - weight
    without = everything - moments.scatter - weight * n / rest.clamp(min=1) * apart
    without = torch.where(rest > 1, without.clamp(min=0), 0.0)
    return Pooled(
        count=torch.cat([torch.tensor([n], dtype=torch.float64), n - moments.count]),
        scatter=torch.cat([everything[None], without]),
        mean=mean,
    )


def _chunk(rows: Float[Tensor, "n d"]) -> int:
    """Rows handled at a time."""
    return len(rows) if rows.is_cuda else max(1, CACHED // rows.shape[1])
