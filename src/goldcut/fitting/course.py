"""Where a training is, when its rate is lowered, and when it ends.

It trains until flat. The rate is kept while the selection score still falls, lowered step by step, from the
best state on, when it does not, and the training ends when the last rate is reached and the last quarter of all steps
improved the best selection score by less than 1 %, or at `max_steps`. Towards `max_steps` the rate is
lowered in any case, but not before three quarters of them: what the lower rate gains then falls into
the last quarter, so that a training cut short cannot look converged.
"""

from dataclasses import dataclass, field

from goldcut.errors import AttackError

FLAT = 0.01
"""Less than this relative gain in the last quarter of the training is called converged."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        max_steps: Cap of the optimisation steps.
        batch: Samples per step; fewer where there are fewer samples.
        rate: First learning rate.
        weight_decay: Decoupled weight decay (Loshchilov, Hutter: Decoupled Weight Decay Regularization, 2019).
        round_steps: Steps between two selection scores.
        factor: What the rate is multiplied by when the score is flat.
        reductions: How often that happens at most.
        restarts: How often a training that diverged or collapsed starts anew, at `factor` times the rate.
        muon: Whether weight matrices step along their orthogonalised momentum, or all as AdamW has it; see Muon.
        averaged: Whether the weights that are scored and kept are an average over the last steps; see Average.
        checkpoint_seconds: Least time between two checkpoints.
    """

    max_steps: int = 5000
    batch: int = 64
    rate: float = 1e-3
    weight_decay: float = 1e-2
    round_steps: int = 100
    factor: float = 0.3
    reductions: int = 3
    restarts: int = 2
    muon: bool = False
    averaged: bool = False
    checkpoint_seconds: float = 20.0


@dataclass(frozen=True)
class Fitted:
    """What came of a training; the model holds the state of the best round, in eval mode.

    Attributes:
        score: Best selection score.
        converged: Whether the last quarter of the steps improved the best score by less than 1 %.
        steps: Steps of the run that counts, restarts left out.
        scores: Selection score of every round.
        restarts: How often it diverged or collapsed.
    """

    score: float
    converged: bool
    steps: int
    scores: tuple[float, ...]
    restarts: int


def gain_since(scores: list[float], since: float) -> float:
    """Relative gain of the best score over the rounds after the share `since` of them.

    Infinite where no round lies before, so that nothing is called flat too early.

    Example:
        >>> round(gain_since([1.0, 0.5, 0.4, 0.36], 0.75), 6)
        0.1
    """
    before = scores[: int(len(scores) * since)]
    if not before:
        return float("inf")
    best = min(before)
    return (best - min(scores)) / best if best > 0 else 0.0


def is_converged(scores: list[float]) -> bool:
    """Whether the last quarter of the rounds improved the best score by less than 1 %."""
    return len(scores) >= 4 and gain_since(scores, 0.75) < FLAT


@dataclass
class Course:
    """Where a training is; all of it goes into the checkpoint."""

    step: int = 0
    reductions: int = 0
    reduced_at: int = 0
    restarts: int = 0
    scores: list[float] = field(default_factory=list)

    def rate(self, settings: Settings) -> float:
        """The learning rate."""
        return settings.rate * settings.factor ** (self.restarts + self.reductions)

    def is_full(self, settings: Settings) -> bool:
        """Whether the steps are used up."""
        return bool(self.scores) and self.step >= settings.max_steps

    def is_over(self, settings: Settings) -> bool:
        """Whether the steps are used up, or the score is flat at the last rate."""
        flat = self.reductions >= settings.reductions and is_converged(self.scores)
        return self.is_full(settings) or (bool(self.scores) and flat)

    def lower_rate(self, settings: Settings) -> bool:
        """Lower the rate where the score is flat, or where the cap comes near; tells whether it did."""
        if self.reductions >= settings.reductions:
            return False
        rounds = len(self.scores)
        window = max(3, rounds // 8)
        waited = (self.step - self.reduced_at) // settings.round_steps > window
        flat = waited and gain_since(self.scores, (rounds - window) / rounds) < FLAT / 2
        forced = 0.75 + 0.25 * self.reductions / (settings.reductions + 1)
        if not flat and self.step < forced * settings.max_steps:
            return False
        self.reductions += 1
        self.reduced_at = self.step
        return True

    def has_collapsed(self, settings: Settings, ceiling: float) -> bool:
        """Whether even the best score makes no sense when it is time for it to do so."""
        return min(self.scores) > ceiling and (self.reductions > 0 or self.step >= settings.max_steps)

    def restart(self, settings: Settings, task: str) -> "Course":
        """A new one at a lower rate.

        Raises:
            AttackError: There were enough of them.
        """
        if self.restarts >= settings.restarts:
            raise AttackError(
                f"{task} diverged or collapsed {self.restarts + 1} times, last at rate {self.rate(settings):.1e}",
                "Look at the scale of Z at this cut: values near the limits of float32 cannot be trained on.",
            )
        return Course(restarts=self.restarts + 1)
