"""Values as JSON and YAML: keys in camelCase as in the document, times in ISO 8601, money to a hundredth of a cent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from reconciler.cli.streams import give


def plain(value: Any) -> Any:
    """Turn dataclasses and what they hold into what JSON knows; mappings keep their keys."""
    if is_dataclass(value) and not isinstance(value, type):
        return {_camel(f.name): plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float):
        return round(value, 6)  # sums of prices end in 0.1 + 0.2
    return value


def print_plain(value: Any, output: str) -> None:
    """Print a value as ``json`` or ``yaml`` to standard output."""
    data = plain(value)
    text = _yaml(data) if output == "yaml" else json.dumps(data, indent=2, ensure_ascii=False)
    print_text(text.rstrip("\n"))


def print_text(text: str) -> None:
    """Print text as it is, tabs and all, whatever the terminal's width."""
    give(text)


def _yaml(data: Any) -> str:
    from io import StringIO  # noqa: PLC0415 - only who asks for YAML pays for it

    from ruamel.yaml import YAML  # noqa: PLC0415 - same

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel types it as None
    yaml.width = 1_000_000
    text = StringIO()
    yaml.dump(data, text)
    return text.getvalue()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
