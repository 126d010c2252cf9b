"""A defence inside edge.onnx: what it draws is drawn anew, does what the audit's does, and can still be checked."""

import numpy as np
import pytest
import safetensors.numpy
import torch
from scipy import stats

from goldcut.cuts import find_cuts, split_at
from goldcut.defenses.suite import DEFENSES, read_defense
from goldcut.deploy.defended import PORTABLE
from goldcut.deploy.export import export
from goldcut.deploy.manifest import REFERENCE, digest, open_export
from goldcut.deploy.runtime import draw_uniform
from goldcut.deploy.verify import verify
from goldcut.errors import DataError, DeployError
from goldcut.sources.images import load_images
from goldcut.sources.models import load_model

SPECS = [kind.example for kind in DEFENSES.values()]
DRAWING = ["noise:0.3", "laplace:0.3", "dropout:0.5"]


MODEL = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.last = nn.Sequential(nn.Flatten(), nn.Linear(4 * 64, 3))

    def forward(self, images):
        return self.last(self.first(images))
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A model and labelled images."""
    folder = tmp_path_factory.mktemp("sources")
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    np.savez(folder / "images.npz", x=pixels, y=np.arange(60) % 3)
    (folder / "model.py").write_text(MODEL)
    model = load_model(f"{folder / 'model.py'}:Net", input_shape=(1, 8, 8))
    return model, load_images(f"npz:{folder / 'images.npz'}")


@pytest.fixture(scope="module")
def exported(sources, tmp_path_factory):
    """By spec, the folder of an export, made once."""
    made = {}
    target, pack = sources

    def folder(spec: str):
        if spec not in made:
            made[spec] = tmp_path_factory.mktemp("export") / "net"
            export(target, "first", made[spec], pack=pack, defense=spec)
        return made[spec]

    return folder


def pixels(count: int = 8) -> np.ndarray:
    return np.random.default_rng(1).random((count, 1, 8, 8), np.float32)


@pytest.mark.parametrize("spec", SPECS)
def test_the_export_is_verified_and_says_what_it_does(exported, spec):
    record = verify(exported(spec))
    assert record.passed, record.checks
    (check,) = [one for one in record.checks if one.name == "defence"]
    assert spec in check.detail
    manifest = open_export(exported(spec)).manifest
    assert manifest.defense is not None
    assert manifest.defense.spec == spec
    assert bool(manifest.defense.random_shape) == (spec in DRAWING)
    assert manifest.equality.accuracy is not None


@pytest.mark.parametrize("spec", DRAWING)
def test_two_releases_of_an_image_differ_in_one_process_and_in_two_clients(exported, spec):
    """Sessions of onnxruntime in one process would draw the same from its own operators."""
    images = pixels()
    edges = [open_export(exported(spec)).open_edge() for _ in range(2)]
    releases = [edges[0](images), edges[0](images), edges[1](images)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert all((a != b).any() for a, b in zip(releases[one], releases[other], strict=True))
    first = draw_uniform((len(images), *edges[0].random_shape))
    assert np.array_equal(edges[0](images, first), edges[1](images, first))


@pytest.mark.parametrize("spec", SPECS)
def test_what_is_sent_is_distributed_as_what_an_audit_attacks(sources, exported, spec):
    """The oracle is the audit's own module, with its own generator."""
    target, pack = sources
    images = pixels(200)
    edge = split_at(find_cuts(target.model, target.input_shape), "first").edge
    with torch.no_grad():
        z, scale = edge(torch.from_numpy(images)), edge(pack.scanned.batch(range(60)))
        audited = read_defense(spec).build(scale, 0)(z).numpy()
    sent = open_export(exported(spec)).open_edge()(images)
    if spec in DRAWING:
        change, expected = (sent - z.numpy()).ravel(), (audited - z.numpy()).ravel()
        assert stats.ks_2samp(change, expected).pvalue > 1e-4
        assert change.std() == pytest.approx(expected.std(), rel=0.05)
    else:
        assert np.mean(np.abs(sent - audited) > 1e-4) < 1e-3


@pytest.mark.parametrize("spec", SPECS)
def test_another_edge_is_found_out_behind_a_defence_too(exported, spec, tmp_path):
    """The reference holds what was drawn, so a wrong half shows as without a defence."""
    folder = exported(spec)
    stored = safetensors.numpy.load((folder / REFERENCE).read_bytes())
    stored["z"] = stored["z"] + np.float32(0.05) * (np.arange(8) == 3)
    wrong = safetensors.numpy.save(stored)
    copy = copied(folder, tmp_path / "copy", {REFERENCE: wrong})
    failed = [check for check in verify(copy).checks if not check.passed]
    assert [check.name for check in failed] == ["halves"]
    assert "differ from the model's" in failed[0].detail


def copied(folder, to, changes: dict[str, bytes]):
    """An export with other files and a manifest that lists them."""
    to.mkdir()
    text = (folder / "manifest.json").read_text()
    for path in folder.iterdir():
        content = changes.get(path.name, path.read_bytes())
        text = text.replace(digest(path.read_bytes()), digest(content))
        (to / path.name).write_bytes(content)
    (to / "manifest.json").write_text(text)
    return to


def test_an_edge_whose_manifest_names_another_defence_is_refused(exported, tmp_path):
    copy = copied(exported("noise:0.3"), tmp_path / "copy", {})
    path = copy / "manifest.json"
    path.write_text(path.read_text().replace("noise:0.3", "noise:0.9"))
    with pytest.raises(DeployError, match=r"goldcut.defense = noise:0.3 and the manifest says noise:0.9"):
        open_export(copy).open_edge()


def test_what_cannot_be_exported_is_refused_in_one_sentence(sources, tmp_path, monkeypatch):
    target, pack = sources
    with pytest.raises(DeployError, match=r"^the scale of noise:0.3 is set by real images"):
        export(target, "first", tmp_path / "a", defense="noise:0.3")
    with pytest.raises(DataError, match="no defence"):
        export(target, "first", tmp_path / "a", pack=pack, defense="magic:1")
    for kind in list(PORTABLE):
        monkeypatch.delitem(PORTABLE, kind)
    with pytest.raises(DeployError, match=r"^topk:0.1 cannot be written into edge.onnx"):
        export(target, "first", tmp_path / "a", pack=pack, defense="topk:0.1")
    assert list(tmp_path.iterdir()) == []
