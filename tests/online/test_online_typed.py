"""``validate --online`` as it is typed, where nobody answers; and documents first."""

from __future__ import annotations

import json

from support.typed import reconcile, reconcile_here

NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_MAX_ATTEMPTS": "1",
}


def test_silence_everywhere_ends_with_69_and_is_data_too() -> None:
    typed = reconcile("validate", "--online", "-f", "specs/examples/minimal.yaml", "-o", "json", env=NOWHERE)

    told = json.loads(typed.out)
    (group,) = told["groups"]
    assert typed.code == told["exitCode"] == 69
    assert {check["what"]: check["silent"] for check in group["checks"]} == {"address": False, "credentials": True}
    assert set(group["checks"][0]) == {"at", "what", "verdict", "found", "mend", "silent"}
    assert "asking Nomad and AWS about" in typed.err


def test_an_unsound_document_ends_with_65_and_nobody_is_asked() -> None:
    typed = reconcile_here("validate", "--online", "-f", "tests/documents/broken/a-word.yaml")

    assert typed.code == 65
    assert "asking" not in typed.err
