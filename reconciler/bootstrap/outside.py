"""What is open while work goes on, whichever outside it is."""

from __future__ import annotations

from typing import Protocol

from providers.events.box import Box
from reconciler.loop import Ports
from schemas.document import ClusterGroup


class Doors(Protocol):
    """Finds what belongs to a group; made anew when its document says that its cluster or account is another one."""

    def __call__(self, group: ClusterGroup) -> Ports:
        """Give a group's ports."""
        ...

    def box(self, group: ClusterGroup) -> Box | None:
        """Give the queue in which EC2's warnings for a group arrive; none where its document names none."""
        ...
