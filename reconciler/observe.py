"""Ports become one Snapshot: every source asked, and the one that failed named, never taken for empty."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import anyio

from reconciler.journal import Ledger
from reconciler.packing.census import ended, settled
from reconciler.ports import Clock, Ec2, Nomad, NomadDoor
from reconciler.surroundings import Surroundings, look_around
from reconciler.witnesses import LastLook, Witnesses
from schemas.catalogue import Catalogue
from schemas.document import ClusterGroup
from schemas.faults import Fault, Source
from schemas.names import formed_marker
from schemas.predictions import Predictions
from schemas.servers import ServersRecord
from schemas.world import Address, Claim, Instance, Role, ServersLook, ServerView, Snapshot

FORGET = timedelta(hours=1)  # a claim whose machines nobody has ever seen for so long has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the account said, and where Nomad is therefore to be found (hosts or URLs; none: nowhere yet)."""

    at: datetime
    instances: tuple[Instance, ...]
    templates: frozenset[str]
    spot_prices: Mapping[tuple[str, str], float]
    around: Surroundings
    addresses: tuple[str, ...]
    unanswered: Mapping[Source, str]


@dataclass(slots=True, kw_only=True)
class Observer:
    """Asks the ports for all that a tick of one group needs to know."""

    group: ClusterGroup
    catalogue: Catalogue
    clock: Clock
    ec2: Ec2
    door: NomadDoor
    management: NomadDoor  # the same cluster, with a token that may ask about raft
    _last: LastLook = field(default_factory=LastLook)
    _known: tuple[str, ...] = ()  # where Nomad was, for as long as EC2 is silent

    async def ground(self) -> Ground:
        """Look at the account first: it tells where Nomad is, and Nomad keeps the store."""
        now, asked = self.clock.now(), _Answers()
        instances, templates, spot = await self._ask_ec2(asked)
        around = await look_around(self.ec2, self.group, self.catalogue, instances)
        addresses = self._addresses(instances)
        if not addresses and Source.EC2 in asked.unanswered:
            addresses = self._known
        self._known = addresses
        return Ground(
            at=now,
            instances=instances,
            templates=templates,
            spot_prices=spot,
            around=around,
            addresses=addresses,
            unanswered=asked.unanswered,
        )

    async def observe(self, ground: Ground, ledger: Ledger | None, store_fault: str | None = None) -> Snapshot:
        """Look at the rest. ``ledger`` is the journal as just read; ``store_fault`` says why it was not."""
        now, asked = ground.at, _Answers()
        asked.unanswered |= ground.unanswered
        if store_fault is not None:
            asked.unanswered[Source.STORE] = store_fault
        nomad = self.door.at(ground.addresses)
        views, look = await self._ask_servers(self.management.at(ground.addresses), ground, ledger)
        found = await self._ask_nomad(asked, nomad, ground.addresses)
        return Snapshot(
            observed_at=now,
            catalogue=ground.around.catalogue,
            unanswered=asked.unanswered,
            instances=ground.instances,
            templates=ground.templates,
            spot_prices=ground.spot_prices,
            on_demand_prices=ground.around.supply.on_demand,
            supply=ground.around.supply,
            trouble=ground.around.trouble,
            elastic_ips=await self._elastic_ips(),
            servers=views,
            look=look,
            record=ledger.servers if ledger else ServersRecord(),
            predictions=ledger.predictions if ledger else Predictions(),
            store_id=ledger.store_id if ledger else None,
            claims=ledger.claims if ledger else (),
            ordinals=ledger.ordinals if ledger else {},
            refused=tuple(r for r in ledger.refused if r.until > now) if ledger else (),
            launched_last_minute=ledger.launched_since(now - timedelta(minutes=1)) if ledger else 0,
            **found,
        )

    def _addresses(self, instances: Sequence[Instance]) -> tuple[str, ...]:
        """Say where Nomad is: the document's address, else our running servers' private ones, the oldest first."""
        if self.group.spec.nomad.address:
            return (self.group.spec.nomad.address,)
        running = [i for i in instances if i.role == Role.SERVER and i.state == "running"]
        return tuple(i.private_ip for i in sorted(running, key=lambda i: (i.launched_at, i.private_ip)))

    async def _ask_servers(
        self, nomad: Nomad, ground: Ground, ledger: Ledger | None
    ) -> tuple[tuple[ServerView, ...], ServersLook]:
        """Ask all witnesses about the servers; while they form there is no leader yet to be asked."""
        if self.group.spec.servers is None:
            return (), ServersLook()
        record = ledger.servers if ledger else ServersRecord()
        calm = record.step is None and not record.failing and record.frozen is None
        witnesses = Witnesses(clock=self.clock, ec2=self.ec2, nomad=nomad, last=self._last if calm else None)
        if formed_marker(self.group.metadata.name) not in ground.templates:
            return await witnesses.forming(ground.instances)
        return await witnesses.look(ground.instances)

    async def _elastic_ips(self) -> tuple[Address, ...] | None:
        """List the region's Elastic IPs where the document names some; None while EC2 is silent about them."""
        servers = self.group.spec.servers
        if servers is None or not servers.elastic_ips:
            return None
        try:
            return await self.ec2.addresses()
        except Fault:
            return None

    async def _ask_ec2(
        self, asked: _Answers
    ) -> tuple[tuple[Instance, ...], frozenset[str], Mapping[tuple[str, str], float]]:
        name = self.group.metadata.name
        zones = sorted({subnet.zone for subnet in self.group.spec.aws.subnets})
        types = sorted({t.name for pool in self.group.spec.pools for t in pool.instances.allowed(self.catalogue)})
        answers = await asked.all(
            Source.EC2,
            instances=lambda: self.ec2.instances(name),
            templates=lambda: self.ec2.template_names(name),
        )
        prices = await asked.all(Source.PRICES, spot=lambda: self.ec2.spot_prices(types, zones)) if types else {}
        return answers.get("instances", ()), answers.get("templates", frozenset()), prices.get("spot", {})

    async def _ask_nomad(self, asked: _Answers, nomad: Nomad, addresses: Sequence[str]) -> dict[str, Any]:
        if not addresses:
            asked.unanswered[Source.NOMAD] = "no server of ours is running yet"
            return {}
        return await asked.all(
            Source.NOMAD,
            nodes=nomad.nodes,
            jobs=nomad.jobs,
            evaluations=nomad.evaluations,
            allocations=nomad.allocations,
            node_pools=nomad.node_pools,
            broker_paused=nomad.broker_paused,
        )


class _Answers:
    """Collects who did not answer."""

    def __init__(self) -> None:
        self.unanswered: dict[Source, str] = {}

    async def all(self, source: Source, **questions: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
        """Ask a source everything at once: all answers, or none of them and the source named as unanswered."""
        answers: dict[str, Any] = {}

        async def ask(name: str, question: Callable[[], Awaitable[Any]]) -> None:
            try:
                answers[name] = await question()
            except Fault as fault:
                self.unanswered.setdefault(source, f"{fault.what}: {fault.message}")

        async with anyio.create_task_group() as group:
            for name, question in questions.items():
                group.start_soon(ask, name, question)
        return {} if source in self.unanswered else {name: answers[name] for name in questions}


def forgotten(snapshot: Snapshot) -> tuple[str, ...]:
    """Name the claims that the journal may forget: all their machines are nodes, or gone (semantics §11).

    Those of new nodes are kept for as long as Nomad may take to place there what they were bought for, lest it be
    bought for again.
    """
    return tuple(claim.name for claim in snapshot.claims if claim.answered and _over(snapshot, claim))


def _over(snapshot: Snapshot, claim: Claim) -> bool:
    old = snapshot.observed_at - claim.asked_at > FORGET
    lost = old and all(ended(snapshot, i) or i not in snapshot.instance_by_id for i in claim.instance_ids)
    return lost or settled(snapshot, claim)
