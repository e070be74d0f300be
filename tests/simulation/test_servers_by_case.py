"""Things go wrong in every state that servers can be in: no quorum is lost by our doing, and all comes right.

A witness inside the world looks at the truth every virtual second (tests/support/servers_play.py). The suite plays
every fault in a quiet quorum and some in each other state; ``./task servers`` plays every one, and every pair of them,
in every state, and prints the table.
"""

from __future__ import annotations

import pytest

from support.server_faults import FAULTS
from support.servers_play import STATES, reach, strike, told

OTHERS = 4  # faults of each state but the quiet one


def _some() -> list[tuple[str, str]]:
    """Pick so many faults for each state that all come around."""
    names, found = list(FAULTS), [("steady", fault) for fault in FAULTS]
    for place, state in enumerate(s for s in STATES if s != "steady"):
        found += [(state, names[(place * OTHERS + n) % len(names)]) for n in range(OTHERS)]
    return found


@pytest.mark.parametrize(("state", "fault"), _some())
def test_what_goes_wrong_is_survived(state: str, fault: str) -> None:
    wanted = STATES[state].wanted.spec.servers
    assert wanted is not None
    case = strike(reach(STATES[state]), STATES[state], FAULTS[fault])

    assert not case.amiss(wanted.count), told(state, (fault,), case, wanted.count)
    assert not case.lost or STATES[state].kill_first, "one fault alone never ends a quorum"
