"""The clock of this machine."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio


class WallClock:
    """The clock port on this machine's clock."""

    def now(self) -> datetime:
        """Give the time."""
        return datetime.now(UTC)  # noqa: TID251 - this is the clock port

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)
