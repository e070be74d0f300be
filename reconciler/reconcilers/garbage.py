"""Ends machines of ours that nothing explains: claims that the journal never gave out, stopped clients (semantics §8).

That Nomad shows no node ends no machine by itself: an empty list may be a lie. A claim that the journal gave out and
forgot had its nodes; such a machine without one is named, and left to whoever looks after its health. One machine is
ended a pass, so that a mistake in what we read can be seen before it has cost a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from schemas.document import ClusterGroup
from schemas.plan import EndMachine, Hold, Plan, Reason
from schemas.world import TAG_STORE, Instance, Role, Snapshot

GRACE: Final = timedelta(minutes=5)  # beyond the time that a machine has to register
_UNKNOWN_POOL: Final = timedelta(minutes=10)


def plan_garbage(snapshot: Snapshot, group: ClusterGroup) -> Plan:
    """End one machine that nothing explains, and name the others; nothing when anybody is silent."""
    if snapshot.unanswered or snapshot.store_id is None:
        return Plan()
    actions: list[EndMachine] = []
    holds: list[Hold] = []
    for instance in _unexplained(snapshot):
        why = _wrong_with(instance)
        if instance.tags.get(TAG_STORE) != snapshot.store_id:
            other = f"belongs to store {instance.tags[TAG_STORE]}" if TAG_STORE in instance.tags else "names no store"
            message = f"{instance.id} {why}, and it {other}: it is left to whoever launched it"
            holds.append(_hold(instance, message))
        elif instance.state != "stopped" and given_out(instance, snapshot.ordinals):
            message = f"{instance.id} has no node in Nomad; its claim {instance.claim} had its answer long ago"
            holds.append(_hold(instance, f"{message}: look at its console, and end it by hand if it is of no use"))
        elif (left := _patience(instance, group) - (snapshot.observed_at - instance.launched_at)) > timedelta():
            minutes = -(-left // timedelta(minutes=1))
            holds.append(_hold(instance, f"{instance.id} {why}; it is ended in {minutes} minutes if it stays so"))
        elif actions:
            holds.append(_hold(instance, f"{instance.id} {why}; it is ended after {actions[0].instance_id}"))
        else:
            actions.append(EndMachine(instance_id=instance.id, reason=why))
    return Plan(actions=tuple(actions), holds=tuple(holds))


def given_out(instance: Instance, ordinals: Mapping[str, int]) -> bool:
    """Tell whether the journal gave a claim out: it counts them for each pool, and forgets those that are over."""
    pool, _, ordinal = instance.claim.rpartition("-")
    return pool == instance.pool and ordinal.isdecimal() and int(ordinal) <= ordinals.get(pool, 0)


def _unexplained(snapshot: Snapshot) -> Iterator[Instance]:
    """Give live clients without claim and node, and stopped ones, oldest first."""
    claims = {claim.name for claim in snapshot.claims}
    known = {node.instance_id for node in snapshot.nodes}
    for instance in sorted(snapshot.instances, key=lambda i: (i.launched_at, i.id)):
        if instance.role != Role.CLIENT or not instance.live:
            continue
        if instance.state == "stopped" or (instance.claim not in claims and instance.id not in known):
            yield instance


def _wrong_with(instance: Instance) -> str:
    """Say why a machine is not explained."""
    if instance.state == "stopped":
        return "is a stopped client: nothing will start it again"
    claim = f"claim {instance.claim}" if instance.claim else "a machine without a claim"
    return f"has no node in Nomad, and the journal never gave out {claim}"


def _patience(instance: Instance, group: ClusterGroup) -> timedelta:
    """Give how old a machine must be: a stopped one has had its time."""
    if instance.state == "stopped":
        return timedelta()
    pool = next((pool for pool in group.spec.pools if pool.name == instance.pool), None)
    return GRACE + (pool.registration.timeout if pool else _UNKNOWN_POOL)


def _hold(instance: Instance, message: str) -> Hold:
    return Hold(subject=f"node/{instance.id}", reason=Reason.GARBAGE, message=message)
