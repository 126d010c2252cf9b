"""Attacks x cuts end to end: what is scored, what is kept, what an attack can reach."""

import gc
import threading
import time
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import torch
from torch import Tensor, nn

from goldcut.attacks import Attack, Decoder, Inverse, Leakage, Ridge, View, attack_cuts, write_gallery
from goldcut.attacks.attributes import Probe
from goldcut.attacks.leakage import GALLERY, write_figures
from goldcut.attacks.stack import Stack
from goldcut.cuts import CutGraph, find_cuts
from goldcut.errors import AttackError
from goldcut.fitting import Settings
from goldcut.progress import Progress, silent
from goldcut.records import AttackResult
from goldcut.sources.images import Images, Parts, divide

QUICK = Settings(max_steps=12, batch=32, round_steps=3)
MEMORY = 1 << 30


@dataclass(frozen=True)
class Spy(Attack):
    """Hands what it is given to a function, and paints the mean image."""

    look: Callable[[View, object], None] = lambda view, progress: None
    called: str = "spy"

    def __repr__(self) -> str:
        return f"Spy({self.called})"

    @property
    def name(self) -> str:
        return self.called

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        self.look(view, progress)
        mean = view.training.targets(slice(None)).mean(0)
        return Inverse(lambda z: mean.expand(len(z), -1, -1, -1), selection_mse=0.5, converged=True)


@pytest.fixture
def graph(net: nn.Module) -> CutGraph:
    return find_cuts(net, (1, 12, 12))


def run(graph: CutGraph, parts: Parts, attacks: tuple[Attack, ...], folder: Path, **options: Any) -> Leakage:
    names = options.pop("names", ("shallow", "deep", "output"))
    options = {"seed": 0, "memory_bytes": MEMORY, "workers": 2} | options
    return attack_cuts(graph, [graph.cut(name) for name in names], parts, attacks, folder=folder, **options)


def figures(leakage: Leakage) -> list[AttackResult]:
    return [replace(result, seconds=0.0) for result in leakage.results]


def assert_equal(first: list[AttackResult], second: list[AttackResult]) -> None:
    """The same work with the same figures, up to the rounding of another number of threads."""
    assert [(one.cut, one.attack, one.settings) for one in first] == [
        (one.cut, one.attack, one.settings) for one in second
    ]
    for one, other in zip(first, second, strict=True):
        assert one.mse == pytest.approx(other.mse, rel=1e-3)
        assert one.selection_mse == pytest.approx(other.selection_mse, rel=1e-3)


def test_scores_every_attack_at_every_cut_against_the_baselines(graph: CutGraph, parts: Parts, tmp_path: Path):
    leakage = run(graph, parts, (Ridge(), Decoder("S", QUICK)), tmp_path)
    assert not leakage.failures
    assert [(one.cut, one.attack) for one in leakage.results] == [
        (cut, attack) for cut in leakage.cuts for attack in ("ridge", "decoder-S")
    ]
    assert leakage.complete
    first, last = leakage.results[0], leakage.results[-2]
    assert first.recovered > 0.9 > last.recovered
    for result in leakage.results:
        assert result.recovered_low is not None
        assert result.recovered_high is not None
        assert result.recovered_low <= result.recovered <= result.recovered_high
        assert result.mse_channel_sum == result.mse
    baselines = leakage.baselines
    assert baselines.mean_image.recovered == pytest.approx(0, abs=1e-9)
    assert baselines.class_mean is not None
    assert baselines.class_mean.beyond_label == pytest.approx(0, abs=1e-9)
    assert baselines.class_mean.identification == pytest.approx(1 / 20)
    assert set(baselines.nearest) == set(leakage.cuts)
    assert [one.recovered for one in leakage.worst] == [
        max(result.recovered for result in leakage.results if result.cut == cut) for cut in leakage.cuts
    ]


def test_recovered_is_the_ratio_of_means_over_the_victims(graph: CutGraph, parts: Parts, tmp_path: Path):
    result = run(graph, parts, (Ridge(),), tmp_path, names=("deep",)).results[0]
    victims = parts.victims.batch(np.arange(len(parts.victims))).double()
    mean = parts.training.batch(np.arange(len(parts.training))).double().mean(0)
    assert result.recovered == pytest.approx(1 - result.mse / float((victims - mean).square().mean()), abs=1e-6)


def test_neither_company_nor_workers_nor_memory_change_a_result(graph: CutGraph, parts: Parts, tmp_path: Path):
    attacks = (Ridge(most=30), Decoder("S", QUICK))
    together = run(graph, parts, attacks, tmp_path / "a")
    assert not together.failures
    alone = run(graph, parts, attacks[::-1], tmp_path / "b", names=("deep",), workers=1)
    tight = run(graph, parts, attacks, tmp_path / "c", memory_bytes=1000, workers=1)
    assert_equal([one for one in figures(together) if one.cut == alone.cuts[0]], figures(alone)[::-1])
    assert_equal(figures(tight), figures(together))
    assert tight.baselines.nearest.keys() == together.baselines.nearest.keys()
    assert not list((tmp_path / "c").glob(".*"))


def reachable(*roots: object) -> list[object]:
    """Everything that can be reached from some objects, code and classes left out."""
    seen: dict[int, object] = {}
    queue = list(roots)
    while queue:
        one = queue.pop()
        if id(one) not in seen and not isinstance(one, type | types.ModuleType | types.CodeType | types.FrameType):
            seen[id(one)] = one
            # The globals of a function are its module, not something it was handed.
            skipped = {id(one.__globals__)} if isinstance(one, types.FunctionType) else set()
            queue += [other for other in gc.get_referents(one) if id(other) not in skipped]
    return list(seen.values())


def test_no_victim_is_within_an_attacks_reach(graph: CutGraph, parts: Parts, tmp_path: Path):
    hidden = parts.victims.batch(np.arange(len(parts.victims)))
    forbidden = {image.numpy().tobytes() for image in hidden} | {
        (image * 255).round().to(torch.uint8).numpy().tobytes() for image in hidden
    }
    found: list[object] = []

    def look(view: View, progress: object) -> None:
        for one in reachable(view, progress):
            if one is parts or one is parts.victims:
                found.append(one)
            if type(one) is Tensor and one.shape[1:] == hidden.shape[1:]:
                found.extend(image for image in one if image.numpy().tobytes() in forbidden)
        assert len(view.training) == len(parts.training)
        assert len(view.selection) == len(parts.selection)

    leakage = run(graph, parts, (Spy(look),), tmp_path, workers=1)
    assert leakage.complete
    assert not leakage.failures
    assert not found


def test_mirrored_images_come_with_their_own_z_where_z_is_small(graph: CutGraph, parts: Parts, tmp_path: Path):
    mirrored: list[bool] = []

    def look(view: View, progress: object) -> None:
        mirrored.append(view.mirrored is not None)
        if view.mirrored is not None:
            n = len(view.training)
            assert len(view.mirrored) == 2 * n
            assert torch.equal(view.mirrored.images[n:], view.training.images.flip(3))
            assert torch.equal(view.mirrored.features[:n], view.training.features)
            assert view.query is not None
            z = view.query(view.training.targets(slice(0, 9)).flip(3))
            torch.testing.assert_close(view.mirrored.features[n : n + 9], z)

    assert not run(graph, parts, (Spy(look),), tmp_path, workers=1).failures
    assert mirrored == [False, True, True]


def test_an_inverse_gets_the_z_of_the_victims_once_and_nothing_else(graph: CutGraph, parts: Parts, tmp_path: Path, net):
    given: list[Tensor] = []

    @dataclass(frozen=True)
    class Listener(Spy):
        def train(self, view: View, **options: Any) -> Inverse:
            def invert(z: Tensor) -> Tensor:
                given.append(z)
                return torch.zeros(len(z), *view.image_shape)

            return Inverse(invert, selection_mse=0.0, converged=True)

    run(graph, parts, (Listener(),), tmp_path, names=("shallow",))
    with torch.no_grad():
        torch.testing.assert_close(torch.cat(given), net.shallow(parts.victims.batch(np.arange(len(parts.victims)))))


def test_a_view_can_ask_the_edge(graph: CutGraph, parts: Parts, tmp_path: Path):
    def look(view: View, progress: object) -> None:
        assert view.query is not None
        torch.testing.assert_close(view.query(view.training.targets(slice(0, 9))), view.training.features[:9])

    assert not run(graph, parts, (Spy(look),), tmp_path).failures


def test_what_one_attack_does_wrong_stops_no_other(graph: CutGraph, parts: Parts, tmp_path: Path):
    def fail(view: View, progress: object) -> None:
        raise ValueError("no luck\nat all")

    def refuse(view: View, progress: object) -> None:
        raise AttackError("too deep", "Go up.")

    @dataclass(frozen=True)
    class Wrong(Spy):
        def train(self, view: View, **options: Any) -> Inverse:
            value = float("nan") if self.called == "nan" else 0.0
            shape = (1, 3, 3) if self.called == "small" else view.image_shape
            return Inverse(lambda z: torch.full((len(z), *shape), value), selection_mse=0.0, converged=True)

    attacks = (Spy(fail, "fails"), Spy(refuse, "refuses"), Ridge(), Wrong(called="nan"), Wrong(called="small"))
    leakage = run(graph, parts, attacks, tmp_path, names=("deep",))
    assert [one.attack for one in leakage.results] == ["ridge"]
    assert {one.attack: one.reason for one in leakage.failures} == {
        "fails": "ValueError: no luck",
        "refuses": "too deep. Go up.",
        "nan": "nan made values that are not finite",
        "small": "small made images of shape (100, 1, 3, 3) instead of (100, 1, 12, 12)",
    }
    assert leakage.complete


def test_values_that_are_not_finite_fail_at_their_cut_only(parts: Parts, tmp_path: Path):
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3), nn.Linear(128, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.second(100 * self.first(x))
            bright = x.amax(dim=(1, 2, 3), keepdim=True) > 1e9
            return self.third(torch.where(bright, 1.0, x).flatten(1))

    model = Broken().eval()
    with torch.no_grad():
        model.second.weight[0] = 3e38  # a finite weight whose products are not
    graph = find_cuts(model, (1, 12, 12))
    leakage = run(graph, parts, (Ridge(),), tmp_path, names=("first", "second"), logits=False)
    assert [one.cut for one in leakage.results] == ["first"]
    assert [one.cut for one in leakage.failures] == ["second"]
    assert "not finite for" in leakage.failures[0].reason
    assert leakage.baselines.class_mean is None
    assert leakage.results[0].beyond_label is leakage.results[0].identification is None


def test_finished_work_is_not_done_again_and_other_settings_are(graph: CutGraph, parts: Parts, tmp_path: Path):
    looks: list[str] = []
    lock = threading.Lock()

    def look(view: View, progress: object) -> None:
        with lock:
            looks.append("look")

    first = run(graph, parts, (Spy(look), Ridge()), tmp_path)
    assert len(looks) == 3
    again = run(graph, parts, (Spy(look), Ridge()), tmp_path)
    assert len(looks) == 3
    assert again.results == first.results
    assert again.baselines == first.baselines
    assert all(np.array_equal(again.pictures[pair], first.pictures[pair]) for pair in first.pictures)
    (tmp_path / "001-spy.json").write_text("{")
    run(graph, parts, (Spy(look), Ridge()), tmp_path)
    assert len(looks) == 4
    run(graph, parts, (Spy(look), Ridge()), tmp_path, seed=1)
    assert len(looks) == 7
    run(graph, parts, (Spy(look), Ridge()), tmp_path, seed=1, run="another model")
    assert len(looks) == 10


def test_a_probe_says_what_z_tells_without_pixels_and_is_kept(graph: CutGraph, parts: Parts, tmp_path: Path):
    probe = Probe(hidden=8, settings=QUICK)
    reports: list[Leakage] = []
    first = run(graph, parts, (probe, Ridge()), tmp_path, names=("deep", "output"), report=reports.append)
    assert not first.failures
    assert first.complete
    assert [(one.cut, one.probe) for one in first.inferred] == [
        (cut, one) for cut in ("deep", "output") for one in ("linear", "mlp", "retrieval")
    ]
    assert all(one.victims == len(parts.victims) for one in first.inferred)
    assert [one.attack for one in first.results] == ["ridge", "ridge"]
    assert any(not one.complete for one in reports)
    asked: list[str] = []
    again = run(graph, parts, (probe,), tmp_path, names=("deep",), progress=lambda task, *_: asked.append(task))
    assert again.inferred == first.inferred[:3]
    assert not asked
    other = replace(probe, hidden=4)
    run(graph, parts, (other,), tmp_path, names=("deep",), progress=lambda task, *_: asked.append(task))
    assert "attributes at deep" in asked


def with_attributes(parts: Parts, *, turned: bool = False) -> Parts:
    """The same images, of which it is known whether they are bright."""

    def know(images: Images) -> Images:
        pixels = images.pixels(range(len(images)))
        bright = (pixels.mean((1, 2, 3)) > 128).astype(np.int64)
        known = images.subset(range(len(images)), images.part)
        known.attributes = {"bright": 1 - bright if turned else bright}
        return known

    return replace(parts, **{name: know(getattr(parts, name)) for name in ("training", "selection", "victims")})


def test_attributes_are_probed_too_and_those_added_later_cost_no_other_attack(graph, parts: Parts, tmp_path: Path):
    attacks = (Probe(hidden=8, settings=QUICK), Ridge())
    plain = run(graph, parts, attacks, tmp_path, names=("deep",))
    asked: list[str] = []
    progress = lambda task, *_: asked.append(task)  # noqa: E731
    known = run(graph, with_attributes(parts), attacks, tmp_path, names=("deep",), progress=progress)
    assert [(one.target, one.probe) for one in known.inferred] == [
        (target, probe) for target in ("label", "bright") for probe in ("linear", "mlp", "retrieval")
    ]
    assert [replace(one, seconds=0) for one in known.inferred[:3]] == [
        replace(one, seconds=0) for one in plain.inferred
    ]
    assert known.inferred[3].accuracy > known.inferred[3].chance + 0.2
    assert not any("ridge" in task for task in asked)
    asked.clear()
    again = run(graph, with_attributes(parts), attacks, tmp_path, names=("deep",), progress=progress)
    assert again.inferred == known.inferred
    assert not asked
    run(graph, with_attributes(parts, turned=True), attacks, tmp_path, names=("deep",), progress=progress)
    assert "attributes at deep" in asked


def test_victims_of_one_class_leave_nothing_to_infer(graph: CutGraph, parts: Parts, tmp_path: Path):
    victims = parts.victims
    unlabelled = Images(victims._pixels, np.zeros_like(victims.labels), classes=("all",), spec="x", part="x")
    leakage = run(graph, replace(parts, victims=unlabelled), (Probe(), Ridge()), tmp_path, names=("output",))
    assert leakage.complete
    assert not leakage.inferred
    assert not leakage.failures


def test_what_follows_an_attack_that_failed_is_made_again_with_it(graph: CutGraph, parts: Parts, tmp_path: Path):
    broken = [True]

    def fail_once(view: View, progress: object) -> None:
        if broken.pop() if broken else False:
            raise ValueError("no luck")

    attacks = (Spy(fail_once), Ridge(), Stack())
    first = run(graph, parts, attacks, tmp_path, names=("deep",))
    assert [one.attack for one in first.failures] == ["spy"]
    asked: list[str] = []
    run(graph, parts, attacks, tmp_path, names=("deep",), progress=lambda task, *_: asked.append(task))
    assert any("stack" in task for task in asked)
    asked.clear()
    run(graph, parts, attacks, tmp_path, names=("deep",), progress=lambda task, *_: asked.append(task))
    assert not any("stack" in task for task in asked)


def test_a_probe_that_cannot_be_carried_out_is_a_failure(graph: CutGraph, parts: Parts, tmp_path: Path):
    @dataclass(frozen=True)
    class Broken(Probe):
        def infer(self, *args: Any, **options: Any) -> Any:
            raise ValueError("no luck")

    leakage = run(graph, parts, (Broken(), Ridge()), tmp_path, names=("output",))
    assert [(one.attack, one.reason) for one in leakage.failures] == [("attributes", "ValueError: no luck")]
    assert leakage.complete


def test_an_interrupt_loses_only_what_was_running(graph: CutGraph, parts: Parts, tmp_path: Path):
    attacks = (Ridge(), Decoder("S", QUICK))
    expected = run(graph, parts, attacks, tmp_path / "whole")
    assert not expected.failures
    reports: list[int] = []

    def report(leakage: Leakage) -> None:
        reports.append(len(leakage.results))
        if len(leakage.results) == 3:
            raise KeyboardInterrupt

    folder = tmp_path / "interrupted"
    with pytest.raises(KeyboardInterrupt):
        run(graph, parts, attacks, folder, report=report)
    kept = [path for path in folder.glob("*.json") if "-" in path.stem and path.stem[0].isdigit()]
    assert len(kept) >= 3
    threads = torch.get_num_threads()
    done: list[str] = []
    resumed = run(graph, parts, attacks, folder, progress=lambda task, *_: done.append(task))
    assert figures(resumed) == figures(expected)
    assert len({task for task in done if " at " in task}) <= 3
    assert torch.get_num_threads() == threads


def test_reports_come_one_at_a_time_and_the_last_knows_most(graph: CutGraph, parts: Parts, tmp_path: Path):
    inside, counts = threading.Lock(), []

    def report(leakage: Leakage) -> None:
        assert inside.acquire(blocking=False)
        time.sleep(0.1)
        counts.append(len(leakage.results))
        inside.release()

    leakage = run(graph, parts, (Spy(), Spy(called="mole"), Ridge()), tmp_path, report=report)
    assert not leakage.failures
    assert len(counts) == 9
    assert counts == sorted(counts)
    assert counts[-1] == 9


def test_figures_are_joined_while_another_process_replaces_them(graph: CutGraph, parts: Parts, tmp_path: Path):
    leakage = run(graph, parts, (Ridge(), Spy()), tmp_path)
    path, other = tmp_path / "victims.parquet", tmp_path / "other.parquet"
    write_figures(leakage, parts.victims, path)
    small = pyarrow.parquet.read_table(path).slice(0, 7)
    whole, ended = path.read_bytes(), threading.Event()

    def replace_it() -> None:
        while not ended.is_set():
            pyarrow.parquet.write_table(small, other)
            other.replace(path)
            other.write_bytes(whole)
            other.replace(path)

    thread = threading.Thread(target=replace_it)
    thread.start()
    try:
        for _ in range(200):
            write_figures(leakage, parts.victims, path)
    finally:
        ended.set()
        thread.join()


def test_too_few_images_and_twins_are_refused(graph: CutGraph, parts: Parts, tmp_path: Path):
    few = replace(parts, training=parts.training.subset(range(150), "few"))
    with pytest.raises(AttackError, match="150 training images and an attack needs 200") as refusal:
        run(graph, few, (Ridge(),), tmp_path)
    assert "Give it 223 images" in str(refusal.value)
    with pytest.raises(AttackError, match="two attacks are called ridge"):
        run(graph, parts, (Ridge(), Ridge(most=5)), tmp_path)


def test_large_images_are_scored_small_and_at_full_size(tmp_path: Path):
    from .conftest import build_net, make_images

    parts = divide(make_images(40, seed=1, side=80), make_images(250, seed=2, side=80), victims=30, seed=0)
    graph = find_cuts(build_net(80), (1, 80, 80))
    leakage = run(graph, parts, (Ridge(most=200),), tmp_path, names=("deep",))
    assert leakage.image_shape == (1, 64, 64)
    assert leakage.ceiling_recovered is not None
    full = leakage.results[0].recovered_full_size
    assert full is not None
    assert full < leakage.ceiling_recovered < 1
    assert leakage.results[0].recovered > full


def test_a_foreign_auxiliary_set_is_also_measured_against_the_victims_own_mean(graph, parts: Parts, tmp_path: Path):
    foreign = replace(parts, auxiliary_same_data=False)
    result = run(graph, foreign, (Ridge(),), tmp_path, names=("deep",)).results[0]
    assert result.recovered_own_mean is not None
    assert result.recovered_own_mean <= result.recovered


def test_the_gallery_holds_the_victims_and_the_worst_reconstructions(graph: CutGraph, parts: Parts, tmp_path: Path):
    leakage = run(graph, parts, (Ridge(), Spy()), tmp_path)
    write_gallery(leakage, tmp_path / "gallery.npz")
    with np.load(tmp_path / "gallery.npz", allow_pickle=False) as gallery:
        np.testing.assert_array_equal(gallery["victims"], parts.victims.pixels(range(GALLERY)))
        np.testing.assert_array_equal(gallery["labels"], parts.victims.labels[:GALLERY])
        assert tuple(gallery["names"]) == leakage.cuts
        assert set(gallery["attacks"]) == {"ridge"}
        shallow = np.abs(gallery["recon__0"].astype(int) - gallery["victims"]).mean()
        assert shallow < np.abs(gallery["recon__2"].astype(int) - gallery["victims"]).mean()
