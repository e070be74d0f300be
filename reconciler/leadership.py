"""Who acts for a group: the holder of its lock, as long as its own clock says so, and nobody after another.

Replicas share the groups: each group has a lock of its own. The journal tells a new holder's term in its record before
anything else is done, so that whoever led before it writes in vain; EC2 and drains know no such fence, and so a call to
them starts only while it will have ended before anybody else can lead (semantics §11, ADR 0008).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, Final, TypeVar, cast

import anyio

from reconciler.background import background
from reconciler.ports import Locks, Store
from schemas.faults import Fault, Refusal, RefusedError, Source, UnansweredError
from schemas.record import TTL, Lease

T = TypeVar("T")

RENEWED_EVERY: Final = TTL / 3
LONGEST_CALL: Final = 34.0
"""Seconds until a write to EC2 or Nomad is given up: EC2's clients wait 4 to connect and 30 to read."""

READS: Final = frozenset(
    {
        *("instances", "template_names", "template", "impaired", "spot_prices", "addresses"),
        *("nodes", "jobs", "evaluations", "allocations", "node_pools", "broker_paused", "job_plan"),
        *("server_view", "autopilot", "raft_configuration", "members", "snapshot"),
        *("supply", "trouble"),
    }
)
"""What anybody may ask at any time; every other method of the ports to EC2 and Nomad changes something."""


def lock_path(group: str) -> str:
    """Give the path of a group's lock in the store."""
    return f"nomad-reconciler/{group}/lock"


class Leader:
    """Takes and keeps one group's lock."""

    def __init__(self, locks: Locks, store: Store, group: str, *, holder: str) -> None:
        self._locks, self._store, self._path, self._holder = locks, store, lock_path(group), holder
        self._lease: Lease | None = None
        self.forming = False  # there are no servers, and so no store and no lock: forming needs none

    @property
    def term(self) -> str:
        """What this term is called in the journal; empty while we do not lead."""
        return self._lease.id if self._lease is not None else ""

    async def stand(self) -> str | None:
        """Keep the lock or take it; None: we lead. Else the name of who does. Raises Fault when nobody knows."""
        if self._lease is not None:
            await self._renew()
        if self._lease is None:
            self._lease = await self._locks.acquire(self._path, holder=self._holder)
        if self._lease is not None:
            return None
        record = await self._store.read(self._path)
        return (record.items.get("holder") if record else "") or "another replica"

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep the lock in the background, through long calls."""

        async def keep() -> None:
            while True:
                await anyio.sleep(RENEWED_EVERY)
                if self._lease is not None:
                    await self._renew(quietly=True)

        async with background() as tasks:
            tasks.start_soon(keep)
            yield

    async def resign(self) -> None:
        """Give the lock back, so that nobody waits for it to expire."""
        if self._lease is not None:
            lease, self._lease = self._lease, None
            with anyio.move_on_after(RENEWED_EVERY, shield=True):
                await self._locks.release(lease)

    def check(self, what: str) -> None:
        """Let a write through that will have ended before anybody else can lead. Raises UnansweredError: not begun."""
        now, lease = anyio.current_time(), self._lease
        if self.forming or (lease is not None and now < lease.until and now + LONGEST_CALL < lease.free_at):
            return
        why = "we do not hold it" if lease is None else f"it was last kept {now - lease.sent:.0f} s ago"
        said = f"not begun, as the lock {self._path} is not sure to outlast it: {why}. Tried again by who holds it"
        raise UnansweredError(Source.STORE, what, said)

    async def _renew(self, *, quietly: bool = False) -> None:
        """Renew; a lock that is somebody else's is lost, and one of which nothing is heard is kept until its end."""
        lease = self._lease
        if lease is None:
            return
        try:
            self._lease = await self._locks.renew(lease)
        except RefusedError as refused:
            if refused.why is not Refusal.CONFLICT and not quietly:
                raise
            self._lease = None
        except Fault:
            if anyio.current_time() >= lease.until:
                self._lease = None
                if not quietly:
                    raise


def fenced(port: T, check: Callable[[str], None]) -> T:
    """Give the same port, with ``check`` before each method that is no read."""
    return cast("T", _Fenced(port, check))


class _Fenced:
    def __init__(self, port: object, check: Callable[[str], None]) -> None:
        self._port, self._check = port, check

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name in READS:
            return method

        @wraps(method)
        async def checked(*args: Any, **kwargs: Any) -> Any:
            self._check(name)
            return await method(*args, **kwargs)

        return checked
