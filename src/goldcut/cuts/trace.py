"""From a model to one functional graph: an image batch in, the logits out, weights shared by reference."""

import contextlib
import io
import linecache
import logging
import operator
import sys
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._dynamo import OptimizedModule
from torch.export import Dim, ExportedProgram, export

from goldcut.cuts.alive import find_images
from goldcut.errors import ModelError
from goldcut.sources.logits import choose_logits
from goldcut.sources.models import Normalised

WRAPPERS: dict[type[nn.Module], str] = {Normalised: "body", nn.DataParallel: "module", OptimizedModule: "_orig_mod"}
"""Modules around the user's model, and where they keep it; names of cuts start inside."""


@dataclass(frozen=True)
class Trace:
    """A traced model.

    Attributes:
        module: Functional graph of ATen operators in eval mode, one placeholder, one tensor out.
        prefix: Path of the user's model in the module stacks of the nodes ("model" or "model.body").
        model: The user's model itself, without the wrappers around it.
    """

    module: fx.GraphModule
    prefix: str
    model: nn.Module


def trace_model(model: nn.Module, input_shape: tuple[int, int, int]) -> Trace:
    """Trace a model by torch.export with a free batch size, and leave it as it was.

    Tracing runs `forward` once or twice on tensors without values. Forward hooks are part of what the model
    computes: they run as well, and what they do to tensors becomes part of the graph; what they do besides
    (record, print) happens while tracing only, not when the graph runs.

    Raises:
        ModelError: The weights are not finite, the model fails on such images, its course depends on
            values of the image, or it works at one batch size only.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError("a TorchScript model no longer says what its modules are", "Give the module it was made from.")
    check_weights(model)
    first = next(model.parameters(), None)
    if first is None:
        raise ModelError("the model has no parameters, so it has no place to cut", "Give a model with weights.")
    images = torch.zeros(2, *input_shape, device=first.device)
    with borrowed(model), torch.no_grad(), quiet():
        program = export_model(LogitsOnly(model), images)
        if not rewrite_in_place(program.graph):
            program = program.run_decompositions({})
    inner, prefix = model, "model"
    while (name := WRAPPERS.get(type(inner))) is not None:
        inner, prefix = getattr(inner, name), f"{prefix}.{name}"
    return Trace(lift_weights(program), prefix, inner)


def check_weights(model: nn.Module) -> None:
    """Refuse parameters that are not finite and buffers with NaN (an attention mask may hold -inf).

    Raises:
        ModelError: Names the first such tensor.
    """
    for name, tensor in model.named_parameters():
        if not torch.isfinite(tensor).all():
            raise ModelError(f"parameter {name} holds NaN or infinite values", "Give a checkpoint with finite weights.")
    for name, buffer in model.named_buffers():
        if torch.isnan(buffer).any():
            raise ModelError(f"buffer {name} holds NaN", "Give a checkpoint with finite statistics.")


@contextlib.contextmanager
def borrowed(model: nn.Module) -> Iterator[None]:
    """The model in eval mode inside; after, every module holds what it held before.

    The flags are set directly: `train()` and `eval()` of some libraries do more (they merge LoRA weights). Attributes
    are put back too: a forward that keeps something (`self.last = x`) would keep a tensor without values.
    """
    held = [(module, dict(vars(module)), dict(module._buffers)) for module in model.modules()]
    for module, _, _ in held:
        module.training = False
    try:
        yield
    finally:
        for module, attributes, buffers in held:
            vars(module).clear()
            vars(module).update(attributes)
            module._buffers.clear()
            module._buffers.update(buffers)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what torch says about its own insides while it traces; errors still come as exceptions."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


class LogitsOnly(nn.Module):
    """A model with one input and one tensor out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        return choose_logits(self.model(x))


def export_model(model: nn.Module, images: Tensor) -> ExportedProgram:
    """Export with a free batch size: non-strict first, strict where that fixes the batch (`len(x)`) or fails.

    Raises:
        ModelError: Neither way gives a graph for any batch size.
    """
    failures: list[Exception] = []
    for strict in (False, True):
        try:
            program = export(model, (images,), dynamic_shapes={"x": {0: Dim.AUTO}}, strict=strict)
        except ModelError:
            raise
        except Exception as error:  # torch.export fails with whatever the model or the tracer raises
            failures.append(error)
        else:
            if is_free(find_input(program).meta["val"].shape[0]):
                return program
    if len(failures) == 2:
        raise explain(failures[0], tuple(images.shape[1:])) from failures[0]
    raise ModelError(
        "the model works for one batch size only once traced: it uses len(x), int(x.shape[0]) or a loop over the batch",
        "Use x.shape[0] and whole-batch operators in forward.",
    )


def is_free(size: int | torch.SymInt) -> bool:
    """Whether a size of a traced tensor varies with the batch; a SymInt may also hold a plain number."""
    return isinstance(size, torch.SymInt) and not size.node.expr.is_number


def find_input(program: ExportedProgram) -> fx.Node:
    """The node of the image batch among the weights."""
    name = program.graph_signature.user_inputs[0]
    images: fx.Node = next(node for node in program.graph.nodes if node.name == name)
    return images


def explain(error: Exception, shape: tuple[int, ...]) -> ModelError:
    """What stopped the tracer, at which line of the user's code, and what to do."""
    place = user_place(error)
    kind = type(error).__name__
    if "DataDependent" in kind or "data-dependent" in str(error).lower():
        return ModelError(
            f"the course of the computation depends on the values of the image{place}, so no fixed place can be cut",
            "Replace the branch by torch.where, or give the part of the model without it.",
        )
    text = " ".join(str(error).split())
    return ModelError(
        f"the model cannot be traced on images of shape {'x'.join(map(str, shape))}{place}: {kind}: {text[:300]}",
        "Check --input and that forward(x) works on a batch of such images.",
    )


def user_place(error: Exception) -> str:
    """The last line outside torch and goldcut that the error passed through, as ' (file:line, `code`)'."""
    ours = {Path(torch.__file__).parent, Path(__file__).parent}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_file() and not ours & set(path.parents):
            code = linecache.getline(frame.filename, frame.lineno or 0).strip()
            return f" (at {frame.filename}:{frame.lineno}, `{code}`)"
    return ""


# --- in-place operators ----------------------------------------------------------------------------


def rewrite_in_place(graph: fx.Graph) -> bool:
    """Turn `relu_` into `relu` and so on; False when an operator is left that cannot be turned safely.

    Safe: no other tensor over the same memory (a view of the base, or what it is a view of) is used later, and the
    result keeps the base's dtype. Each step keeps the meaning, so a graph that is left half-way is still right.
    """
    order = {node: index for index, node in enumerate(graph.nodes)}
    memory: dict[int | None, list[fx.Node]] = {}
    for node in graph.nodes:
        memory.setdefault(memory_of(node), []).append(node)
    for node in list(graph.nodes):
        if not is_mutable(node):
            continue
        base, target = node.args[0], out_of_place(node)
        earlier = [other for other in memory[memory_of(base)] if order[other] < order[node] and other is not base]
        if target is None or any(order[user] > order[node] for other in earlier for user in other.users):
            return False
        for user in [user for user in base.users if order[user] > order[node]]:
            user.replace_input_with(base, node)
        node.target = target
    return True


def memory_of(node: Any) -> int | None:
    """Identity of the memory behind a node's tensor."""
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return value.untyped_storage()._cdata if isinstance(value, Tensor) else None


def is_mutable(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


def out_of_place(node: fx.Node) -> Any:
    """The operator that does the same without writing into its first argument, or None."""
    target = node.target
    namespace, _, name = target._schema.name.partition("::")  # type: ignore[union-attr]
    packet = getattr(getattr(torch.ops, namespace), name.removesuffix("_"), None)
    overload = getattr(packet, target._overloadname, None)  # type: ignore[union-attr]
    dtypes = {arg.meta["val"].dtype for arg in node.all_input_nodes if isinstance(arg.meta.get("val"), Tensor)}
    if not name.endswith("_") or overload is None or overload._schema.is_mutable or len(dtypes) != 1:
        return None
    return overload


# --- one self-contained module ---------------------------------------------------------------------


def lift_weights(program: ExportedProgram) -> fx.GraphModule:
    """The graph as a module that owns (by reference) the weights it uses, with nothing dead in it."""
    graph = program.graph
    tensors: dict[str, Any] = {**program.constants, **program.state_dict}
    for spec, node in zip(program.graph_signature.input_specs, list(graph.nodes), strict=False):
        if spec.target is not None:
            with graph.inserting_before(node):
                weight = graph.create_node("get_attr", spec.target)
            weight.meta = node.meta
            node.replace_all_uses_with(weight)
            graph.erase_node(node)
    images = find_images(graph)
    output = graph.output_node()
    output.args = (output.args[0][-1],)  # mutated buffers come first, the logits last
    free_batch(graph, images)
    drop_whole_slices(graph)
    for node in reversed(list(graph.nodes)):  # assertions too: they have no users
        if not node.users and node.op not in ("placeholder", "output"):
            graph.erase_node(node)
    regions = dict(program.graph_module.named_children())  # the graphs inside higher-order operators (autocast)
    return fx.GraphModule(tensors | regions, graph, "Traced").eval()


def free_batch(graph: fx.Graph, images: fx.Node) -> None:
    """Read the batch size once, from the input, so that no half needs a tensor of the other for its size."""
    symbol = images.meta["val"].shape[0].node.expr
    with graph.inserting_after(images):
        batch = graph.call_function(torch.ops.aten.sym_size.int, (images, 0))
    batch.meta = {"val": images.meta["val"].shape[0], "nn_module_stack": {}}
    for node in list(graph.nodes):
        value = node.meta.get("val")
        if node is batch or not isinstance(value, torch.SymInt) or node.op != "call_function":
            continue
        factor = value.node.expr / symbol
        if factor == 1:
            node.replace_all_uses_with(batch)
        elif factor.is_Integer and node.target is torch.ops.aten.sym_size.int:
            node.target, node.args = operator.mul, (batch, int(factor))


def drop_whole_slices(graph: fx.Graph) -> None:
    """Take out `x[:]`, which `x[:, 0]` brings along: it is x itself, no place of its own."""
    for node in graph.nodes:
        if node.target is torch.ops.aten.slice.Tensor and node.args[2:] == (0, sys.maxsize):
            node.replace_all_uses_with(node.args[0])
