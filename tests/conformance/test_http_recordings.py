"""The wire answers as a real Nomad did, or a reason is known why not (`./task exchanges` prints them)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.http_replay import ACL, BESIDES, CLUSTERS, DIFFERENT, NOT_ANSWERED, replayed
from support.recorded_http import FOLDER, exchanges


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_wire_answers_as_a_real_nomad_did(name: str, record_property: Callable[[str, object], None]) -> None:
    build, numbers = CLUSTERS[name]
    replay = replayed(build(), numbers)
    asked = len(replay.same) + len(replay.different)
    record_property("exchanges", f"{len(replay.same)} of {asked + len(replay.not_asked)} the same")

    surprises = {name: found for name, found in replay.different.items() if name not in DIFFERENT}
    assert surprises == {}
    assert [name for name in replay.same if name in DIFFERENT] == []  # a reason that has become untrue
    assert len(replay.same) >= asked * 0.8


def test_every_recording_is_asked_or_has_a_reason_not_to_be() -> None:
    asked = {exchange.number for exchange in exchanges()} - set(ACL)
    others = {int(path.name[:3]) for path in FOLDER.glob("*.json")} - {e.number for e in exchanges()}

    assert set(NOT_ANSWERED) <= asked
    assert others == set(BESIDES)
