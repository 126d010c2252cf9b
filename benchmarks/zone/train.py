"""Train one network of the evidence and say how good it is."""

import json
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks.targets import standardise, train
from benchmarks.zone.targets import DATA, NETWORKS, Data
from goldcut.sources.images import Images, Pack
from goldcut.sources.models import Target, adopt_model

BATCH = 250
WARM = 2000
"""Images from which an untrained network takes the moments of its batch normalisations."""


def split_name(target: str) -> tuple[str, str]:
    """Network and data of a target: "vgg16-cifar" -> ("vgg16", "cifar")."""
    network, _, data = target.partition("-")
    return network, data


def train_target(target: str, pack: Pack, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Train, write weights.safetensors and train.json; what is done already is read.

    Where only the weights are there (`python -m benchmarks.targets resnet20`, the same recipe), they are taken.

    Args:
        target: "network-data".
        pack: Its attacker's part is trained on, 1,000 images of it choose the best round.
        folder: Of this target.
        seed: Of weights and order.
    """
    record = folder / "train.json"
    if record.exists():
        return dict(json.loads(record.read_text()))
    network, data = split_name(target)
    recipe, about, weights = NETWORKS[network], DATA[data], folder / "weights.safetensors"
    torch.manual_seed(seed)
    model = recipe.build(about.channels).to(memory_format=torch.channels_last)
    assert pack.attacker is not None
    started, used, given = monotonic(), process_time(), weights.exists()
    epochs = recipe.epochs[data]
    if given:
        model.load_state_dict(load_file(weights))
    elif epochs:
        train(
            model,
            pack.attacker,
            about.mean,
            about.std,
            epochs,
            seed,
            weights,
            rate=recipe.rate,
            batch=recipe.batch,
            change=about.augment,
        )
    else:
        warm(model, pack.attacker, about)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, weights)
    done = {
        "network": network,
        "data": data,
        "epochs": epochs,
        "rate": recipe.rate,
        "batch": recipe.batch,
        "seed": seed,
        "training_images": len(pack.attacker),
        "weights_were_given": given,
        "accuracy": accuracy(model.eval(), pack.scanned, about),
        "accuracy_images": len(pack.scanned),
        "seconds": round(monotonic() - started, 1),
        "cpu_seconds": round(process_time() - used, 1),
    }
    record.write_text(json.dumps(done, indent=2))
    return done


def warm(model: nn.Module, images: Images, data: Data) -> None:
    """Let the batch normalisations of an untrained network see images."""
    model.train()
    with torch.no_grad():
        for part in np.array_split(np.arange(WARM), WARM // BATCH):
            model(standardise(images.batch(part), data.mean, data.std))


def accuracy(model: nn.Module, images: Images, data: Data) -> float:
    """Share of images whose class the network predicts."""
    made: list[Tensor] = []
    with torch.no_grad():
        for part in np.array_split(np.arange(len(images)), len(images) // BATCH):
            made.append(model(standardise(images.batch(part), data.mean, data.std)).argmax(1))
    return float(np.mean(torch.cat(made).numpy() == images.labels))


def open_target(target: str, folder: Path) -> Target:
    """The trained network, as goldcut takes it."""
    network, data = split_name(target)
    about = DATA[data]
    model = NETWORKS[network].build(about.channels)
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    spec = f"benchmarks/zone/targets.py:{target}"
    return adopt_model(model.eval(), (about.channels, 32, 32), mean=about.mean, std=about.std, spec=spec)
