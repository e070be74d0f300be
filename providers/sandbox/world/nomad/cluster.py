"""The simulated Nomad in one piece: state and rules wired together (the public door of this room)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import node as nd
from providers.sandbox.world.nomad.agent import UP
from providers.sandbox.world.nomad.agents import Agents, effective_meta
from providers.sandbox.world.nomad.api import Api
from providers.sandbox.world.nomad.blocked import BlockedEvals
from providers.sandbox.world.nomad.broker import EvalBroker
from providers.sandbox.world.nomad.client_updates import ClientUpdates
from providers.sandbox.world.nomad.deployments import DeploymentWatcher
from providers.sandbox.world.nomad.drains import Drainer
from providers.sandbox.world.nomad.gc import Collector
from providers.sandbox.world.nomad.jobs import Jobs
from providers.sandbox.world.nomad.nodes import Nodes
from providers.sandbox.world.nomad.render import Calendar
from providers.sandbox.world.nomad.settings import SchedulerConfiguration, Settings
from providers.sandbox.world.nomad.state import ClusterState, Namespace, NodePool
from providers.sandbox.world.nomad.store import Store
from providers.sandbox.world.nomad.variables import Variables
from providers.sandbox.world.nomad.worker import Worker

if TYPE_CHECKING:
    from providers.sandbox.world.kernel import Kernel
    from providers.sandbox.world.nomad.agent import AgentSpec, RunningAlloc
    from providers.sandbox.world.nomad.allocation import Allocation

__all__ = ["Cluster", "ClusterState", "SchedulerConfiguration", "Settings"]

_FIRST_INDEX = 5  # a young cluster's log: pools, namespace, configurations


class Cluster:
    """A Nomad region: its servers' state, its schedulers, its client agents.

    ``state`` is all there is to save; a ``Cluster`` over a loaded state and its kernel's timeline goes on as if it
    had never stopped. Rules run as kernel events named ``nomad.*``; ``api`` answers requests.
    """

    def __init__(self, state: ClusterState, kernel: Kernel) -> None:
        self.state = state
        self.kernel = kernel
        if not state.pools:
            _found(state)
        self.store = Store(state, kernel)
        self._broker = EvalBroker(self.store)
        self._blocked = BlockedEvals(self.store, self._broker)
        self._worker = Worker(self.store, self._broker, self._blocked, self._changed)
        self._nodes = Nodes(self.store, self._worker, self._blocked)
        self._drainer = Drainer(self.store, self._nodes, self._worker)
        self._updates = ClientUpdates(self.store, self._worker, self._blocked, self._reported)
        self._agents = Agents(self.store, self._nodes, self._received)
        self.jobs = Jobs(self.store, self._worker, self._blocked)
        self._deployments = DeploymentWatcher(self.store, self._worker, self.jobs)
        self._collector = Collector(self.store, self.jobs)
        self.variables = Variables(self.store, Calendar(state.settings.epoch_unix, kernel.calendar.pace))
        self.api = Api(
            self.store,
            jobs=self.jobs,
            nodes=self._nodes,
            drainer=self._drainer,
            deployments=self._deployments,
            agents=self._agents,
            worker=self._worker,
            broker=self._broker,
            blocked=self._blocked,
            collector=self._collector,
        )

    # -- how the parts hear of each other

    def _changed(self, allocs: Iterable[Allocation]) -> None:
        """Tell of what a plan changed."""
        allocs = list(allocs)
        self._agents.changed(allocs)
        self._drainer.changed(allocs)
        self._deployments.changed(allocs)
        self._collector.wake()

    def _reported(self, allocs: Iterable[Allocation]) -> None:
        """Tell of what a client reported."""
        allocs = list(allocs)
        self._drainer.changed(allocs)
        self._deployments.changed(allocs)

    def _received(self, node_id: str, runners: list[tuple[RunningAlloc, bool]]) -> bool:
        self._updates.receive(node_id, [r for r, _ in runners])
        return True

    # -- client agents

    def start_agent(self, spec: AgentSpec) -> None:
        """Start an agent: a new machine joins, or a stopped one starts again with its data."""
        self._agents.start(spec)

    def kill_agent(self, name: str) -> None:
        """End an agent's process; its tasks live on."""
        self._agents.kill(name)

    def stop_agent(self, name: str) -> None:
        """End an agent's process by a signal it handles: without ``leave_on_terminate`` as good as killed."""
        self._agents.kill(name)

    def restart_agent(self, name: str) -> None:
        """Start an agent again with its data and its tasks."""
        self._agents.restart(name)

    def freeze_agent(self, name: str) -> None:
        """Cut an agent off; its tasks live on."""
        self._agents.freeze(name)

    def thaw_agent(self, name: str) -> None:
        """Let a frozen agent go on."""
        self._agents.thaw(name)

    def remove_agent(self, name: str) -> None:
        """The machine is gone for good; unknown names are fine."""
        self._agents.remove(name)

    def change_agent(self, spec: AgentSpec) -> None:
        """Restart an agent with another configuration."""
        self._agents.change(spec)

    def node_id(self, name: str) -> str:
        """Give the node id of an agent (KeyError when there is none)."""
        return self.state.agents[name].node_id

    def reaches(self, node_id: str) -> bool:
        """Whether the servers have a connection to a node's agent."""
        agent = self.state.agents.get(self.state.known.get(node_id, ""))
        return agent is not None and agent.status == UP and agent.registered

    def metadata(self, node_id: str) -> dict[str, dict[str, str | None]]:
        """``GET /v1/client/metadata`` of a node that is reached."""
        agent = self.state.agents[self.state.known[node_id]]
        return {
            "Dynamic": dict(agent.dynamic_meta),
            "Meta": dict(effective_meta(agent)),
            "Static": dict(agent.spec.meta),
        }

    def set_metadata(self, node_id: str, changes: Mapping[str, str | None]) -> dict[str, dict[str, str | None]]:
        """``POST /v1/client/metadata``; None removes a key."""
        self._agents.set_meta(self.state.agents[self.state.known[node_id]], changes)
        return self.metadata(node_id)

    # -- leadership, decided by the servers' simulation

    def set_leader(self, available: bool) -> None:  # noqa: FBT001 - the one thing it says
        """Lose or gain a leader. Without one requests fail and clients retry; a new one restores what leaders know."""
        state = self.state
        if state.leader == available:
            return
        state.leader = available
        if not available:
            self._broker.forget()
            self._blocked.forget()
            return
        state.leader_since = self.kernel.now
        state.leaders += 1
        self._nodes.restart_timers()
        self.variables.restart_timers()
        for evaluation in list(state.evals.values()):
            if not evaluation.terminal:
                self._worker.hand_on([evaluation])
        self._drainer.restore()
        self._deployments.restore()
        self._broker.wake()

    def ready_nodes(self) -> int:
        """Count the nodes that may take new work."""
        return sum(n.status == nd.READY and n.ready for n in self.state.nodes.values())


def _found(state: ClusterState) -> None:
    """Write what every cluster begins with."""
    state.index = _FIRST_INDEX
    state.pools["all"] = NodePool("all", description="Node pool with all nodes in the cluster.")
    state.pools["default"] = NodePool("default", description="Default node pool.")
    state.namespaces["default"] = Namespace("default", description="Default shared namespace")
    state.scheduler.create_index = state.scheduler.modify_index = _FIRST_INDEX
