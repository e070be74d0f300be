"""When a leader's clocks strike: autopilot's looks and acts and the pass over the members, counted from its start.

Nothing is scheduled while nothing would be found: what changes something wakes the clock that will find it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.servers.state import RaftCluster

if TYPE_CHECKING:
    from providers.sandbox.world.servers.context import Servers

LOOK, ACT, PASS = 2.0, 10.0, 60.0  # autopilot's state; its promotions and removals; the leader's pass
_ORDER = {PASS: 0.0, LOOK: 0.05, ACT: 0.1}  # seconds: what strikes together happens in this order
_FIRST = {PASS: 0, LOOK: 0, ACT: 1}  # the beat with which each begins


def until_beat(servers: Servers, cluster: RaftCluster, step: float) -> float:
    """Seconds until the next beat of one of the clocks; never the one that is striking now."""
    passed = servers.kernel.now - (cluster.established_at or 0.0) - _ORDER[step]
    beats = int(passed / step + 1e-6) + 1 if passed > -1e-6 else 0
    return max(beats, _FIRST[step]) * step - passed


def wake_autopilot(servers: Servers, cluster: RaftCluster) -> None:
    """Let autopilot look and act at its next beats."""
    if not cluster.leader or cluster.established_at is None:
        return
    if not cluster.look_due:
        cluster.look_due = True
        servers.kernel.after(until_beat(servers, cluster, LOOK), "autopilot.look", cluster.id, cluster.term)
    if not cluster.act_due:
        cluster.act_due = True
        servers.kernel.after(until_beat(servers, cluster, ACT), "autopilot.act", cluster.id, cluster.term)
