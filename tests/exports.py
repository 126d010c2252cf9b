"""A tiny export made by hand, without torch: the two halves are ONNX graphs of a few nodes, so that a test of the
server or of the client starts at once and has an oracle in numpy.

edge:  z = relu(images * 2 - 1 + bias), (1, 4, 4) -> (1, 4, 4);    cloud: logits = flatten(z) @ weight, 3 classes.
"""

from pathlib import Path

import numpy as np
import onnx
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper

from goldcut import records
from goldcut.deploy.equality import Reference, compare
from goldcut.deploy.manifest import CLOUD, EDGE, MANIFEST, REFERENCE, digest, half_metadata, open_codec, version_of
from goldcut.deploy.runtime import Half
from goldcut.deploy.synthetic import as_floats, synthetic_images
from goldcut.records import CodecRecord, Manifest, ModelRecord, Preprocessing

SHAPE = (1, 4, 4)
CLASSES = ("ant", "bee", "cat")
BIAS = np.linspace(-0.5, 0.5, 16, dtype=np.float32).reshape(SHAPE)
WEIGHT = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
MODEL_SHA256 = "ab" * 32


def edge_of(images: np.ndarray) -> np.ndarray:
    """Z, in numpy."""
    return np.maximum(images * 2 - 1 + BIAS, 0).astype(np.float32)


def cloud_of(z: np.ndarray) -> np.ndarray:
    """The logits, in numpy."""
    return (z.reshape(len(z), -1) @ WEIGHT).astype(np.float32)


def edge_onnx(cut: str = "block1") -> bytes:
    """The edge half."""
    nodes = [
        helper.make_node("Mul", ["images", "two"], ["doubled"]),
        helper.make_node("Add", ["doubled", "shift"], ["shifted"]),
        helper.make_node("Relu", ["shifted"], ["z"]),
    ]
    weights = {"two": np.float32(2).reshape(()), "shift": BIAS - 1}
    return _model(nodes, ("images", SHAPE), ("z", SHAPE), weights, cut)


def cloud_onnx(cut: str = "block1", weight: np.ndarray = WEIGHT) -> bytes:
    """The cloud half."""
    nodes = [
        helper.make_node("Flatten", ["z"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
    ]
    return _model(nodes, ("z", SHAPE), ("logits", (3,)), {"weight": weight}, cut)


def write_export(
    folder: Path, number: str = "fp32", zstd: bool = False, *, edge: bytes = b"", cloud: bytes = b""
) -> Manifest:
    """Write both halves, the reference and a manifest that fits them."""
    folder.mkdir(parents=True, exist_ok=True)
    codec = CodecRecord(name=number, zstd=zstd)
    images = synthetic_images(4, SHAPE)
    z = edge_of(as_floats(images))
    stored = {"images": images, "z": z, "logits": cloud_of(z)}
    contents = {EDGE: edge or edge_onnx(), CLOUD: cloud or cloud_onnx(), REFERENCE: safetensors.numpy.save(stored)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    halves = Half(contents[EDGE], EDGE, (SHAPE, SHAPE)), Half(contents[CLOUD], CLOUD, (SHAPE, (3,)))
    found = compare(*halves, open_codec(codec, SHAPE), [Reference(as_floats(images), z, cloud_of(z))])
    files = {name: digest(content) for name, content in contents.items()}
    manifest = Manifest(
        model_name="tiny",
        version=version_of(files[EDGE], files[CLOUD], codec, SHAPE),
        model=ModelRecord(spec="python:tiny", input_shape=SHAPE, sha256=MODEL_SHA256),
        cut="block1",
        kind="map",
        z_shape=SHAPE,
        logits_shape=(3,),
        preprocessing=Preprocessing(shape=SHAPE, fit="converted to gray"),
        codec=codec,
        classes=CLASSES,
        files=files,
        equality=found.record("synthetic", None),
    )
    records.save(manifest, folder / MANIFEST)
    return manifest


def _model(nodes: list, source: tuple, result: tuple, weights: dict[str, np.ndarray], cut: str) -> bytes:
    graph = helper.make_graph(
        nodes,
        "half",
        [helper.make_tensor_value_info(source[0], TensorProto.FLOAT, ["batch", *source[1]])],
        [helper.make_tensor_value_info(result[0], TensorProto.FLOAT, ["batch", *result[1]])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, half_metadata(cut, MODEL_SHA256))
    onnx.checker.check_model(model)
    return model.SerializeToString()
