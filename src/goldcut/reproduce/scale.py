"""How large a reproduction is: the published networks and settings, or siblings that two cores can train."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Network:
    """A network and the cuts that the tables speak of, from shallow to deep.

    Attributes:
        spec: MODEL.
        candidates: Cuts that are attacked and that the R_c^2 rule chooses among (the paper's own choice at full size).
        shallow: The first that counts as shallow.
        feature: The paper's example of the feature level.
        last_feature: The last candidate before the transition.
        decision: The paper's example of the decision level.
        deep: Cuts at which label distributions are compared.
        tokens: Cuts of `candidates` that keep all tokens; of a transformer only.
        rate: Highest learning rate of the classifier.
    """

    spec: str
    candidates: tuple[str, ...]
    shallow: str
    feature: str
    last_feature: str
    decision: str
    deep: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    rate: float = 1e-3


@dataclass(frozen=True)
class Scale:
    """All that decides how long a table takes.

    Attributes:
        name: By which it is asked for.
        networks: By the paper's name.
        labelled: Networks on which label distributions are compared.
        side: Height and width that images must have; None takes them as they are, digits padded to 32.
        training_images: The target is trained on; a tenth of them selects the epoch.
        attacker_images: The attacker's own, none of which the target has seen.
        scanned_images: Measured and, the first of them, attacked.
        victims: Attacked.
        epochs: Of a classifier.
        batch: Images a step.
        augment: Of the training images.
        attacks: Most steps of each attack; 0 for a closed form.
        enhanced: Most steps of each of the paper's attackers, in the stress test.
        width: Channels of the paper's attackers at the image's grid.
        seeds: Trainings of each label distribution.
        device: Where everything is computed.
        priced: Runs behind each latency.
    """

    name: str
    networks: Mapping[str, Network]
    labelled: tuple[str, ...]
    side: int | None
    training_images: int
    attacker_images: int
    scanned_images: int
    victims: int
    epochs: int
    batch: int
    augment: str
    attacks: Mapping[str, int]
    enhanced: Mapping[str, int] = field(default_factory=dict)
    width: int = 64
    seeds: int = 3
    device: str = "cpu"
    priced: int = 5


VGG_LAYERS = tuple(f"features.{layer - 1}" for layer in (13, 17, 26, 30, 39, 43, 52))
"""Layer N of the paper is what the attack reads after N layers, features.{N - 1}; the published R_c^2 script reads the
next one, which would be a convolution before its norm or a pool."""

IR_BLOCKS = tuple(f"body.{block - 2}" for block in (3, 8, 25, 40, 48, 49, 50))
"""Block 1 is the stem."""

FULL: Mapping[str, Network] = {
    "ir152": Network(
        "goldcut:ir152",
        IR_BLOCKS,
        shallow="body.1",
        feature="body.38",
        last_feature="body.46",
        decision="body.48",
        deep=("body.46", "body.48", "output"),
    ),
    "vgg19": Network(
        "goldcut:vgg19",
        VGG_LAYERS,
        shallow="features.12",
        feature="features.29",
        last_feature="features.29",
        decision="features.38",
        deep=("features.38", "features.51", "output"),
    ),
    "vit64": Network(
        "goldcut:vit64",
        ("dropout", *(f"blocks.{block}" for block in range(5)), "norm", "select"),
        shallow="dropout",
        feature="blocks.2",
        last_feature="norm",
        decision="select",
        tokens=("dropout", *(f"blocks.{block}" for block in range(5)), "norm"),
    ),
    "resnet50": Network(
        "goldcut:resnet50",
        ("layer1.2", "layer2.3", "layer3.5", "layer4.2", "flatten"),
        shallow="layer1.2",
        feature="layer3.5",
        last_feature="layer3.5",
        decision="layer4.2",
    ),
}

SMALL: Mapping[str, Network] = {
    "ir152": Network(
        "goldcut:ir152-small",
        ("body.0", "body.2", "body.4", "body.5", "head.flatten"),
        shallow="body.0",
        feature="body.4",
        last_feature="body.5",
        decision="head.flatten",
        deep=("head.flatten", "output"),
        rate=3e-3,
    ),
    "vgg19": Network(
        "goldcut:vgg19-small",
        VGG_LAYERS,
        shallow="features.12",
        feature="features.29",
        last_feature="features.29",
        decision="features.38",
        deep=("features.38", "features.51", "output"),
        rate=3e-3,
    ),
    "vit64": Network(
        "goldcut:vit64-small",
        ("dropout", "blocks.0", "blocks.1", "blocks.2", "norm", "select"),
        shallow="dropout",
        feature="blocks.1",
        last_feature="norm",
        decision="select",
        deep=("select", "output"),
        tokens=("dropout", "blocks.0", "blocks.1", "blocks.2", "norm"),
    ),
    "cnn4": Network(
        "goldcut:cnn4-small",
        ("blocks.0", "blocks.1", "blocks.2", "blocks.3", "flatten"),
        shallow="blocks.0",
        feature="blocks.2",
        last_feature="blocks.3",
        decision="flatten",
        deep=("flatten", "output"),
        rate=3e-3,
    ),
    "resnet50": Network(
        "goldcut:resnet50-small",
        ("layer1.0", "layer2.1", "layer3.1", "layer4.0", "flatten"),
        shallow="layer1.0",
        feature="layer3.1",
        last_feature="layer3.1",
        decision="layer4.0",
        rate=3e-3,
    ),
}

ENHANCED = (
    *("deconv", "deconv-attention", "deconv-conv-attention", "deconv-se", "deconv-lsk", "deconv-msca"),
    *("deconv-reversed-residual", "deconv-normalise", "deconv-fft-residual", "deconv-fft-concat", "deconv-dropout-net"),
)
"""The plain attacker of the paper and its enhancements."""

SCALES: Mapping[str, Scale] = {
    "quick": Scale(
        name="quick",
        networks=SMALL,
        labelled=("cnn4", "vit64"),
        side=None,
        training_images=5000,
        attacker_images=2500,
        scanned_images=1000,
        victims=500,
        epochs=5,
        batch=64,
        augment="none",
        attacks={"ridge": 0},
        enhanced=dict.fromkeys(ENHANCED, 150),
        width=16,
        priced=2,
    ),
    "cpu": Scale(
        name="cpu",
        networks=SMALL,
        labelled=("ir152", "cnn4"),
        side=None,
        training_images=8000,
        attacker_images=4000,
        scanned_images=2000,
        victims=1000,
        epochs=10,
        batch=64,
        augment="none",
        attacks={"ridge": 0, "decoder-S": 1200},
        enhanced=dict.fromkeys(ENHANCED, 600),
        width=16,
    ),
    "paper": Scale(
        name="paper",
        networks=FULL,
        labelled=("ir152", "vgg19"),
        side=64,
        training_images=40_000,
        attacker_images=10_000,
        scanned_images=10_000,
        victims=1000,
        epochs=300,
        batch=128,
        augment="none",
        attacks={"ridge": 0, "decoder-M": 40_000, "deconv": 8000},
        enhanced=dict.fromkeys(ENHANCED, 8000),
        device="cuda",
    ),
}
"""By name. "quick" is a first look, "cpu" is meant for two quiet cores and an afternoon. "paper" trains the published
networks for the published 300 epochs and attacks them for about the published 100 epochs of the attacker's images in
batches of 128; the optimiser, the selection and the division of images are goldcut's own."""
