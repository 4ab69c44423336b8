"""The JSON schemas of grafana-foundation-sdk beside the real records; their known faults corrected here, one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

_DATA_LINK = {
    "type": "object", "additionalProperties": False, "required": ["title", "url"],
    "properties": {"title": {"type": "string"}, "url": {"type": "string"}, "targetBlank": {"type": "boolean"}},
}  # fmt: skip


def validator(real_data: Path, name: str, definition: str) -> Any:
    """A validator of one definition: a root without `$ref` accepts everything."""
    path = real_data / "grafana-jsonschema" / f"{name}.jsonschema.json"
    if not path.is_file():
        pytest.skip(f"no {path.name} here: set ACCESSTRAIL_TEST_DATA to the folder that holds grafana-jsonschema")
    schema = json.loads(path.read_text())
    assert definition in schema["definitions"]
    if name == "dashboard":
        _correct(schema["definitions"])
    if name == "table":
        # Each kind's `type` may be any kind's, so that several fit where exactly one should.
        kinds = schema["definitions"]["TableCellOptions"]
        kinds["anyOf"] = kinds.pop("oneOf")
    schema["$ref"] = f"#/definitions/{definition}"
    return jsonschema.Draft7Validator(schema)


def _correct(definitions: dict[str, Any]) -> None:
    """Three places where Grafana's own dashboards, and its documentation, say otherwise than the schema."""
    # An override's value is whatever its property is, and a matcher's option mostly a text.
    definitions["DynamicConfigValue"]["properties"]["value"] = {}
    definitions["MatcherConfig"]["properties"]["options"] = {}
    # A field's links are data links; the schema takes them for a dashboard's.
    definitions["FieldConfig"]["properties"]["links"] = {"type": "array", "items": _DATA_LINK}


def faults(real_data: Path, name: str, definition: str, document: object) -> list[str]:
    """Every fault of a document, with its place."""
    found = validator(real_data, name, definition).iter_errors(document)
    return [line for fault in found for line in _lines(fault)]


def _lines(fault: Any) -> list[str]:
    """A fault and, where one of several shapes was asked for, what each of them lacks."""
    inner = [line for one in fault.context for line in _lines(one)]
    return inner or [f"{'/'.join(map(str, fault.absolute_path))}: {fault.message[:200]}"]
