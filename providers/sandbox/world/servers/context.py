"""What the rules of the servers work on: the agents, the time, cloud discovery, and who must know of the leader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from providers.sandbox.world.servers.state import UP, RaftCluster, ServerAgent, ServersState

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.sandbox.world.kernel import Kernel


@dataclass(slots=True)
class Servers:
    """The server agents with their surroundings.

    ``discover`` gives the private addresses of running instances with a tag (go-discover); ``led`` is told whenever the
    cluster that holds the jobs gains or loses its leader.
    """

    state: ServersState
    kernel: Kernel
    discover: Callable[[str, str], list[str]]
    led: Callable[[bool], None]

    def up(self, address: str) -> ServerAgent | None:
        """Give the agent that answers at an address, if one does."""
        found = self.state.agents.get(address)
        return found if found is not None and found.process == UP else None

    def cluster_of(self, agent: ServerAgent) -> RaftCluster | None:
        """Give the raft cluster of an agent's log."""
        return self.state.clusters.get(agent.cluster)

    def leader_of(self, cluster: RaftCluster) -> ServerAgent | None:
        """Give the agent that leads a cluster, if it lives."""
        return self.up(cluster.leader) if cluster.leader else None
