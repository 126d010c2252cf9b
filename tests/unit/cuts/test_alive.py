"""Dominators and liveness against brute force on random graphs."""

import itertools
import operator
import random

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx

from goldcut.cuts.alive import alive_after, ancestors, find_dominators, find_logits, follow_input


def random_graph(size: int, seed: int) -> fx.Graph:
    """A random graph in which every node leads to the output; some nodes hang on constants alone."""
    draw = random.Random(seed)
    graph = fx.Graph()
    nodes = [graph.placeholder("x")]
    constants = [graph.create_node("get_attr", "w")]
    for _ in range(size):
        reach = draw.choice([1, 1, 2, 4])
        if draw.random() < 0.2:
            constants.append(graph.call_function(operator.neg, (draw.choice(constants),)))
        nodes.append(graph.call_function(operator.add, (draw.choice(nodes[-reach:]), draw.choice(nodes + constants))))
    loose = [node for node in nodes[1:-1] if not node.users]
    end = nodes[-1]
    for node in loose:
        end = graph.call_function(operator.add, (end, node))
    graph.output(end)
    return graph


def reordered(graph: fx.Graph, seed: int) -> fx.Graph:
    """The same graph with its nodes in another topological order, under the same names."""
    draw = random.Random(seed)
    copy, copies = fx.Graph(), {}
    waiting = [node for node in graph.nodes if node.op != "output"]
    while waiting:
        ready = [node for node in waiting if all(argument in copies for argument in node.all_input_nodes)]
        node = draw.choice(ready)
        waiting.remove(node)
        copies[node] = copy.node_copy(node, copies.__getitem__)
        copies[node].name = node.name
    copy.output(copies[find_logits(graph)])
    return copy


def paths(node: fx.Node, goal: fx.Node) -> list[list[fx.Node]]:
    if node is goal:
        return [[node]]
    return [[node, *path] for user in node.users if user.op != "output" for path in paths(user, goal)]


@given(size=st.integers(2, 9), seed=st.integers(0, 10_000))
@settings(max_examples=80, deadline=None)
def test_dominators_lie_on_every_path(size: int, seed: int) -> None:
    graph = random_graph(size, seed)
    flow, goal = follow_input(graph), find_logits(graph)
    every_path = paths(flow.nodes[0], goal)
    expected = [node for node in flow.nodes if all(node in path for path in every_path)]
    assert find_dominators(flow) == expected


@given(size=st.integers(2, 14), seed=st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_dominators_do_not_depend_on_the_order(size: int, seed: int) -> None:
    graph = random_graph(size, seed)
    names = [node.name for node in find_dominators(follow_input(graph))]
    for other in range(3):
        assert [node.name for node in find_dominators(follow_input(reordered(graph, other)))] == names


@given(size=st.integers(2, 14), seed=st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_a_dominator_is_where_one_tensor_is_alive(size: int, seed: int) -> None:
    flow = follow_input(random_graph(size, seed))
    dominators = find_dominators(flow)
    for node in flow.nodes[:-1]:
        alive = alive_after(flow, node)
        assert (alive == [node]) == (node in dominators)


def test_ancestors_stop_where_they_are_told() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    a, b = (graph.call_function(torch.neg, (x,)) for _ in range(2))
    c = graph.call_function(torch.add, (a, b))
    graph.output(c)
    assert ancestors([c]) == {x, a, b, c}
    assert ancestors([c], stop=[a, b]) == {a, b, c}
    assert list(itertools.chain(ancestors([x]))) == [x]
