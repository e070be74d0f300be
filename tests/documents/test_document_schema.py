"""The JSON Schema says what the loader says, and names the very value that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # no stubs among our tools

from schemas.document.jsonschema import json_schema, main, text
from schemas.document.reader import read, value_of
from support.documents import ROOT, SMALL, loaded

COMMITTED = ROOT / "schemas/clustergroup.v1alpha1.json"
VALIDATOR = Draft202012Validator(json_schema())


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def _wrong(document: str) -> list[str]:
    (root,), _ = read(document, lambda *_: None)
    return sorted(error.json_path for error in VALIDATOR.iter_errors(_plain(value_of(root))))


def test_the_committed_schema_is_what_the_models_say() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == text()


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        ("  mode: enforced", "$.spec.mode"),
        ("  nomad: {version: 2.0}", "$.spec.nomad.version"),
        ("  nomad: {tls: {ca: ssm:/a, cert: ssm:/b, key: inline}}", "$.spec.nomad.tls.key"),
        ("  servers: {count: 4}", "$.spec.servers.count"),
        ("  servers: {replaceAfter: 300}", "$.spec.servers.replaceAfter"),
        ("  servers: {replaceAfter: 5 m}", "$.spec.servers.replaceAfter"),
        ("  servers: {instanceTypes: []}", "$.spec.servers.instanceTypes"),
        ("  servers: {machine: {images: {x86: ami-1}}}", "$.spec.servers.machine.images"),
        ("  machine: {install: {url: 'https://x', sha256: short}}", "$.spec.machine.install.sha256"),
        ("  machine: {install: yum}", "$.spec.machine.install"),
        ("  pools: [{name: a, size: {min: x}}]", "$.spec.pools[0].size.min"),
        ("  pools: [{name: a, size: {minimum: 1}}]", "$.spec.pools[0].size"),
        ("  pools: [{name: a, headroom: {units: 1, cpuMHz: x}}]", "$.spec.pools[0].headroom.cpuMHz"),
        ("  pools: [{name: a, headroom: [{units: -1}]}]", "$.spec.pools[0].headroom[0].units"),
        ("  pools: [{name: a, capacity: {spotPercent: 101}}]", "$.spec.pools[0].capacity.spotPercent"),
        ("  pools: [{name: a, instances: {require: {arch: [arm]}}}]", "$.spec.pools[0].instances.require.arch[0]"),
        ("  pools: [{}]", "$.spec.pools[0]"),
        ("  disruption: {canary: {soak: 10}}", "$.spec.disruption.canary.soak"),
    ],
)
def test_a_wrong_value_is_named_by_its_exact_path_and_nothing_else_is(lines: str, path: str) -> None:
    head = SMALL if "machine: {inst" not in lines else SMALL.rpartition("  machine:")[0]

    assert _wrong(head + lines + "\n") == [path]
    assert loaded(head + lines + "\n").problems, "the loader takes what the schema refuses"


def test_another_version_is_refused_for_its_version_alone() -> None:
    assert _wrong(SMALL.replace("v1alpha1", "v2") + "  servers: {count: 4}\n") == ["$.apiVersion"]


def test_what_the_design_shows_with_null_may_be_written() -> None:
    text = SMALL + "  nomad: {address: null, bootstrapToken: null, gossipKey: null, tls: null}\n  servers: null\n"

    assert _wrong(text) == []
    assert loaded(text).problems == ()


def test_every_field_has_a_description_and_no_alternative_is_left_to_guess() -> None:
    def walk(schema: Any, at: str) -> None:
        if isinstance(schema, list):
            for item in schema:
                walk(item, at)
        elif isinstance(schema, dict):
            assert not {"anyOf", "oneOf"} & schema.keys(), at
            for key, value in schema.get("properties", {}).items():
                assert "const" in value or value.get("description") or value.get("$ref"), f"{at}.{key}"
            for key, value in schema.items():
                if key not in {"default", "examples"}:
                    walk(value, f"{at}.{key}")

    walk(json_schema(), "$")


def test_defaults_are_written_as_documents_write_them() -> None:
    soak = json_schema()["$defs"]["Canary"]["properties"]["soak"]

    assert soak["default"] == "10m"


def test_a_stale_file_is_told_and_can_be_written_anew(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "schema.json"

    assert main(["--check", str(path)]) == 1
    path.write_text("{}")
    assert main(["--check", str(path)]) == 1
    assert "./task schemas" in capsys.readouterr().err
    assert main([str(path)]) == 0
    assert main(["--check", str(path)]) == 0
    assert json.loads(path.read_text()) == json_schema()
    assert main([]) == 64
