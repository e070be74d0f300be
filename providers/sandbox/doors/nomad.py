"""The Nomad port into the simulated cluster: who answers at the addresses is asked, and mostly needs a leader."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from providers.nomad import translate, translate_job, translate_servers
from providers.sandbox.doors.time import Clock, catch_up
from providers.sandbox.world.archive import archived
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.servers import acl, answers
from providers.sandbox.world.servers.answers import NoAnswerError, ServerError
from providers.sandbox.world.servers.state import ALIVE
from schemas.faults import OutcomeUnknownError, Refusal, RefusedError, Source, UnansweredError
from schemas.names import host_of
from schemas.nomad_plan import JobPlan
from schemas.servers import Autopilot, Member, StateSnapshot
from schemas.world import Allocation, Evaluation, Job, Node, RaftPeer, ServerView

if TYPE_CHECKING:
    from providers.sandbox.world.world import World

Answer = TypeVar("Answer")
Value = TypeVar("Value")
Json = Mapping[str, Any]

_MAY_HAVE_HAPPENED = "leadership lost while committing"
_LEADER_WAIT = 1.0  # seconds between two looks for a leader, while a server holds a call back


class Memory:
    """Remembers what an answer was translated to: the world hands out the same object until the record changes."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[tuple[Json, ...], Any]]] = {}

    def translated(
        self, kind: str, answers: Iterable[tuple[Json, ...]], translation: Callable[..., Value]
    ) -> tuple[Value, ...]:
        """Translate each answer that is not known yet; what is no longer among them is forgotten.

        An answer may have several parts; it is known by the id (and namespace) in its first.
        """
        known, kept = self._known.get(kind, {}), {}
        for parts in answers:
            key = f"{parts[0].get('Namespace', '')}/{parts[0]['ID']}"
            old = known.get(key)
            same = old is not None and all(a is b for a, b in zip(old[0], parts, strict=True))
            kept[key] = old if old is not None and same else (parts, translation(*parts))
        self._known[kind] = kept
        return tuple(value for _, value in kept.values())


class SandboxNomadDoor:
    """Finds the simulated cluster by addresses."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world, self._clock, self._memory = world, clock, Memory()

    def at(self, addresses: Sequence[str]) -> SandboxNomad:
        """Give the cluster behind these addresses."""
        return SandboxNomad(self._world, self._clock, [host_of(address) for address in addresses], self._memory)


class SandboxNomad:
    """The simulated cluster, asked through one of its addresses."""

    def __init__(self, world: World, clock: Clock, hosts: Sequence[str], memory: Memory) -> None:
        self._world, self._clock, self._hosts, self._memory = world, clock, hosts, memory

    async def nodes(self) -> tuple[Node, ...]:
        """List all clients in full."""
        return await self._ask("GET /v1/nodes", self._nodes)

    async def jobs(self) -> tuple[Job, ...]:
        """List all jobs with their summaries."""
        return await self._ask("GET /v1/jobs", self._jobs)

    async def evaluations(self) -> tuple[Evaluation, ...]:
        """List the evaluations that are blocked or pending."""
        return await self._ask("GET /v1/evaluations", _evaluations)

    async def allocations(self) -> tuple[Allocation, ...]:
        """List the allocations that take room."""
        return await self._ask("GET /v1/allocations", self._allocations)

    async def node_pools(self) -> frozenset[str]:
        """Give the names of the node pools."""
        return await self._ask("GET /v1/node/pools", _pools)

    async def broker_paused(self) -> bool:
        """Tell whether the scheduler configuration pauses the broker."""
        return await self._ask("GET /v1/operator/scheduler/configuration", _broker_paused)

    async def create_node_pool(self, name: str) -> None:
        """Make a node pool; one that is there stays as it is."""

        def create(world: World) -> None:
            if name not in _pools(world):
                world.nomad.api.put_node_pool({"Name": name})

        await self._ask(f"PUT /v1/node/pools {name}", create)

    async def server_view(self, address: str) -> ServerView:
        """Ask one server at its own address, with stale reads."""
        servers, host = catch_up(self._world, self._clock).servers, host_of(address)
        try:
            leader = answers.status_leader(servers, host, stale=True)
            peers = translate_servers.raft_peers(answers.raft_configuration(servers, host, stale=True))
            gossip = translate_servers.members(answers.members(servers, host))
        except NoAnswerError:
            return ServerView(address=host, reachable=False)
        try:
            answers.health(servers, host)
            ready = True
        except ServerError:
            ready = False
        return ServerView(
            address=host,
            reachable=True,
            leader=leader,
            peers=peers,
            members=tuple(m.address for m in gossip if m.status == ALIVE),
            gossip=gossip,
            ready=ready,
        )

    async def autopilot(self) -> Autopilot:
        """Give what autopilot on the leader believes."""
        return await self._ask(
            "GET /v1/operator/autopilot/health",
            lambda world: translate_servers.autopilot(
                answers.autopilot_health(world.servers, self._answering(world))[1]
            ),
        )

    async def raft_configuration(self) -> tuple[RaftPeer, ...]:
        """Give the leader's raft configuration."""
        return await self._ask(
            "GET /v1/operator/raft/configuration",
            lambda world: translate_servers.raft_peers(
                answers.raft_configuration(world.servers, self._answering(world))
            ),
        )

    async def members(self) -> tuple[Member, ...]:
        """Give the servers that gossip knows; needs no leader."""
        world = catch_up(self._world, self._clock)
        for host in self._up(world):
            return translate_servers.members(answers.members(world.servers, host))
        raise UnansweredError(Source.NOMAD, "GET /v1/agent/members", self._nobody())

    async def remove_peer(self, peer_id: str) -> None:
        """Take a peer out of raft; one that is not in it is out."""

        def remove(world: World) -> None:
            asked = self._answering(world)
            if any(p["ID"] == peer_id for p in answers.raft_configuration(world.servers, asked)["Servers"]):
                answers.remove_peer(world.servers, asked, server_id=peer_id)

        await self._ask(f"DELETE /v1/operator/raft/peer?id={peer_id}", remove)

    async def force_leave(self, name: str) -> None:
        """Make gossip forget a failed member; needs no leader."""
        world = catch_up(self._world, self._clock)
        for host in self._up(world):
            answers.force_leave(world.servers, host, name, prune=True)
            return
        raise UnansweredError(Source.NOMAD, f"PUT /v1/agent/force-leave?node={name}", self._nobody())

    async def transfer_leadership(self, peer_id: str) -> None:
        """Hand leadership to a voter."""
        what = f"PUT /v1/operator/raft/transfer-leadership?id={peer_id}"
        await self._ask(
            what,
            lambda world: answers.transfer_leadership(world.servers, self._answering(world), server_id=peer_id),
        )

    async def join(self, address: str, addresses: Sequence[str]) -> int:
        """Tell the agent at an address to join others."""
        servers, host = catch_up(self._world, self._clock).servers, host_of(address)
        try:
            joined: int = answers.join(servers, host, [host_of(a) for a in addresses])["num_joined"]
        except NoAnswerError as silent:
            raise UnansweredError(Source.NOMAD, f"PUT /v1/agent/join at {host}", str(silent)) from silent
        return joined

    async def job_plan(self, namespace: str, job_id: str) -> JobPlan | None:
        """Have the scheduler plan a stored job again, unchanged."""

        def plan(world: World) -> JobPlan | None:
            api = world.nomad.api
            try:
                stored = api.job(job_id, namespace=namespace)
            except ApiError as no:
                if no.status == 404:
                    return None
                raise
            return translate.job_plan(api.plan_job(job_id, {"Job": stored}, namespace=namespace), namespace, job_id)

        return await self._ask(f"GET /v1/job/{job_id}/plan", plan)

    async def snapshot(self) -> StateSnapshot:
        """Save the servers' state."""
        return await self._ask("GET /v1/operator/snapshot", archived)

    async def acl_bootstrap(self, secret: str) -> None:
        """Make ``secret`` the first management token, or see that it is one already."""
        what = "PUT /v1/acl/bootstrap"
        try:
            await self._ask(what, lambda world: acl.bootstrap(world.servers, self._answering(world), secret))
        except RefusedError as no:
            if "already done" not in no.message:
                raise
            try:
                await self._ask(what, lambda world: acl.token_self(world.servers, self._answering(world), secret))
            except RefusedError as stranger:
                said = f"{no.message}, and not with this token"
                raise RefusedError(Source.NOMAD, what, said, why=Refusal.EXISTS, code="400") from stranger

    def _nodes(self, world: World) -> tuple[Node, ...]:
        full = ((world.nomad.api.node(stub["ID"]),) for stub in world.nomad.api.nodes())
        return self._memory.translated("node", full, translate.node)

    def _allocations(self, world: World) -> tuple[Allocation, ...]:
        stubs = ((stub,) for stub in world.nomad.api.allocations(namespace="*", resources=True))
        found = self._memory.translated("allocation", stubs, translate.allocation)
        return tuple(a for a in found if a.takes_room)

    def _jobs(self, world: World) -> tuple[Job, ...]:
        api = world.nomad.api
        full = ((api.job(stub["ID"], namespace=stub["Namespace"]), stub) for stub in api.jobs(namespace="*"))
        return self._memory.translated("job", full, _job)

    async def _ask(self, what: str, question: Callable[[World], Answer]) -> Answer:
        """Ask the first agent that answers; while it knows no leader it holds the call back for some seconds."""
        waited = 0.0
        while True:
            world = catch_up(self._world, self._clock)
            try:
                self._require_leader(world, what)
                return question(world.seen_from(self._answering(world)))
            except ServerError as no:
                if 400 <= no.status < 500:
                    raise RefusedError(Source.NOMAD, what, no.text, why=Refusal.INVALID, code=str(no.status)) from no
                if _MAY_HAVE_HAPPENED in no.text:
                    raise OutcomeUnknownError(Source.NOMAD, what, no.text) from no
                if waited >= no.took:
                    raise UnansweredError(Source.NOMAD, what, no.text) from no
                await self._clock.sleep(_LEADER_WAIT)
                waited += _LEADER_WAIT
            except ApiError as no:
                raise _fault_of(no, what) from no

    def _require_leader(self, world: World, what: str) -> None:
        if not self._up(world):
            raise UnansweredError(Source.NOMAD, what, self._nobody())
        asked = self._answering(world)
        if what.startswith("GET "):
            answers.require_leader(world.servers, asked)
        else:
            answers.write(world.servers, asked)

    def _answering(self, world: World) -> str:
        """Give the first address whose agent reaches the leader, else the first that answers at all."""
        hosts = self._up(world)
        for host in hosts:
            with contextlib.suppress(ServerError):
                answers.require_leader(world.servers, host)
                return host
        return hosts[0]

    def _up(self, world: World) -> list[str]:
        found = []
        for host in self._hosts:
            behind = [host] if _is_address(host) else list(world.state.servers.agents)  # a name is a load balancer's
            found += [h for h in behind if world.servers.answering(h) is not None]
        return found

    def _nobody(self) -> str:
        return f"nobody answers at {', '.join(self._hosts) or 'no address'}"


def _is_address(host: str) -> bool:
    return host.replace(".", "").isdigit()


def _pools(world: World) -> frozenset[str]:
    return frozenset(pool["Name"] for pool in world.nomad.api.node_pools())


def _job(full: Json, stub: Json) -> Job:
    return translate_job.job(full, (stub.get("JobSummary") or {}).get("Summary"))


def _evaluations(world: World) -> tuple[Evaluation, ...]:
    open_ones = (e for s in ("blocked", "pending") for e in world.nomad.api.evaluations(namespace="*", status=s))
    return tuple(map(translate.evaluation, open_ones))


def _broker_paused(world: World) -> bool:
    return bool(world.nomad.api.scheduler_configuration()["SchedulerConfig"]["PauseEvalBroker"])


def _fault_of(no: ApiError, what: str) -> UnansweredError | OutcomeUnknownError | RefusedError:
    if _MAY_HAVE_HAPPENED in no.text:
        return OutcomeUnknownError(Source.NOMAD, what, no.text)
    if no.status >= 500:
        return UnansweredError(Source.NOMAD, what, no.text)
    return RefusedError(Source.NOMAD, what, no.text, why=Refusal.INVALID, code=str(no.status))
