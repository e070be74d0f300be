"""What servers need beside their number: snapshots on time and before upgrades, addresses, the first token. Pure."""

from __future__ import annotations

from datetime import timedelta

from reconciler.reconcilers.servers.health import Quorum, live_servers
from schemas.document import ClusterGroup, Servers
from schemas.names import parse_server_claim
from schemas.plan import BootstrapAcl, GiveAddress, Hold, Plan, Reason, SaveSnapshot
from schemas.world import Instance, ServerView, Snapshot

FRESH = timedelta(hours=1)  # a snapshot this young is one from before the upgrade's next step
AGAIN = timedelta(minutes=5)  # a snapshot that could not be saved is tried again so often


# --- snapshots --------------------------------------------------------------------------------------------------------


def plan_snapshot(snapshot: Snapshot, servers: Servers) -> Plan:
    """Save the state when its time has come; a leader that cannot be asked is waited for."""
    wanted, saved = servers.snapshots, snapshot.record.saved
    if wanted.to is None or wanted.every is None:
        return Plan()
    if saved is not None and snapshot.observed_at - saved.at < wanted.every:
        return Plan()
    last = f"the last one is of {saved.at:%Y-%m-%d %H:%M}" if saved else "none was saved yet"
    return _save(snapshot, servers, Reason.SCHEDULED, f"every {_span(wanted.every)}, and {last}")


def saved_first(snapshot: Snapshot, servers: Servers) -> Plan | None:
    """Give what an upgrade's next step waits for: a snapshot of the last hour; None: it is there, or none is wanted."""
    saved = snapshot.record.saved
    if servers.snapshots.to is None or (saved is not None and snapshot.observed_at - saved.at < FRESH):
        return None
    return _save(snapshot, servers, Reason.OUTDATED, "before servers are replaced by others")


def _save(snapshot: Snapshot, servers: Servers, cause: Reason, why: str) -> Plan:
    failed, to = snapshot.record.save_failed_at, servers.snapshots.to or ""
    if failed is not None and snapshot.observed_at - failed < AGAIN:
        message = f"a snapshot is due ({why}); at {failed:%H:%M:%S} it could not be saved to {to}, tried again at"
        return Plan.held("snapshots", Reason.SNAPSHOT_FAILED, f"{message} {failed + AGAIN:%H:%M:%S}")
    return Plan(actions=(SaveSnapshot(to=to, keep=servers.snapshots.keep, cause=cause, reason=why),))


# --- addresses --------------------------------------------------------------------------------------------------------


def plan_addresses(snapshot: Snapshot, servers: Servers) -> Plan:
    """Give each running server one of the document's Elastic IPs: its slot's if that is free, else the first free one.

    Who has one keeps it. A surge server waits until the one that it replaces has gone.
    """
    if not servers.elastic_ips or snapshot.elastic_ips is None:
        return Plan()
    known = {a.allocation_id: a for a in snapshot.elastic_ips if a.allocation_id in servers.elastic_ips}
    live = {i.id for i in live_servers(snapshot)}
    has = {a.instance_id for a in known.values()}
    free = [a for a in servers.elastic_ips if a in known and not known[a].instance_id]
    leaving = snapshot.record.step.instance_id if snapshot.record.step and not snapshot.record.step.claim else ""
    actions = []
    for instance in sorted(live_servers(snapshot), key=lambda i: (_slot(i), i.id)):
        if instance.state != "running" or instance.id in has or instance.id == leaving or not free:
            continue
        slot = _slot(instance)
        own = servers.elastic_ips[slot] if slot < len(servers.elastic_ips) else ""
        chosen = own if own in free else free[0]
        free.remove(chosen)
        reason = f"{instance.id} (slot {slot}) has no Elastic IP, and {known[chosen].public_ip} is free"
        actions.append(GiveAddress(allocation_id=chosen, instance_id=instance.id, reason=reason))
    taken = [
        a
        for a in known.values()
        if a.instance_id and a.instance_id not in live and not _ending(snapshot, a.instance_id)
    ]
    holds = [
        Hold(
            subject=f"address/{a.allocation_id}",
            reason=Reason.ADDRESS_TAKEN,
            message=f"{a.public_ip} belongs to {a.instance_id}, which is no server of this group: it is not taken away",
        )
        for a in taken
    ]
    holds += [
        Hold(subject=f"address/{a}", reason=Reason.ADDRESS_TAKEN, message="the region has no such Elastic IP")
        for a in servers.elastic_ips
        if a not in known
    ]
    return Plan(actions=tuple(actions), holds=tuple(holds))


def _slot(instance: Instance) -> int:
    found = parse_server_claim(instance.claim)
    return found[0] if found else 1 << 30


def _ending(snapshot: Snapshot, instance_id: str) -> bool:
    instance = snapshot.instance_by_id.get(instance_id)
    return instance is not None and not instance.live


# --- the first token --------------------------------------------------------------------------------------------------


def plan_acl(group: ClusterGroup, views: tuple[ServerView, ...]) -> Plan:
    """Give the first management token to servers that form, as soon as they all name one leader (semantics §10.13).

    With ACLs on, nobody shows us raft before that, and so there is no marker: this ends when the marker is made.
    """
    nomad = group.spec.nomad
    leaders = {v.leader for v in views if v.reachable}
    if not nomad.acl or nomad.bootstrap_token is None or len(leaders) != 1 or not all(leaders):
        return Plan()
    reason = f"ACLs are on, and {next(iter(leaders))} leads: its first management token is nomad.bootstrapToken"
    return Plan(actions=(BootstrapAcl(leader=str(next(iter(leaders))), reason=reason),))


def upkeep(snapshot: Snapshot, servers: Servers, quorum: Quorum) -> Plan:
    """Give all that a formed quorum needs beside its steps; nothing while it is frozen or its leader is silent."""
    if quorum.frozen is not None or quorum.unknown or not quorum.leader:
        return Plan()
    return plan_snapshot(snapshot, servers) + plan_addresses(snapshot, servers)


def _span(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    return f"{hours:g} h" if hours >= 1 else f"{span / timedelta(minutes=1):g} min"
