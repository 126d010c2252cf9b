"""The messages of the Open Inference Protocol, version 2, for gRPC.

Built from a table into a pool of their own, so that they live beside any other copy of the protocol in one process
(two generated modules of the package `inference` cannot). Field numbers: KServe, Open Inference Protocol,
open_inference_grpc.proto.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "inference"
SERVICE = "inference.GRPCInferenceService"

PARAMETERS = "map InferParameter"
FIELDS: dict[str, dict[str, tuple[int, str]]] = {
    "InferParameter": {
        "bool_param": (1, "one bool"),
        "int64_param": (2, "one int64"),
        "string_param": (3, "one string"),
        "double_param": (4, "one double"),
        "uint64_param": (5, "one uint64"),
    },
    "InferTensorContents": {
        "bool_contents": (1, "many bool"),
        "int_contents": (2, "many int32"),
        "int64_contents": (3, "many int64"),
        "uint_contents": (4, "many uint32"),
        "uint64_contents": (5, "many uint64"),
        "fp32_contents": (6, "many float"),
        "fp64_contents": (7, "many double"),
        "bytes_contents": (8, "many bytes"),
    },
    "InferTensor": {
        "name": (1, "string"),
        "datatype": (2, "string"),
        "shape": (3, "many int64"),
        "parameters": (4, PARAMETERS),
        "contents": (5, "InferTensorContents"),
    },
    "RequestedOutput": {"name": (1, "string"), "parameters": (2, PARAMETERS)},
    "ModelInferRequest": {
        "model_name": (1, "string"),
        "model_version": (2, "string"),
        "id": (3, "string"),
        "parameters": (4, PARAMETERS),
        "inputs": (5, "many InferTensor"),
        "outputs": (6, "many RequestedOutput"),
        "raw_input_contents": (7, "many bytes"),
    },
    "ModelInferResponse": {
        "model_name": (1, "string"),
        "model_version": (2, "string"),
        "id": (3, "string"),
        "parameters": (4, PARAMETERS),
        "outputs": (5, "many InferTensor"),
        "raw_output_contents": (6, "many bytes"),
    },
    "ServerLiveRequest": {},
    "ServerLiveResponse": {"live": (1, "bool")},
    "ServerReadyRequest": {},
    "ServerReadyResponse": {"ready": (1, "bool")},
    "ModelReadyRequest": {"name": (1, "string"), "version": (2, "string")},
    "ModelReadyResponse": {"ready": (1, "bool")},
    "ServerMetadataRequest": {},
    "ServerMetadataResponse": {"name": (1, "string"), "version": (2, "string"), "extensions": (3, "many string")},
    "ModelMetadataRequest": {"name": (1, "string"), "version": (2, "string")},
    "TensorMetadata": {"name": (1, "string"), "datatype": (2, "string"), "shape": (3, "many int64")},
    "ModelMetadataResponse": {
        "name": (1, "string"),
        "versions": (2, "many string"),
        "platform": (3, "string"),
        "inputs": (4, "many TensorMetadata"),
        "outputs": (5, "many TensorMetadata"),
    },
}
"""Message -> field -> number and type; "many" repeats, "one" is a choice of one, "map" goes from strings to it."""

_Field = descriptor_pb2.FieldDescriptorProto


def _describe() -> descriptor_pb2.FileDescriptorProto:
    """The table as a file of the protocol buffer language."""
    file = descriptor_pb2.FileDescriptorProto(name="goldcut/oip.proto", package=PACKAGE, syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        if any(kind.startswith("one ") for _, kind in fields.values()):
            message.oneof_decl.add(name="parameter_choice")
        for field, (number, kind) in fields.items():
            _add_field(message, name, field, number, kind)
    return file


def _add_field(message: Any, owner: str, name: str, number: int, kind: str) -> None:
    how, _, what = kind.rpartition(" ")
    label = _Field.LABEL_REPEATED if how in ("many", "map") else _Field.LABEL_OPTIONAL
    if how == "map":
        entry = message.nested_type.add(name="ParametersEntry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
        entry.field.add(
            name="value",
            number=2,
            type=_Field.TYPE_MESSAGE,
            type_name=f".{PACKAGE}.{what}",
            label=_Field.LABEL_OPTIONAL,
        )
        what = f"{owner}.ParametersEntry"
    field = message.field.add(name=name, number=number, label=label)
    if how == "one":
        field.oneof_index = 0
    if what[0].isupper():
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{what}"
    else:
        field.type = getattr(_Field, f"TYPE_{what.upper()}")


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_describe())

MESSAGES: dict[str, Any] = {
    name: message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in FIELDS
}
"""Message classes by name."""


def parameters_of(field: Any) -> dict[str, bool | int | float | str]:
    """A map of parameters as plain values; one without a value is left out."""
    found: dict[str, bool | int | float | str] = {}
    for key, value in field.items():
        chosen = value.WhichOneof("parameter_choice")
        if chosen is not None:
            found[key] = getattr(value, chosen)
    return found
