"""Z at cuts while a model trains: there is no traced graph in training mode, so module outputs stand in."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from goldcut.cuts.graph import CutGraph
from goldcut.cuts.taps import read_cuts
from goldcut.errors import TrainingError
from goldcut.sources.models import Normalised

SAME = 1e-4
"""Largest difference, relative to the deviation of Z, at which a module's output counts as Z of the cut."""


def module_names(graph: CutGraph, model: nn.Module) -> dict[str, str | None]:
    """For each cut but the output the module that has its name or one of its aliases; None where none has."""
    modules = dict(inner(model).named_modules())
    return {
        cut.name: next((name for name in (cut.name, *cut.aliases) if name in modules), None)
        for cut in graph.cuts
        if cut.level != "output"
    }


def deepest_module(graph: CutGraph, model: nn.Module) -> str:
    """The last cut of the block view, before the output, that has a module.

    Raises:
        TrainingError: None has.
    """
    names = module_names(graph, model)
    found = [cut.name for cut in graph.at_level("block") if names.get(cut.name)]
    if not found:
        raise TrainingError("no cut of the model is the output of a module", "Say --at output to act on the logits.")
    return found[-1]


def find_modules(
    graph: CutGraph, model: nn.Module, cuts: Sequence[str], images: Float[Tensor, "b c h w"]
) -> dict[str, str]:
    """The module whose output is Z, for each cut; checked on images in eval mode.

    Args:
        graph: The traced model.
        model: The model that was traced.
        cuts: Cuts by name; "output" has no module, since the logits are at hand anyway.
        images: Some images, on the device of the model.

    Raises:
        TrainingError: Z at a cut is no module's output; names cuts that are.
    """
    names = module_names(graph, model)
    usable = [cut for cut in cuts if names.get(cut)]
    seen: dict[str, Tensor] = {}
    read_cuts(graph, images, usable, lambda name, z: seen.__setitem__(name, z.clone()))
    with torch.no_grad(), tapped(model, {cut: str(names[cut]) for cut in usable}) as taps:
        model(images)
        held = dict(taps)
    for cut in cuts:
        if cut == "output" or (cut in held and _same(held[cut], seen[cut])):
            continue
        others = [name for name, module in names.items() if module and graph.cut(name).level == "block"]
        raise TrainingError(
            f"a loss cannot act on {cut}: Z there is not the output of one module", f"Such are {', '.join(others[:6])}."
        )
    return {cut: str(names[cut]) for cut in usable}


@contextmanager
def tapped(model: nn.Module, modules: Mapping[str, str]) -> Iterator[dict[str, Tensor]]:
    """A mapping that holds, after each forward pass, the output of the modules by the names of their cuts."""
    taps: dict[str, Tensor] = {}

    def hook(cut: str) -> RemovableHandle:
        def keep(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                taps[cut] = output.clone()  # a later layer may write over it in place

        return inner(model).get_submodule(modules[cut]).register_forward_hook(keep)

    hooks = [hook(cut) for cut in modules]
    try:
        yield taps
    finally:
        for one in hooks:
            one.remove()


def inner(model: nn.Module) -> nn.Module:
    """The user's model itself, which the names of cuts are about."""
    return model.body if isinstance(model, Normalised) else model


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool((one - other).abs().max() <= SAME * max(float(other.std()), 1e-6))
