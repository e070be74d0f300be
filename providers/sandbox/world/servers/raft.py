"""Raft: forming, electing, adding and removing peers (facts: nomad §6.1-§6.5; recordings/servers 01-10, 22, 26, 31)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.servers.state import ALIVE, LEFT, UP, Member, Peer, RaftCluster, ServerAgent, ServerHealth

if TYPE_CHECKING:
    from providers.sandbox.world.servers.context import Servers

_FIRST_ELECTION = (0.3, 1.2)
_NOTICED = (1.3, 1.9)  # a dead leader's followers wait for their heartbeat timeout
_ELECTION = (0.1, 0.6)
_LEASE = 0.5  # a leader without a majority steps down
_ADDING = (0.1, 0.4)
_LEADER_PASS = (15.0, 60.0)  # until the leader's next look at all members
_AUTOPILOT_STEP, _AUTOPILOT_PASS = 2.0, 10.0


def register(servers: Servers) -> None:
    """Let clusters elect, and look after their peers."""
    on = servers.kernel.on
    on("raft.lost", lambda cluster, term: _lost(servers, cluster, term))
    on("raft.elect", lambda cluster, election: _elect(servers, cluster, election))
    on("raft.add", lambda cluster, address: _add(servers, cluster, address))
    on("raft.contact", lambda address, life: _contact(servers, address, life))
    on("raft.pass", lambda cluster: _leader_pass(servers, cluster))


def quorum(cluster: RaftCluster) -> int:
    """How many voters decide."""
    return sum(p.voter for p in cluster.peers) // 2 + 1


def consider_bootstrap(servers: Servers, agent: ServerAgent) -> None:
    """Form a cluster if this server's log is empty and it sees as many servers as it expects (``maybeBootstrap``).

    Everyone whom gossip lists is asked, the dead too: one that does not answer, has peers, or expects another number
    ends it.
    """
    if agent.cluster or agent.expect < 1:
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
    agent.cluster, agent.config = cluster.id, _copy(cluster.peers)
    _call_election(servers, cluster, _FIRST_ELECTION)


def member_alive(servers: Servers, observer: ServerAgent, subject: ServerAgent) -> None:
    """Let the leader add a server of its region that it hears of."""
    cluster = servers.cluster_of(observer)
    if cluster is None or cluster.leader != observer.address or subject.region != cluster.region:
        return
    if all(p.id != subject.id for p in cluster.peers):
        servers.kernel.after(servers.kernel.chance().uniform(*_ADDING), "raft.add", cluster.id, subject.address)
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
    if cluster.leader == agent.address:
        servers.kernel.after(servers.kernel.chance().uniform(*_NOTICED), "raft.lost", cluster.id, cluster.term)
    elif cluster.leader and len(_able(servers, cluster)) < quorum(cluster):
        servers.kernel.after(_LEASE, "raft.lost", cluster.id, cluster.term)
    wake_autopilot(servers, cluster)


def process_back(servers: Servers, agent: ServerAgent) -> None:
    """Note that a server answers again: its leader speaks to it, or an election becomes possible."""
    servers.kernel.after(servers.kernel.chance().uniform(0.15, 0.4), "raft.contact", agent.address, agent.life)


def remove(servers: Servers, cluster: RaftCluster, server_id: str) -> None:
    """Take a peer out of the configuration. A living one that gossip still shows is added again by a later pass."""
    gone = next(p for p in cluster.peers if p.id == server_id)
    cluster.peers = [p for p in cluster.peers if p.id != server_id]
    cluster.index += 1
    cluster.health.pop(server_id, None)
    replicate(servers, cluster)
    agent = servers.up(gone.address)
    if agent is not None and agent.id == server_id:
        agent.config = _copy(cluster.peers)
        if not agent.left:
            servers.kernel.after(servers.kernel.chance().uniform(*_LEADER_PASS), "raft.pass", cluster.id)
    if cluster.leader == gone.address:
        step_down(servers, cluster)


def step_down(servers: Servers, cluster: RaftCluster) -> None:
    """End a leadership that the others know has ended."""
    cluster.leader = ""
    if servers.state.primary == cluster.id:
        servers.led(False)  # noqa: FBT003 - the callback's one argument is its name
    _call_election(servers, cluster, _NOTICED)


def transfer(servers: Servers, cluster: RaftCluster, address: str) -> None:
    """Hand leadership to a voter; no write fails."""
    _take_lead(servers, cluster, address)


def replicate(servers: Servers, cluster: RaftCluster) -> None:
    """Let every living peer write the configuration into its own log."""
    for peer in cluster.peers:
        agent = servers.up(peer.address)
        if agent is not None and agent.id == peer.id:
            agent.cluster, agent.config, agent.contacted = cluster.id, _copy(cluster.peers), True


def wake_autopilot(servers: Servers, cluster: RaftCluster) -> None:
    """Let autopilot look again at its next beat: every 2 s at health, every 10 s at whom to promote or remove."""
    if not cluster.leader:
        return
    if not cluster.autopilot_awake:
        cluster.autopilot_awake = True
        servers.kernel.after(_until_beat(servers, cluster, _AUTOPILOT_STEP), "autopilot.look", cluster.id, cluster.term)
    if not cluster.reconcile_due:
        cluster.reconcile_due = True
        servers.kernel.after(_until_beat(servers, cluster, _AUTOPILOT_PASS), "autopilot.act", cluster.id, cluster.term)


def _until_beat(servers: Servers, cluster: RaftCluster, step: float) -> float:
    passed = servers.kernel.now - cluster.leader_since
    beats = int(passed / step + 1e-6) + 1  # never the beat that is striking now, whatever rounding made of it
    return beats * step - passed


def _able(servers: Servers, cluster: RaftCluster) -> list[Peer]:
    """Voters that can vote now."""
    return [p for p in cluster.peers if p.voter and (a := servers.up(p.address)) is not None and a.id == p.id]


def _call_election(servers: Servers, cluster: RaftCluster, wait: tuple[float, float]) -> None:
    if cluster.electing or cluster.leader or len(_able(servers, cluster)) < quorum(cluster):
        return
    cluster.electing, cluster.election = True, cluster.election + 1
    servers.kernel.after(servers.kernel.chance().uniform(*wait), "raft.elect", cluster.id, cluster.election)


def _lost(servers: Servers, cluster_id: str, term: int) -> None:
    cluster = servers.state.clusters[cluster_id]
    if cluster.term != term or not cluster.leader:
        return
    leads = servers.leader_of(cluster)
    if leads is not None and leads.process == UP and len(_able(servers, cluster)) >= quorum(cluster):
        return  # it came back in time
    cluster.leader, cluster.elected_after_loss = "", True
    if servers.state.primary == cluster.id:
        servers.led(False)  # noqa: FBT003 - the callback's one argument is its name
    _call_election(servers, cluster, _ELECTION)


def _elect(servers: Servers, cluster_id: str, election: int) -> None:
    cluster = servers.state.clusters[cluster_id]
    if cluster.election != election:
        return
    cluster.electing = False
    able = _able(servers, cluster)
    candidates = [p for p in able if servers.state.agents[p.address].cluster == cluster.id]
    if cluster.leader or len(able) < quorum(cluster) or not candidates:
        return
    _take_lead(servers, cluster, servers.kernel.chance().choice(candidates).address)


def _take_lead(servers: Servers, cluster: RaftCluster, address: str) -> None:
    now = servers.kernel.now
    cluster.leader, cluster.leader_since = address, now
    cluster.term, cluster.index = cluster.term + 1, cluster.index + 2
    cluster.autopilot_awake = cluster.reconcile_due = False
    known = {} if cluster.elected_after_loss else cluster.health
    cluster.health = {}
    if not cluster.elected_after_loss:  # otherwise its list is empty for some seconds
        for peer in cluster.peers:
            healthy = peer.address == address or (peer.id in known and known[peer.id].healthy)
            cluster.health[peer.id] = known.get(peer.id) or ServerHealth(
                healthy=healthy, stable_since=now, figures_at=now if healthy else None
            )
    cluster.elected_after_loss = False
    replicate(servers, cluster)
    wake_autopilot(servers, cluster)
    servers.state.primary = servers.state.primary or cluster.id
    if servers.state.primary == cluster.id:
        servers.led(True)  # noqa: FBT003 - the callback's one argument is its name
    _leader_pass(servers, cluster.id)


def _leader_pass(servers: Servers, cluster_id: str) -> None:
    """Let the leader compare all members with its peers."""
    cluster = servers.state.clusters[cluster_id]
    if (leader := servers.leader_of(cluster)) is None:
        return
    for member in list(leader.members.values()):
        subject = servers.state.agents.get(member.address)
        if subject is None or subject.id != member.id:
            continue
        if member.status == ALIVE and subject.process == UP:
            member_alive(servers, leader, subject)
        elif member.status == LEFT:
            member_gone(servers, leader, subject, LEFT)


def _add(servers: Servers, cluster_id: str, address: str) -> None:
    cluster, agent = servers.state.clusters[cluster_id], servers.up(address)
    if agent is None or not cluster.leader or any(p.id == agent.id for p in cluster.peers):
        return
    cluster.peers = [p for p in cluster.peers if p.address != address]  # an old id at this address goes first
    cluster.peers.append(Peer(id=agent.id, name=agent.full_name, address=address, voter=False))
    cluster.index += 1
    replicate(servers, cluster)
    wake_autopilot(servers, cluster)


def _contact(servers: Servers, address: str, life: int) -> None:
    agent = servers.up(address)
    if agent is None or agent.life != life or (cluster := servers.cluster_of(agent)) is None:
        return
    if servers.leader_of(cluster) is None:
        _call_election(servers, cluster, _ELECTION)
    elif any(p.id == agent.id for p in cluster.peers):
        agent.config, agent.contacted = _copy(cluster.peers), True
        wake_autopilot(servers, cluster)


def _copy(peers: list[Peer]) -> list[Peer]:
    return [Peer(id=p.id, name=p.name, address=p.address, voter=p.voter) for p in peers]


def _by_address(members: list[Member]) -> list[Member]:
    return sorted(members, key=lambda m: m.address)
