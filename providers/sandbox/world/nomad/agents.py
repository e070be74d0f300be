"""Client agents: start, registration, heartbeats, hearing of work and reporting on it (source: ``client/client.go``).

A healthy agent's regular heartbeats are no events: only what changes something is. The servers set a time limit when
an agent falls silent, from what its last heartbeat must have been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad import node as nd
from providers.sandbox.world.nomad.agent import FROZEN, STOPPED, UP, Agent, AgentSpec, Deferred, RunningAlloc
from providers.sandbox.world.nomad.fingerprint import fingerprint
from providers.sandbox.world.nomad.tasks import AllocRunner

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.nodes import Nodes
    from providers.sandbox.world.nomad.store import Store

_TIMERS = ("nomad.task", "nomad.killed", "nomad.health", "nomad.overrun")
ClientUpdate = Callable[[str, list[tuple[RunningAlloc, bool]]], bool]

_STAGGERED, _STAGGER = 0.04, 10.0  # initialHeartbeatStagger, unless the servers' list comes first (24 of 25 recorded)
_SECOND_HEARTBEAT = 0.4  # after a disconnect, when the allocations are reported
_REFUSED_RETRY = 5.0  # allocSyncRetryIntv
_RESTORED_PULL = 1.5  # a restarted agent takes up its work before it hears of changes
_TICKS = 5
_DRIFTED = 3.0  # its ticks are not exact: after so long their phase is anyone's guess
_REREGISTER = (0.1, 1.5)  # a purged node finds out (recorded)
_NODE_UPDATE = (5.0, 10.0)  # nodeUpdateRetryIntv: what a fingerprinter finds later is told with this delay


class Agents:
    """All client agents of the cluster."""

    def __init__(self, store: Store, nodes: Nodes, client_update: ClientUpdate) -> None:
        self._store = store
        self._nodes = nodes
        self._client_update = client_update
        self._runner = AllocRunner(store, self._report)
        self._on("nomad.register", self._register)
        self._on("nomad.first_heartbeat", self._heartbeat)
        self._on("nomad.pull", self._pull)
        self._on("nomad.pull_all", self._pull_all)
        self._on("nomad.update", self._update)
        self._on("nomad.node_update", self._node_update)
        self._on("nomad.disowned", self._disowned)
        self._on("nomad.task", self._runner.due)
        self._on("nomad.killed", self._runner.killed)
        self._on("nomad.health", self._runner.health_due)
        self._on("nomad.overrun", self._runner.overrun)

    def _on(self, kind: str, handler: Callable[..., None]) -> None:
        """Let an event reach its agent: not when it has been restarted since, later when it is frozen."""

        def reach(name: str, life: int, *args: str | float | bool | None) -> None:
            agent = self._store.state.agents.get(name)
            if agent is None or agent.life != life or agent.status == STOPPED:
                return
            if agent.status == FROZEN:
                agent.deferred.append(Deferred(kind, [name, life, *args]))
            else:
                handler(agent, *args)

        self._store.kernel.on(kind, reach)

    def _after(self, agent: Agent, delay: float, kind: str, *args: str | float | bool | None) -> None:
        self._store.kernel.after(delay, kind, agent.spec.name, agent.life, *args)

    def _get(self, name: str) -> Agent:
        agent = self._store.state.agents.get(name)
        if agent is None:
            raise KeyError(f"no agent {name}: start it first")
        return agent

    # -- what happens to an agent from outside

    def start(self, spec: AgentSpec) -> None:
        """Start an agent on a new machine; on a known one it starts again (ValueError when it is running)."""
        agent = self._store.state.agents.get(spec.name)
        if agent is None:
            agent = Agent(spec, node_id=self._store.kernel.new_id())
            self._store.state.agents[spec.name] = agent
            self._store.state.known[agent.node_id] = spec.name
        elif agent.status != STOPPED:
            raise ValueError(f"agent {spec.name} runs already: stop it first, or restart it")
        agent.spec = spec
        self._begin_life(agent)

    def _begin_life(self, agent: Agent) -> None:
        agent.life += 1
        agent.status = UP
        agent.started_at = self._store.kernel.now
        agent.registered = agent.heartbeating = agent.pulling = False
        agent.update_at, agent.update_sent_at = None, agent.started_at
        agent.dirty, agent.inbox, agent.deferred = [], [], []
        agent.attributes = fingerprint(agent.spec, self._store.state.settings, self._store.kernel)
        self._after(agent, self._store.state.settings.delays.agent_start, "nomad.register")
        if agent.spec.unhealthy_after_seconds is not None:
            late = self._store.kernel.chance().uniform(*_NODE_UPDATE)
            self._after(agent, agent.spec.unhealthy_after_seconds + late, "nomad.node_update")

    def kill(self, name: str) -> None:
        """End an agent's process; its tasks live on, its data stays."""
        agent = self._get(name)
        if agent.status != STOPPED:
            self._nodes.silent(agent)
            agent.status = STOPPED

    def restart(self, name: str) -> None:
        """Start an agent again with its data."""
        self.kill(name)
        self._begin_life(self._get(name))

    def change(self, spec: AgentSpec) -> None:
        """Restart an agent with another configuration, same data."""
        self.kill(spec.name)
        agent = self._get(spec.name)
        agent.spec = spec
        self._begin_life(agent)

    def freeze(self, name: str) -> None:
        """Stop an agent from doing anything, as a hang or a network partition would; its tasks live on."""
        agent = self._get(name)
        if agent.status == UP:
            self._nodes.silent(agent)
            agent.status = FROZEN

    def thaw(self, name: str) -> None:
        """Let a frozen agent go on: it heartbeats at once and sees what it missed."""
        agent = self._get(name)
        if agent.status != FROZEN:
            return
        agent.status = UP
        if agent.registered:
            self._after(agent, self._store.state.settings.delays.pull, "nomad.first_heartbeat")
        for late in agent.deferred:  # its own timers are over at once, what comes from the servers takes a while
            wait = 0.0 if late.kind in _TIMERS else self._store.state.settings.delays.pull
            self._store.kernel.after(wait, late.kind, *late.args)
        agent.deferred = []

    def remove(self, name: str) -> None:
        """The machine is gone with its tasks and data; the node's record stays until the servers drop it."""
        agent = self._store.state.agents.get(name)
        if agent is None:
            return
        self.kill(name)
        del self._store.state.agents[name]
        self._store.state.known.pop(agent.node_id, None)

    # -- registration and heartbeats

    def _retry(self, agent: Agent, kind: str) -> bool:
        """Without a leader: try again later."""
        if self._store.state.leader:
            return False
        self._after(agent, self._store.state.settings.delays.retry, kind)
        return True

    def _register(self, agent: Agent) -> None:
        if self._retry(agent, "nomad.register"):
            return
        known = self._store.state.nodes.get(agent.node_id)
        self._nodes.register(self._node(agent))
        if known is None and agent.registered:  # purged while alive: what it last heard comes back
            self._store.state.nodes[agent.node_id].eligibility = agent.heard_eligibility
        if not agent.registered:  # what was fingerprinted meanwhile follows, changed or not
            self._after(agent, self._store.kernel.chance().uniform(*_NODE_UPDATE), "nomad.node_update")
        restored = not agent.registered and bool(agent.allocs)
        agent.registered = True
        agent.heartbeat_at = self._store.kernel.now
        if not agent.heartbeating:
            for runner in list(agent.allocs.values()):
                self._runner.restore(agent, runner)
        self._after(agent, self._first_heartbeat(), "nomad.first_heartbeat")
        self._after(agent, _RESTORED_PULL if restored else 0.1, "nomad.pull_all")

    def _first_heartbeat(self) -> float:
        """Draw how long after its registration an agent heartbeats."""
        chance = self._store.kernel.chance()
        if chance.random() < _STAGGERED:
            return chance.uniform(0.0, _STAGGER)
        return self._store.state.settings.delays.agent_ready

    def _node(self, agent: Agent) -> nd.Node:
        spec = agent.spec
        now = self._store.kernel.now
        lost = spec.unhealthy_after_seconds is not None and now - agent.started_at >= spec.unhealthy_after_seconds
        drivers = {
            name: nd.Driver(
                detected=not (lost and name == "mock_driver"),
                healthy=healthy and not (lost and name == "mock_driver"),
                update_time=agent.started_at,
            )
            for name, healthy in spec.drivers.items()
        }
        return nd.Node(
            id=agent.node_id,
            name=spec.name,
            datacenter=spec.datacenter,
            node_class=spec.node_class,
            node_pool=spec.node_pool,
            resources=nd.NodeResources(
                cpu_mhz=spec.cpu_mhz,
                memory_mib=spec.memory_mib,
                disk_mib=spec.disk_mib,
                cores=list(spec.cores),
                core_mhz=list(spec.core_mhz),
                min_dynamic_port=spec.dynamic_ports[0],
                max_dynamic_port=spec.dynamic_ports[1],
                address=agent.attributes["unique.network.ip-address"],
                devices=[
                    nd.Device(
                        d.vendor,
                        d.type,
                        d.name,
                        [nd.DeviceInstance(f"{d.vendor}-{d.type}-{d.name}-{i}") for i in range(d.instances)],
                        dict(d.attributes),
                    )
                    for d in spec.devices
                ],
            ),
            reserved=spec.reserved,
            attributes=dict(agent.attributes),
            meta=effective_meta(agent),
            drivers=drivers,
            host_volumes=dict(spec.host_volumes),
            max_allocs=spec.max_allocs,
            eligibility=nd.INELIGIBLE if spec.default_ineligible else nd.ELIGIBLE,
        )

    def _heard_eligibility(self, agent: Agent) -> str:
        last, _ = self._nodes.last_heartbeat(agent)
        if agent.eligibility_changed_at > last:
            return agent.eligibility_was or nd.ELIGIBLE
        return agent.eligibility_now or nd.ELIGIBLE

    def eligibility_changed(self, node_id: str, old: str, new: str) -> None:
        """Remember when a node's eligibility changed: its agent hears of it with its next heartbeat."""
        agent = self._store.state.agents.get(self._store.state.known.get(node_id, ""))
        if agent is not None:
            agent.eligibility_was, agent.eligibility_now = old, new
            agent.eligibility_changed_at = self._store.kernel.now

    def _heartbeat(self, agent: Agent) -> None:
        if self._retry(agent, "nomad.first_heartbeat"):
            return
        node = self._store.state.nodes.get(agent.node_id)
        if node is None:
            self._after(agent, self._store.kernel.chance().uniform(*_REREGISTER), "nomad.register")
            return
        self._nodes.update_status(node, nd.READY)
        self._nodes.heard(node.id)
        agent.heartbeating = True
        agent.heartbeat_at = self._store.kernel.now
        if node.status == nd.INIT:
            self._after(agent, _SECOND_HEARTBEAT, "nomad.first_heartbeat")

    def purged(self, node_id: str) -> None:
        """A node's record was deleted: a live agent finds out, ends its work and registers again."""
        agent = self._store.state.agents.get(self._store.state.known.get(node_id, ""))
        if agent is not None and agent.status != STOPPED:
            agent.heard_eligibility = self._heard_eligibility(agent)
            found = self._store.kernel.chance().uniform(*_REREGISTER)
            self._after(agent, found, "nomad.disowned")
            self._after(agent, found, "nomad.register")

    def _disowned(self, agent: Agent) -> None:
        """The servers know no work of this node: all of it ends."""
        for runner in list(agent.allocs.values()):
            self._runner.destroy(agent, runner)

    def _node_update(self, agent: Agent) -> None:
        if not self._retry(agent, "nomad.node_update") and agent.node_id in self._store.state.nodes:
            self._nodes.register(self._node(agent))

    def set_meta(self, agent: Agent, changes: Mapping[str, str | None]) -> None:
        """Change an agent's dynamic metadata; the servers hear of it with its next update."""
        kept = {**agent.dynamic_meta, **changes}
        agent.dynamic_meta = {k: v for k, v in kept.items() if v is not None or k in agent.spec.meta}
        self._after(agent, self._store.kernel.chance().uniform(*_NODE_UPDATE), "nomad.node_update")

    # -- hearing of work

    def changed(self, allocs: Iterable[Allocation]) -> None:
        """Let the clients of changed allocations hear of them."""
        state = self._store.state
        for alloc in allocs:
            agent = state.agents.get(state.known.get(alloc.node_id, ""))
            if agent is None or agent.status == STOPPED:
                continue
            agent.inbox.append(alloc.id)
            if not agent.pulling and agent.registered:
                agent.pulling = True
                self._after(agent, state.settings.delays.pull, "nomad.pull")

    def _pull(self, agent: Agent) -> None:
        if self._retry(agent, "nomad.pull"):
            return
        agent.pulling = False
        if agent.node_id not in self._store.state.nodes:
            return  # purged: it finds out, and registers again
        ids, agent.inbox = list(dict.fromkeys(agent.inbox)), []
        for alloc_id in ids:
            self._take_in(agent, alloc_id)

    def _pull_all(self, agent: Agent) -> None:
        """Compare all that the servers know of this node with what runs here."""
        if self._retry(agent, "nomad.pull_all"):
            return
        for alloc in self._store.node_allocs(agent.node_id):
            self._take_in(agent, alloc.id)
        for runner in list(agent.allocs.values()):
            if runner.id not in self._store.state.allocs:
                self._runner.destroy(agent, runner)

    def _take_in(self, agent: Agent, alloc_id: str) -> None:
        alloc = self._store.state.allocs.get(alloc_id)
        runner = agent.allocs.get(alloc_id)
        if alloc is None:
            if runner is not None:
                self._runner.destroy(agent, runner)
        elif runner is None:
            if not alloc.client_terminal:
                self._runner.start(agent, alloc)
        elif alloc.alloc_modify_index > runner.alloc_modify_index:
            self._runner.update(agent, runner, alloc)

    # -- reporting

    def _report(self, agent: Agent, runner: RunningAlloc) -> None:
        """Note a change: what the servers know otherwise goes with the next tick, the rest with every fifth.

        Source: ``allocSync`` and ``GetUpdatePriority``; ticks are counted from the last successful send.
        """
        if runner.id not in agent.dirty:
            agent.dirty.append(runner.id)
        urgent = runner.told != runner.client if runner.told else runner.client == al.FAILED
        every = self._store.state.settings.delays.update * (1 if urgent else _TICKS)
        passed = self._store.kernel.now - agent.update_sent_at
        wait = every - passed % every if passed < _DRIFTED else self._store.kernel.chance().uniform(0.0, every)
        if agent.update_at is None or self._store.kernel.now + wait < agent.update_at:
            self._again(agent, wait)

    def _update(self, agent: Agent, at: float) -> None:
        if agent.update_at != at or not agent.registered:
            return
        if not self._store.state.leader:
            self._again(agent, self._store.state.settings.delays.retry)
            return
        node = self._store.state.nodes.get(agent.node_id)
        if node is None or node.status in (nd.DOWN, nd.DISCONNECTED):
            self._again(agent, _REFUSED_RETRY if node is None else 0.2)
            return
        agent.update_at, agent.update_sent_at = None, self._store.kernel.now
        ids, agent.dirty = agent.dirty, []
        runners = [agent.allocs[i] for i in ids if i in agent.allocs]
        self._client_update(agent.node_id, [(r, r.destroyed) for r in runners])
        for runner in runners:
            runner.told = runner.client
            if runner.client in (al.COMPLETE, al.FAILED):
                record = self._store.state.allocs.get(runner.id)
                if record is None or record.terminal:
                    agent.allocs.pop(runner.id, None)

    def _again(self, agent: Agent, wait: float) -> None:
        agent.update_at = self._store.kernel.now + wait
        self._after(agent, wait, "nomad.update", agent.update_at)


def effective_meta(agent: Agent) -> dict[str, str]:
    """Give a node's metadata: what its configuration says, and what was told by hand since."""
    told = agent.dynamic_meta
    return {k: v for k, v in {**agent.spec.meta, **told}.items() if v is not None}
