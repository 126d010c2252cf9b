"""Audit a live model in Python: scan, a quick attack, the verdict, the two halves."""

import tempfile
from pathlib import Path

import numpy as np
from torch import nn

import goldcut

# Your model takes images in [0, 1]; yours would be trained.
model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(8, 16, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(16, 3),
).eval()

# Your images as uint8 (N, H, W[, C]) and labels; these are made up.
generator = np.random.default_rng(0)
y = generator.integers(0, 3, 600)
rows, columns = np.mgrid[0:16, 0:16] / 16
waves = np.sin((y[:, None, None] + 1) * 4 * rows + generator.uniform(0, 6, (600, 1, 1))) + np.cos(5 * columns)
x = ((waves + 2) / 4 * 255).astype(np.uint8)
images = goldcut.from_arrays(x, y)

with tempfile.TemporaryDirectory() as folder:
    study = goldcut.examine(model, images, out=folder, attacks="ridge", victims=100)
    print(goldcut.reach_verdict(study.scan, study.attack).headline)
    for worst in study.attack.worst:
        print(f"{worst.cut:8} recovered {worst.recovered:.2f} by {worst.attack}")

    page = goldcut.write_report(Path(folder))
    print(f"{page.name}: {page.stat().st_size // 1000} kB")

halves = goldcut.split_at(study.graph, study.graph.cuts[0].name)
z = halves.edge(images.batch(np.arange(4)))
print("Z", tuple(z.shape), "-> logits", tuple(halves.cloud(z).shape))
