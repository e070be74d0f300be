"""The interruption queue of the simulated account, as its consumer sees SQS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from providers.events.box import AT_ONCE, HIDDEN, LONG_POLL, Received
from providers.sandbox.doors.time import Clock, catch_up
from providers.sandbox.world.ec2 import messages as account

if TYPE_CHECKING:
    from providers.sandbox.world.world import World

_EVERY = 0.5  # seconds between two looks while somebody waits


class SandboxQueue:
    """The queue: at least once, in no order."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world, self._clock = world, clock

    async def receive(self, *, wait: int = LONG_POLL) -> tuple[Received, ...]:
        """Wait up to ``wait`` seconds for messages, at most ten; each is nobody else's for 20 s."""
        waited = 0.0
        while True:
            cloud = catch_up(self._world, self._clock).cloud
            found = account.receive(cloud, count_max=AT_ONCE, hidden_seconds=HIDDEN)
            if found or waited >= wait:
                return tuple(Received(body=msgspec.json.encode(m.body).decode(), handle=m.id) for m in found)
            await self._clock.sleep(_EVERY)
            waited += _EVERY

    async def delete(self, messages: Sequence[Received]) -> None:
        """Delete messages; one that is gone is deleted."""
        cloud = catch_up(self._world, self._clock).cloud
        for message in messages:
            account.delete(cloud, message.handle)
