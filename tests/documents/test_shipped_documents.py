"""The demo and the examples: what a user starts from."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from providers.prices.shipped import load_catalogue
from schemas.document import check_together, load
from support.documents import ROOT, loaded

SHIPPED = sorted((ROOT / "specs").rglob("*.yaml"))
SCHEMA = ROOT / "schemas/clustergroup.v1alpha1.json"


def _id(path: Path) -> str:
    return path.stem


def test_there_is_something_to_start_from() -> None:
    names = {path.stem for path in (ROOT / "specs/examples").glob("*.yaml")}

    assert {"minimal", "production", "gpu", "arm64-mix", "servers-only", "batch-on-spot"} <= names


@pytest.mark.parametrize("path", SHIPPED, ids=_id)
def test_a_shipped_document_loads_and_is_unwise_only_in_being_plaintext(path: Path) -> None:
    result = loaded(path.read_bytes())

    assert result.problems == ()
    assert len(result.groups) == 1
    assert {warning.path for warning in result.warnings} <= {"spec.nomad.gossipKey", "spec.nomad.tls"}


@pytest.mark.parametrize("path", SHIPPED, ids=_id)
def test_a_shipped_document_tells_editors_its_schema_and_people_its_purpose(path: Path) -> None:
    first, second, third, *_ = path.read_text(encoding="utf-8").splitlines()
    modeline = "# yaml-language-server: $schema="

    assert first.startswith(modeline)
    assert (path.parent / first.removeprefix(modeline)).resolve() == SCHEMA
    assert (second, third[:2]) == ("#", "# ")


def test_the_shipped_documents_agree_with_the_json_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(SCHEMA), *map(str, SHIPPED)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # our own files

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_shipped_documents_can_live_side_by_side() -> None:
    every = [load(path.read_bytes(), file=str(path), catalogue=load_catalogue()) for path in SHIPPED]

    assert check_together(every) == ()


def test_the_demo_is_read_in_a_moment() -> None:
    """It has sixty lines; 15 ms is the bound, of which a quiet machine needs two."""
    text, catalogue = (ROOT / "specs/demo.yaml").read_bytes(), load_catalogue()
    times = []
    for _ in range(10):
        began = time.process_time()
        load(text, file="demo.yaml", catalogue=catalogue)
        times.append(time.process_time() - began)

    assert min(times) < 0.015


def test_reading_documents_imports_pydantic_and_ruamel_and_nothing_else_of_weight() -> None:
    code = "import sys, schemas.document; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603
    names = set(done.stdout.split())

    assert {"pydantic", "ruamel"} <= names
    assert not names & {"providers", "reconciler", "click", "rich", "msgspec", "anyio", "highspy", "httpx", "boto3"}
