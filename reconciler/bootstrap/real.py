"""The real Nomad and EC2 as the outside, reached as Nomad's and AWS's own tools reach them."""

from __future__ import annotations

import os
import random
import socket
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import anyio

from providers.aws.clients import Clients
from providers.aws.secrets import secret_of
from providers.ec2.provider import AwsEc2
from providers.events.box import Box
from providers.events.queue import Queue
from providers.nomad.client import Spawn
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import DEFAULT_ADDRESS, NomadSettings, SettingsError
from providers.snapshots.places import Places
from providers.stores.nomad_locks import NomadLocks
from providers.stores.nomad_variables import NomadVariables
from reconciler.background import background
from reconciler.bootstrap.clock import WallClock
from reconciler.bootstrap.outside import Doors
from reconciler.bootstrap.source import catalogue
from reconciler.loop import Ports
from schemas.document import ClusterGroup
from schemas.faults import Source, UnansweredError
from schemas.record import Lease, Record

__all__ = ["RealWorld", "SettingsError"]

T = TypeVar("T")


@dataclass(slots=True)
class VariablesStore:
    """The store and its locks in the managed cluster's variables, wherever that cluster is by now."""

    door: RealNomadDoor
    namespace: str
    _addresses: tuple[str, ...] = ()

    def found(self, addresses: Sequence[str]) -> None:
        """Take notice of where Nomad is: servers come and go."""
        self._addresses = tuple(addresses)

    async def read(self, path: str) -> Record | None:
        """Read a record."""
        return await self._variables(path).read(path)

    async def write(self, path: str, items: Mapping[str, str], *, index: int) -> int:
        """Write a whole record if its index is still ``index``."""
        return await self._variables(path).write(path, items, index=index)

    async def acquire(self, path: str, *, holder: str) -> Lease | None:
        """Take a lock."""
        return await self._locks(path).acquire(path, holder=holder)

    async def renew(self, lease: Lease) -> Lease:
        """Keep a lock."""
        return await self._locks(lease.path).renew(lease)

    async def release(self, lease: Lease) -> bool:
        """Give a lock back."""
        return bool(self._addresses) and await self._locks(lease.path).release(lease)

    def _variables(self, path: str) -> NomadVariables:
        self._somewhere(path)
        return NomadVariables(self.door.channel(self._addresses), namespace=self.namespace)

    def _locks(self, path: str) -> NomadLocks:
        self._somewhere(path)
        return NomadLocks(self.door.channel(self._addresses), namespace=self.namespace)

    def _somewhere(self, path: str) -> None:
        if not self._addresses:
            raise UnansweredError(Source.STORE, path, "no server of ours is running yet, and Nomad keeps the store")


@dataclass(slots=True)
class _Open:
    """What is open while work goes on; each group's ports are made once."""

    spawn: Spawn
    clock: WallClock = field(default_factory=WallClock)
    regions: dict[str, Clients] = field(default_factory=dict)
    doors: dict[NomadSettings, RealNomadDoor] = field(default_factory=dict)
    known: dict[str, tuple[object, Ports]] = field(default_factory=dict)

    def __call__(self, group: ClusterGroup) -> Ports:
        """Give a group's ports: the same ones until its document says that its cluster is another. SettingsError."""
        where = (group.spec.aws.region, settings_for(group, os.environ), group.spec.nomad.bootstrap_token)
        known = self.known.get(group.metadata.name)
        if known is None or known[0] != where:
            self.known[group.metadata.name] = where, self._ports(group)
        return self.known[group.metadata.name][1]

    def box(self, group: ClusterGroup) -> Box | None:
        """Give a group's interruption queue."""
        url = group.spec.aws.interruption_queue
        return Queue(self._clients(group), url) if url else None

    def _clients(self, group: ClusterGroup) -> Clients:
        region = group.spec.aws.region
        return self.regions.setdefault(region, Clients(region))

    def _ports(self, group: ClusterGroup) -> Ports:
        clients = self._clients(group)
        settings = settings_for(group, os.environ)
        if settings not in self.doors:
            self.doors[settings] = RealNomadDoor(settings, spawn=self.spawn)
        door, secret = self.doors[settings], bootstrap_secret(group, clients)
        if secret and (managing := replace(settings, token=secret)) not in self.doors:
            self.doors[managing] = RealNomadDoor(managing, spawn=self.spawn)
        store = VariablesStore(door, settings.namespace)
        return Ports(
            clock=self.clock,
            ec2=AwsEc2(clients, self.clock.now),
            nomad=door,
            store=store,
            catalogue=catalogue(),
            new_id=lambda: str(uuid.uuid4()),
            chance=random.random,
            locks=store,
            holder=_ourselves(),
            found=store.found,
            snapshots=Places(clients),
            management=self.doors[replace(settings, token=secret)] if secret else None,
            secret=secret,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        for door in self.doors.values():
            await door.aclose()


class RealWorld:
    """The outside that costs money."""

    def __init__(self) -> None:
        """Look at the environment, so that what contradicts itself is told before anything is asked: SettingsError."""
        NomadSettings.from_env(os.environ).context()

    def run(self, work: Callable[[Doors], Awaitable[T]]) -> T:
        """Run work to its end."""

        async def opened() -> T:
            async with background() as tasks:
                there = _Open(tasks.start_soon)
                try:
                    return await work(there)
                finally:
                    with anyio.CancelScope(shield=True):
                        await there.aclose()

        return anyio.run(opened)

    run_in_real_time = run


def settings_for(group: ClusterGroup, environ: Mapping[str, str]) -> NomadSettings:
    """Say how a group's cluster is reached: the document says where, the environment with which token and files.

    A scheme and a port that an address leaves out are those of the document's address, else Nomad's own; with
    ``nomad.tls`` our servers speak https.
    """
    nomad = group.spec.nomad
    own = DEFAULT_ADDRESS.replace("http:", "https:") if nomad.tls else DEFAULT_ADDRESS
    return replace(NomadSettings.from_env(environ), address=nomad.address or own, region=nomad.region)


def bootstrap_secret(group: ClusterGroup, clients: Clients) -> str:
    """Find the token that ``nomad.bootstrapToken`` refers to; "" where the document names none, or nobody has it."""
    reference = group.spec.nomad.bootstrap_token if group.spec.nomad.acl else None
    return secret_of(reference, clients, os.environ) if reference else ""


def _ourselves() -> str:
    """Name this process for those whom its lock keeps waiting: its allocation, else host and process."""
    allocation = os.environ.get("NOMAD_ALLOC_ID")
    return f"allocation {allocation[:8]}" if allocation else f"{socket.gethostname()}, process {os.getpid()}"
