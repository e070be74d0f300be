"""The document as JSON Schema, for editors and CI: generated from the models, in a form that gives good diagnostics.

``python -m schemas.document.jsonschema PATH`` writes it, ``--check PATH`` tells (exit 1) when the file is out of date.
Alternatives are written as if/then instead of oneOf and anyOf: a validator then names the very value that is wrong, and
an editor completes keys.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from schemas.document.base import Model, format_duration
from schemas.document.group import API_VERSION, KIND, ClusterGroup

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """pydantic's, with defaults written as a document writes them."""

    def encode_default(self, dft: Any) -> Any:
        """Write durations with units."""
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of a document."""
    group, definitions = schema_of(ClusterGroup)
    group["properties"]["apiVersion"].pop("default", None)
    group["properties"]["kind"].pop("default", None)
    for key, value in (("apiVersion", API_VERSION), ("kind", KIND)):
        group["properties"][key] = {"description": group["properties"][key]["description"], "enum": [value]}
    ours = {"properties": {"apiVersion": {"const": API_VERSION}, "kind": {"const": KIND}}}
    return {
        "$schema": DIALECT,
        "title": f"{KIND} ({API_VERSION})",
        "description": group["description"],
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {key: group["properties"][key] for key in ("apiVersion", "kind")},
        "allOf": [{"if": ours, "then": {"$ref": f"#/$defs/{KIND}"}}],
        "$defs": {KIND: group, **definitions},
    }


def schema_of(model: type[Model]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the schema of a model, and those that it refers to, in our form."""
    made = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = {name: _plain(schema) for name, schema in made.pop("$defs", {}).items()}
    return _plain(made), definitions


def _plain(schema: Any) -> Any:
    """Drop generated titles and turn alternatives into if/then, all the way down."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        key: {name: _plain(inner) for name, inner in value.items()} if key == "properties" else _plain(value)
        for key, value in schema.items()
        if key not in {"title", "default", "examples"}
    }
    plain |= {key: schema[key] for key in ("default", "examples") if key in schema}
    for word in ("anyOf", "oneOf"):
        if word in plain:
            branches = plain.pop(word)
            plain.pop("discriminator", None)
            plain = {**_either(branches), **plain}
    return plain


def _either(branches: Any) -> dict[str, Any]:
    """Write a choice so that the value itself tells which branch is meant."""
    null = {"type": "null"}
    if null in branches:
        (rest,) = [branch for branch in branches if branch != null]
        if "type" in rest and "if" not in rest:
            return {**rest, "type": [rest["type"], "null"]}
        return {"if": {"not": null}, "then": rest}
    one, other = branches
    if "source" in other.get("$ref", "").lower():  # agentConfig
        return {"type": "object", "if": {"required": ["source"]}, "then": other}
    first, second = (one, other) if "$ref" in one else (other, one)  # a map, or something else
    if second.get("type") == "string":
        return {"type": ["string", "object"], "if": {"type": "object"}, "then": first, "else": second}
    return {"type": ["object", "array"], "if": {"type": "array"}, "then": second, "else": first}


def text() -> str:
    """Give the file's content."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the document's schema, or compare it; the exit code."""
    return write_or_check(arguments, text())


def write_or_check(arguments: list[str], content: str) -> int:
    """Write a generated file, or compare it; the exit code."""
    check = "--check" in arguments
    paths = [argument for argument in arguments if argument != "--check"]
    if len(paths) != 1:
        sys.stderr.write("usage: [--check] PATH\n")
        return 64
    path = Path(paths[0])
    if not check:
        path.write_text(content, encoding="utf-8")
        return 0
    if path.is_file() and path.read_text(encoding="utf-8") == content:
        return 0
    sys.stderr.write(f"{path} is not what the models say; write it anew with `./task schemas`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
