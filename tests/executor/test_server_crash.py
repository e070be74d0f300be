"""Server steps under kill -9, lost replies and failures at every single write: the end of an undisturbed run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import pytest

from providers.sandbox.faults import Kind, Strike
from schemas.document import ClusterGroup
from support.server_faults import follower_dies
from support.servers_play import FIVE, NEWER, THREE, Play

WRITES = ("create_template", "run_instance", "terminate", "remove_peer", "force_leave", "transfer_leadership", "write")
STORIES: Mapping[str, tuple[ClusterGroup, bool]] = {
    "a dead server is replaced": (THREE, True),
    "three become five": (FIVE, False),
    "all three are replaced by newer ones": (NEWER, False),
}


def told(story: str, *script: Strike) -> tuple[Play, int, bool]:
    """Play a story from a quorum that is well; gives at which call it began, and whether it came to its end."""
    wanted, kill = STORIES[story]
    play = Play.begin(seed=5)
    assert play.settle(THREE, 1800)
    began = play.stage.faults.calls
    play.stage.faults.script = script
    if kill:
        follower_dies(play)
    play.run(wanted, 20)
    return play, began, play.settle(wanted, 3600)


@lru_cache(maxsize=3)
def writes(story: str) -> tuple[tuple[int, str], ...]:
    """Give number and name of each call of the undisturbed story that changes something."""
    play, began, ended = told(story)
    assert ended
    names = enumerate(play.stage.faults.names)
    return tuple((n, name) for n, name in names if n >= began and name.rpartition(".")[2] in WRITES)


@pytest.mark.parametrize("kind", [Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.LOSE_REPLY, Kind.FAIL])
@pytest.mark.parametrize("story", STORIES)
def test_a_fault_at_any_write_of_a_server_step_changes_nothing_in_the_end(story: str, kind: Kind) -> None:
    wanted = STORIES[story][0].spec.servers
    assert wanted is not None
    points = writes(story)
    assert len(points) >= 8, points
    for call, name in points:
        play, _, ended = told(story, Strike(call=call, kind=kind))

        where = f"{story}: {kind} at call {call}, {name}"
        assert play.stage.faults.struck, where
        assert play.wrong == [], f"{where}: {play.wrong}"
        assert ended, where
        assert len(play.stage.live()) == wanted.count, where
        assert set(play.stage.claims().values()) == {1}, f"{where}: {play.stage.claims()}"
