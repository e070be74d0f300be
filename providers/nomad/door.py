"""The door to real clusters: connections and memories that outlive a tick, and clusters by their addresses."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Self

import anyio
from anyio.abc import TaskGroup

from providers.http import App, Http
from providers.nomad.channel import Channel, Pools
from providers.nomad.client import NomadCluster, Spawn
from providers.nomad.memory import Memory
from providers.nomad.settings import NomadSettings

KEPT = 32  # clusters; the one that was not asked for longest is forgotten


class RealNomadDoor:
    """Gives clusters by their addresses; used as ``async with``, so that connections are closed at the end."""

    def __init__(
        self,
        settings: NomadSettings,
        *,
        app: App | None = None,
        chance: Callable[[], float] = random.random,
        spawn: Spawn | None = None,
    ) -> None:
        """Read the TLS files now (raises SettingsError). ``app``: an API in this process instead of the network.

        ``spawn`` starts what goes on between ticks, where there is somebody who ends it; ``aclose`` is then all that is
        left to be done.
        """
        context = settings.context() if app is None else None
        self._spawn = spawn
        self._settings, self._chance = settings, chance
        self._pools = Pools(make=lambda socket: Http(tls=context, socket=socket, app=app))
        self._known: dict[tuple[str, ...], NomadCluster] = {}
        self._memories: dict[tuple[str, ...], Memory] = {}
        self._group: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._group = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        if self._group is not None:
            self._group.cancel_scope.cancel()
            await self._group.__aexit__(None, None, None)
            self._group = None
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pools.aclose()

    def at(self, addresses: Sequence[str]) -> NomadCluster:
        """Give the cluster behind these addresses (host, ``host:port`` or URL), tried in turn."""
        key = tuple(addresses)
        cluster = self._known.pop(key, None)
        if cluster is None:
            channel = Channel(self._pools, self._settings, key, chance=self._chance)
            cluster = NomadCluster(
                channel, self._memory(key), self._spawn or (self._group.start_soon if self._group else None)
            )
        self._known[key] = cluster  # last asked for, last in order
        while len(self._known) > KEPT:
            del self._memories[old := next(iter(self._known))], self._known[old]
        return cluster

    def channel(self, addresses: Sequence[str]) -> Channel:
        """Give the way to a cluster's API itself, for the store."""
        return self.at(addresses).channel

    def _memory(self, addresses: tuple[str, ...]) -> Memory:
        """Go on with what was known through addresses of which one is still there: servers are replaced one by one."""
        for known, memory in reversed(self._memories.items()):
            if set(known) & set(addresses):
                self._memories[addresses] = memory
                return memory
        return self._memories.setdefault(addresses, Memory())
