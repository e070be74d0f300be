"""Raft: forming, adding and removing peers (facts: nomad §6.1-§6.5; recordings/servers 01-12, 17, 22, 29-31).

Who leads is decided in ``election``; this file says who belongs to a cluster, and what each server's own log and view
of the leader are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.servers.beats import PASS, until_beat, wake_autopilot
from providers.sandbox.world.servers.election import FIRST, SHORT, able, call_election, lose, quorum, step_down
from providers.sandbox.world.servers.state import ALIVE, LEFT, Member, Peer, RaftCluster, ServerAgent

if TYPE_CHECKING:
    from providers.sandbox.world.servers.context import Servers

_BOOTSTRAP = (0.0, 0.3)
_NOTICED = (1.3, 1.9)  # a dead leader's followers wait for their heartbeat timeout
_LEASE = 0.5  # a leader without a majority steps down
_ADDING = (0.05, 0.3)
_CONTACT = (0.15, 0.4)
_FORGETS = (1.0, 2.3)  # a removed server hears of its leader for so long
_CATCHES_UP = (3.5, 4.8)  # one that was removed while it was down hears of that, or not at all,
_LINGERS = (5.0, 7.0)  # and of its leader for so long
_FIGURES = (0.2, 5.0)  # until a new process answers autopilot


def register(servers: Servers) -> None:
    """Let clusters look after their peers."""
    on = servers.kernel.on
    on("raft.bootstrap", lambda address, life: _bootstrap(servers, address, life))
    on("raft.lost", lambda cluster, term: _lost(servers, cluster, term))
    on("raft.add", lambda cluster, address: _add(servers, cluster, address))
    on("raft.contact", lambda address, life: _contact(servers, address, life))
    on("raft.catchup", lambda address, life: _catch_up(servers, address, life))
    on("raft.forgotten", lambda address, life: _forgotten(servers, address, life))
    on("raft.pass", lambda cluster, term: _pass_due(servers, cluster, term))


def wake_bootstrap(servers: Servers, agent: ServerAgent) -> None:
    """Let a server that heard something new consider to form a cluster."""
    if not agent.cluster and agent.expect > 0:
        delay = servers.lots.seconds("bootstrap", agent.name, *_BOOTSTRAP)
        servers.kernel.after(delay, "raft.bootstrap", agent.address, agent.life)


def _bootstrap(servers: Servers, address: str, life: int) -> None:
    """Form a cluster if this server's log is empty and it sees as many servers as it expects (``maybeBootstrap``).

    Everyone whom gossip lists is asked, the dead too: one that does not answer, has peers, or expects another number
    ends it.
    """
    agent = servers.up(address)
    if agent is None or agent.life != life or agent.cluster:
        return
    seen = [m for m in agent.members.values() if m.region == agent.region]
    if len(seen) < agent.expect or any(m.expect not in {0, agent.expect} for m in seen):
        return
    asked = [servers.up(m.address) for m in seen]
    if any(other is None or other.cluster for other in asked):
        return
    cluster = RaftCluster(
        id=servers.kernel.new_id(),
        region=agent.region,
        peers=[Peer(id=m.id, name=m.name, address=m.address, voter=True) for m in _by_address(seen)],
    )
    servers.state.clusters[cluster.id] = cluster
    agent.cluster, agent.config = cluster.id, copied(cluster.peers)
    call_election(servers, cluster, FIRST)


def member_alive(servers: Servers, observer: ServerAgent, subject: ServerAgent) -> None:
    """Let the leader add a server of its region that gossip tells has joined."""
    cluster = servers.cluster_of(observer)
    if cluster is None or cluster.leader != observer.address or subject.region != cluster.region:
        return
    if all(p.id != subject.id for p in cluster.peers):
        delay = servers.lots.seconds("adding", subject.name, *_ADDING)
        servers.kernel.after(delay, "raft.add", cluster.id, subject.address)
    wake_autopilot(servers, cluster)


def member_known(servers: Servers, observer: ServerAgent) -> None:
    """Let the leader look later at a record that changed without a join."""
    cluster = servers.cluster_of(observer)
    if cluster is not None and cluster.leader == observer.address:
        wake_pass(servers, cluster)
        wake_autopilot(servers, cluster)


def member_gone(servers: Servers, observer: ServerAgent, subject: ServerAgent, status: str) -> None:
    """Let the leader remove who left; who failed is autopilot's business."""
    cluster = servers.cluster_of(observer)
    if cluster is None or cluster.leader != observer.address:
        return
    if status == LEFT and any(p.id == subject.id for p in cluster.peers):
        remove(servers, cluster, subject.id)
    wake_autopilot(servers, cluster)


def process_gone(servers: Servers, agent: ServerAgent) -> None:
    """Note that a server stopped answering: its cluster may lose its leader, or its majority."""
    cluster = servers.cluster_of(agent)
    if cluster is None:
        return
    if (seen := cluster.seen.get(agent.id)) is not None and seen.figures_at is not None:
        seen.figures_at = servers.kernel.now
    if cluster.leader == agent.address:
        noticed = servers.lots.seconds("leader-missed", agent.name, *_NOTICED)
        servers.kernel.after(noticed, "raft.lost", cluster.id, cluster.term)
    elif cluster.leader and len(able(servers, cluster)) < quorum(cluster):
        servers.kernel.after(_LEASE, "raft.lost", cluster.id, cluster.term)
    wake_autopilot(servers, cluster)


def process_back(servers: Servers, agent: ServerAgent, *, new_process: bool = True) -> None:
    """Note that a server answers again: its leader speaks to it, or an election becomes possible."""
    if new_process:
        agent.figures_from = servers.kernel.now + servers.lots.seconds("figures", agent.name, *_FIGURES)
        cluster = servers.cluster_of(agent)
        if cluster is not None and cluster.leader == agent.address:
            lose(servers, cluster)  # it led until its process ended
            call_election(servers, cluster, _NOTICED)
    delay = servers.lots.seconds("contact", agent.name, *_CONTACT)
    servers.kernel.after(delay, "raft.contact", agent.address, agent.life)


def remove(servers: Servers, cluster: RaftCluster, server_id: str) -> None:
    """Take a peer out of the configuration. A living one that gossip still shows is added again by a later pass."""
    gone = next(p for p in cluster.peers if p.id == server_id)
    cluster.peers = [p for p in cluster.peers if p.id != server_id]
    cluster.index += 1
    agent = servers.up(gone.address)
    replicate(servers, cluster)
    if agent is not None and agent.cluster == cluster.id:
        agent.config = copied(cluster.peers)
        delay = servers.lots.seconds("forgets", agent.name, *_FORGETS)
        servers.kernel.after(delay, "raft.forgotten", agent.address, agent.life)
        wake_pass(servers, cluster)
    if cluster.leader == gone.address:
        step_down(servers, cluster)
    wake_autopilot(servers, cluster)


def replicate(servers: Servers, cluster: RaftCluster) -> None:
    """Let every living peer write the configuration into its own log."""
    for agent in servers.living(cluster):
        agent.cluster, agent.config, agent.leader = cluster.id, copied(cluster.peers), cluster.leader


def leader_pass(servers: Servers, cluster: RaftCluster) -> None:
    """Let the leader compare all members with its peers: add who is alive, remove who left."""
    if (leader := servers.leader_of(cluster)) is None:
        return
    for member in list(leader.members.values()):
        subject = servers.state.agents.get(member.address)
        if subject is None or subject.id != member.id or subject.region != cluster.region:
            continue
        if member.status == ALIVE and servers.up(subject.address) is not None:
            _add(servers, cluster.id, subject.address)
        elif member.status == LEFT:
            member_gone(servers, leader, subject, LEFT)


def wake_pass(servers: Servers, cluster: RaftCluster) -> None:
    """Let the leader's next pass happen; while nothing is to be found, passes are left out."""
    if cluster.leader and cluster.established_at is not None and not cluster.pass_due:
        cluster.pass_due = True
        delay = until_beat(servers, cluster, PASS)
        servers.kernel.after(delay, "raft.pass", cluster.id, cluster.term)


def copied(peers: list[Peer]) -> list[Peer]:
    """Give a configuration of its own, for one server's log."""
    return [Peer(id=p.id, name=p.name, address=p.address, voter=p.voter) for p in peers]


def _lost(servers: Servers, cluster_id: str, term: int) -> None:
    cluster = servers.state.clusters[cluster_id]
    if cluster.term != term or not cluster.leader:
        return
    if servers.leader_of(cluster) is not None and len(able(servers, cluster)) >= quorum(cluster):
        return  # it came back in time
    lose(servers, cluster)
    call_election(servers, cluster, SHORT)


def _pass_due(servers: Servers, cluster_id: str, term: int) -> None:
    cluster = servers.state.clusters[cluster_id]
    if cluster.term == term:
        cluster.pass_due = False
        leader_pass(servers, cluster)


def _add(servers: Servers, cluster_id: str, address: str) -> None:
    cluster, agent = servers.state.clusters[cluster_id], servers.up(address)
    if agent is None or not cluster.leader or any(p.id == agent.id for p in cluster.peers):
        return
    other = servers.cluster_of(agent)
    if other is not None and other.id != cluster.id and other.leader:
        _merge(servers, cluster, other)
        return
    cluster.peers = [p for p in cluster.peers if p.address != address]  # an old id at this address goes first
    cluster.peers.append(Peer(id=agent.id, name=agent.full_name, address=address, voter=False))
    cluster.index += 1
    replicate(servers, cluster)
    wake_autopilot(servers, cluster)


def _merge(servers: Servers, one: RaftCluster, other: RaftCluster) -> None:
    """Let two clusters that met become one: each leader adds the other's, both step down, one side's log wins.

    What the other side had written is gone (recordings/servers 31). The side that holds the jobs wins here, else the
    one with more voters.
    """
    sides = sorted((one, other), key=lambda c: (c.id == servers.state.primary, sum(p.voter for p in c.peers)))
    loser, winner = sides
    for agent in servers.living(loser):
        agent.cluster, agent.leader, agent.config = winner.id, "", copied(winner.peers)
        if all(p.id != agent.id for p in winner.peers):
            winner.peers.append(Peer(id=agent.id, name=agent.full_name, address=agent.address, voter=False))
    loser.peers, loser.leader = [], ""
    step_down(servers, winner)


def _contact(servers: Servers, address: str, life: int) -> None:
    agent = servers.up(address)
    if agent is None or agent.life != life:
        return
    holding = [c for c in servers.state.clusters.values() if any(p.address == address for p in c.peers)]
    cluster = servers.cluster_of(agent) or (holding[0] if holding else None)
    if cluster is None:
        return
    if servers.leader_of(cluster) is None:
        call_election(servers, cluster, SHORT)
        return
    agent.cluster, agent.leader = cluster.id, cluster.leader
    if any(p.id == agent.id or p.address == address for p in cluster.peers):
        agent.config = copied(cluster.peers)
        wake_autopilot(servers, cluster)
        return
    if servers.lots.choose("catches-up", agent.name, ("yes", "no")) == "yes":
        servers.kernel.after(servers.lots.seconds("catch-up", agent.name, *_CATCHES_UP), "raft.catchup", address, life)
    servers.kernel.after(servers.lots.seconds("lingers", agent.name, *_LINGERS), "raft.forgotten", address, life)
    wake_pass(servers, cluster)


def _catch_up(servers: Servers, address: str, life: int) -> None:
    agent = servers.up(address)
    if agent is not None and agent.life == life and (cluster := servers.cluster_of(agent)) is not None:
        agent.config = copied(cluster.peers)


def _forgotten(servers: Servers, address: str, life: int) -> None:
    agent = servers.up(address)
    if agent is None or agent.life != life or (cluster := servers.cluster_of(agent)) is None:
        return
    if all(p.id != agent.id for p in cluster.peers):
        agent.leader = ""


def _by_address(members: list[Member]) -> list[Member]:
    return sorted(members, key=lambda m: m.address)
