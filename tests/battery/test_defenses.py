"""What every defence must do, whichever it is; a new one is covered by its line in DEFENSES."""

import pytest
import torch

from goldcut.cuts import read_cuts
from goldcut.cuts.defended import attach
from goldcut.cuts.split import split_at
from goldcut.defenses.suite import DEFENSES, read_defense
from goldcut.errors import DataError
from models import cut_zoo, images

SPECS = [kind.example for kind in DEFENSES.values()]
SHAPES = [(4, 5, 5), (7, 6), (12,)]


def z_of(shape: tuple[int, ...], n: int = 40) -> torch.Tensor:
    return 3 * torch.randn(n, *shape, generator=torch.Generator().manual_seed(0)) + 1


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_keeps_shape_dtype_and_what_it_was_given(spec: str, shape: tuple[int, ...]) -> None:
    z = z_of(shape)
    before = z.clone()
    sent = read_defense(spec).build(z, seed=0)(z)
    assert sent.shape == z.shape
    assert sent.dtype == z.dtype
    assert sent.isfinite().all()
    assert torch.equal(z, before)
    assert not torch.equal(sent, z)


@pytest.mark.parametrize("spec", SPECS)
def test_the_same_seed_sends_the_same(spec: str) -> None:
    z = z_of((4, 5, 5))
    sent = [read_defense(spec).build(z, seed)(z) for seed in (1, 1, 2)]
    assert torch.equal(sent[0], sent[1])
    drawn = spec.split(":")[0] in ("noise", "laplace", "dropout")
    assert torch.equal(sent[0], sent[2]) != drawn


@pytest.mark.parametrize("spec", SPECS)
def test_its_spec_is_read_back(spec: str) -> None:
    assert read_defense(spec).spec == spec
    assert read_defense(read_defense(spec).spec) == read_defense(spec)


@pytest.mark.parametrize("spec", SPECS)
def test_gradients_reach_the_image(spec: str) -> None:
    """An attack that knows the edge searches through the defence."""
    z = z_of((4, 5, 5)).requires_grad_()
    read_defense(spec).build(z.detach(), seed=0)(z).square().sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
    assert z.grad.count_nonzero() > 0


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("name", ["Residual", "Tokens", "InPlace"])
def test_on_a_graph_the_edge_ends_with_it_and_the_network_goes_on_without_it(spec: str, name: str) -> None:
    graph, batch = cut_zoo(name), images(6)
    names = [cut.name for cut in graph.at_level("block")]
    plain: dict[str, torch.Tensor] = {}
    logits = read_cuts(graph, batch, names, plain.__setitem__)
    defense = read_defense(spec)
    defended = attach(graph, {name: defense.build(z, 0) for name, z in plain.items()}, defense.spec)
    seen: dict[str, torch.Tensor] = {}
    torch.testing.assert_close(read_cuts(defended, batch, names, seen.__setitem__), logits, rtol=0, atol=0)
    again: dict[str, torch.Tensor] = {}
    torch.testing.assert_close(read_cuts(graph, batch, names, again.__setitem__), logits, rtol=0, atol=0)
    for name in names:
        torch.testing.assert_close(seen[name], defense.build(plain[name], 0)(plain[name]), rtol=0, atol=0)
        torch.testing.assert_close(again[name], plain[name], rtol=0, atol=0)
    for name in names[:-1]:
        half = split_at(defended, name)
        torch.testing.assert_close(half.cloud(plain[name]), logits, rtol=1e-5, atol=1e-5)
        assert half.edge(batch).shape == plain[name].shape


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nois:0.3", "there is no defence 'nois'. Write noise:0.3"),
        ("", "there is no defence ''"),
        ("noise", "'noise' has no strength"),
        ("noise:much", "'noise:much' has no strength"),
        ("noise:0", "'noise:0' is out of range"),
        ("noise:nan", "'noise:nan' is out of range"),
        ("dropout:1", "a number above 0 and below 1"),
        ("topk:1.5", "a number above 0 and below 1"),
        ("quantise:2.5", "a whole number above 0 and below 17"),
        ("quantise:17", "a whole number above 0 and below 17"),
    ],
)
def test_a_spec_that_is_none(spec: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read_defense(spec)
    assert "\n" not in str(caught.value)
