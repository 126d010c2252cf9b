"""Where a model can be cut: the places where exactly one input-dependent tensor is still to be used."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, fx, nn

from goldcut.cuts.alive import Flow, alive_after, ancestors, find_dominators, follow_input, only_arranges
from goldcut.cuts.kinds import count_elements, find_kinds, sample_shape
from goldcut.cuts.names import Stacks, find_blocks, find_levels, name_nodes
from goldcut.cuts.refusals import explain_refusals, listed, why_unusable
from goldcut.cuts.trace import trace_model
from goldcut.errors import ModelError
from goldcut.records import LEVELS, Cut, Refused

ONE_TENSOR = "A cut needs a place that a single tensor passes through."


@dataclass(frozen=True, eq=False)
class CutGraph:
    """A traced model and its cuts.

    Attributes:
        module: Functional graph of ATen operators in eval mode: images (b, C, H, W) in, logits out, weights shared
            by reference with the model.
        input_shape: (C, H, W) of the images.
        cuts: Every cut in the order of the network; the last one is "output", the logits.
        refused: Modules whose output is no cut, and why.
        nodes: Name of a cut -> name of its node in `module.graph`.
        sent: Name of a cut -> name of the node of what is sent there, where that is not Z itself but a defended one.
        readers: Generated passes by the cuts that they show, kept by read_cuts.

    The graph lives on the device that the model was on: constants made while tracing name it, so move the model
    first and find its cuts then.
    """

    module: fx.GraphModule
    input_shape: tuple[int, int, int]
    cuts: tuple[Cut, ...]
    refused: tuple[Refused, ...]
    nodes: Mapping[str, str]
    sent: Mapping[str, str] = field(default_factory=dict)
    readers: dict[tuple[str, ...], fx.GraphModule] = field(default_factory=dict, repr=False)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the logits of one image."""
        return self.cuts[-1].shape

    def cut(self, name: str) -> Cut:
        """The cut of this name or alias.

        Raises:
            ModelError: There is none; says why, or which names are near.
        """
        for cut in self.cuts:
            if name == cut.name or name in cut.aliases:
                return cut
        for refused in self.refused:
            if name == refused.name or name.startswith((f"{refused.name}.", f"{refused.name}/")):
                raise ModelError(f"{name} is no cut: {refused.reason}", "Choose a name that `goldcut cuts` lists.")
        names = [known for cut in self.cuts for known in (cut.name, *cut.aliases)]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
        raise ModelError(f"the model has no cut {name!r}", f"Near it: {', '.join(near)}.")

    def at_level(self, level: str) -> tuple[Cut, ...]:
        """The cuts that a view shows: "block", "group" or "all"; the output always, last."""
        shown = {*LEVELS[: LEVELS.index(level) + 1], "output"}
        return tuple(cut for cut in self.cuts if cut.level in shown)

    def node(self, name: str) -> fx.Node:
        """The graph node of a cut, by name or alias: where the cloud half goes on."""
        return self._find(self.nodes[self.cut(name).name])

    def sent_node(self, name: str) -> fx.Node:
        """The graph node of what is sent at a cut, by name or alias: where the edge half ends."""
        cut = self.cut(name).name
        return self._find(self.sent.get(cut, self.nodes[cut]))

    def _find(self, wanted: str) -> fx.Node:
        found: fx.Node = next(node for node in self.module.graph.nodes if node.name == wanted)
        return found


def find_cuts(model: nn.Module, input_shape: tuple[int, int, int]) -> CutGraph:
    """Every admissible cut of a model that takes images in [0, 1].

    A cut is a place where exactly one input-dependent tensor Z is still to be used: every path from the image to
    the logits passes through it, whatever order the operators run in. Weights, constants and the batch size do not
    count. Not listed are

    - places before the first parameter: Z would be the input in another form;
    - places after which values are only arranged anew (flatten, squeeze): they are aliases of "output", the logits;
    - places where Z is no floating-point tensor with the batch as its first dimension (these are in `refused`).

    The kind of a cut follows from its axes: "map" for (C, H, W); "tokens" for (T, D), and for maps whose channels
    come last, (H, W, D), as inside Swin: every axis but the last is a position then; "vector" for everything else,
    to be read flattened. The shape is always that of Z as it is.

    Raises:
        ModelError: The model cannot be traced (see trace_model) or has no place to cut.

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
        >>> [(cut.name, cut.shape, cut.level) for cut in find_cuts(model, (1, 8, 8)).cuts]
        [('0', (4, 6, 6), 'all'), ('1', (4, 6, 6), 'all'), ('2', (144,), 'block'), ('output', (10,), 'output')]
    """
    trace = trace_model(model, input_shape)
    module, flow = trace.module, follow_input(trace.module.graph)
    stacks, kinds = Stacks(trace.model, trace.prefix, flow), find_kinds(flow)
    first = flow.order[first_weighted(module, flow)]
    candidates = [node for node in find_dominators(flow) if flow.order[node] >= first]
    blocks = find_blocks(candidates, stacks)
    names = name_nodes(stacks, blocks)
    tail = trailing_views(flow, candidates)
    output = tail[-1]
    if (reason := why_unusable(output, flow.nodes[0])) is not None:
        raise ModelError(
            f"the model's output is no batch of logits: {reason}", "Wrap the model so that it returns them."
        )
    single = [node for node in candidates if node not in tail]
    inner = [node for node in single if why_unusable(node, flow.nodes[0]) is None]
    if not inner:
        between = [node for node in flow.nodes[first : flow.order[tail[0]]] if isinstance(node.meta.get("val"), Tensor)]
        raise no_cut(flow, names, between, [why_unusable(node, flow.nodes[0]) for node in single])
    names[output] = ("output", *(name for node in tail for name in names[node]))
    nodes = [*inner, output]
    levels = find_levels(nodes, stacks, blocks)
    cuts = tuple(
        Cut(
            name=names[node][0],
            aliases=names[node][1:],
            shape=sample_shape(node),
            kind=kinds[node],
            elements=count_elements(node),
            level=level,
        )
        for node, level in zip(nodes, levels, strict=True)
    )
    known = {name for node in nodes for name in names[node]}
    refused = tuple(explain_refusals(stacks, names, known, first))
    return CutGraph(module, input_shape, cuts, refused, {names[node][0]: node.name for node in nodes})


def first_weighted(module: fx.GraphModule, flow: Flow) -> fx.Node:
    """The first node of the flow that a parameter goes into, directly or by a computation on weights alone."""
    parameters = dict(module.named_parameters(remove_duplicate=False))
    weighted = {node for node in module.graph.nodes if node.op == "get_attr" and node.target in parameters}
    for node in flow.nodes:
        if not weighted.isdisjoint(ancestors(node.all_input_nodes, stop=flow.order)):
            return node
    raise ModelError("no parameter has an influence on the logits", "Give a model with weights.")


def trailing_views(flow: Flow, candidates: list[fx.Node]) -> list[fx.Node]:
    """The last candidates, from the one after which values are only arranged anew to the logits."""
    last = max((index for index, node in enumerate(flow.nodes) if not only_arranges(node)), default=0)
    return [node for node in candidates if flow.order[node] >= last]


def no_cut(
    flow: Flow, names: Mapping[fx.Node, tuple[str, ...]], between: list[fx.Node], unusable: list[str | None]
) -> ModelError:
    """Why a model has no cut.

    Args:
        flow: The input-dependent nodes.
        names: Their names.
        between: The tensors after the first parameter and before the logits.
        unusable: Of those that are alone, why they cannot be Z.
    """
    if not between:
        return ModelError("the model has one layer with weights, so one half would have nothing to do", ONE_TENSOR)
    if unusable:
        return ModelError(f"the model has no place to cut: where one tensor is alive, {unusable[0]}", ONE_TENSOR)
    alive = min((alive_after(flow, node) for node in between), key=len)
    return ModelError(
        f"the model has no place to cut: everywhere at least {len(alive)} tensors are alive, "
        f"at best {listed([names[node][0] for node in alive])}",
        ONE_TENSOR,
    )
