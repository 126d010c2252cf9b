"""Label distributions and losses by what is written on the command line."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from goldcut.errors import TrainingError
from goldcut.sources.factory import suggest
from goldcut.training.contraction import ClassRadius, SupCon
from goldcut.training.hiding import Adversary, Bottleneck, Funnel, NoPeek
from goldcut.training.losses import CrossEntropy, Focal, LogitNorm, Loss, MaxSup, Shrink
from goldcut.training.targets import Mixed, Smooth, Targets, Teacher

TARGETS: dict[str, Callable[[str], Targets]] = {
    "one-hot": lambda text: Smooth(),
    "smooth": lambda text: Smooth(float(text)),
    "teacher": lambda text: Teacher(Path(text)),
    "mixup": lambda text: Mixed("mixup", float(text or 1)),
    "cutmix": lambda text: Mixed("cutmix", float(text or 1)),
}
"""By the name before the colon; called with what stands behind it."""

_FORMS = "Write one-hot, smooth:0.3, teacher:CKPT, mixup:1 or cutmix:1."


def parse_targets(spec: str) -> Targets:
    """The label distribution of a spec.

    Raises:
        TrainingError: No such one, or a number that is none or out of range.

    Example:
        >>> parse_targets("smooth:0.3").spec
        'smooth:0.3'
    """
    name, _, text = spec.partition(":")
    if name not in TARGETS:
        raise TrainingError(f"there are no targets {name!r}", suggest(name, TARGETS))
    if (name in ("smooth", "teacher") and not text) or (name == "one-hot" and text):
        raise TrainingError(f"{spec!r} are no targets", _FORMS)
    try:
        return TARGETS[name](text)
    except ValueError as error:
        raise TrainingError(f"{spec!r} are no targets: {text!r} is no number", _FORMS) from error


LOSSES: dict[str, Callable[..., Loss]] = {
    "ce": CrossEntropy,
    "focal": Focal,
    "logit-norm": LogitNorm,
    "shrink": Shrink,
    "maxsup": MaxSup,
    "supcon": SupCon,
    "radius": ClassRadius,
    "radius-standard": partial(ClassRadius, bound="standard"),
    "nopeek": NoPeek,
    "adversary": Adversary,
    "bottleneck": Bottleneck,
    "funnel": Funnel,
}
"""By the name before the colon; called with the number behind it, where there is one; else with the usual one."""


def parse_loss(spec: str) -> Loss:
    """The loss of a spec, such as "ce" or "focal:2".

    Raises:
        TrainingError: No such one, or a number that is none or out of range.

    Example:
        >>> parse_loss("focal:2")
        Focal(gamma=2.0)
    """
    name, colon, text = spec.partition(":")
    if name not in LOSSES:
        raise TrainingError(f"there is no loss {name!r}", suggest(name, LOSSES))
    if name == "ce" and colon:
        raise TrainingError(f"{spec!r} is no loss: ce takes no number", "Write ce.")
    try:
        return LOSSES[name](*([float(text)] if colon else []))
    except ValueError as error:
        raise TrainingError(f"{spec!r} is no loss: {text!r} is no number", f"Write {name}:NUMBER.") from error


def check_pair(loss: Loss, targets: Targets) -> None:
    """Refuse targets that a loss cannot take.

    Raises:
        TrainingError: It cannot.
    """
    if reason := loss.refuses(targets):
        raise TrainingError(
            f"the loss {loss.spec} cannot take the targets {targets.spec}: {reason}", "Change --targets or --loss."
        )
