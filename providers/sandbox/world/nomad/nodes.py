"""The servers' side of nodes: registration, status, heartbeats, their evaluations (``nomad/node_endpoint.go``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad import evaluation as ev
from providers.sandbox.world.nomad import node as nd
from providers.sandbox.world.nomad.evaluation import Evaluation
from providers.sandbox.world.nomad.node import Node, NodeEvent, computed_class
from providers.sandbox.world.nomad.state import NodePool

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.agent import Agent
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.blocked import BlockedEvals
    from providers.sandbox.world.nomad.store import Store
    from providers.sandbox.world.nomad.worker import Worker

_EVENTS_KEPT = 10
CLUSTER, DRAIN = "Cluster", "Drain"


class Nodes:
    """What the leader does about nodes."""

    def __init__(self, store: Store, worker: Worker, blocked: BlockedEvals) -> None:
        self._store = store
        self._worker = worker
        self._blocked = blocked
        store.kernel.on("nomad.heartbeat_missed", self._missed)

    @property
    def _now(self) -> float:
        return self._store.kernel.now

    # -- writes

    def add_event(self, node: Node, index: int, message: str, subsystem: str = CLUSTER, **details: str) -> None:
        """Add a line to a node's history; the latest ten are kept."""
        node.events.append(NodeEvent(message, subsystem, self._now, details or None, index))
        del node.events[:-_EVENTS_KEPT]

    def register(self, node: Node) -> None:
        """Take a registration; the status, eligibility, drain and history of a known node stay."""
        state = self._store.state
        old = state.nodes.get(node.id)
        node.computed_class = computed_class(node)
        node.status_updated_at = self._now
        index = self._store.next_index("nodes")
        if old is not None:
            node.status, node.eligibility = old.status, old.eligibility
            node.drain, node.last_drain = old.drain, old.last_drain
            node.events = old.events
            node.create_index = old.create_index
            node.last_missed_heartbeat_index = old.last_missed_heartbeat_index
            node.last_alloc_update_index = old.last_alloc_update_index
        else:
            node.create_index = index
            self.add_event(node, 0, "Node registered")
        node.modify_index = index
        state.nodes[node.id] = node
        if node.node_pool not in state.pools:  # the servers make it
            state.pools[node.node_pool] = NodePool(node.node_pool, create_index=index, modify_index=index)
            state.tables["node_pools"] = index
        if node.status == nd.READY:
            self._blocked.unblock(node.computed_class, index)
        if _needs_evals(old, node):
            self.create_evals(node, index)

    def update_status(self, node: Node, status: str, message: str = "") -> None:
        """Write a heartbeat or its absence."""
        old = node.status
        if (status == nd.READY and old == nd.INIT and self._reports_are_old(node)) or (
            status == nd.READY and old == nd.DISCONNECTED
        ):
            status = nd.INIT
        if old != status:
            index = self._store.next_index("nodes")
            if not message and old == nd.DOWN:
                message = "Node reregistered by heartbeat"
            if message:
                self.add_event(node, index, message)
            node.status, node.status_updated_at, node.modify_index = status, self._now, index
            if status in (nd.DOWN, nd.DISCONNECTED):
                node.last_missed_heartbeat_index = index
            if status == nd.READY:
                self._blocked.unblock(node.computed_class, index)
                self._blocked.unblock_node(node.id)
        if status == nd.DOWN or _transition_needs_evals(status, old):
            self.create_evals(node, node.modify_index)

    def _reports_are_old(self, node: Node) -> bool:
        """A node that was away must first say how its allocations are."""
        if node.last_alloc_update_index > node.last_missed_heartbeat_index:
            return False
        return any(not a.terminal for a in self._store.node_allocs(node.id))

    def create_evals(self, node: Node, index: int) -> list[str]:
        """Have every job looked at that has work on the node, and every system job that would."""
        evals: dict[str, Evaluation] = {}
        for alloc in self._store.node_allocs(node.id):
            key = f"{alloc.namespace}/{alloc.job_id}"
            if key in evals or not _concerns(alloc):
                continue
            spec = self._store.spec(alloc.job_key)
            evals[key] = self._node_eval(
                node, index, alloc.namespace, alloc.job_id, kind=spec.type, priority=spec.priority
            )
        for job in self._store.state.jobs.values():
            if job.type != "system" or job.stop or job.name in evals or not node.in_pool(job.node_pool):
                continue
            if node.in_datacenters(self._store.spec(job.key).datacenters):
                evals[job.name] = self._node_eval(
                    node, index, job.namespace, job.id, kind=job.type, priority=job.priority
                )
        if evals:
            self._worker.create(list(evals.values()))
        return [e.id for e in evals.values()]

    def _node_eval(self, node: Node, index: int, namespace: str, job: str, *, kind: str, priority: int) -> Evaluation:
        return Evaluation(
            id=self._store.kernel.new_id(),
            namespace=namespace,
            job_id=job,
            type=kind,
            priority=priority,
            triggered_by=ev.NODE_UPDATE,
            node_id=node.id,
            node_modify_index=index,
            create_time=self._now,
            modify_time=self._now,
        )

    # -- heartbeats

    def new_ttl(self) -> float:
        """Draw what a heartbeat is answered with: how long until the next, in seconds."""
        settings = self._store.state.settings
        base = max(settings.min_heartbeat_ttl, len(self._store.state.nodes) / settings.max_heartbeats_per_second)
        return base * (1 + self._store.kernel.chance().random())

    def silent(self, agent: Agent) -> None:
        """An agent falls silent: set the time when the servers give it up. While it is heard nothing is set."""
        state = self._store.state
        if agent.node_id not in state.nodes or not agent.heartbeating:
            return
        last, ttl = self.last_heartbeat(agent)
        if last < state.leader_since:
            due = state.leader_since + state.settings.failover_heartbeat_ttl
        else:
            due = last + ttl + state.settings.heartbeat_grace
        self._expect(agent.node_id, due)

    def last_heartbeat(self, agent: Agent) -> tuple[float, float]:
        """Draw when an agent was last heard and with which time to live: regular heartbeats are no events."""
        ttl = self.new_ttl()
        if self._now - agent.heartbeat_at <= ttl:
            return agent.heartbeat_at, ttl
        return self._now - ttl * self._store.kernel.chance().random(), ttl

    def _expect(self, node_id: str, due: float) -> None:
        self._store.state.heartbeats[node_id] = due
        self._store.kernel.after(due - self._now, "nomad.heartbeat_missed", node_id, due)

    def heard(self, node_id: str) -> None:
        """A node is heard again."""
        self._store.state.heartbeats.pop(node_id, None)

    def restart_timers(self) -> None:
        """A new leader gives every silent node a new, long time."""
        state = self._store.state
        for node_id in list(state.heartbeats):
            node = state.nodes.get(node_id)
            if node is None or node.status == nd.DOWN:
                del state.heartbeats[node_id]
            else:
                self._expect(node_id, self._now + state.settings.failover_heartbeat_ttl)

    def _missed(self, node_id: str, due: float) -> None:
        state = self._store.state
        if state.heartbeats.get(node_id) != due or not state.leader:
            return
        del state.heartbeats[node_id]
        node = state.nodes.get(node_id)
        if node is None or node.status == nd.DOWN:
            return
        if node.status != nd.INIT and self._may_come_back(node):
            self.update_status(node, nd.DISCONNECTED, "Node heartbeat missed")
            self._expect(node_id, self._now + self.new_ttl() + state.settings.heartbeat_grace)
        else:
            self.update_status(node, nd.DOWN, "Node heartbeat missed")

    def _may_come_back(self, node: Node) -> bool:
        """Whether an allocation there waits for its client (``disconnect.lost_after``)."""
        for alloc in self._store.node_allocs(node.id):
            group = self._store.spec(alloc.job_key).groups.get(alloc.group)
            if group is None or group.disconnect is None or not group.disconnect.lost_after:
                continue
            since = alloc.last_unknown
            expired = (
                alloc.client == al.UNKNOWN and since is not None and since + group.disconnect.lost_after <= self._now
            )
            if alloc.desired == al.RUN and not expired:
                return True
        return False


def _concerns(alloc: Allocation) -> bool:
    """Whether a change of its node concerns an allocation's job (system jobs are asked anyway, sysbatch never)."""
    match alloc.job_type:
        case "service":
            return not (alloc.server_terminal and alloc.client_terminal)
        case "batch":
            return not alloc.client_terminal
        case _:
            return False


def _transition_needs_evals(new: str, old: str) -> bool:
    return (
        (old in (nd.INIT, nd.DOWN) and new == nd.READY)
        or (old == nd.DISCONNECTED and new != nd.DISCONNECTED)
        or (old != nd.DISCONNECTED and new == nd.DISCONNECTED)
    )


def _needs_evals(old: Node | None, new: Node) -> bool:
    if new.status == nd.DOWN:
        return True
    if old is None:
        return False
    return (
        (old.datacenter, old.name, old.node_class) != (new.datacenter, new.name, new.node_class)
        or old.attributes != new.attributes
        or old.meta != new.meta
        or old.drivers != new.drivers  # with the time of their fingerprint: any restart of the agent counts
        or old.host_volumes != new.host_volumes
        or old.resources.devices != new.resources.devices
    )
