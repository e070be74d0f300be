"""Each server is asked itself when it matters, and every half a minute while nothing speaks against what it said."""

from __future__ import annotations

from collections import Counter

import anyio

from providers.sandbox.doors.time import catch_up
from providers.sandbox.virtualtime import LoopClock, run_virtual
from reconciler.loop import GroupLoop
from support.builders import a_group
from support.server_faults import follower_dies
from support.servers_play import Play

GROUP = a_group()


def looks(play: Play, ticks: int) -> list[tuple[int, int]]:
    """Tick one loop every ten seconds; give what each look counted, and how many calls about servers were made."""
    calls = play.stage.faults.names

    async def work() -> list[tuple[int, int]]:
        clock, found = LoopClock(), []
        loop = GroupLoop(GROUP, play.stage.ports(clock))
        for _ in range(ticks):
            before = len(calls)
            tick = await loop.tick()
            made = Counter(name.rpartition(".")[2] for name in calls[before:])
            asked = 4 * made["server_view"] + made["autopilot"] + made["raft_configuration"] + made["impaired"]
            found.append((tick.snapshot.look.reads, asked))
            catch_up(play.stage.world, clock)
            await anyio.sleep(10)
        return found

    return run_virtual(work, start=play.stage.world.now)


def test_while_all_is_calm_a_server_is_asked_itself_every_half_a_minute() -> None:
    play = Play.begin()
    assert play.settle(GROUP, 1800)

    assert looks(play, 7) == [(14, 14), (2, 2), (2, 2), (14, 14), (2, 2), (2, 2), (14, 14)]


def test_on_suspicion_every_server_is_asked_at_every_look() -> None:
    play = Play.begin()
    assert play.settle(GROUP, 1800)
    follower_dies(play)
    play.run(GROUP, 60)

    assert all(counted == asked and counted >= 14 for counted, asked in looks(play, 3))
