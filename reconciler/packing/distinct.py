"""Nomad's distinct constraints, said so that a packer understands: once a machine, or so many copies for each value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from reconciler.packing.candidate import Candidate, is_unique, of_node
from reconciler.packing.constraints import distinct_property_max, wants_distinct_hosts
from reconciler.packing.feasible import Blocker, Kind, spelt
from reconciler.packing.room import Room, Tenant
from reconciler.packing.wants import Want
from schemas.world import Constraint, Snapshot

Pins = tuple[tuple[str, str], ...]  # (target, value) pairs that a machine must show
_Key = tuple[str, ...]  # namespace, job, group or "", target, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Copies of a want that must share values of a property."""

    want: Want
    copies: int
    pins: Pins = ()


def tokens(want: Want) -> frozenset[str]:
    """Name the things of which a machine has one: static ports, and being the host of a job or of a group."""
    hosts = {
        _host(want, constraint)
        for constraint in want.group.constraints
        if constraint.operand == "distinct_hosts" and wants_distinct_hosts(constraint.right)
    }
    return frozenset({f"port {port}" for port in want.group.static_ports} | hosts)


def taken(room: Room, asked: Iterable[str]) -> frozenset[str]:
    """Which of these things a machine has given away already."""
    hosts = {f"host of {namespace}/{job}" for namespace, job, _ in room.tenants}
    hosts |= {f"host of {namespace}/{job}.{group}" for namespace, job, group in room.tenants}
    return frozenset(t for t in asked if t in hosts or (t.startswith("port ") and int(t[5:]) in room.ports))


def copies_most(want: Want) -> int | None:
    """How many copies one machine may have when a property is unique to each; None is any number."""
    limits = [
        most
        for constraint in want.group.constraints
        if constraint.operand == "distinct_property" and is_unique(constraint.left)
        if (most := distinct_property_max(constraint.right)) is not None
    ]
    return min(limits, default=None)


def copies_there(want: Want, room: Room) -> int:
    """How many copies on a machine count against ``copies_most``: the job's or the group's."""
    of_job = any(
        c.operand == "distinct_property" and is_unique(c.left) and c.scope == "job" for c in want.group.constraints
    )
    return sum(n for tenant, n in room.tenants.items() if _counts(tenant, want, whole_job=of_job))


@dataclass(slots=True)
class Spread:
    """Deals copies out over the values of their properties; what it dealt counts against the next."""

    snapshot: Snapshot
    given: Sequence[tuple[Want, Candidate, int]] = ()  # copies that have a place though they are not there yet
    used: Counter[_Key] = field(default_factory=Counter)
    counted: set[_Key] = field(default_factory=set)

    def parts(self, want: Want, passing: Callable[[], Sequence[Candidate]]) -> tuple[list[Part], Blocker | None]:
        """Deal a want out; ``passing`` gives the candidates that pass its filters, the preferred first.

        Gives the parts, and what keeps the rest from being placed at all.
        """
        rules = [c for c in want.group.constraints if c.operand == "distinct_property" and not is_unique(c.left)]
        if not rules:
            return [Part(want=want, copies=want.copies)], None
        dealt: list[Part] = []
        left = want.copies
        options = dict.fromkeys(values for c in passing() if (values := _values(rules, c)) is not None)
        while left:
            rooms = {values: self._left(want, rules, values) for values in options}
            best = max(rooms.items(), key=lambda item: item[1], default=((), 0))
            if best[1] <= 0:
                break
            copies = min(left, best[1])
            dealt.append(Part(want=want, copies=copies, pins=tuple(zip((r.left for r in rules), best[0], strict=True))))
            for rule, value in zip(rules, best[0], strict=True):
                self.used[_key(want, rule, value)] += copies
            left -= copies
        if not left:
            return dealt, None
        seen = ", ".join(sorted({value for values in options for value in values})) or "no value"
        text = f"constraint {' and '.join(spelt(r) for r in rules)}: {seen} can take no more copies, {left} are left"
        return dealt, Blocker(kind=Kind.DISTINCT, text=text)

    def _left(self, want: Want, rules: Sequence[Constraint], values: tuple[str, ...]) -> int:
        least = want.copies
        for rule, value in zip(rules, values, strict=True):
            most = distinct_property_max(rule.right)
            self._count(want, rule)
            least = min(least, (most or 0) - self.used[_key(want, rule, value)])
        return least

    def _count(self, want: Want, rule: Constraint) -> None:
        """Count the values that copies use already, once for each rule."""
        if (key := _key(want, rule, "")) in self.counted:
            return
        self.counted.add(key)
        nodes = {n.id: n for n in self.snapshot.nodes}
        for allocation in self.snapshot.allocations:
            tenant = (allocation.namespace, allocation.job_id, allocation.group)
            if not allocation.takes_room or allocation.desired != "run" or allocation.node_id not in nodes:
                continue
            if _counts(tenant, want, whole_job=rule.scope == "job"):
                value = of_node(nodes[allocation.node_id]).resolve(rule.left)
                self.used[_key(want, rule, value or "")] += 1
        for other, candidate, copies in self.given:
            tenant = (other.job.namespace, other.job.id, other.group.name)
            if _counts(tenant, want, whole_job=rule.scope == "job"):
                self.used[_key(want, rule, candidate.resolve(rule.left) or "")] += copies


def pinned(candidate: Candidate, pins: Pins) -> bool:
    """Tell whether a machine shows all these values."""
    return all(candidate.resolve(target) == value for target, value in pins)


def _values(rules: Sequence[Constraint], candidate: Candidate) -> tuple[str, ...] | None:
    """Give the property values of a machine; None when one is missing, which fails the constraint."""
    values = [candidate.resolve(rule.left) for rule in rules]
    return tuple(v for v in values if v is not None) if None not in values else None


def _key(want: Want, rule: Constraint, value: str) -> _Key:
    group = "" if rule.scope == "job" else want.group.name
    return (want.job.namespace, want.job.id, group, rule.left, value)


def _counts(tenant: Tenant, want: Want, *, whole_job: bool) -> bool:
    mine = (want.job.namespace, want.job.id)
    return tenant[:2] == mine and (whole_job or tenant[2] == want.group.name)


def _host(want: Want, constraint: Constraint) -> str:
    job = f"host of {want.job.namespace}/{want.job.id}"
    return job if constraint.scope == "job" else f"{job}.{want.group.name}"
