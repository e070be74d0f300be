"""The workload file as JSON Schema, for editors: generated from the models.

``python -m schemas.workload.jsonschema PATH`` writes it, ``--check PATH`` tells (exit 1) when the file is out of date.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from schemas.document.jsonschema import DIALECT, schema_of, write_or_check
from schemas.workload.model import Workload


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of a workload file."""
    workload, definitions = schema_of(Workload)
    return {
        "$schema": DIALECT,
        "title": "Workload",
        "$ref": "#/$defs/Workload",
        "$defs": {"Workload": workload, **definitions},
    }


def text() -> str:
    """Give the file's content."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(write_or_check(sys.argv[1:], text()))
