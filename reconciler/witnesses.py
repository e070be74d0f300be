"""Asks everyone who can tell how the servers are: each server's own agent, the leader, gossip, EC2 (semantics §10).

One look at n servers costs 4n + 2 reads: leader, raft, members and health of each at its own address, then autopilot
and raft's configuration of the leader. On suspicion autopilot is asked once more, seconds later, and EC2's status
checks too; where no agent can be asked at its own address, gossip of whoever answers. While all is calm each server is
asked itself every ``CALM`` seconds only, and a look between costs the leader's 2 reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio

from reconciler.ports import Clock, Ec2, Nomad
from schemas.faults import Fault
from schemas.servers import Autopilot, Member
from schemas.world import Instance, RaftPeer, Role, ServersLook, ServerView

CALM = timedelta(seconds=30)  # so long what servers said of themselves stands, while their leader says the same
AGENT_READS = 4  # leader, raft, members, health
APART = 3.0  # seconds between two looks: autopilot hears from every living server in between


@dataclass(slots=True)
class LastLook:
    """What each server said of itself when it was last asked; a memory that saves reads, and decides nothing."""

    at: datetime | None = None
    views: tuple[ServerView, ...] = ()
    raft: tuple[RaftPeer, ...] | None = None

    def stands(
        self, addresses: Sequence[str], autopilot: Autopilot | None, raft: tuple[RaftPeer, ...] | None, now: datetime
    ) -> bool:
        """Tell whether nothing speaks against it: it is young, of the same servers, and their leader says the same."""
        young = self.at is not None and now - self.at < CALM
        same = raft is not None and raft == self.raft and [v.address for v in self.views] == list(addresses)
        return young and same and not _suspicious(self.views, autopilot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """Looks at the servers of one group; ``last``: what may stand for a look at each, None: each is always asked."""

    clock: Clock
    ec2: Ec2
    nomad: Nomad
    last: LastLook | None = None

    async def views(self, addresses: Sequence[str]) -> tuple[ServerView, ...]:
        """Ask each server at its own address, all at once."""
        found: dict[str, ServerView] = {}

        async def ask(address: str) -> None:
            found[address] = await self.nomad.server_view(address)

        async with anyio.create_task_group() as group:
            for address in addresses:
                group.start_soon(ask, address)
        return tuple(found[address] for address in addresses)

    async def forming(self, instances: Sequence[Instance]) -> tuple[tuple[ServerView, ...], ServersLook]:
        """Ask servers that have no leader yet; where nobody answers, EC2 too, as it may be us who are cut off."""
        servers = [i for i in instances if i.role == Role.SERVER and i.state == "running"]
        views, running = await self.views(sorted(i.private_ip for i in servers)), [i.id for i in servers]
        if any(view.reachable for view in views) or not running:
            return views, ServersLook()
        return views, ServersLook(impaired=await self._impaired(running))

    async def look(
        self, instances: Sequence[Instance], *, twice: bool = False
    ) -> tuple[tuple[ServerView, ...], ServersLook]:
        """Ask all witnesses about the servers among these instances; ``twice``: see who moves, suspicion or none."""
        servers = [i for i in instances if i.role == Role.SERVER and i.private_ip and i.state != "terminated"]
        addresses = sorted({i.private_ip for i in servers if i.state != "stopped"})
        faults: list[str] = []
        if self.last is not None and not twice:
            autopilot, raft = await self._autopilot(faults), await self._raft(faults)
            if self.last.stands(addresses, autopilot, raft, self.clock.now()):
                return self.last.views, ServersLook(autopilot=autopilot, raft=raft, reads=2)
            views = await self.views(addresses)
        else:
            views = await self.views(addresses)
            autopilot, raft = await self._autopilot(faults), await self._raft(faults)
        earlier = None
        suspicious = _suspicious(views, autopilot)
        reads = AGENT_READS * len(views) + 2
        if autopilot is not None and (twice or suspicious):
            await self.clock.sleep(APART)
            earlier, autopilot = autopilot, await self._autopilot(faults)
            reads += 1
        running = [i.id for i in servers if i.state == "running"]
        heard = any(v.gossip for v in views)
        asks_ec2 = suspicious and bool(running)
        look = ServersLook(
            autopilot=autopilot,
            earlier=earlier,
            raft=raft,
            gossip=None if heard else await self._members(),
            impaired=await self._impaired(running) if asks_ec2 else frozenset(),
            fault="; ".join(dict.fromkeys(faults)),
            reads=reads + (not heard) + asks_ec2,
        )
        if self.last is not None:
            self.last.at, self.last.views, self.last.raft = self.clock.now(), views, raft
        return views, look

    async def _autopilot(self, faults: list[str]) -> Autopilot | None:
        try:
            return await self.nomad.autopilot()
        except Fault as fault:
            faults.append(fault.message)
            return None

    async def _raft(self, faults: list[str]) -> tuple[RaftPeer, ...] | None:
        try:
            return await self.nomad.raft_configuration()
        except Fault as fault:
            faults.append(fault.message)
            return None

    async def _members(self) -> tuple[Member, ...] | None:
        try:
            return await self.nomad.members()
        except Fault:
            return None

    async def _impaired(self, running: Sequence[str]) -> frozenset[str]:
        try:
            return await self.ec2.impaired(running)
        except Fault:
            return frozenset()  # one witness less: nobody is called impaired


def _suspicious(views: Sequence[ServerView], autopilot: Autopilot | None) -> bool:
    """Somebody is silent, or called unhealthy, or missing."""
    if autopilot is None or not autopilot.healthy:
        return True
    listed = {s.address.rpartition(":")[0] for s in autopilot.servers if s.voter}
    return any(not v.reachable or not v.leader or v.ready is False or v.address not in listed for v in views)
