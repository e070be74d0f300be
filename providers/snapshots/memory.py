"""Snapshots of a sandbox, which must leave nothing behind on the machine that plays it."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.faults import Source, UnansweredError


@dataclass(slots=True)
class Remembered:
    """Satisfies ``reconciler.ports.SnapshotPlace`` for any place, for as long as the process lives."""

    kept: dict[tuple[str, str], bytes] = field(default_factory=dict)

    async def put(self, place: str, name: str, data: bytes) -> None:
        """Keep a snapshot."""
        self.kept[place, name] = data

    async def get(self, place: str, name: str) -> bytes:
        """Read a snapshot."""
        if (place, name) not in self.kept:
            raise UnansweredError(Source.SNAPSHOTS, f"read {place}/{name}", "no such snapshot")
        return self.kept[place, name]

    async def names(self, place: str) -> tuple[str, ...]:
        """List the snapshots that are there."""
        return tuple(sorted(name for at, name in self.kept if at == place))

    async def delete(self, place: str, name: str) -> None:
        """Remove a snapshot; one that is not there is removed."""
        self.kept.pop((place, name), None)
