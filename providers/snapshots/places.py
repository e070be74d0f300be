"""Which of the places a document means: ``s3://…`` is S3, a path is a directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from providers.snapshots.directory import Directory
from providers.snapshots.s3 import S3

if TYPE_CHECKING:
    from providers.aws.clients import Clients


@dataclass(frozen=True, slots=True)
class Places:
    """Satisfies ``reconciler.ports.SnapshotPlace``."""

    clients: Clients

    async def put(self, place: str, name: str, data: bytes) -> None:
        """Keep a snapshot."""
        await self._at(place).put(place, name, data)

    async def get(self, place: str, name: str) -> bytes:
        """Read a snapshot."""
        return await self._at(place).get(place, name)

    async def names(self, place: str) -> tuple[str, ...]:
        """List the snapshots that are there."""
        return await self._at(place).names(place)

    async def delete(self, place: str, name: str) -> None:
        """Remove a snapshot."""
        await self._at(place).delete(place, name)

    def _at(self, place: str) -> Directory | S3:
        return S3(self.clients) if place.startswith("s3://") else Directory()
