"""What the REST part takes and answers, as OpenAPI 3.1: `GET /v2/openapi.json`."""

from collections.abc import Mapping
from typing import Any

from goldcut.deploy.checks import LONGEST_ID, OUTPUT
from goldcut.records import Manifest
from goldcut.wire.codec import Codec
from goldcut.wire.tensors import BYTES, Part

JSON_LENGTH = "Inference-Header-Content-Length"
"""Header of the binary extension: bytes of JSON before the tensors."""

Schema = dict[str, Any]

REFUSED = {
    "400": "the request is not of the protocol, or not of this model",
    "401": "no bearer token that is known here",
    "405": "another method",
    "408": "the body did not come in time",
    "413": "the body is too large",
    "503": "overloaded, closing, or its replica died; Retry-After says when to try again",
    "504": "the deadline passed",
}
"""Status -> why there is no answer."""


def describe(manifest: Manifest, codec: Codec, most_rows: int) -> Schema:
    """The description of a server of one model.

    Args:
        manifest: Of the export.
        codec: How Z crosses.
        most_rows: Of a request.
    """
    models = [f"/v2/models/{manifest.model_name}{tail}" for tail in ("", f"/versions/{manifest.version}")]
    paths: Schema = {
        "/v2": _get("the server", _object(name=_TEXT, version=_TEXT, extensions=_list(_TEXT))),
        "/v2/health/live": _get("whether it is alive", _object(live=_BOOLEAN), open_to_all=True),
        "/v2/health/ready": _get("whether it takes requests", _object(ready=_BOOLEAN), open_to_all=True),
        "/metrics": _get("counts in the format of Prometheus", _TEXT, kind="text/plain"),
        "/v2/openapi.json": _get("this description", {"type": "object"}),
    }
    for model in models:
        paths[model] = _get("the model", _model())
        paths[f"{model}/ready"] = _get("whether the model takes requests", _object(name=_TEXT, ready=_BOOLEAN))
        paths[f"{model}/infer"] = {"post": _infer(manifest, codec, most_rows)}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"goldcut: the cloud half of {manifest.model_name}", "version": manifest.version},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


# --- operations --------------------------------------------------------------------------------------


def _get(summary: str, content: Schema, *, kind: str = "application/json", open_to_all: bool = False) -> Schema:
    refused = ("405", "503") if open_to_all else ("401", "405", "503")
    return {"get": {"summary": summary, "responses": _responses({kind: content}, refused), **_security(open_to_all)}}


def _infer(manifest: Manifest, codec: Codec, most_rows: int) -> Schema:
    """Tensors of BYTES cannot be written in JSON: a codec with frames takes the binary extension only."""
    binary = {"type": "string", "format": "binary"}
    content = {"application/octet-stream": {"schema": binary}}
    if all(part.datatype != BYTES for part in codec.parts):
        content["application/json"] = {"schema": _request(codec, most_rows)}
    header = {"name": JSON_LENGTH, "in": "header", "required": False, "schema": {"type": "integer", "minimum": 0}}
    answers = {"application/json": _answer(manifest), "application/octet-stream": binary}
    return {
        "summary": f"logits for Z at {manifest.cut}, in JSON or with the extension for binary tensors",
        "parameters": [header],
        "requestBody": {"required": True, "content": content},
        "responses": _responses(answers, tuple(REFUSED)),
        **_security(open_to_all=False),
    }


def _responses(contents: Mapping[str, Schema], refused: tuple[str, ...]) -> Schema:
    found: Schema = {
        "200": {"description": "the answer", "content": {kind: {"schema": one} for kind, one in contents.items()}}
    }
    for status in refused:
        fault = {"type": "object"} if status == "503" else _object(error=_TEXT)  # 503 is "not ready" too
        found[status] = {"description": REFUSED[status], "content": {"application/json": {"schema": fault}}}
    return found


def _security(open_to_all: bool) -> Schema:
    return {"security": []} if open_to_all else {"security": [{}, {"token": []}]}


# --- bodies ------------------------------------------------------------------------------------------

_TEXT: Schema = {"type": "string"}
_BOOLEAN: Schema = {"type": "boolean"}
_PARAMETERS: Schema = {
    "type": "object",
    "additionalProperties": {"type": ["boolean", "integer", "number", "string"]},
}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _model() -> Schema:
    tensors = _list(_object(name=_TEXT, datatype=_TEXT, shape=_list({"type": "integer"})))
    return _object(name=_TEXT, versions=_list(_TEXT), platform=_TEXT, inputs=tensors, outputs=tensors)


def _request(codec: Codec, most_rows: int) -> Schema:
    """Each input once, in any order."""
    inputs = [_input(part, most_rows) for part in codec.parts]
    outputs = _list({"type": "object", "properties": {"name": {"const": OUTPUT}}, "required": ["name"]})
    return {
        "type": "object",
        "properties": {
            "id": {"type": "string", "maxLength": LONGEST_ID},
            "inputs": {"type": "array", "items": {"anyOf": inputs}, "minItems": len(inputs), "maxItems": len(inputs)},
            "outputs": {**outputs, "maxItems": 1},
            "parameters": _PARAMETERS,
        },
        "required": ["inputs"],
    }


def _input(part: Part, most_rows: int) -> Schema:
    """Data flat or nested as its shape says; the number of values is not for a schema to say."""
    rows = {"type": "integer", "minimum": 1, "maximum": most_rows}
    shape = [rows, *({"const": size} for size in part.row_shape)]
    return {
        "type": "object",
        "properties": {
            "name": {"const": part.name},
            "datatype": {"const": part.datatype},
            "shape": {"type": "array", "prefixItems": shape, "minItems": len(shape), "maxItems": len(shape)},
            "data": {"type": "array"},
        },
        "required": ["name", "datatype", "shape", "data"],
    }


def _answer(manifest: Manifest) -> Schema:
    output = _object(name={"const": OUTPUT}, datatype={"const": "FP32"}, shape=_list({"type": "integer"}))
    return _object(
        model_name={"const": manifest.model_name}, model_version={"const": manifest.version}, outputs=_list(output)
    )
