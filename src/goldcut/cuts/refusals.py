"""Which modules' outputs are no cut, and why, in words."""

from collections.abc import Iterator, Mapping

from torch import Tensor, fx

from goldcut.cuts.alive import alive_after, find_dominators, operator_name
from goldcut.cuts.names import Stacks
from goldcut.cuts.trace import is_free
from goldcut.records import Refused

JOINS = {"add": "inside a residual branch", "cat": "inside branches that are concatenated", "mul": "inside a gate"}
"""What a place is inside of, by the operator at which its branches meet."""

INPUT_FORM = "it comes before the first parameter, so Z would be the input in another form"


def why_unusable(node: fx.Node, images: fx.Node) -> str | None:
    """Why the only tensor alive at a place cannot be Z, or None."""
    value, batch = node.meta.get("val"), images.meta["val"].shape[0]
    if not isinstance(value, Tensor):
        return "its output is no single tensor"
    if not value.is_floating_point():
        return f"Z would hold {str(value.dtype).removeprefix('torch.')} values, not floating-point ones"
    if [axis for axis, size in enumerate(value.shape) if is_free(size)] != [0] or str(value.shape[0]) != str(batch):
        return "its first dimension is not the batch, so the Z of one image cannot be told from another's"
    return None


def explain_refusals(
    stacks: Stacks, names: Mapping[fx.Node, tuple[str, ...]], known: set[str], first: int
) -> Iterator[Refused]:
    """The outermost modules whose output is no cut, in order.

    Args:
        stacks: The module calls around the input-dependent nodes.
        names: All names of each node.
        known: Names and aliases of the cuts.
        first: Index in the flow of the first node that a parameter went into.
    """
    flow = stacks.flow
    outputs: dict[str, list[fx.Node]] = {}
    for node in flow.nodes:
        for call in stacks.calls(node):
            outputs.setdefault(call, [])
            if any(call not in stacks.calls(user) for user in node.users):
                outputs[call].append(node)
    dominators = find_dominators(flow)
    left_out = set(outputs) - known
    for call, (node, *more) in sorted(outputs.items(), key=lambda item: flow.order[item[1][0]]):
        if call in known or any(call.startswith(f"{parent}.") for parent in left_out):
            continue
        if more:
            reason = f"its output is {1 + len(more)} tensors: {listed([names[n][0] for n in (node, *more)])}"
        elif flow.order[node] < first:
            reason = INPUT_FORM
        elif node in dominators:
            reason = why_unusable(node, flow.nodes[0]) or "it is another name of a cut"
        else:
            alive = alive_after(flow, node)
            join = next(d for d in dominators if flow.order[d] > flow.order[node])
            where = JOINS.get(operator_name(join), "inside parallel branches")
            reason = f"{len(alive)} tensors are alive here: {listed([names[n][0] for n in alive])} ({where})"
        yield Refused(name=call, reason=reason)


def listed(words: list[str]) -> str:
    """At most four of them, as a person would say it."""
    shown = words if len(words) <= 4 else [*words[:3], f"{len(words) - 3} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
