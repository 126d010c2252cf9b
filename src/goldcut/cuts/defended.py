"""A defence at every cut of a graph: what is sent is a side branch, and the network goes on with Z itself.

So one graph tells of each cut as if it alone were defended: its edge half ends with the defence, its cloud half
starts where the undefended Z was.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from torch import fx, nn

from goldcut.cuts.graph import CutGraph


def attach(graph: CutGraph, modules: Mapping[str, nn.Module], label: str) -> CutGraph:
    """The same graph, at some cuts with a module between Z and what is sent.

    Args:
        graph: From find_cuts; it stays as it is.
        modules: By name of the cut; each keeps the shape of Z.
        label: What they are called in the code of the graph, so that two defences make two codes.
    """
    drawn, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    for node in graph.module.graph.nodes:
        copies[node] = drawn.node_copy(node, copies.__getitem__)
    module = fx.GraphModule(graph.module, drawn, "Defended")
    prefix, sent = re.sub(r"\W", "_", label), dict[str, str]()
    for number, (name, defense) in enumerate(modules.items()):
        target, z = f"{prefix}_{number}", copies[graph.node(name)]
        module.add_submodule(target, defense)
        with drawn.inserting_after(z):
            branch = drawn.call_module(target, (z,))
        branch.meta = dict(z.meta)
        sent[name] = branch.name
    module.recompile()
    nodes = {name: copies[graph.node(name)].name for name in graph.nodes}
    return replace(graph, module=module.eval(), nodes=nodes, sent=sent, readers={})
