"""What is remembered of the servers between two looks: who fails since when, and how far a step has come. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from reconciler.reconcilers.servers.health import STABLE, Quorum, Verdict, assess, host_of, live_servers
from reconciler.reconcilers.servers.wanted import revision_of
from schemas.document import ClusterGroup
from schemas.faults import Source
from schemas.names import formed_marker
from schemas.servers import FrozenSince, ServersRecord, ServerStep, StepKind
from schemas.world import Snapshot

CLEAN_LOOKS = 2  # that end a freeze
UNSURE_FOR = timedelta(minutes=1)  # so long a step that had no lasting effect is not begun anew by another one
HEARTBEAT = timedelta(seconds=10)  # a client's shortest; it grows with their number
HEARTBEATS_PER_SECOND = 50


def remembered(snapshot: Snapshot, group: ClusterGroup) -> ServersRecord:
    """Give the record as this look leaves it; the same record when the look showed nothing new."""
    record, servers = snapshot.record, group.spec.servers
    if servers is None or Source.EC2 in snapshot.unanswered:
        return record
    if formed_marker(group.metadata.name) not in snapshot.templates:
        return replace(record, known=_known(snapshot, None))
    quorum = assess(snapshot)
    record = replace(
        record,
        known=_known(snapshot, quorum),
        failing=_failing(record.failing, quorum, snapshot.observed_at),
        frozen=_frozen(record.frozen, quorum, snapshot.observed_at),
    )
    return _step(replace(snapshot, record=record), group, quorum)


def settling(snapshot: Snapshot) -> timedelta:
    """How long a new voter is left alone: until it is stable, and clients have had two heartbeats to learn of it."""
    ttl = max(HEARTBEAT, timedelta(seconds=len(snapshot.nodes) / HEARTBEATS_PER_SECOND))
    return max(STABLE, 2 * 2 * ttl)  # Nomad stretches each by up to as much again


def seen_gone(snapshot: Snapshot, quorum: Quorum, step: ServerStep) -> bool:
    """Whether the leader and, of the other voters, two (or all) by their own word have forgotten the one that goes."""
    if quorum.unknown or any(_is_victim(s.peer.id, s.peer.name, step) for s in quorum.servers if s.peer):
        return False
    voting = {host_of(s.peer.address) for s in quorum.voters if s.peer}
    views = [v for v in snapshot.servers if v.address in voting and v.reachable and v.peers is not None]
    forgot = sum(not any(_is_victim(p.id, p.name, step) for p in v.peers or ()) for v in views)
    return forgot >= (min(2, len(voting)) if any(v.reachable for v in snapshot.servers) else 0)


def _is_victim(peer_id: str, name: str, step: ServerStep) -> bool:
    return peer_id == step.peer_id or (bool(step.instance_id) and name.partition(".")[0] == step.instance_id)


def _known(snapshot: Snapshot, quorum: Quorum | None) -> Mapping[str, str]:
    """Keep every server of ours whose machine or raft peer may still be there."""
    live = {i.id: i.private_ip for i in live_servers(snapshot) if i.private_ip}
    if quorum is None or quorum.unknown:
        return {**snapshot.record.known, **live}
    peers = [s.peer for s in quorum.servers if s.peer]
    held = {p.name.partition(".")[0] for p in peers} | {host_of(p.address) for p in peers}
    shown = {i.id for i in snapshot.instances}
    old = {i: a for i, a in snapshot.record.known.items() if i in shown or i in held or a in held}
    return {**old, **live}


def _failing(before: Mapping[str, datetime], quorum: Quorum, now: datetime) -> Mapping[str, datetime]:
    """Let a failure begin when enough witnesses agree; it ends only when the server is well, or joins again."""
    if quorum.unknown or quorum.frozen:
        return before
    found: dict[str, datetime] = {}
    for server in quorum.servers:
        back = server.standing or server.verdict is Verdict.JOINING
        if server.failed or (server.name in before and not back):
            found[server.name] = before.get(server.name, now)
    return found


def _frozen(before: FrozenSince | None, quorum: Quorum, now: datetime) -> FrozenSince | None:
    if quorum.frozen is not None:
        since = before.since if before else now
        return FrozenSince(runbook=quorum.frozen.runbook, message=quorum.frozen.message, since=since)
    if before is None or quorum.unknown:
        return before
    clean = before.clean_looks + 1
    return None if clean >= CLEAN_LOOKS else replace(before, clean_looks=clean)


# --- the step --------------------------------------------------------------------------------------------------------


def _step(snapshot: Snapshot, group: ClusterGroup, quorum: Quorum) -> ServersRecord:
    record, step = snapshot.record, snapshot.record.step
    if step is None or quorum.unknown or quorum.frozen:
        return record
    if step.kind is StepKind.ADD:
        return _added(snapshot, group, quorum, step)
    instance = snapshot.instance_by_id.get(step.instance_id)
    if not step.sure:
        late = snapshot.observed_at - step.begun_at > UNSURE_FOR
        return replace(record, step=None) if late else record
    if instance is not None and instance.live:  # EC2 was told to end it, or we died before: seconds tell
        late = step.voluntary and snapshot.observed_at - step.begun_at > UNSURE_FOR
        return replace(record, step=None) if late else record
    ended = instance is None or instance.state == "terminated"
    ends = instance is not None and instance.state == "shutting-down" and not step.voluntary
    return replace(record, step=None) if (ended or ends) and seen_gone(snapshot, quorum, step) else record


def _added(snapshot: Snapshot, group: ClusterGroup, quorum: Quorum, step: ServerStep) -> ServersRecord:
    """Follow a new server until it votes and is settled, or its machine is gone."""
    record, now = snapshot.record, snapshot.observed_at
    if not step.instance_id:
        return record  # EC2 has not answered yet
    instance, server = snapshot.instance_by_id.get(step.instance_id), quorum.of(step.instance_id)
    if instance is not None and not instance.live:
        peer = server.peer.id if server and server.peer else ""
        going = replace(
            step, kind=StepKind.REMOVE, voluntary=False, peer_id=peer, sure=True, address=instance.private_ip
        )
        return barren(replace(record, step=going if peer else None), snapshot, group)
    if server is None:
        lost = group.spec.servers is not None and now - step.begun_at > group.spec.servers.registration_timeout
        return replace(record, step=None) if instance is None and lost else record
    if server.standing and server.voter:
        since = step.voted_at or now
        if now - since >= settling(snapshot):
            return replace(record, step=None, barren=0, barren_revision="", barren_at=None)
        return replace(record, step=replace(step, voted_at=since))
    if server.verdict is Verdict.UNKNOWN:
        return record
    return replace(record, step=replace(step, voted_at=None))


def barren(record: ServersRecord, snapshot: Snapshot, group: ClusterGroup) -> ServersRecord:
    """Count one more server of today's revision that never joined."""
    servers = group.spec.servers
    revision = revision_of(snapshot, group, servers) if servers else ""
    before = record.barren if record.barren_revision == revision else 0
    return replace(record, barren=before + 1, barren_revision=revision, barren_at=snapshot.observed_at)
