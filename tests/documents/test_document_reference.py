"""The reference of the document names every field, and its example can be used."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.document.reference import fields
from schemas.document.shape import fields_of, models_at
from support.documents import ROOT, loaded

PAGE = ROOT / "docs/reference/clustergroup.md"
BEGIN, END = "see schemas/document/reference.py -->\n", "<!-- end of fields -->"


def test_the_page_says_what_the_models_say(golden: Callable[[Path, str], None]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)

    golden(PAGE, f"{head}{BEGIN}\n{fields()}\n{END}{tail}")


def test_every_field_is_named() -> None:
    page = PAGE.read_text(encoding="utf-8")

    def walk(path: tuple[str, ...]) -> None:
        for model in models_at(path):
            for key in fields_of(model):
                assert f"| `{key}` |" in page, (*path, key)
                if models_at((*path, key)) != models_at(path):
                    walk((*path, key))

    walk(())


def test_the_example_of_the_page_is_a_good_document() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    result = loaded(example)

    assert result.problems == ()
    assert len(result.groups) == 1


@pytest.mark.parametrize("path", [PAGE, *sorted((ROOT / "specs").rglob("*.yaml"))], ids=lambda path: path.stem)
def test_links_of_the_documents_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)|\$schema=(\S+)", path.read_text(encoding="utf-8")):
        assert (path.parent / (link[0] or link[1])).exists(), link
