"""``-f consul://``: the command line reads documents from Consul, and says where in it a mistake is."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from support.real_consul import started
from support.typed import ROOT, reconcile_here

DEMO = (ROOT / "specs" / "demo.yaml").read_bytes()


def put(port: int, key: str, value: bytes) -> None:
    where = f"http://127.0.0.1:{port}/v1/kv/{key}"
    with urllib.request.urlopen(urllib.request.Request(where, value, method="PUT"), timeout=5) as answer:
        assert answer.read().strip() == b"true"


def test_documents_are_read_from_consul_and_mistakes_have_their_place_in_it() -> None:
    with started() as consul:
        place = f"consul://127.0.0.1:{consul.port}/fleet"
        put(consul.port, "fleet/demo.yaml", DEMO)
        sound = reconcile_here("validate", "-f", place)
        put(consul.port, "fleet/demo.yaml", DEMO.replace(b"  aws:", b"  mood: good\n  aws:"))
        broken = reconcile_here("validate", "-f", place)

    assert (sound.code, broken.code) == (0, 65)
    assert f"{place}/demo.yaml: " in sound.out
    assert f"{place}/demo.yaml:" in broken.err
    assert "spec.mood: unknown key" in broken.err


def test_a_consul_that_does_not_answer_ends_with_69_and_nothing_was_touched() -> None:
    typed = reconcile_here("plan", "--sandbox", "-f", "consul://127.0.0.1:9/fleet")

    assert typed.code == 69
    assert "127.0.0.1:9 does not answer" in typed.err
    assert "nothing was touched" in typed.err


def test_an_address_that_makes_no_sense_ends_with_64() -> None:
    typed = reconcile_here("validate", "-f", "consul://127.0.0.1:9")

    assert typed.code == 64
    assert "name the prefix" in typed.err


def test_a_file_named_beside_a_prefix_is_read_too(tmp_path: Path) -> None:
    with started() as consul:
        put(consul.port, "fleet/demo.yaml", DEMO)
        typed = reconcile_here(
            "validate", "-f", f"consul://127.0.0.1:{consul.port}/fleet", "-f", "specs/examples/minimal.yaml"
        )

    assert typed.code == 0
    assert "2 documents are valid" in typed.out
