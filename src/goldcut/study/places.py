"""At which cuts a training watches, a loss acts and a defence stands."""

import numpy as np
from torch import nn

from goldcut.cuts.graph import CutGraph
from goldcut.errors import TrainingError
from goldcut.records import Cut
from goldcut.training.losses import Loss
from goldcut.training.taps import deepest_module

WATCHED = 6
"""Cuts that are watched unless others are asked for, besides the output."""


def choose_watched(graph: CutGraph, watch: str) -> tuple[Cut, ...]:
    """The cuts to watch, in the order of the network.

    Raises:
        ModelError: A name is no cut; near names are listed.
    """
    if watch == "none":
        return ()
    shown = graph.at_level("block")
    if watch == "all":
        return shown
    if watch == "spread":
        inner = shown[:-1]
        places = np.unique(np.linspace(0, len(inner) - 1, min(WATCHED, len(inner))).round().astype(int))
        return (*(inner[place] for place in places), shown[-1])
    names = {graph.cut(name.strip()).name for name in watch.split(",")}
    return tuple(cut for cut in graph.cuts if cut.name in names)


def choose_places(
    graph: CutGraph, model: nn.Module, loss: Loss, defense: str | None, at: str | None
) -> tuple[Cut, ...]:
    """The cuts that a loss acts on, and where the defence stands; none where neither is about a cut.

    Raises:
        TrainingError: A place where there cannot be one.
    """
    if not loss.on_cuts and defense is None:
        if at is not None:
            raise TrainingError(
                f"the loss {loss.spec} acts on the logits alone",
                "Leave --at out, or use a loss that acts on cuts or a --defense.",
            )
        return ()
    names = {graph.cut(name.strip()).name for name in (at or deepest_module(graph, model)).split(",")}
    places = tuple(cut for cut in graph.cuts if cut.name in names)
    if defense is not None and len(places) > 1:
        raise TrainingError(
            f"{defense} stands at one cut and --at names {len(places)}", "Name the cut at which Z will be sent."
        )
    if defense is not None and places[0].level == "output":
        raise TrainingError(
            f"behind the output there is nothing that could learn to live with {defense}", "Name a cut before it."
        )
    return places
