"""The reference of workload files says what the models say, and its example can be used; so does the schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from providers.sandbox.workloads import shipped
from schemas.document.reference import tables
from schemas.workload import load_workload
from schemas.workload.jsonschema import json_schema, text
from support.documents import ROOT

PAGE = ROOT / "docs/reference/workload.md"
BEGIN, END = "see schemas/workload/jsonschema.py -->\n", "<!-- end of fields -->"


def test_the_page_says_what_the_models_of_a_workload_say(golden: Callable[[Path, str], None]) -> None:
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)

    fields = tables(json_schema()["$defs"], "Workload", title="The file")
    golden(PAGE, f"{head}{BEGIN}\n{fields}\n{END}{tail}")


def test_the_example_of_the_page_is_a_good_workload() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)

    assert load_workload(example, file="example.yaml").problems == ()


def test_the_page_names_every_shipped_workload() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert all(f"`{name}`" in page for name in shipped())


def test_the_schema_of_workloads_is_what_the_models_say(golden: Callable[[Path, str], None]) -> None:
    golden(ROOT / "schemas/workload.json", text())
