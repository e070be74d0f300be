"""Autopilot: what it believes of the servers, whom it promotes, whom it removes.

It looks every 2 s and acts every 10 s, counted from the leader's start. A server that stops answering keeps its last
good figures until gossip calls it failed; only a new leader, which has no figures, sees through it (facts: nomad §6.4;
recordings/servers 02-05, 13, 14, 17, 19, 27).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.servers.beats import LOOK, wake_autopilot
from providers.sandbox.world.servers.raft import remove, replicate
from providers.sandbox.world.servers.state import ALIVE, LEAVING, LEFT, Member, Peer, RaftCluster, Seen, ServerAgent

if TYPE_CHECKING:
    from providers.sandbox.world.servers.context import Servers

_LATE_PASS = 0.2  # a new leader's first pass and its autopilot's first look happen side by side
_IN_TIME = "in time"
_FIRST_ANSWERS = (_IN_TIME, _IN_TIME, _IN_TIME, _IN_TIME, "late")
_TO_THE_BEAT = 0.1  # seconds: when a server has just been stable for long enough, chance decides whether it counts


def register(servers: Servers) -> None:
    """Let autopilot look and act."""
    servers.kernel.on("raft.begin", lambda cluster, term: _begin(servers, cluster, term))
    servers.kernel.on("autopilot.look", lambda cluster, term: _look(servers, cluster, term))
    servers.kernel.on("autopilot.act", lambda cluster, term: _act(servers, cluster, term))


def failure_tolerance(cluster: RaftCluster) -> int:
    """Healthy voters beyond quorum, as autopilot counted when it looked."""
    voters = [s for s in cluster.seen.values() if s.voter]
    return max(0, sum(s.healthy for s in voters) - (len(voters) // 2 + 1))


def _begin(servers: Servers, cluster_id: str, term: int) -> None:
    """Let a leader begin its duties: the first pass over its members, the first look of its autopilot."""
    cluster = servers.state.clusters[cluster_id]
    if cluster.term != term or not cluster.leader:
        return
    late = servers.lots.choose("first-pass", cluster.id, ("before-the-look", "after-it")) == "after-it"
    cluster.pass_due = True
    servers.kernel.after(_LATE_PASS if late else 0.0, "raft.pass", cluster.id, cluster.term)
    wake_autopilot(servers, cluster)


def _look(servers: Servers, cluster_id: str, term: int) -> None:
    cluster = servers.state.clusters[cluster_id]
    if cluster.term != term or (leader := servers.leader_of(cluster)) is None or cluster.established_at is None:
        return
    now, cluster.look_due = servers.kernel.now, False
    cluster.shown = not cluster.wounded or now - cluster.established_at >= LOOK
    known = {m.id: m for m in leader.members.values() if m.status in {ALIVE, LEAVING} and m.region == cluster.region}
    cluster.seen = {p.id: _seen(servers, p, known.get(p.id), cluster.seen.get(p.id)) for p in cluster.peers}
    if not _settled(servers, cluster, leader):
        wake_autopilot(servers, cluster)


def _seen(servers: Servers, peer: Peer, member: Member | None, before: Seen | None) -> Seen:
    now, agent = servers.kernel.now, servers.up(peer.address)
    answers = agent is not None and agent.id == peer.id and agent.figures_from <= now
    if answers and before is None and agent is not None and not _answers_first(servers, agent):
        answers = False
    figures_at = now if answers else before.figures_at if before is not None else None
    return Seen(
        id=peer.id,
        address=peer.address,
        voter=peer.voter,
        name=member.name if member is not None else before.name if before is not None else "",
        status=ALIVE if member is not None else LEFT,
        healthy=member is not None and figures_at is not None,
        stable_since=before.stable_since if before is not None else now,
        figures_at=figures_at,
    )


def _answers_first(servers: Servers, agent: ServerAgent) -> bool:
    """Tell whether the first question to a server is answered in time: one in five is not."""
    leads = agent.leader == agent.address
    return leads or servers.lots.choose("first-figures", agent.name, _FIRST_ANSWERS) == _IN_TIME


def _act(servers: Servers, cluster_id: str, term: int) -> None:
    cluster = servers.state.clusters[cluster_id]
    if cluster.term != term or (leader := servers.leader_of(cluster)) is None or cluster.established_at is None:
        return
    cluster.act_due = False
    _clean_up(servers, cluster, leader)
    for peer in cluster.peers:
        seen = cluster.seen.get(peer.id)
        if not peer.voter and seen is not None and seen.healthy and _stable(servers, cluster, seen):
            peer.voter = True
            cluster.index += 1
    replicate(servers, cluster)
    if not _settled(servers, cluster, leader):
        wake_autopilot(servers, cluster)


def _stable(servers: Servers, cluster: RaftCluster, seen: Seen) -> bool:
    over = servers.kernel.now - seen.stable_since - cluster.autopilot.stabilization
    if abs(over) <= _TO_THE_BEAT:
        return servers.lots.choose("stable-to-the-beat", seen.id, ("yes", "no")) == "yes"
    return over > 0


def _clean_up(servers: Servers, cluster: RaftCluster, leader: ServerAgent) -> None:
    """Remove who failed, and ids that gossip does not know: less than half of the voters, never below the minimum."""
    if not cluster.autopilot.cleanup_dead_servers:
        return
    voters = sum(p.voter for p in cluster.peers)
    known = {m.id for m in leader.members.values() if m.status in {ALIVE, LEAVING}}
    floor, spare = max(1, cluster.autopilot.min_quorum), (voters - 1) // 2
    for peer in [p for p in cluster.peers if p.id not in known]:
        if peer.voter and (spare < 1 or voters - 1 < floor):
            continue
        voters, spare = voters - peer.voter, spare - peer.voter
        remove(servers, cluster, peer.id)


def _settled(servers: Servers, cluster: RaftCluster, leader: ServerAgent) -> bool:
    """Nothing will change by itself: all vote, all answer, all are healthy, and it was seen so."""
    return (
        cluster.shown
        and all(
            p.voter
            and (s := cluster.seen.get(p.id)) is not None
            and s.healthy
            and s.voter
            and (agent := servers.up(p.address)) is not None
            and agent.id == p.id
            and leader.members.get(p.name) is not None
            for p in cluster.peers
        )
        and len(cluster.seen) == len(cluster.peers)
    )
