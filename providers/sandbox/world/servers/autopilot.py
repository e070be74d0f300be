"""Autopilot: what it believes of the servers, whom it promotes, whom it removes.

It looks every 2 s and acts every 10 s. A server that stops answering keeps its last good figures until gossip calls it
failed; only a new leader, which has no figures, sees through it (facts: nomad §6.4; recordings/servers 02-04, 13, 27).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.servers.raft import quorum, remove, replicate, wake_autopilot
from providers.sandbox.world.servers.state import ALIVE, FAILED, LEFT, RaftCluster, ServerAgent, ServerHealth

if TYPE_CHECKING:
    from providers.sandbox.world.servers.context import Servers


def register(servers: Servers) -> None:
    """Let autopilot look and act."""
    servers.kernel.on("autopilot.look", lambda cluster, term: _look(servers, cluster, term))
    servers.kernel.on("autopilot.act", lambda cluster, term: _act(servers, cluster, term))


def _look(servers: Servers, cluster_id: str, term: int) -> None:
    cluster = servers.state.clusters[cluster_id]
    if cluster.term != term or (leader := servers.leader_of(cluster)) is None:
        return
    now, cluster.autopilot_awake = servers.kernel.now, False
    for peer in cluster.peers:
        agent = servers.up(peer.address)
        answers = agent is not None and agent.id == peer.id
        before = cluster.health.get(peer.id)
        status = status_of(leader, peer.name, peer.address)
        believed = before is not None and before.healthy and status not in {FAILED, LEFT}
        healthy = status == ALIVE if answers else believed
        if before is None or before.healthy != healthy:
            cluster.health[peer.id] = ServerHealth(
                healthy=healthy,
                stable_since=now,
                figures_at=now if answers else (before.figures_at if before else None),
            )
        elif answers:
            before.figures_at = now
    if not _settled(servers, cluster):
        wake_autopilot(servers, cluster)


def _act(servers: Servers, cluster_id: str, term: int) -> None:
    cluster = servers.state.clusters[cluster_id]
    if cluster.term != term or (leader := servers.leader_of(cluster)) is None:
        return
    now, cluster.reconcile_due = servers.kernel.now, False
    _clean_up(servers, cluster, leader)
    for peer in cluster.peers:
        health = cluster.health.get(peer.id)
        stable = (
            health is not None
            and health.healthy
            and now - health.stable_since >= cluster.autopilot.stabilization - 0.001
        )
        if not peer.voter and stable:
            peer.voter = True
            cluster.index += 1
    replicate(servers, cluster)
    if not _settled(servers, cluster):
        wake_autopilot(servers, cluster)


def _clean_up(servers: Servers, cluster: RaftCluster, leader: ServerAgent) -> None:
    if not cluster.autopilot.cleanup_dead_servers:
        return
    voters = sum(p.voter for p in cluster.peers)
    dead = [p for p in cluster.peers if status_of(leader, p.name, p.address) in {FAILED, LEFT}]
    floor, spare = max(1, cluster.autopilot.min_quorum), (voters - 1) // 2
    for peer in dead:
        if peer.voter and (spare < 1 or voters - 1 < floor):
            continue
        voters, spare = voters - peer.voter, spare - peer.voter
        remove(servers, cluster, peer.id)


def status_of(leader: ServerAgent, name: str, address: str) -> str:
    """Give what the leader's gossip says of a peer; "left" for one it does not know."""
    known = leader.members.get(name)
    return known.status if known is not None and known.address == address else LEFT


def _settled(servers: Servers, cluster: RaftCluster) -> bool:
    """Nothing will change by itself: all vote, all answer, all are healthy."""
    return all(
        p.voter and (h := cluster.health.get(p.id)) is not None and h.healthy and servers.up(p.address) is not None
        for p in cluster.peers
    )


def failure_tolerance(cluster: RaftCluster) -> int:
    """Healthy voters beyond quorum, as autopilot counts."""
    healthy = sum(p.voter and (h := cluster.health.get(p.id)) is not None and h.healthy for p in cluster.peers)
    return max(0, healthy - quorum(cluster))
