"""A half of a model as an ONNX file with a free batch size, or as a program of torch.export."""

import io
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram

from goldcut.cuts.trace import quiet
from goldcut.errors import DeployError, MissingExtra

MOST_BYTES = 2 * 10**9
"""An ONNX file cannot be larger."""

ATTENTION = torch.ops.aten.scaled_dot_product_attention.default


def load_onnx() -> Any:
    """The module onnx, with the exporter beside it.

    Raises:
        MissingExtra: One of them is not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtra(error.name or "onnx", "export") from error
    return onnx


def to_program(half: nn.Module, samples: tuple[Tensor, ...]) -> ExportedProgram:
    """A half as a program for any batch size; weights shared by reference.

    Args:
        half: From split_at, or a Defended one.
        samples: (2, ...) each, what it takes.

    Raises:
        DeployError: torch.export cannot carry it over.
    """
    try:
        with torch.no_grad(), quiet():
            return torch.export.export(half, samples, dynamic_shapes=({0: Dim.DYNAMIC},) * len(samples))
    except Exception as error:  # torch.export fails with whatever the tracer raises
        raise DeployError(f"a half cannot be exported: {_short(error)}", "Try another cut.") from error


def to_pt2(program: ExportedProgram) -> bytes:
    """The file that torch.export.load reads."""
    buffer = io.BytesIO()
    with quiet():
        torch.export.save(program, buffer)
    return buffer.getvalue()


def to_onnx(program: ExportedProgram, names: tuple[str, ...], metadata: dict[str, str]) -> bytes:
    """An ONNX file that holds its weights and nothing of the machine that it was made on.

    Args:
        program: From to_program.
        names: Of the inputs and, last, the output.
        metadata: Written into the file.

    Raises:
        DeployError: The half has an operator that ONNX lacks, or is larger than 2 GB.
        MissingExtra: The exporter is not installed.
    """
    load_onnx()
    size = sum(weight.numel() * weight.element_size() for weight in program.state_dict.values())
    if size > MOST_BYTES:
        raise DeployError(f"a half has {size / 1e9:.1f} GB of weights, an ONNX file holds 2", "Try --format pt2.")
    try:
        with torch.no_grad(), quiet():
            made = torch.onnx.export(
                program,
                dynamo=True,
                external_data=False,
                input_names=names[:-1],
                output_names=names[-1:],
                verbose=False,
            )
    except Exception as error:  # the exporter fails with whatever a pass of it raises
        raise DeployError(f"a half cannot become ONNX: {_short(error)}", "Try another cut.") from error
    assert made is not None
    proto = made.model_proto
    _clean(proto)
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)
    return bytes(proto.SerializeToString(deterministic=True))


def _clean(proto: Any) -> None:
    """Take out traces (paths of files, lines of code) and call the free dimension "batch"."""
    del proto.metadata_props[:]
    functions = list(proto.functions)
    for owner in (proto.graph, *functions, *proto.graph.node, *(node for one in functions for node in one.node)):
        del owner.metadata_props[:]
        owner.doc_string = ""
    for weight in proto.graph.initializer:
        del weight.metadata_props[:]
    first = {one.type.tensor_type.shape.dim[0].dim_param for one in proto.graph.input}
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        del value.metadata_props[:]
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in first:
                dim.dim_param = "batch"


def with_plain_strides(half: fx.GraphModule) -> fx.GraphModule:
    """A half in which the answer of every attention lies in memory in plain order.

    The exporter otherwise fails at views of it ("Cannot view a tensor with shape ... and strides").
    """
    if not any(node.target is ATTENTION for node in half.graph.nodes):
        return half
    graph = fx.Graph()
    copies: dict[fx.Node, Any] = {}
    for node in half.graph.nodes:
        copies[node] = graph.node_copy(node, copies.__getitem__)
        if node.target is ATTENTION:
            plain: dict[str, Any] = {"memory_format": torch.contiguous_format}
            copies[node] = graph.call_function(torch.ops.aten.clone.default, (copies[node],), plain)
    return fx.GraphModule(half, graph).eval()


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
