"""What chance decides among the servers: drawn from the world's seed, or told by whoever replays a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from providers.sandbox.world.kernel import Kernel


class Lots(Protocol):
    """Answers each question of chance. ``what`` names the question, ``who`` the server that it is about."""

    def seconds(self, what: str, who: str, low: float, high: float) -> float:
        """Say how long something takes, between ``low`` and ``high`` seconds."""

    def choose(self, what: str, who: str, options: Sequence[str]) -> str:
        """Say which of the options it is."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Lots drawn from a kernel: evenly, and alike for one seed."""

    kernel: Kernel

    def seconds(self, what: str, who: str, low: float, high: float) -> float:  # noqa: ARG002 - all is drawn alike
        """Draw a time."""
        return self.kernel.chance().uniform(low, high)

    def choose(self, what: str, who: str, options: Sequence[str]) -> str:  # noqa: ARG002 - all is drawn alike
        """Draw an option."""
        return self.kernel.chance().choice(options)
