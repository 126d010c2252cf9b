"""What Z says without pixels: closed forms, chance, and neighbours by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from goldcut.attacks.attributes import Probe, expected_same, nearest_is_same
from goldcut.attacks.base import Sample, View
from goldcut.fitting import Settings

CLASSES = 4
QUICK = Probe(hidden=16, settings=Settings(max_steps=150, batch=64, rate=1e-2, round_steps=25))


def draw(n: int, seed: int) -> np.ndarray:
    """Classes in the shares 0.4, 0.3, 0.2, 0.1."""
    return np.random.default_rng(seed).choice(CLASSES, size=n, p=[0.4, 0.3, 0.2, 0.1])


def sample(z: Tensor, classes: np.ndarray, *, known: bool = True) -> Sample:
    """Pairs of an attacker who knows the classes, or sees what a model predicts that is always right."""
    images = torch.randint(256, (len(z), 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Sample(images, z, None if known else classes, classes if known else None)


def as_one_hot(classes: np.ndarray, seed: int) -> Tensor:
    return functional.one_hot(torch.from_numpy(classes), CLASSES).float()


def as_noise(classes: np.ndarray, seed: int) -> Tensor:
    return torch.randn(len(classes), 6, generator=torch.Generator().manual_seed(seed))


def as_ring(classes: np.ndarray, seed: int) -> Tensor:
    """Two of the classes alternate on a circle: no line tells them apart, a network does, and so do neighbours."""
    angle = (classes + np.random.default_rng(seed).uniform(0.2, 0.8, len(classes))) * (np.pi / 2)
    return torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)], axis=1)).float()


def see(encode: object, *, known: bool = True, merge: int = CLASSES) -> tuple[View, Tensor, np.ndarray]:
    drawn = [draw(count, seed) for count, seed in ((600, 1), (150, 2), (300, 3))]
    z = [encode(classes, seed) for seed, classes in enumerate(drawn)]  # type: ignore[operator]
    labels = [classes % merge for classes in drawn]
    training, selection = (sample(z[part], labels[part], known=known) for part in (0, 1))
    return View(training, selection, kind="vector"), z[2], labels[2]


@pytest.mark.parametrize("known", [True, False], ids=["known", "predicted"])
def test_a_z_that_is_the_class_says_the_class(known: bool):
    view, z, classes = see(as_one_hot, known=known)
    found = QUICK.infer(view, z, classes, cut="deep", seed=0)
    assert [one.probe for one in found] == ["linear", "mlp", "retrieval"]
    for one in found:
        assert one.accuracy == one.accuracy_low == one.accuracy_high == 1
        assert (one.cut, one.target, one.classes, one.victims) == ("deep", "label", CLASSES, 300)


def test_a_z_that_has_nothing_to_do_with_the_class_gives_chance():
    view, z, classes = see(as_noise)
    linear, network, retrieval = QUICK.infer(view, z, classes, cut="deep", seed=0)
    majority = np.bincount(classes).max() / len(classes)
    assert linear.chance == network.chance == pytest.approx(majority)
    for one in (linear, network, retrieval):
        assert one.accuracy_low <= one.chance <= one.accuracy_high
        assert one.accuracy_low < one.accuracy < one.accuracy_high


def test_a_network_sees_what_no_line_separates():
    view, z, classes = see(as_ring, merge=2)
    linear, network, retrieval = QUICK.infer(view, z, classes, cut="deep", seed=0)
    assert linear.accuracy < 0.85
    assert network.accuracy > 0.95
    assert retrieval.accuracy > 0.95


def test_a_long_z_is_reduced_and_a_scale_of_it_hides_nothing():
    def embed(classes: np.ndarray, seed: int) -> Tensor:
        noise = torch.randn(len(classes), 400, generator=torch.Generator().manual_seed(seed))
        patterns = torch.randn(CLASSES, 400, generator=torch.Generator().manual_seed(9))
        return 1e4 * (noise + patterns[classes] / 2) - 3e5

    view, z, classes = see(embed)
    linear, network, _ = replace(QUICK, most=50).infer(view, z, classes, cut="deep", seed=0)
    assert min(linear.accuracy, network.accuracy) > 0.8


def test_data_that_comes_class_by_class_hides_nothing():
    """The axes of the first images alone would be those of one class."""

    def embed(classes: np.ndarray, seed: int) -> Tensor:
        noise = torch.randn(len(classes), 400, generator=torch.Generator().manual_seed(seed))
        patterns = torch.randn(CLASSES, 400, generator=torch.Generator().manual_seed(9))
        return noise + patterns[classes] / 2

    view, z, classes = see(embed)
    order = np.argsort(view.training.classes, kind="stable")
    ordered = replace(view.training, features=view.training.features[order], classes=view.training.classes[order])
    probe = replace(QUICK, most=8, axes_from=200)
    for training in (view.training, ordered):
        linear, _, _ = probe.infer(replace(view, training=training), z, classes, cut="deep", seed=0)
        assert linear.accuracy > 0.8


@pytest.mark.parametrize("elements", [6, 600])
def test_a_constant_z_says_nothing(elements: int):
    view, z, classes = see(lambda classes, seed: torch.ones(len(classes), elements))
    for one in QUICK.infer(view, z, classes, cut="deep", seed=0):
        assert one.accuracy == pytest.approx(one.chance)


def test_an_attribute_too_rare_to_be_learned_costs_no_other_target():
    view, z, classes = see(as_one_hot)
    rare = np.zeros(len(view.training), np.int64)
    rows = np.sort(np.random.default_rng((0, 15)).permutation(len(rare))[:100])
    rare[np.setdiff1d(np.arange(len(rare)), rows)[:3]] = 1
    known = replace(view.training, attributes={"rare": rare})
    other = replace(view.selection, attributes={"rare": np.arange(len(view.selection)) % 2})
    found = replace(QUICK, images=100).infer(
        replace(view, training=known, selection=other),
        z,
        classes,
        attributes={"rare": np.arange(len(z)) % 2},
        cut="deep",
        seed=0,
    )
    assert [(one.target, one.probe) for one in found][-2:] == [("label", "retrieval"), ("rare", "retrieval")]
    assert len(found) == 4


def test_values_that_the_attacker_has_never_seen_are_left_to_the_neighbours():
    """Other people than those it knows: that it names none of them says nothing of Z."""
    view, z, classes = see(as_one_hot)
    known = [replace(one, attributes={"who": one.classes}) for one in (view.training, view.selection)]
    found = QUICK.infer(View(*known, kind="vector"), z, classes, attributes={"who": classes + 10}, cut="deep", seed=0)
    assert [(one.target, one.probe, one.accuracy) for one in found[3:]] == [("who", "retrieval", 1.0)]


def test_a_class_that_no_victim_is_of_is_a_class_all_the_same():
    view, z, classes = see(as_one_hot, known=False)
    few = classes < CLASSES - 1
    found = QUICK.infer(view, z[few], classes[few], n_classes=CLASSES, cut="deep", seed=0)
    assert [one.probe for one in found] == ["linear", "mlp", "retrieval"]


def test_without_labels_only_neighbours_speak():
    view, z, classes = see(as_one_hot)
    bare = [Sample(one.images, one.features) for one in (view.training, view.selection)]
    found = QUICK.infer(View(*bare, kind="vector"), z, classes, cut="deep", seed=0)
    assert [one.probe for one in found] == ["retrieval"]


def test_labels_of_other_classes_are_not_learned_from():
    view, z, classes = see(as_one_hot, known=False)
    assert view.training.labels is not None
    foreign = replace(view, training=replace(view.training, labels=view.training.labels + 100))
    found = QUICK.infer(foreign, z, classes, cut="deep", seed=0)
    assert [one.probe for one in found] == ["retrieval"]


def test_an_attribute_is_inferred_like_the_class_where_the_attacker_knows_it():
    """Z is the class and nothing else; one attribute is half of it, another a coin."""
    view, z, classes = see(as_one_hot)
    rng = np.random.default_rng(4)
    known = [
        replace(one, attributes={"half": one.classes // 2, "coin": rng.integers(2, size=len(one))})
        for one in (view.training, view.selection)
        if one.classes is not None
    ]
    secrets = {"half": classes // 2, "coin": rng.integers(2, size=len(z)), "unknown": classes % 2}
    found = QUICK.infer(View(*known, kind="vector"), z, classes, attributes=secrets, cut="deep", seed=0)
    by = {(one.target, one.probe): one for one in found}
    assert [one.target for one in found] == ["label"] * 3 + ["half"] * 3 + ["coin"] * 3 + ["unknown"]
    for probe in ("linear", "mlp"):
        assert by["half", probe].accuracy == by["label", probe].accuracy == 1
        assert by["half", probe].chance == pytest.approx(max(np.mean(classes < 2), np.mean(classes >= 2)))
        assert by["coin", probe].accuracy_low < by["coin", probe].chance + 0.02
    assert by["half", "retrieval"].accuracy == by["unknown", "retrieval"].accuracy == 1
    plain = QUICK.infer(View(*known, kind="vector"), z, classes, cut="deep", seed=0)
    assert [one.accuracy for one in plain] == [one.accuracy for one in found[:3]]


def test_the_seed_decides():
    view, z, classes = see(as_noise)
    first, again = (QUICK.infer(view, z, classes, cut="deep", seed=5) for _ in range(2))
    assert [replace(one, seconds=0.0) for one in first] == [replace(one, seconds=0.0) for one in again]


def test_neighbours_by_brute_force():
    rng = np.random.default_rng(0)
    z, classes = rng.normal(size=(40, 3, 2)), draw(40, 1)
    expected = []
    for i in range(40):
        cosines = [
            -2.0 if j == i else float((z[i] * z[j]).sum() / np.linalg.norm(z[i]) / np.linalg.norm(z[j]))
            for j in range(40)
        ]
        expected.append(float(classes[int(np.argmax(cosines))] == classes[i]))
    np.testing.assert_array_equal(nearest_is_same(torch.from_numpy(z), classes), expected)


def test_equal_z_of_all_victims_say_as_much_as_a_draw():
    classes = draw(60, 2)
    shares = nearest_is_same(torch.ones(60, 5), classes)
    assert float(shares.double().mean()) == pytest.approx(expected_same(classes))
