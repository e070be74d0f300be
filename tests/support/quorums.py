"""A quorum that is well by all witnesses, to be spoilt one witness at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from reconciler.machine import server_template
from schemas.document import ClusterGroup
from schemas.servers import Autopilot, AutopilotServer, Member, ServersRecord
from schemas.world import TAG_CLAIM, TAG_REVISION, Instance, RaftPeer, ServersLook, ServerView, Snapshot
from support.builders import NOON, a_group, a_server, a_snapshot

PROD = a_group()


def address(slot: int) -> str:
    """Where the slot's server is."""
    return f"10.1.0.{slot}"


def server_id(slot: int, life: int = 0) -> str:
    """The slot's instance."""
    return f"i-server-{slot}-{life}"


def a_machine(slot: int, group: ClusterGroup = PROD, **given: Any) -> Instance:
    """A running server as the group wants it, in the slot's own zone."""
    made = a_server(slot)
    tags = {**made.tags, TAG_REVISION: server_template(group, "x86_64").tags[TAG_REVISION]}
    zone = "abc"[slot % 3]
    some = {"zone": f"us-east-1{zone}", "subnet_id": f"subnet-{zone}1", "tags": tags}
    return replace(made, **{**some, **given})


def a_peer(slot: int, *, leader: bool = False, voter: bool = True) -> RaftPeer:
    """The slot's place in raft."""
    name = f"{server_id(slot)}.global"
    return RaftPeer(id=f"raft-{slot}", name=name, address=f"{address(slot)}:4647", leader=leader, voter=voter)


def a_quorum(
    count: int = 3, *, leader: int = 0, joiners: tuple[int, ...] = (), group: ClusterGroup = PROD, **given: Any
) -> Snapshot:
    """So many servers, all well by every witness; ``joiners`` are peers that do not vote yet."""
    peers = tuple(a_peer(s, leader=s == leader, voter=s not in joiners) for s in range(count))
    gossip = tuple(Member(name=p.name, address=address(s), status="alive", id=p.id) for s, p in enumerate(peers))
    views = tuple(
        ServerView(
            address=address(s),
            reachable=True,
            leader=f"{address(leader)}:4647",
            peers=peers,
            members=tuple(m.address for m in gossip),
            gossip=gossip,
            ready=True,
        )
        for s in range(count)
    )
    instances = tuple(a_machine(s, group) for s in range(count))
    look = ServersLook(autopilot=an_autopilot(peers, "31.5ms"), earlier=an_autopilot(peers, "29.1ms"), raft=peers)
    known = {i.id: i.private_ip for i in instances}
    snapshot = a_snapshot(instances=instances, servers=views, look=look, record=ServersRecord(known=known))
    return replace(snapshot, **given)


def an_autopilot(peers: tuple[RaftPeer, ...], contact: str) -> Autopilot:
    """What autopilot says when it believes all to be well."""
    servers = tuple(
        AutopilotServer(
            id=p.id,
            name=p.name,
            address=p.address,
            healthy=True,
            voter=p.voter,
            leader=p.leader,
            last_contact="0s" if p.leader else contact,
            stable_since=NOON - timedelta(hours=1),
            serf_status="alive",
        )
        for p in peers
    )
    return Autopilot(healthy=True, failure_tolerance=(len(peers) - 1) // 2, servers=servers)


# --- one witness at a time --------------------------------------------------------------------------------------------


def with_view(snapshot: Snapshot, slot: int, **given: Any) -> Snapshot:
    """Let a server's own agent answer otherwise."""
    views = tuple(replace(v, **given) if v.address == address(slot) else v for v in snapshot.servers)
    return replace(snapshot, servers=views)


def with_autopilot(snapshot: Snapshot, slot: int, **given: Any) -> Snapshot:
    """Let autopilot believe otherwise of a server."""
    told = snapshot.look.autopilot
    assert told is not None
    servers = tuple(replace(s, **given) if s.id == f"raft-{slot}" else s for s in told.servers)
    healthy = all(s.healthy for s in servers)
    return with_look(snapshot, autopilot=replace(told, servers=servers, healthy=healthy))


def with_look(snapshot: Snapshot, **given: Any) -> Snapshot:
    """Change what the leader and EC2 say together."""
    return replace(snapshot, look=replace(snapshot.look, **given))


def with_gossip(
    snapshot: Snapshot, slot: int, status: str, *, by: Callable[[int], bool] = lambda _: True, build: str = ""
) -> Snapshot:
    """Let the others' gossip say this of a server; ``by`` says who of them."""
    views = []
    for place, view in enumerate(snapshot.servers):
        told = tuple(
            replace(m, status=status, build=build) if m.address == address(slot) and by(place) else m
            for m in view.gossip or ()
        )
        views.append(replace(view, gossip=told))
    return replace(snapshot, servers=tuple(views))


def with_machine(snapshot: Snapshot, slot: int, **given: Any) -> Snapshot:
    """Change a server's machine; ``state=None`` takes it away."""
    if given.get("state", "") is None:
        return replace(snapshot, instances=tuple(i for i in snapshot.instances if i.id != server_id(slot)))
    return replace(
        snapshot,
        instances=tuple(replace(i, **given) if i.id == server_id(slot) else i for i in snapshot.instances),
    )


def with_tags(snapshot: Snapshot, slot: int, tags: Mapping[str, str]) -> Snapshot:
    """Add tags to a server's machine."""
    before = next(i for i in snapshot.instances if i.id == server_id(slot))
    return with_machine(snapshot, slot, tags={**before.tags, **tags})


def without_peer(snapshot: Snapshot, slot: int) -> Snapshot:
    """Let raft and autopilot have forgotten a server."""
    assert snapshot.look.raft is not None
    assert snapshot.look.autopilot is not None
    left = tuple(p for p in snapshot.look.raft if p.id != f"raft-{slot}")
    servers = tuple(s for s in snapshot.look.autopilot.servers if s.id != f"raft-{slot}")
    views = tuple(replace(v, peers=tuple(p for p in v.peers or () if p.id != f"raft-{slot}")) for v in snapshot.servers)
    told = replace(snapshot.look.autopilot, servers=servers)
    return replace(with_look(snapshot, raft=left, autopilot=told), servers=views)


def with_record(snapshot: Snapshot, **given: Any) -> Snapshot:
    """Change what is remembered."""
    return replace(snapshot, record=replace(snapshot.record, **given))


def dead(snapshot: Snapshot, slot: int) -> Snapshot:
    """Let a server have died a while ago, as all witnesses but autopilot's cleanup see it."""
    silent = with_view(snapshot, slot, reachable=False, leader=None, peers=None, members=None, gossip=None)
    return with_autopilot(with_gossip(silent, slot, "failed"), slot, healthy=False)


def failing_since(snapshot: Snapshot, slot: int, minutes: float) -> Snapshot:
    """Remember that a server failed so long ago."""
    since = snapshot.observed_at - timedelta(minutes=minutes)
    return with_record(snapshot, failing={**snapshot.record.failing, server_id(slot): since})


def claim_of(instance: Instance) -> str:
    """The claim on a machine's tag."""
    return instance.tags[TAG_CLAIM]
