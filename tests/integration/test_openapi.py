"""The REST part against its own description, by schemathesis: whatever comes is answered as described."""

import json
import urllib.request

import jsonschema
import pytest
import schemathesis
from benchmarks.serving import serving
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

import exports
from goldcut.deploy.manifest import open_export
from goldcut.deploy.openapi import describe

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]
EXAMPLES = 25


@pytest.fixture(scope="module", params=["fp32", "int8"])
def served(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("openapi") / "export"
    exports.write_export(folder, request.param)
    with serving(folder, folder.parent / "log") as running:
        yield running, open_export(folder)


def test_it_is_served_and_is_that_of_this_export(served):
    running, export = served
    with urllib.request.urlopen(f"http://{running.http}/v2/openapi.json", timeout=20) as answer:
        found = json.loads(answer.read())
    assert found == json.loads(json.dumps(describe(export.manifest, export.codec, 32)))


def test_a_good_request_follows_its_schema(served):
    running, export = served
    schema = describe(export.manifest, export.codec, 32)
    path = f"/v2/models/tiny/versions/{export.manifest.version}/infer"
    operation = schema["paths"][path]["post"]
    z = exports.edge_of(exports.np.full((2, *exports.SHAPE), 0.5, "float32"))
    inputs = [
        {"name": one.name, "datatype": one.datatype, "shape": list(one.shape), "data": values(one)}
        for one in export.codec.encode(z)
    ]
    body = {"inputs": inputs, "outputs": [{"name": "logits"}]}
    jsonschema.validate(body, operation["requestBody"]["content"]["application/json"]["schema"])
    request = urllib.request.Request(f"http://{running.http}{path}", data=json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=20) as answer:
        content = json.loads(answer.read())
    jsonschema.validate(content, operation["responses"]["200"]["content"]["application/json"]["schema"])


def values(tensor) -> list:
    dtype = {"FP32": "<f4", "UINT8": "u1"}[tensor.datatype]
    return exports.np.frombuffer(tensor.raw, dtype).tolist()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
def test_whatever_comes_is_answered_as_described(served, mode):
    running, export = served
    schema = schemathesis.openapi.from_dict(describe(export.manifest, export.codec, 32))
    operations = [one.ok() for one in schema.get_all_operations()]
    assert len(operations) == 11
    for operation in operations:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case):
            case.call_and_validate(base_url=f"http://{running.http}", checks=CHECKS, timeout=20)

        if mode is GenerationMode.POSITIVE or operation.method == "post":
            check()
