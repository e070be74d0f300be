"""How each server is, by more than one witness, and whether they are one quorum (semantics §10, §13). Pure.

Autopilot alone is no witness: it lists a killed follower as healthy for 40 s, a frozen one for ever, and promotes a
joiner that hangs. So a server is healthy only when autopilot, gossip, raft's configuration, EC2 and its own agent all
say so, and what nobody could be asked about is unknown, which is not healthy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from schemas.faults import Source
from schemas.servers import AutopilotServer, Member
from schemas.world import Instance, RaftPeer, Role, ServerView, Snapshot

STABLE = timedelta(seconds=30)  # so long a new voter counts as unhealthy still


class Verdict(StrEnum):
    """What the witnesses say together."""

    HEALTHY = "healthy"
    JOINING = "joining"  # all is well so far; it does not vote yet
    UNHEALTHY = "unhealthy"  # at least one witness says so
    UNKNOWN = "unknown"  # somebody could not be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHealth:
    """One server: its machine, its place in raft, and what is wrong with it."""

    name: str  # instance id, or the peer's name where no machine of ours is known
    instance: Instance | None
    peer: RaftPeer | None
    ours: bool  # its machine is, or was, one of ours
    verdict: Verdict
    why: tuple[str, ...]  # reasons of an UNHEALTHY or UNKNOWN verdict, each a phrase
    failed: bool  # enough witnesses agree that it is dead: it has ``replaceAfter`` to come back
    reachable: bool | None  # its own agent answers; None: it was not asked
    gossip: str  # what the others' gossip says: alive | leaving | left | failed | "" | disagreeing
    standing: bool  # healthy; or, where no agent at all can be asked, by autopilot, gossip and EC2 alone

    @property
    def voter(self) -> bool:
        """It counts towards the quorum."""
        return self.peer is not None and self.peer.voter

    @property
    def healthy(self) -> bool:
        """All witnesses say so."""
        return self.verdict is Verdict.HEALTHY

    @property
    def reason(self) -> str:
        """What is wrong, in one line."""
        return "; ".join(self.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """Why all server steps stop; ``passing`` may end by itself, as an election does."""

    runbook: str  # file under docs/runbooks, without its ending
    message: str
    passing: bool

    @property
    def told(self) -> str:
        """The message with the way out."""
        return f"{self.message}; see docs/runbooks/{self.runbook}.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """The servers together."""

    servers: tuple[ServerHealth, ...]
    leader: str = ""  # its RPC address, where all who answer agree on one
    frozen: Frozen | None = None
    unknown: str = ""  # why the leader's word could not be had

    @property
    def voters(self) -> tuple[ServerHealth, ...]:
        """Those who vote, the dead too."""
        return tuple(s for s in self.servers if s.voter)

    @property
    def healthy(self) -> int:
        """Voters that all witnesses call healthy."""
        return sum(s.healthy for s in self.voters)

    @property
    def standing(self) -> int:
        """Voters that count in an emergency: the healthy ones, or where no agent can be asked, as the others say."""
        return sum(s.standing for s in self.voters)

    @property
    def required(self) -> int:
        """Voters that decide."""
        return quorum_of(len(self.voters))

    @property
    def tolerance(self) -> int:
        """How many healthy voters may still fail; negative: quorum is lost, or cannot be seen."""
        return self.healthy - self.required

    @property
    def figures(self) -> str:
        """The numbers that decide, in words."""
        return f"{self.healthy} of {len(self.voters)} voters are healthy, quorum is {self.required}"

    def of(self, instance_id: str) -> ServerHealth | None:
        """Find a server by its machine."""
        return next((s for s in self.servers if s.instance is not None and s.instance.id == instance_id), None)

    def leads(self, server: ServerHealth) -> bool:
        """Whether this one leads, by anybody's word."""
        return server.peer is not None and (server.peer.leader or server.peer.address == self.leader)


def quorum_of(voters: int) -> int:
    """How many of so many voters decide."""
    return voters // 2 + 1


def assess(snapshot: Snapshot, *, twice: bool = False) -> Quorum:
    """Judge all servers of a snapshot; with ``twice``, who was not seen to move between two looks is unknown."""
    peers = _peers(snapshot)
    leader, quarrel = _leader(snapshot, peers or ())
    if peers is None:
        frozen = quarrel or _lost(snapshot)
        fault = snapshot.look.fault or snapshot.unanswered.get(Source.NOMAD, "raft's configuration is not known")
        return Quorum(servers=tuple(_unplaced(snapshot)), frozen=frozen, unknown=fault)
    found = _placed(snapshot, peers)
    asked = any(v.reachable for v in snapshot.servers)
    servers = tuple(_judge(snapshot, instance, peer, leader, asked=asked, twice=twice) for instance, peer in found)
    frozen = quarrel or _stranger(servers) or _disagreeing(snapshot, peers, servers)
    if frozen is None and not leader:
        frozen = _lost(snapshot)
    return Quorum(servers=servers, leader=leader, frozen=frozen)


def host_of(address: str) -> str:
    """Give the host of ``host:port``."""
    return address.rpartition(":")[0] or address


# --- who is there ----------------------------------------------------------------------------------------------------


def live_servers(snapshot: Snapshot) -> tuple[Instance, ...]:
    """Servers' machines of ours that run, will run, or could be started again."""
    return tuple(i for i in snapshot.instances if i.live and i.role == Role.SERVER)


def _peers(snapshot: Snapshot) -> tuple[RaftPeer, ...] | None:
    return snapshot.look.raft


def _placed(snapshot: Snapshot, peers: Sequence[RaftPeer]) -> tuple[tuple[Instance | None, RaftPeer | None], ...]:
    """Give each raft peer its machine, and each machine that has no peer yet or no more."""
    servers = [i for i in snapshot.instances if i.role == Role.SERVER]
    found: list[tuple[Instance | None, RaftPeer | None]] = []
    taken: set[str] = set()
    for peer in peers:
        instance = _machine_of(peer, servers)
        if instance is not None:
            taken.add(instance.id)
        found.append((instance, peer))
    found += [(i, None) for i in servers if i.id not in taken and i.live]
    return tuple(found)


def _machine_of(peer: RaftPeer, servers: Sequence[Instance]) -> Instance | None:
    """Find a peer's machine: agents are named after it; a name that gossip forgot leaves the address."""
    name = peer.name.partition(".")[0]
    if named := next((i for i in servers if i.id == name), None):
        return named
    if name.startswith("i-"):
        return None  # another machine may have its address by now
    return next((i for i in servers if i.live and i.private_ip == host_of(peer.address)), None)


def _unplaced(snapshot: Snapshot) -> Iterator[ServerHealth]:
    """Without raft's configuration nothing more is known than that the machines are there."""
    for instance in live_servers(snapshot):
        view = _view(snapshot, instance.private_ip)
        yield ServerHealth(
            name=instance.id,
            instance=instance,
            peer=None,
            ours=True,
            verdict=Verdict.UNKNOWN,
            why=("raft's configuration is not known",),
            failed=False,
            reachable=view.reachable if view else None,
            gossip=_gossip_of(snapshot, instance.private_ip),
            standing=False,
        )


# --- one server ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Case:
    """What speaks against one server."""

    bad: list[str]
    unknown: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What each witness said of one server."""

    instance: Instance | None
    view: ServerView | None
    gossip: str
    believed: AutopilotServer | None
    autopilot_answered: bool
    stands_still: bool
    impaired: bool


def _judge(
    snapshot: Snapshot, instance: Instance | None, peer: RaftPeer | None, leader: str, *, asked: bool, twice: bool
) -> ServerHealth:
    address = host_of(peer.address) if peer else instance.private_ip if instance else ""
    view, gossip = _view(snapshot, address), _gossip_of(snapshot, address)
    believed = _believed(snapshot, peer)
    told = _Told(
        instance=instance,
        view=view,
        gossip=gossip,
        believed=believed,
        autopilot_answered=snapshot.look.autopilot is not None,
        stands_still=peer is not None and _stands_still(snapshot, peer),
        impaired=instance is not None and instance.id in snapshot.look.impaired,
    )
    case = _Case([], [])
    _ask_ec2(snapshot, instance, case)
    _ask_raft(peer, case)
    _ask_autopilot(snapshot, peer, believed, case, twice=twice)
    _ask_gossip(gossip, case)
    clean = not asked and not case.bad and not case.unknown
    _ask_itself(view, leader, peer, case, asked=asked)
    verdict = Verdict.HEALTHY
    if case.bad:
        verdict = Verdict.UNHEALTHY
    elif case.unknown:
        verdict = Verdict.UNKNOWN
    elif peer is not None and not peer.voter:
        verdict = Verdict.JOINING
    return ServerHealth(
        name=instance.id if instance else peer.name if peer else address,
        instance=instance,
        peer=peer,
        ours=instance is not None or (peer is not None and _was_ours(snapshot, peer)),
        verdict=verdict,
        why=tuple(case.bad or case.unknown),
        failed=_failed(told, peer, asked=asked),
        reachable=view.reachable if view else None,
        gossip=gossip,
        standing=clean or verdict is Verdict.HEALTHY,
    )


def _ask_ec2(snapshot: Snapshot, instance: Instance | None, case: _Case) -> None:
    if instance is None:
        case.bad.append("no machine is under it")
    elif instance.state != "running":
        case.bad.append(f"EC2 says {instance.state}")
    elif instance.id in snapshot.look.impaired:
        case.bad.append("EC2's status checks fail")


def _ask_raft(peer: RaftPeer | None, case: _Case) -> None:
    if peer is None:
        case.bad.append("raft does not have it")


def _ask_autopilot(
    snapshot: Snapshot, peer: RaftPeer | None, believed: AutopilotServer | None, case: _Case, *, twice: bool
) -> None:
    if snapshot.look.autopilot is None:
        case.unknown.append("autopilot did not answer")
    elif peer is None:
        return
    elif believed is None:
        case.unknown.append("autopilot does not list it")
    elif not believed.healthy:
        case.bad.append("autopilot calls it unhealthy")
    elif peer.leader:
        return
    elif _stands_still(snapshot, peer):
        case.bad.append(f"LastContact stands at {believed.last_contact} between two looks")
    elif twice and snapshot.look.earlier is None:
        case.unknown.append("it was looked at only once")


def _ask_gossip(gossip: str, case: _Case) -> None:
    if gossip in {"failed", "left", "leaving"}:
        case.bad.append(f"gossip says {gossip}")
    elif gossip == "":
        case.unknown.append("no other server's gossip could be asked of it")
    elif gossip != "alive":
        case.unknown.append("gossip disagrees about it")


def _ask_itself(view: ServerView | None, leader: str, peer: RaftPeer | None, case: _Case, *, asked: bool) -> None:
    if view is None:
        case.unknown.append("its own agent was not asked")
    elif not view.reachable:
        where = case.bad if asked else case.unknown  # when nobody can be reached, that is ours to mend
        where.append(f"its agent does not answer at {view.address}")
    elif peer is None:
        return
    elif not view.leader:
        case.bad.append("its agent knows no leader")
    elif view.leader != leader:
        case.unknown.append(f"its agent names {view.leader} as leader")
    elif view.ready is False:
        case.bad.append("its agent does not answer for the leader")


def _stands_still(snapshot: Snapshot, peer: RaftPeer) -> bool:
    """Two looks showed the same figure: nothing was heard of it between them."""
    before = (
        next((s for s in snapshot.look.earlier.servers if s.id == peer.id), None) if snapshot.look.earlier else None
    )
    now = _believed(snapshot, peer)
    return before is not None and now is not None and not peer.leader and before.last_contact == now.last_contact


def _failed(told: _Told, peer: RaftPeer | None, *, asked: bool) -> bool:
    """Tell whether a server is as good as dead; an agent that only we cannot reach is not.

    Where no agent at all can be asked, autopilot, gossip and EC2's status must agree (semantics §10).
    """
    instance = told.instance
    if instance is None or instance.state in {"shutting-down", "terminated", "stopping", "stopped"}:
        return True
    if not told.autopilot_answered or instance.state != "running":
        return False
    gone = told.gossip in {"failed", "left"}
    disbelieved = told.believed is not None and not told.believed.healthy
    if not asked:
        return gone and (disbelieved or peer is None) and told.impaired
    if peer is None:
        return gone  # who has never been heard of may still boot
    if told.view is not None and not told.view.reachable:
        return gone or disbelieved or told.stands_still
    return disbelieved


def _believed(snapshot: Snapshot, peer: RaftPeer | None) -> AutopilotServer | None:
    if peer is None or snapshot.look.autopilot is None:
        return None
    return next((s for s in snapshot.look.autopilot.servers if s.id == peer.id), None)


def _view(snapshot: Snapshot, address: str) -> ServerView | None:
    return next((v for v in snapshot.servers if v.address == address), None)


def _gossip_of(snapshot: Snapshot, address: str) -> str:
    """Give what the others' gossip says of a server; "disagreeing" when they do not say one thing."""
    told: set[str] = set()
    heard: list[tuple[Member, ...]] = [
        v.gossip
        for v in snapshot.servers
        if v.gossip is not None and v.address != address and any(m.address != v.address for m in v.gossip)
    ]
    if not heard:  # one that is alone can only be asked about itself; who knows nobody can tell nothing
        heard = [v.gossip for v in snapshot.servers if v.gossip is not None] or [snapshot.look.gossip or ()]
    for members in heard:
        told |= {m.status for m in members if m.address == address}
    return told.pop() if len(told) == 1 else "disagreeing" if told else ""


def _was_ours(snapshot: Snapshot, peer: RaftPeer) -> bool:
    """A machine that EC2 has forgotten was ours if we ever knew it."""
    name = peer.name.partition(".")[0]
    step = snapshot.record.step
    if name in snapshot.record.known or (step is not None and step.instance_id == name):
        return True
    return not name.startswith("i-") and host_of(peer.address) in snapshot.record.known.values()


# --- all together ----------------------------------------------------------------------------------------------------


def _leader(snapshot: Snapshot, peers: Sequence[RaftPeer]) -> tuple[str, Frozen | None]:
    """Give the leader on whom all who name one agree, or why that freezes everything."""
    clusters = _clusters(snapshot)
    if len(clusters) > 1:
        shown = " and ".join(f"{{{', '.join(c)}}}" for c in clusters)
        message = f"two clusters: servers of ours hold disjoint raft configurations, {shown}"
        return "", Frozen(runbook="two-clusters", message=message, passing=False)
    said = {v.leader for v in snapshot.servers if v.reachable and v.leader}
    said |= {p.address for p in peers if p.leader}
    if len(said) > 1:
        who = "; ".join(
            f"{leader} by {', '.join(v.address for v in snapshot.servers if v.leader == leader) or 'the leader itself'}"
            for leader in sorted(said)
        )
        return "", Frozen(runbook="two-leaders", message=f"{len(said)} leaders are named: {who}", passing=True)
    return next(iter(said), ""), None


def _clusters(snapshot: Snapshot) -> tuple[tuple[str, ...], ...]:
    """Group the raft configurations that servers hold: those that share a peer are one cluster."""
    groups: list[set[str]] = []
    for view in snapshot.servers:
        ids = {p.id for p in view.peers or ()}
        if not view.reachable or not ids or not view.leader:
            continue  # one that was removed, or has not joined, leads nowhere
        meeting = [g for g in groups if g & ids]
        groups = [g for g in groups if not g & ids] + [ids.union(*meeting)]
    named = {p.id: p.name for v in snapshot.servers for p in v.peers or ()}
    return tuple(sorted(tuple(sorted(named[i] for i in g)) for g in groups))


def _lost(snapshot: Snapshot) -> Frozen | None:
    """Say that there is no leader, and whether those who answer could elect one."""
    machines = [i for i in snapshot.instances if i.role == Role.SERVER and i.live]
    if not machines:
        message = "all servers are gone, and a quorum that was formed is never formed again"
        return Frozen(runbook="quorum-lost", message=message, passing=False)
    answering = [v for v in snapshot.servers if v.reachable]
    if not answering:
        return None  # nobody can be asked: unknown, and nothing is done either
    if any(v.leader for v in answering):
        return None  # a leader is known, its word could not be had: try again
    voters = max((sum(p.voter for p in v.peers or ()) for v in answering), default=0)
    ids = {p.id for v in answering for p in v.peers or () if p.voter and host_of(p.address) == v.address}
    silent = sorted({v.address for v in snapshot.servers if not v.reachable})
    silence = f", {', '.join(silent)} {'does' if len(silent) == 1 else 'do'} not" if silent else ""
    if len(ids) >= quorum_of(voters) > 0:
        message = f"no leader: {len(ids)} of {voters} voters' agents answer{silence}; they may be electing one"
    else:
        needed = quorum_of(voters)
        message = f"quorum is lost: {len(ids)} of {voters} voters' agents answer{silence}, and {needed} must"
    return Frozen(runbook="quorum-lost", message=message, passing=True)


def _stranger(servers: Sequence[ServerHealth]) -> Frozen | None:
    """Find a raft peer that is nobody's."""
    found = [s for s in servers if s.peer is not None and not s.ours]
    if not found:
        return None
    named = ", ".join(f"{s.peer.name} at {s.peer.address}" for s in found if s.peer)
    message = f"raft has a peer whose machine is none of this group's: {named}"
    return Frozen(runbook="unknown-server", message=message, passing=False)


def _disagreeing(snapshot: Snapshot, peers: Sequence[RaftPeer], servers: Sequence[ServerHealth]) -> Frozen | None:
    """Find a voter in good standing whose own copy of the configuration is another than the leader's."""
    whole = {(p.id, p.voter) for p in peers}
    voting = {host_of(s.peer.address) for s in servers if s.peer is not None and s.peer.voter}
    for view in snapshot.servers:
        if view.reachable and view.leader and view.address in voting and view.peers is not None:
            mine = {(p.id, p.voter) for p in view.peers}
            if mine != whole:
                message = f"views differ: {view.address} holds {len(mine)} raft peers, the leader {len(whole)}"
                return Frozen(runbook="two-leaders", message=message, passing=True)
    return None
