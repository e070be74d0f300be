"""Ports become one Snapshot: every source asked, and the one that failed named, never taken for empty."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import anyio

from reconciler.journal import Ledger
from reconciler.ports import Clock, Ec2, Nomad, NomadDoor
from reconciler.witnesses import Witnesses
from schemas.catalogue import Catalogue
from schemas.document import ClusterGroup
from schemas.faults import Fault, Source
from schemas.names import formed_marker
from schemas.servers import ServersRecord
from schemas.world import Claim, Instance, Role, ServersLook, ServerView, Snapshot

FORGET = timedelta(hours=1)  # a claim whose machines nobody has ever seen for so long has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """Asks the ports for all that a tick of one group needs to know."""

    group: ClusterGroup
    catalogue: Catalogue
    clock: Clock
    ec2: Ec2
    door: NomadDoor

    async def observe(self, ledger: Ledger | None, store_fault: str | None = None) -> Snapshot:
        """Look at everything once. ``ledger`` is the journal as just read; ``store_fault`` says why it was not."""
        now = self.clock.now()
        asked = _Answers()
        if store_fault is not None:
            asked.unanswered[Source.STORE] = store_fault
        instances, templates, spot = await self._ask_ec2(asked)
        addresses = self.addresses(instances)
        nomad = self.door.at(addresses)
        views, look = await self._ask_servers(nomad, instances, templates, addresses)
        found = await self._ask_nomad(asked, nomad, addresses)
        return Snapshot(
            observed_at=now,
            catalogue=self.catalogue,
            unanswered=asked.unanswered,
            instances=instances,
            templates=templates,
            spot_prices=spot,
            servers=views,
            look=look,
            record=ledger.servers if ledger else ServersRecord(),
            store_id=ledger.store_id if ledger else None,
            claims=ledger.claims if ledger else (),
            ordinals=ledger.ordinals if ledger else {},
            refused=tuple(r for r in ledger.refused if r.until > now) if ledger else (),
            launched_last_minute=ledger.launched_since(now - timedelta(minutes=1)) if ledger else 0,
            **found,
        )

    def addresses(self, instances: Sequence[Instance]) -> tuple[str, ...]:
        """Say where Nomad is: the document's address, else our running servers' private ones, the oldest first."""
        if self.group.spec.nomad.address:
            return (host_of(self.group.spec.nomad.address),)
        running = [i for i in instances if i.role == Role.SERVER and i.state == "running"]
        return tuple(i.private_ip for i in sorted(running, key=lambda i: (i.launched_at, i.private_ip)))

    async def _ask_servers(
        self, nomad: Nomad, instances: Sequence[Instance], templates: frozenset[str], addresses: Sequence[str]
    ) -> tuple[tuple[ServerView, ...], ServersLook]:
        """Ask all witnesses about the servers; while they form there is no leader yet to be asked."""
        if self.group.spec.servers is None:
            return (), ServersLook()
        witnesses = Witnesses(clock=self.clock, ec2=self.ec2, nomad=nomad)
        if formed_marker(self.group.metadata.name) not in templates:
            return await witnesses.views(sorted(addresses)), ServersLook()
        return await witnesses.look(instances)

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


def host_of(address: str) -> str:
    """Give the host part of an address or URL, as other rooms compare private addresses."""
    return urlsplit(address if "://" in address else f"//{address}").hostname or address


def forgotten(snapshot: Snapshot) -> tuple[str, ...]:
    """Name the claims that the journal may forget: all their machines are nodes, or gone (semantics §11)."""
    return tuple(claim.name for claim in snapshot.claims if claim.answered and _settled(snapshot, claim))


def _settled(snapshot: Snapshot, claim: Claim) -> bool:
    old = snapshot.observed_at - claim.asked_at > FORGET
    return all(_ended(snapshot, i) or (old and i not in snapshot.instance_by_id) for i in claim.instance_ids)


def _ended(snapshot: Snapshot, instance_id: str) -> bool:
    """A machine's wait is over: its node registered, or EC2 shows it gone."""
    instance = snapshot.instance_by_id.get(instance_id)
    if instance is not None and not instance.live:
        return True
    node = snapshot.node_by_instance.get(instance_id)
    return node is not None and node.status != "initializing"
