"""The interruption queue of the simulated account, as its consumer sees SQS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from providers.sandbox.doors.time import Clock, catch_up
from providers.sandbox.world.ec2 import messages

if TYPE_CHECKING:
    from providers.sandbox.world.world import World

_LONG_POLL = 20.0  # seconds that a question waits for a message
_EVERY = 1.0
AT_ONCE, HIDDEN = 10, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message, and the handle by which it is deleted."""

    body: str
    handle: str


class SandboxQueue:
    """The queue: at least once, in no order."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world, self._clock = world, clock

    async def receive(self) -> tuple[Received, ...]:
        """Wait up to 20 s for messages, at most ten; each is nobody else's for 20 s."""
        waited = 0.0
        while True:
            cloud = catch_up(self._world, self._clock).cloud
            found = messages.receive(cloud, count_max=AT_ONCE, hidden_seconds=HIDDEN)
            if found or waited >= _LONG_POLL:
                return tuple(Received(body=msgspec.json.encode(m.body).decode(), handle=m.id) for m in found)
            await self._clock.sleep(_EVERY)
            waited += _EVERY

    async def delete(self, received: Sequence[Received]) -> None:
        """Delete messages; one that is gone is deleted."""
        cloud = catch_up(self._world, self._clock).cloud
        for message in received:
            messages.delete(cloud, message.handle)
