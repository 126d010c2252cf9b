"""Our messages against those of the stock client: the same bytes."""

import pytest
from tritonclient.grpc import service_pb2 as stock

from goldcut.wire.messages import FIELDS, MESSAGES, parameters_of

NAMES = {
    "InferTensor": "ModelInferRequest.InferInputTensor",
    "RequestedOutput": "ModelInferRequest.InferRequestedOutputTensor",
    "TensorMetadata": "ModelMetadataResponse.TensorMetadata",
}


def stock_class(name: str):
    found = stock
    for part in NAMES.get(name, name).split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", FIELDS)
def test_numbers_and_types_are_those_of_the_protocol(name):
    ours = {field.name: field for field in MESSAGES[name].DESCRIPTOR.fields}
    theirs = {field.name: field for field in stock_class(name).DESCRIPTOR.fields}
    assert ours.keys() <= theirs.keys()
    for field, mine in ours.items():
        assert (mine.number, mine.type, mine.is_repeated) == (
            theirs[field].number,
            theirs[field].type,
            theirs[field].is_repeated,
        )


def test_a_request_of_the_stock_client_is_read_as_it_was_meant():
    request = stock.ModelInferRequest(model_name="m", model_version="v", id="7", raw_input_contents=[b"abcd"])
    request.inputs.add(name="z", datatype="FP32", shape=[1, 1])
    request.parameters["timeout"].int64_param = 5
    request.parameters["ok"].bool_param = False
    ours = MESSAGES["ModelInferRequest"].FromString(request.SerializeToString())
    assert (ours.model_name, ours.model_version, ours.id) == ("m", "v", "7")
    assert parameters_of(ours.parameters) == {"timeout": 5, "ok": False}
    assert ours.SerializeToString(deterministic=True) == request.SerializeToString(deterministic=True)
