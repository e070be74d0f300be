"""What the rules of the servers work on: the agents, the time, cloud discovery, and who must know of the leader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from providers.sandbox.world.servers.lots import Drawn, Lots
from providers.sandbox.world.servers.state import CUT, UP, RaftCluster, ServerAgent, ServersState

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.sandbox.world.kernel import Kernel


@dataclass(slots=True)
class Servers:
    """The server agents with their surroundings.

    ``discover`` gives the private addresses of running instances with a tag (go-discover); ``led`` is told whenever the
    cluster that holds the jobs gains or loses its leader. ``told`` answers what chance decides; None: the seed does.
    """

    state: ServersState
    kernel: Kernel
    discover: Callable[[str, str], list[str]]
    led: Callable[[bool], None]
    told: Lots | None = None

    @property
    def lots(self) -> Lots:
        """What chance decides."""
        return self.told or Drawn(self.kernel)

    def up(self, address: str) -> ServerAgent | None:
        """Give the agent that answers other servers at an address, if one does."""
        found = self.state.agents.get(address)
        return found if found is not None and found.process == UP else None

    def answering(self, address: str) -> ServerAgent | None:
        """Give the agent that answers us at an address; one that is cut off from its peers does too."""
        found = self.state.agents.get(address)
        return found if found is not None and found.process in {UP, CUT} else None

    def cluster_of(self, agent: ServerAgent) -> RaftCluster | None:
        """Give the raft cluster of an agent's log."""
        return self.state.clusters.get(agent.cluster)

    def leader_of(self, cluster: RaftCluster) -> ServerAgent | None:
        """Give the agent that leads a cluster, if it lives."""
        return self.up(cluster.leader) if cluster.leader else None

    def living(self, cluster: RaftCluster) -> list[ServerAgent]:
        """Give the peers of a cluster that answer, in its order."""
        found = [(self.up(p.address), p) for p in cluster.peers]
        return [agent for agent, peer in found if agent is not None and agent.id == peer.id]
