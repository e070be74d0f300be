"""EC2's query protocol, both ways, by botocore's own model of the service: forms to values, values to XML."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

from providers.sandbox.world.ec2.errors import Ec2Error

Values = dict[str, Any]


class UnknownActionError(Exception):
    """No operation of EC2 has this name."""


@cache
def _service() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("ec2", "service-2"), "ec2")


def operation(action: str) -> OperationModel:
    """Look an operation up. Raises UnknownActionError."""
    if action not in _service().operation_names:
        raise UnknownActionError(action)
    return _service().operation_model(action)


def read_request(body: bytes) -> tuple[str, Values]:
    """Read a form into (action, parameters named as in the model). Raises UnknownActionError, Ec2Error."""
    tree: Values = {}
    for key, value in parse_qsl(body.decode(), keep_blank_values=True):
        *way, last = key.split(".")
        at = tree
        for part in way:
            at = at.setdefault(part, {})
        at[last] = value
    action = str(tree.get("Action", ""))
    shape = operation(action).input_shape
    if shape is None:
        return action, {}
    try:
        asked = _read(shape, tree)
    except (ValueError, TypeError, AttributeError) as wrong:
        raise Ec2Error("InvalidParameterValue", f"a parameter of {action} cannot be read: {wrong}") from wrong
    if missing := next((name for name in shape.required_members if name not in asked), None):
        raise Ec2Error("MissingParameter", f"The request must contain the parameter {missing}")
    return action, asked


def _read(shape: Shape, tree: Any) -> Any:
    if isinstance(shape, StructureShape):
        named = {member: (_form_name(member, of), of) for member, of in shape.members.items()}
        return {member: _read(of, tree[name]) for member, (name, of) in named.items() if name in tree}
    if isinstance(shape, ListShape):
        return [_read(shape.member, tree[number]) for number in sorted(tree, key=int)]
    match shape.type_name:
        case "integer" | "long":
            return int(tree)
        case "float" | "double":
            return float(tree)
        case "boolean":
            return tree == "true"
        case _:
            return tree


def _form_name(member: str, shape: Shape) -> str:
    """Give a member's name in a form, as botocore's serializer for EC2 writes it."""
    serialized = shape.serialization
    if "queryName" in serialized:
        return str(serialized["queryName"])
    name = str(serialized.get("name", member))
    return name[0].upper() + name[1:]


def write_answer(action: str, values: Mapping[str, Any], request_id: str) -> bytes:
    """Write an answer; what is not among the values is not in it."""
    shape = operation(action).output_shape
    inside = _write_members(shape, values) if isinstance(shape, StructureShape) else ""
    name = f"{action}Response"
    return f"<{name}><requestId>{request_id}</requestId>{inside}</{name}>".encode()


def write_error(code: str, message: str, request_id: str) -> bytes:
    """Write an error."""
    error = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    return f"<Response><Errors>{error}</Errors><RequestID>{request_id}</RequestID></Response>".encode()


def _write_members(shape: StructureShape, values: Mapping[str, Any]) -> str:
    written = []
    for member, of in shape.members.items():
        if (value := values.get(member)) is not None:
            name = of.serialization.get("name", member)
            written.append(f"<{name}>{_write(of, value)}</{name}>")
    return "".join(written)


def _write(shape: Shape, value: Any) -> str:
    if isinstance(shape, StructureShape):
        return _write_members(shape, value)
    if isinstance(shape, ListShape):
        return "".join(f"<item>{_write(shape.member, item)}</item>" for item in value)
    if isinstance(shape, MapShape):
        raise TypeError(f"{shape.name}: EC2 answers with no maps")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
    return escape(str(value))
