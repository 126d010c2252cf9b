"""What a cut is called, and how coarse the view is that shows it."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from torch import fx, nn

from goldcut.cuts.alive import Flow, keeps_elements, operator_name
from goldcut.cuts.kinds import count_elements
from goldcut.records import Level

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True, eq=False)
class Stacks:
    """The module calls around each node of a flow.

    Attributes:
        model: The user's model.
        prefix: Its path inside the traced wrapper.
        flow: The input-dependent nodes.
    """

    model: nn.Module
    prefix: str
    flow: Flow

    def calls(self, node: fx.Node) -> tuple[str, ...]:
        """The calls that the node lies in, outermost first: "layer1", "layer1.0", "layer1.0.relu@2"."""
        found = []
        for key, (path, *_) in (node.meta.get("nn_module_stack") or {}).items():
            if path.startswith(f"{self.prefix}."):
                _, at, repeat = key.rpartition("@")
                call = path.removeprefix(f"{self.prefix}.")
                found.append(f"{call}@{int(repeat) + 1}" if at and repeat.isdigit() else call)
        return tuple(dict.fromkeys(found))

    def left(self, node: fx.Node) -> tuple[str, ...]:
        """The calls whose output the node's tensor is: it lies inside, all its users outside; outermost first."""
        used_in = {call for user in self.flow.users(node) for call in self.calls(user)}
        return tuple(call for call in self.calls(node) if call not in used_in)

    def inside(self, node: fx.Node, paths: Collection[str]) -> bool:
        """Whether the node lies in a call of one of the modules and is not its output."""
        left = self.left(node)
        return any(path_of(call) in paths and call not in left for call in self.calls(node))


def path_of(call: str) -> str:
    """The module that is called: "relu" of "relu@2"."""
    return call.partition("@")[0]


def find_blocks(places: Iterable[fx.Node], stacks: Stacks) -> frozenset[str]:
    """Paths of the blocks: the units that a network repeats, one after the other.

    The output of a block is a place that every path passes through. A block is no plain container, is the direct
    child of a Sequential or ModuleList, its type occurs at least twice, and it has at least three modules with
    parameters of their own; of several such modules inside each other it is the innermost. With two such parts (the
    patch merging of Swin) it counts where it lies neither in a block nor around one, unless it is a Sequential.
    """
    modules = dict(stacks.model.named_modules(remove_duplicate=False))
    kinds = Counter(type(module) for module in modules.values())
    parts = {
        path: sum(any(True for _ in part.parameters(recurse=False)) for part in modules[path].modules())
        for path in {path_of(call) for node in places for call in stacks.left(node)}
        if type(modules[path]) not in CONTAINERS
        and isinstance(modules[path.rpartition(".")[0]], nn.Sequential | nn.ModuleList)
        and kinds[type(modules[path])] >= 2
    }
    large = {path for path, count in parts.items() if count >= 3}
    blocks = {path for path in large if not any(other.startswith(f"{path}.") for other in large)}
    pairs = {path for path, count in parts.items() if count == 2 and not isinstance(modules[path], nn.Sequential)}
    return frozenset(blocks | {path for path in pairs if not any(nested(path, block) for block in blocks)})


def nested(one: str, other: str) -> bool:
    """Whether one path lies in the other, either way."""
    return one.startswith(f"{other}.") or other.startswith(f"{one}.")


def name_nodes(stacks: Stacks, blocks: Collection[str]) -> dict[fx.Node, tuple[str, ...]]:
    """All names of each node of the flow, the one to show first.

    Shown is the block whose output the tensor is, or else the outermost such module that is more than a container
    of larger modules ("layer3.1", not "layer3", but "features" for a Sequential of plain layers). A tensor that is
    no module's output is called "<deepest module>/<operator>", "#2" and so on where that is taken.
    """
    taken: Counter[str] = Counter()
    names: dict[fx.Node, tuple[str, ...]] = {stacks.flow.nodes[0]: ("the image",)}
    for node in stacks.flow.nodes[1:]:
        left = stacks.left(node)
        shown = [call for call in left if path_of(call) in blocks]
        shown += [call for call in left if not holds_larger(stacks.model.get_submodule(path_of(call)))]
        deepest = stacks.calls(node)[-1:]
        calls = tuple(dict.fromkeys([*shown[:1], *left])) or ("/".join([*deepest, operator_name(node)]),)
        taken.update(calls)
        names[node] = tuple(call if taken[call] == 1 else f"{call}#{taken[call]}" for call in calls)
    return names


def holds_larger(module: nn.Module) -> bool:
    """Whether the module is a container with modules inside that have parts of their own."""
    return isinstance(module, CONTAINERS) and any(any(True for _ in part.children()) for part in module.children())


def find_levels(cuts: Sequence[fx.Node], stacks: Stacks, blocks: Collection[str]) -> list[Level]:
    """The coarsest view that shows each cut.

    "all" shows everything. "group" leaves out a cut when only element-wise operators, normalisations, dropout and
    views lie between it and the next one, which then holds the same information in as many elements (pools stay
    apart: they send fewer bytes). "block" leaves out, of these, what lies strictly inside a block. A group does not
    reach from outside into a block, so that the views are nested. The last cut, the logits, is "output".
    """
    levels: list[Level] = []
    flow = stacks.flow
    for index, node in enumerate(cuts[:-1]):
        after = cuts[index + 1]
        inside = stacks.inside(node, blocks)
        between = flow.nodes[flow.order[node] + 1 : flow.order[after] + 1]
        merges = (
            index + 2 < len(cuts)
            and count_elements(node) == count_elements(after)
            and all(map(keeps_elements, between))
        )
        if merges and (inside or not stacks.inside(after, blocks)):
            levels.append("all")
        else:
            levels.append("group" if inside else "block")
    return [*levels, "output"]
