"""The Nomad port over HTTP: whole lists, and details only of what changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
import msgspec

from providers.http import Answer
from providers.nomad import translate, translate_job
from providers.nomad.acl import AclCalls
from providers.nomad.channel import AT_ONCE, Channel
from providers.nomad.effects import Effects
from providers.nomad.follow import Follower
from providers.nomad.memory import Memory, stamp_of
from providers.nomad.servers import ServerCalls
from providers.nomad.shapes import (
    JobStub,
    NodeStub,
    PoolStub,
    SchedulerAnswer,
    an_object,
    list_of,
    objects,
    whole,
)
from schemas.nomad_plan import JobPlan
from schemas.world import Allocation, Evaluation, Job, Node

T = TypeVar("T")

Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]

LARGE = 10_000  # allocations; from here on a table is read in full as seldom as can be ...
RESYNC = 300.0  # ... but every so many seconds: not everything is told (facts nomad §1.8)
LONG = 60.0  # seconds for a list that may be a hundred megabytes
ALL = ("namespace", "*")
OPEN = ("filter", 'Status == "blocked" or Status == "pending"')
TAKES_ROOM = ("filter", 'ClientStatus != "complete" and ClientStatus != "failed" and ClientStatus != "lost"')


class NomadCluster(ServerCalls, AclCalls):
    """A real cluster (or the sandbox's on the wire)."""

    def __init__(self, channel: Channel, memory: Memory, spawn: Spawn | None = None) -> None:
        """``spawn`` starts what goes on between ticks; without it large tables are read in full."""
        super().__init__(channel)
        self._memory, self._spawn = memory, spawn
        self.effects = Effects(channel)

    # --- reads

    async def nodes(self) -> tuple[Node, ...]:
        """List all clients in full: one list, and a read of each node that changed."""
        stubs = await self.channel.read("/v1/nodes", decode=lambda a: list_of(NodeStub, a), seconds=LONG)
        known = self._memory.nodes
        stale = [s.ID for s in stubs if s.ID not in known or known[s.ID].modify_index != s.ModifyIndex]
        await in_parallel(self._learn_node, stale)
        listed = [s.ID for s in stubs]
        self._memory.nodes = {id_: known[id_] for id_ in listed if id_ in known}
        return tuple(self._memory.nodes.values())

    async def jobs(self) -> tuple[Job, ...]:
        """List all jobs with their summaries: one list, and a read of each job that was submitted again."""
        stubs = await self.channel.read("/v1/jobs", (ALL,), decode=lambda a: list_of(JobStub, a), seconds=LONG)
        await self._see_all()
        await in_parallel(self._learn_job, [s for s in stubs if self._memory.job(s) is None and not _over(s)])
        listed = {(s.Namespace, s.ID) for s in stubs}
        self._memory.jobs = {key: kept for key, kept in self._memory.jobs.items() if key in listed}
        return tuple(job for stub in stubs if (job := self._with_summary(stub)) is not None)

    async def evaluations(self) -> tuple[Evaluation, ...]:
        """List the evaluations that are blocked or pending."""
        needed = ("ID", "JobID", "Type", "Status", "CreateTime")
        rows = await self.channel.read("/v1/evaluations", (ALL, OPEN), decode=lambda a: objects(a, *needed))
        return tuple(translate.evaluation(row) for row in rows)

    async def allocations(self) -> tuple[Allocation, ...]:
        """List the allocations that take room; of a large table only what changed, wherever that is surely all."""
        known = self._memory.allocations
        if len(known.of) >= LARGE and anyio.current_time() - known.read_at < RESYNC:
            probe = (ALL, ("per_page", "1"), ("task_states", "false"))
            index = await self.channel.read("/v1/allocations", probe, decode=_index_of_page)
            if index == known.index or await self._caught_up(index):
                return self._memory.allocations.of
        query = (ALL, ("resources", "true"), ("task_states", "false"), TAKES_ROOM)
        now = anyio.current_time()
        read = await self.channel.read(
            "/v1/allocations",
            query,
            decode=lambda a: self._memory.remember_allocations(a.body, whole(a), now),
            seconds=LONG,
        )
        if len(read.of) >= LARGE and self._spawn is not None:
            self._follow(read.index)
        return read.of

    async def node_pools(self) -> frozenset[str]:
        """Give the names of the node pools."""
        pools = await self.channel.read("/v1/node/pools", decode=lambda a: list_of(PoolStub, a))
        return frozenset(pool.Name for pool in pools)

    async def broker_paused(self) -> bool:
        """Tell whether the scheduler configuration pauses the broker."""
        answer = await self.channel.read(
            "/v1/operator/scheduler/configuration", decode=lambda a: msgspec.json.decode(a.body, type=SchedulerAnswer)
        )
        return answer.SchedulerConfig.PauseEvalBroker

    async def job_plan(self, namespace: str, job_id: str) -> JobPlan | None:
        """Have the scheduler plan a stored job again, unchanged."""
        path, where = f"/v1/job/{quote(job_id, safe='')}", (("namespace", namespace),)
        stored = await self.channel.read(
            path, where, decode=lambda a: an_object(a, "ID", "TaskGroups"), missing=("job not found", None)
        )
        if stored is None:
            return None
        return await self.channel.read(
            f"{path}/plan",
            where,
            question={"Job": stored, "Diff": False},
            decode=lambda a: translate.job_plan(an_object(a, "Annotations"), namespace, job_id),
        )

    # --- writes

    async def create_node_pool(self, name: str) -> None:
        """Make a node pool; one that is there stays as it is."""
        path = f"/v1/node/pool/{quote(name, safe='')}"
        there = await self.channel.read(path, decode=lambda _: True, missing=("node pool not found", False))
        if not there:
            await self.channel.write("PUT", "/v1/node/pools", body={"Name": name})

    # --- one of many

    def _follow(self, index: int) -> None:
        """Have changes after a full read told by the event stream."""
        memory = self._memory
        follower = memory.follower = memory.follower or Follower(self.channel)
        follower.channel = self.channel  # the addresses may be others by now
        follower.begin(index)
        if not follower.running and self._spawn is not None:
            follower.running = True
            self._spawn(follower.run)

    async def _caught_up(self, index: int) -> bool:
        """Let the event stream tell what changed up to ``index``, if it can vouch for it."""
        follower = self._memory.follower
        where = {namespace for namespace, _ in self._memory.jobs}
        changed = await follower.reached(index, where) if follower is not None else None
        return changed is not None and self._memory.apply(changed, index)

    async def _learn_node(self, node_id: str) -> None:
        """Read a node in full and keep it at once: what is known already need not be read again after a fault."""
        needed = ("ID", "Status", "SchedulingEligibility", "NodeResources", "Attributes")

        def decode(answer: Answer) -> Node | None:
            return translate.node(an_object(answer, *needed))

        node = await self.channel.read(f"/v1/node/{node_id}", decode=decode, missing=("node not found", None))
        if node is not None:
            self._memory.nodes[node_id] = node
        else:  # purged since the list was made
            self._memory.nodes.pop(node_id, None)

    async def _learn_job(self, stub: JobStub) -> None:
        def decode(answer: Answer) -> Job | None:
            return translate_job.job(an_object(answer, "ID", "Type", "TaskGroups"))

        path, namespace = f"/v1/job/{quote(stub.ID, safe='')}", (("namespace", stub.Namespace),)
        job = await self.channel.read(path, namespace, decode=decode, missing=("job not found", None))
        if job is not None:
            self._memory.jobs[stub.Namespace, stub.ID] = (stamp_of(stub), job)

    def _with_summary(self, stub: JobStub) -> Job | None:
        if _over(stub):
            return _from_stub(stub)
        job = self._memory.job(stub)
        if job is None:  # it was purged between list and read
            return None
        return replace(job, queued=stub.queued, modify_index=stub.ModifyIndex)

    async def _see_all(self) -> None:
        """Believe a list over all namespaces only if none is hidden from the token; asked every few minutes."""
        seen, now = self._memory.sees_all_at, anyio.current_time()
        if seen is None or now - seen >= RESYNC:
            await self.see_all_namespaces()
            self._memory.sees_all_at = now


async def in_parallel(ask: Callable[[T], Awaitable[None]], each: Sequence[T]) -> None:
    """Ask for each, a few at a time; the first fault ends all of it and is raised as it is."""
    faults: list[Exception] = []
    rest = iter(each)

    async def worker(scope: anyio.CancelScope) -> None:
        for one in rest:
            try:
                await ask(one)
            except Exception as fault:  # noqa: BLE001 - raised below, out of the group
                faults.append(fault)
                scope.cancel()

    async with anyio.create_task_group() as group:
        for _ in range(min(AT_ONCE, len(each))):
            group.start_soon(worker, group.cancel_scope)
    if faults:
        raise faults[0]


def _over(stub: JobStub) -> bool:
    """It has ended and nothing of it is queued: its specification is not asked for (there may be thousands)."""
    return stub.Status == "dead" and not any(stub.queued.values())


def _from_stub(stub: JobStub) -> Job:
    return Job(
        namespace=stub.Namespace,
        id=stub.ID,
        type=stub.Type,
        priority=stub.Priority,
        node_pool=stub.NodePool,
        datacenters=tuple(stub.Datacenters or ("*",)),
        groups=(),
        queued=stub.queued,
        stopped=stub.Stop,
        parent=(stub.Periodic or stub.ParameterizedJob) and not stub.ParentID,
        submitted_at=translate.from_ns(stub.SubmitTime) if stub.SubmitTime else None,
        modify_index=stub.ModifyIndex,
    )


def _index_of_page(answer: Answer) -> int:
    headers = {name: value for name, value in answer.headers.items() if name != "x-nomad-nexttoken"}
    return whole(Answer(status=answer.status, headers=headers, body=answer.body))
