"""The Nomad port into the simulated cluster: who answers at the addresses is asked, and mostly needs a leader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from providers.nomad import translate, translate_job
from providers.sandbox.doors.time import Clock, catch_up
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.servers import answers
from providers.sandbox.world.servers.answers import NoAnswerError, ServerError
from providers.sandbox.world.servers.state import ALIVE
from schemas.faults import OutcomeUnknownError, Refusal, RefusedError, Source, UnansweredError
from schemas.world import Allocation, Evaluation, Job, Node, RaftPeer, ServerView

if TYPE_CHECKING:
    from providers.sandbox.world.world import World

Answer = TypeVar("Answer")
Value = TypeVar("Value")
Json = Mapping[str, Any]

_LEADER_WAIT = 1.0  # seconds between two looks for a leader, while a server holds a call back


class Memory:
    """Remembers what an answer was translated to: the world hands out the same object until the record changes."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[Json, Any]]] = {}

    def translated(self, kind: str, answers: Iterable[Json], translation: Callable[[Json], Value]) -> tuple[Value, ...]:
        """Translate each answer that is not known yet; what is no longer among them is forgotten."""
        known, kept = self._known.get(kind, {}), {}
        for raw in answers:
            old = known.get(raw["ID"])
            kept[raw["ID"]] = old if old is not None and old[0] is raw else (raw, translation(raw))
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
        return await self._ask("GET /v1/jobs", _jobs)

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
            peers = answers.raft_configuration(servers, host, stale=True)["Servers"]
            members = answers.members(servers, host)["Members"]
        except NoAnswerError:
            return ServerView(address=host, reachable=False)
        return ServerView(
            address=host,
            reachable=True,
            leader=leader,
            peers=tuple(
                RaftPeer(id=p["ID"], name=p["Node"], address=p["Address"], leader=p["Leader"], voter=p["Voter"])
                for p in peers
            ),
            members=tuple(m["Addr"] for m in members if m["Status"] == ALIVE),
        )

    async def join(self, address: str, addresses: Sequence[str]) -> int:
        """Tell the agent at an address to join others."""
        servers, host = catch_up(self._world, self._clock).servers, host_of(address)
        try:
            joined: int = answers.join(servers, host, [host_of(a) for a in addresses])["num_joined"]
        except NoAnswerError as silent:
            raise UnansweredError(Source.NOMAD, f"PUT /v1/agent/join at {host}", str(silent)) from silent
        return joined

    def _nodes(self, world: World) -> tuple[Node, ...]:
        full = (world.nomad.api.node(stub["ID"]) for stub in world.nomad.api.nodes())
        return self._memory.translated("node", full, translate.node)

    def _allocations(self, world: World) -> tuple[Allocation, ...]:
        stubs = world.nomad.api.allocations(namespace="*", resources=True)
        found = self._memory.translated("allocation", stubs, translate.allocation)
        return tuple(a for a in found if a.takes_room)

    async def _ask(self, what: str, question: Callable[[World], Answer]) -> Answer:
        """Ask the first agent that answers; while it knows no leader it holds the call back for some seconds."""
        waited = 0.0
        while True:
            world = catch_up(self._world, self._clock)
            try:
                self._require_leader(world, what)
                return question(world)
            except ServerError as no:
                if waited >= no.took:
                    raise UnansweredError(Source.NOMAD, what, no.text) from no
                await self._clock.sleep(_LEADER_WAIT)
                waited += _LEADER_WAIT
            except ApiError as no:
                raise _fault_of(no, what) from no

    def _require_leader(self, world: World, what: str) -> None:
        for host in self._hosts:
            behind = [host] if _is_address(host) else list(world.state.servers.agents)  # a name is a load balancer's
            if (answering := next((h for h in behind if world.servers.up(h) is not None), None)) is not None:
                answers.require_leader(world.servers, answering)
                return
        tried = ", ".join(self._hosts) or "no address"
        raise UnansweredError(Source.NOMAD, what, f"nobody answers at {tried}")


def host_of(address: str) -> str:
    """Give the host of an address: ``10.0.0.1``, ``10.0.0.1:4647`` or a URL."""
    return urlsplit(address if "//" in address else f"//{address}").hostname or address


def _is_address(host: str) -> bool:
    return host.replace(".", "").isdigit()


def _pools(world: World) -> frozenset[str]:
    return frozenset(pool["Name"] for pool in world.nomad.api.node_pools())


def _jobs(world: World) -> tuple[Job, ...]:
    found = []
    for stub in world.nomad.api.jobs(namespace="*"):
        full = world.nomad.api.job(stub["ID"], namespace=stub["Namespace"])
        found.append(translate_job.job(full, (stub.get("JobSummary") or {}).get("Summary")))
    return tuple(found)


def _evaluations(world: World) -> tuple[Evaluation, ...]:
    open_ones = (e for s in ("blocked", "pending") for e in world.nomad.api.evaluations(namespace="*", status=s))
    return tuple(map(translate.evaluation, open_ones))


def _broker_paused(world: World) -> bool:
    return bool(world.nomad.api.scheduler_configuration()["SchedulerConfig"]["PauseEvalBroker"])


def _fault_of(no: ApiError, what: str) -> UnansweredError | OutcomeUnknownError | RefusedError:
    if "leadership lost while committing" in no.text:
        return OutcomeUnknownError(Source.NOMAD, what, no.text)
    if no.status >= 500:
        return UnansweredError(Source.NOMAD, what, no.text)
    return RefusedError(Source.NOMAD, what, no.text, why=Refusal.INVALID, code=str(no.status))
