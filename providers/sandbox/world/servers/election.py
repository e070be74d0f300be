"""Who leads: elections, losing and handing over leadership (facts: nomad §6.1; recordings/servers 04, 06, 18-20, 26).

After an orderly change the new leader serves at once. After a loss with a voter that does not answer it needs a second
more, in which a server says ``Not ready to serve consistent reads``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.servers.state import Peer, RaftCluster

if TYPE_CHECKING:
    from providers.sandbox.world.servers.context import Servers

FIRST = (0.3, 1.9)
SHORT = (0.1, 0.6)
_AFTER_STEPPING_DOWN = (1.4, 2.9)
_ESTABLISHED = (0.85, 1.0)


def register(servers: Servers) -> None:
    """Let clusters elect."""
    servers.kernel.on("raft.elect", lambda cluster, election: _elect(servers, cluster, election))
    servers.kernel.on("raft.established", lambda cluster, term: _established(servers, cluster, term))


def quorum(cluster: RaftCluster) -> int:
    """How many voters decide."""
    return sum(p.voter for p in cluster.peers) // 2 + 1


def able(servers: Servers, cluster: RaftCluster) -> list[Peer]:
    """Voters that can vote now."""
    return [p for p in cluster.peers if p.voter and (a := servers.up(p.address)) is not None and a.id == p.id]


def call_election(servers: Servers, cluster: RaftCluster, wait: tuple[float, float]) -> None:
    """Let the voters elect some seconds from now, if they are enough."""
    if cluster.electing or cluster.leader or len(able(servers, cluster)) < quorum(cluster):
        return
    cluster.electing, cluster.election = True, cluster.election + 1
    delay = servers.lots.seconds("election", cluster.id, *wait)
    servers.kernel.after(delay, "raft.elect", cluster.id, cluster.election)


def lose(servers: Servers, cluster: RaftCluster) -> None:
    """End a leadership that is lost: the peers know of no leader."""
    cluster.wounded = len(able(servers, cluster)) < sum(p.voter for p in cluster.peers)
    _end(servers, cluster)


def step_down(servers: Servers, cluster: RaftCluster) -> None:
    """End a leadership in good order; the next one comes after the voters' timeout."""
    cluster.wounded = False
    _end(servers, cluster)
    call_election(servers, cluster, _AFTER_STEPPING_DOWN)


def take_lead(servers: Servers, cluster: RaftCluster, address: str) -> None:
    """Let a voter lead: elected, or named in a transfer (then no write fails)."""
    if cluster.established_at is not None:
        _led(servers, cluster, available=False)
    cluster.leader, cluster.established_at = address, None
    cluster.term, cluster.index = cluster.term + 1, cluster.index + 2
    cluster.pass_due = cluster.look_due = cluster.act_due = False
    cluster.seen, cluster.shown = {}, False
    for agent in servers.living(cluster):
        agent.cluster, agent.leader = cluster.id, address
        agent.config = [Peer(id=p.id, name=p.name, address=p.address, voter=p.voter) for p in cluster.peers]
    servers.state.primary = servers.state.primary or cluster.id
    if cluster.wounded:
        delay = servers.lots.seconds("established", cluster.id, *_ESTABLISHED)
        servers.kernel.after(delay, "raft.established", cluster.id, cluster.term)
    else:
        _established(servers, cluster.id, cluster.term)


def _end(servers: Servers, cluster: RaftCluster) -> None:
    for agent in servers.living(cluster):
        agent.leader = ""
    cluster.leader = ""
    if cluster.established_at is not None:
        cluster.established_at = None
        _led(servers, cluster, available=False)


def _led(servers: Servers, cluster: RaftCluster, *, available: bool) -> None:
    if servers.state.primary == cluster.id:
        servers.led(available)


def _elect(servers: Servers, cluster_id: str, election: int) -> None:
    cluster = servers.state.clusters[cluster_id]
    if cluster.election != election:
        return
    cluster.electing = False
    voters = able(servers, cluster)
    candidates = [p.address for p in voters if servers.state.agents[p.address].cluster == cluster.id]
    if cluster.leader or len(voters) < quorum(cluster) or not candidates:
        return
    take_lead(servers, cluster, servers.lots.choose("elected", cluster.id, candidates))


def _established(servers: Servers, cluster_id: str, term: int) -> None:
    cluster = servers.state.clusters[cluster_id]
    if cluster.term != term or not cluster.leader:
        return
    cluster.established_at = servers.kernel.now
    _led(servers, cluster, available=True)
    servers.kernel.after(0.0, "raft.begin", cluster.id, cluster.term)
