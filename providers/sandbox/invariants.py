"""What must hold at every instant (design §5), judged on the world itself: no lag, no answers, nobody's opinion.

``Invariants.look`` is asked after every tick and every change of the world; ``OverheardEc2`` stands before the account
and hears what is asked of it. The simulator and the tests share both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from providers.sandbox.world.ec2.prices import on_demand_price, spot_price
from providers.sandbox.world.ec2.state import PENDING, RUNNING, SPOT, Instance
from providers.sandbox.world.nomad.node import DOWN
from schemas.document import ClusterGroup
from schemas.world import TAG_CLAIM, TAG_CLUSTER, TAG_POOL, TAG_ROLE, FleetAnswer, FleetRequest, Role

if TYPE_CHECKING:
    from providers.sandbox.doors import SandboxEc2
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.world import World

MINUTE = 60.0
_MOMENT = 0.001  # seconds: exactly a minute apart is no minute's two launches, whatever rounding makes of it
_CENT = 0.01  # USD an hour: rounding of prices is no broken limit
_NO_WORK = frozenset({"system", "sysbatch"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """Something that must hold did not."""

    at: float  # virtual seconds since the world began
    rule: str  # one word for each rule: "pool-maximum"
    subject: str
    message: str

    def __str__(self) -> str:
        """Give it in a line."""
        return f"{self.at:.0f} s: {self.rule}: {self.message}"


Found = tuple[str, str, str]  # rule, subject, message


@dataclass(slots=True, kw_only=True)
class Invariants:
    """Judges one group's part of a world; ``violations`` are all that were ever seen, each once while it lasts."""

    world: World
    group: ClusterGroup
    violations: list[Violation] = field(default_factory=list)
    requests: dict[str, FleetRequest] = field(default_factory=dict)  # what was asked of EC2, by client token
    _lasting: set[tuple[str, str]] = field(default_factory=set)
    _launched: float = -1.0  # when the newest machine known so far was launched

    def look(self) -> tuple[Violation, ...]:
        """Judge the world as it is now; gives what was not so when it was last asked."""
        found = {(rule, subject): message for rule, subject, message in self._all()}
        new = [
            Violation(at=self.world.now, rule=rule, subject=subject, message=message)
            for (rule, subject), message in found.items()
            if (rule, subject) not in self._lasting
        ]
        self._lasting = set(found)
        self.violations += new
        return tuple(new)

    # --- the state of the world

    def _all(self) -> Iterator[Found]:
        ours = [i for i in self.world.state.ec2.instances.values() if i.tags.get(TAG_CLUSTER) == self._name]
        live = [i for i in ours if i.state in {PENDING, RUNNING}]
        clients = [i for i in live if i.tags.get(TAG_ROLE) == Role.CLIENT]
        yield from self._sizes(clients)
        yield from self._cost(live)
        yield from self._rate(ours)
        yield from self._servers([i for i in live if i.tags.get(TAG_ROLE) == Role.SERVER])
        yield from self._claims(ours)

    @property
    def _name(self) -> str:
        return self.group.metadata.name

    def _sizes(self, clients: Sequence[Instance]) -> Iterator[Found]:
        """Maxima hold at every instant (3)."""
        by_pool = Counter(i.tags.get(TAG_POOL, "") for i in clients)
        for pool in self.group.spec.pools:
            if by_pool[pool.name] > pool.size.max:
                yield "pool-maximum", pool.name, f"{by_pool[pool.name]} machines in {pool.name}, max is {pool.size.max}"
        most = self.group.spec.limits.max_nodes
        if len(clients) > most:
            yield "node-limit", self._name, f"{len(clients)} clients, limits.maxNodes is {most}"

    def _cost(self, live: Sequence[Instance]) -> Iterator[Found]:
        """No launch passes the cost limit (3); that prices rise afterwards is nobody's doing."""
        newest = max((i.launched_at for i in live), default=-1.0)
        key = ("hourly-cost", self._name)
        if newest <= self._launched and key not in self._lasting:
            return
        self._launched = max(newest, self._launched)
        cost, most = sum(self.price(i) for i in live), self.group.spec.limits.max_hourly_cost
        if cost > most + _CENT:
            yield *key, f"{cost:.4f} USD an hour after a launch, limits.maxHourlyCost is {most:g}"

    def _rate(self, ours: Sequence[Instance]) -> Iterator[Found]:
        """So many launches in any minute (3)."""
        since = self.world.now - MINUTE + _MOMENT
        fresh = sum(i.launched_at > since and TAG_POOL in i.tags for i in ours)
        most = self.group.spec.limits.max_launches_per_minute
        if fresh > most:
            yield (
                "launch-rate",
                self._name,
                f"{fresh} machines launched in a minute, limits.maxLaunchesPerMinute is {most}",
            )

    def _servers(self, servers: Sequence[Instance]) -> Iterator[Found]:
        """One machine a slot, and one more than wanted at most while one is replaced (1, 11)."""
        if self.group.spec.servers is None:
            return
        wanted = self.group.spec.servers.count
        if len(servers) > wanted + 1:
            yield "servers", self._name, f"{len(servers)} servers, servers.count is {wanted}"
        for claim, count in Counter(i.tags.get(TAG_CLAIM, "") for i in servers).items():
            if count > 1:
                yield "slot", claim, f"{count} machines for {claim}"

    def _claims(self, ours: Sequence[Instance]) -> Iterator[Found]:
        """At most n machines for a claim of n (1)."""
        asked = {r.tags[TAG_CLAIM]: r.count for r in self.requests.values() if TAG_CLAIM in r.tags}
        launched = Counter(i.tags[TAG_CLAIM] for i in ours if i.tags.get(TAG_CLAIM) in asked)
        for claim, count in launched.items():
            if count > asked[claim]:
                yield "claim", claim, f"{count} machines launched for {claim}, {asked[claim]} were asked for"

    def price(self, instance: Instance) -> float:
        """USD an hour of a machine now."""
        cloud = self.world.cloud
        on_demand = on_demand_price(cloud, instance.type) or 0.0
        spot = spot_price(cloud, instance.type, instance.zone) if instance.market == SPOT else None
        return on_demand if spot is None else spot

    # --- what is asked of EC2

    def requested(self, request: FleetRequest) -> None:
        """Hear a fleet request: under one token there is one request, byte for byte."""
        first = self.requests.setdefault(request.token, request)
        if first != request:
            self._tell("token", request.token, f"the token {request.token} was used for two requests")

    def terminating(self, instance_ids: Sequence[str]) -> None:
        """Hear that machines are to be ended: not while work is on them (6), never so that the quorum is lost (11)."""
        known = self.world.state.ec2.instances
        for instance in (known[i] for i in instance_ids if i in known):
            if instance.tags.get(TAG_CLUSTER) != self._name:
                self._tell("foreign", instance.id, f"{instance.id} is to be ended and is none of {self._name}'s")
            elif instance.tags.get(TAG_ROLE) == Role.CLIENT:
                self._client_ends(instance)
            else:
                self._server_ends(instance)

    def _client_ends(self, instance: Instance) -> None:
        if instance.interruption_at is not None or instance.hung:
            return  # it goes anyway
        work = [a for a in work_on(self.world, instance.id) if a.job_type not in _NO_WORK]
        if work:
            names = ", ".join(sorted({a.job_id for a in work})[:3])
            self._tell(
                "work", instance.id, f"{instance.id} is to be ended with {len(work)} allocations on it ({names})"
            )

    def _server_ends(self, instance: Instance) -> None:
        servers = self.world.servers
        for cluster in servers.state.clusters.values():
            voters = [p for p in cluster.peers if p.voter]
            up = [p for p in voters if (agent := servers.up(p.address)) is not None and agent.id == p.id]
            left = [p for p in up if p.address != instance.private_ip]
            quorum = len(voters) // 2 + 1
            if len(left) < len(up) and len(left) < quorum <= len(up):
                message = f"{instance.id} is to be ended: {len(left)} of {len(voters)} voters would be left"
                self._tell("quorum", instance.id, message)

    def _tell(self, rule: str, subject: str, message: str) -> None:
        self.violations.append(Violation(at=self.world.now, rule=rule, subject=subject, message=message))


def work_on(world: World, instance_id: str) -> list[Allocation]:
    """List the allocations on a machine's nodes that have not ended, as the servers know them; a dead node has none."""
    cluster = world.nomad
    nodes = [n for n in cluster.state.nodes.values() if n.name == instance_id and n.status != DOWN]
    return [a for n in nodes for a in cluster.store.node_allocs(n.id) if not a.client_terminal]


class OverheardEc2:
    """The account's door, with what is asked of it told to the invariants as it arrives."""

    def __init__(self, door: SandboxEc2, invariants: Invariants) -> None:
        self._door, self._invariants = door, invariants

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Give all other calls as they are."""
        found: Callable[..., Any] = getattr(self._door, name)
        return found

    async def create_fleet(self, request: FleetRequest) -> FleetAnswer:
        """Launch."""
        self._invariants.requested(request)
        return await self._door.create_fleet(request)

    async def terminate(self, instance_ids: Sequence[str]) -> None:
        """End machines."""
        self._invariants.terminating(instance_ids)
        await self._door.terminate(instance_ids)


def asked(requests: Mapping[str, FleetRequest]) -> Mapping[str, int]:
    """Tell how many machines each claim's request asked for."""
    return {r.tags[TAG_CLAIM]: r.count for r in requests.values()}
