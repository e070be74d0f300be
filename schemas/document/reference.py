"""The fields of a document as Markdown tables, for ``docs/reference/clustergroup.md``; a test compares the page."""

from __future__ import annotations

import json
from typing import Any

from schemas.document.jsonschema import json_schema
from schemas.document.notyet import REFUSED, WITHOUT_EFFECT

_SCALARS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}


def fields() -> str:
    """Describe every field: a section for each map of a document, a row for each of its keys."""
    return tables(json_schema()["$defs"], "ClusterGroup", title="The document")


def tables(definitions: dict[str, Any], top: str, *, title: str) -> str:
    """Describe the definition ``top`` of a JSON Schema and all that it leads to."""
    sections: list[str] = []
    waiting = [("(top)", top)]
    seen: set[str] = set()
    while waiting:
        place, name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        inner: list[tuple[str, str]] = []
        sections.append(_section(place, title if place == "(top)" else f"`{place}`", definitions, name, inner))
        waiting = inner + waiting
    return "\n".join(sections)


def _section(place: str, title: str, definitions: dict[str, Any], name: str, inner: list[tuple[str, str]]) -> str:
    schema = definitions[name]
    rows = [
        f"### {title}",
        "",
        _line(schema["description"]),
        "",
        "| key | value | default | |",
        "| --- | --- | --- | --- |",
    ]
    for key, field in schema["properties"].items():
        path = key if place == "(top)" else f"{place}.{key}"
        shape, refs = _shape(field)
        many = "[]" if shape.startswith("list") else ""
        inner += [(path + many, ref) for ref in refs]
        default = "required" if key in schema.get("required", ()) or key in {"apiVersion", "kind"} else _default(field)
        about = field.get("description") or definitions[refs[0]]["description"]
        rows.append(f"| `{key}` | {shape} | {default} | {_line(about)}{_remark(path)} |")
    return "\n".join(rows) + "\n"


def _shape(field: dict[str, Any]) -> tuple[str, list[str]]:
    """Say what may be written (null, which means the default, aside), and which maps that leads to."""
    if "$ref" in field:
        return "map", [field["$ref"].rpartition("/")[2]]
    if "then" in field:
        shape, refs = _shape(field["then"])
        if "else" not in field:
            return shape, refs
        other, more = _shape(field["else"])
        return f"{other} or {shape}", list(dict.fromkeys((*refs, *more)))
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")])), []
    kind = field["type"][0] if isinstance(field["type"], list) else field["type"]
    if kind == "array":
        shape, refs = _shape(field["items"])
        return f"list of {shape}{'s' if shape == 'map' else ''}", refs
    if kind == "object":
        keys = ", ".join(f"`{key}`" for key in field.get("properties", ()))
        return f"map of {keys}" if keys else "map", []
    if field.get("pattern", "").startswith("^(?=.)"):
        return "duration", []
    return _SCALARS[kind] + _bounds(field), []


def _bounds(field: dict[str, Any]) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f" {low:g}-{high:g}"
    if (above := field.get("exclusiveMinimum")) is not None:
        return f" above {above:g}"
    return f", {low:g} or more" if low is not None else ""


def _default(field: dict[str, Any]) -> str:
    default = field.get("default")
    if isinstance(default, dict) and default and ("$ref" in field or "if" in field):
        return "see below"
    return "none" if default is None else f"`{json.dumps(default)}`"


def _remark(path: str) -> str:
    plain = path.replace("[]", "")
    if any(plain == name or plain.startswith(f"{name}.") for name in REFUSED):
        return " *Not implemented yet: refused.*"
    if any(plain == name or plain.startswith(f"{name}.") for name in WITHOUT_EFFECT):
        return " *Not implemented yet: no effect.*"
    return ""


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
