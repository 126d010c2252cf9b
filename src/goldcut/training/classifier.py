"""A classifier trained by a recipe, through the one training loop."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from goldcut.errors import AttackError, TrainingError
from goldcut.fitting import Fitted, Settings, fit
from goldcut.progress import Progress, silent
from goldcut.sources.images import Images
from goldcut.training.augment import AUGMENTATIONS
from goldcut.training.losses import Answers, Loss
from goldcut.training.sending import Draw, Sending
from goldcut.training.taps import tapped
from goldcut.training.targets import Targets
from goldcut.training.vortex import RadiusMonitor

RISE, LOW = 0.05, 0.1
"""The rate starts at a tenth and reaches its full size after 5 % of the steps."""

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained.

    Attributes:
        targets: The label distribution.
        loss: What is made small.
        modules: Cut to module, for the cuts that the loss acts on ("output" needs none).
        acts_on: These cuts, in order.
        epochs: Passes over the training images; the incomplete last batch of each is left out.
        batch: Images a step.
        rate: Highest learning rate of AdamW; it falls to 0 along half a cosine.
        weight_decay: Decoupled.
        augment: One of AUGMENTATIONS.
        sending: The defence in the path, if there is one.
        precision: One of PRECISIONS; "auto" is bfloat16 on a GPU, with float32 weights, and float32 elsewhere.
    """

    targets: Targets
    loss: Loss
    modules: dict[str, str]
    acts_on: tuple[str, ...] = ()
    epochs: int = 10
    batch: int = 128
    rate: float = 1e-3
    weight_decay: float = 1e-2
    augment: str = "none"
    precision: str = "auto"
    sending: Sending | None = None


def cosine(share: float) -> float:
    """The rate by the share of the steps: up in a line, down along half a cosine.

    Example:
        >>> [round(cosine(share), 3) for share in (0.0, 0.025, 0.05, 0.525, 1.0)]
        [0.1, 0.5, 1.0, 0.5, 0.0]
    """
    if share < RISE:
        return max(LOW, share / RISE)
    return 0.5 * (1 + math.cos(math.pi * (share - RISE) / (1 - RISE)))


def steps_per_epoch(images: int, batch: int) -> int:
    """Full batches in a pass over the images."""
    return images // min(batch, images)


def train_classifier(
    model: nn.Module,
    training: Images,
    recipe: Recipe,
    monitor: RadiusMonitor,
    *,
    seed: int,
    device: str = "cpu",
    checkpoint: Path | None = None,
    recorded: Callable[[], None] = lambda: None,
    progress: Progress = silent,
) -> Fitted:
    """Train in place and leave the epoch with the lowest error on the selection images in the model.

    Epochs before the targets are in full force are not selected.

    Args:
        model: Takes images in [0, 1]; on `device`.
        training: What it is trained on.
        recipe: How.
        monitor: Judges every epoch; its rows are the history.
        seed: Of order, chance and augmentation.
        device: Where the model is.
        checkpoint: File that an interrupted call leaves and the next one goes on from.
        recorded: Called after the monitor has new rows.
        progress: Told the steps.

    Raises:
        TrainingError: It diverges.
    """
    each = steps_per_epoch(len(training), recipe.batch)
    settings = Settings(
        max_steps=recipe.epochs * each,
        batch=recipe.batch,
        rate=recipe.rate,
        weight_decay=recipe.weight_decay,
        round_steps=each,
        restarts=0,
    )
    course = _Course(model, training, recipe, monitor, settings, device, recorded)
    beside, sending = recipe.loss.companion, recipe.sending
    trained = model if beside is None else nn.ModuleList([model, beside.to(device)])
    # The taps come first, so that they hold Z as it is and not what is sent.
    with tapped(model, recipe.modules) as taps, sending.taught(model) if sending else nullcontext(Draw()) as draw:
        try:
            return fit(
                trained,
                lambda index, noise: course.loss(index, noise, taps, draw),
                course.score,
                samples=len(training),
                settings=settings,
                seed=seed,
                task="train",
                progress=progress,
                checkpoint=checkpoint,
                schedule=cosine,
                between=course.stand,
            )
        except AttackError as error:
            raise TrainingError(
                f"the training diverged at rate {recipe.rate:g}: the loss is no longer finite", "Give a lower --rate."
            ) from error


class _Course:
    """Where the training is: the loop tells the step, the loss and the judge need it."""

    def __init__(
        self,
        model: nn.Module,
        training: Images,
        recipe: Recipe,
        monitor: RadiusMonitor,
        settings: Settings,
        device: str,
        recorded: Callable[[], None],
    ) -> None:
        self.model = model
        self.training = training
        self.recipe = recipe
        self.monitor = monitor
        self.settings = settings
        self.device = torch.device(device)
        self.recorded = recorded
        self.step = -1

    @property
    def share(self) -> float:
        """Share of the steps that are taken."""
        return self.step / self.settings.max_steps

    def stand(self, step: int) -> None:
        """Between two steps."""
        if step != self.step + 1 or step == 0:
            self.monitor.rewind(step)
        self.step = step
        added = self.monitor.stand(step, self.settings.rate * cosine(self.share))
        if step == 0 and not self.monitor.epochs:
            self.monitor.end_epoch(0, 0, 0.0)
            added = True
        if added:
            self.recorded()

    def loss(self, index: Tensor, noise: torch.Generator, taps: dict[str, Tensor], draw: Draw) -> Tensor:
        """The loss of a batch."""
        chosen = index.numpy()
        images = self.training.batch(chosen).to(self.device)
        labels = torch.from_numpy(self.training.labels[chosen]).to(self.device)
        images = AUGMENTATIONS[self.recipe.augment](images, noise)
        lesson = self.recipe.targets.lesson(images, labels, self.monitor.classes, self.share, noise)
        draw.noise = noise
        with self._precision():
            logits = self.model(lesson.images)
        logits = logits.float()
        z = {cut: logits if cut == "output" else taps[cut] for cut in self.recipe.acts_on}
        return self.recipe.loss(Answers(logits, lesson.targets, lesson.labels, z, draw.sent, lesson.images))

    def score(self) -> float:
        """Error on the selection images, with 1 added before the targets are in full force."""
        epoch = self.step // self.settings.round_steps
        rate = self.settings.rate * cosine((self.step - 1) / self.settings.max_steps)
        row = self.monitor.end_epoch(epoch, self.step, rate)
        self.recorded()
        return 1 - row.accuracy + (self.share < self.recipe.targets.settled)

    def _precision(self) -> AbstractContextManager[object]:
        wanted = self.recipe.precision
        if wanted == "bfloat16" or (wanted == "auto" and self.device.type == "cuda"):
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()


def selected_epoch(scores: tuple[float, ...]) -> int:
    """The epoch whose weights the loop keeps: the first of the lowest scores, counted from 1."""
    return int(np.argmin(scores)) + 1
