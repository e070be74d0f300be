"""Forms the first quorum, once and never twice (semantics §10.12)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import timedelta

from reconciler.machine import marker_template, server_template
from reconciler.packing.census import on_demand_price
from reconciler.reconcilers.servers.health import host_of, live_servers, quorum_of
from reconciler.reconcilers.servers.wanted import arch_of, server_requests
from schemas.document import ClusterGroup, Servers
from schemas.names import form_template, parse_form_template, server_claim
from schemas.plan import (
    Action,
    ForgetMember,
    FormServer,
    GiveUpForming,
    Hold,
    IntroduceServers,
    MarkFormed,
    Plan,
    Reason,
)
from schemas.world import TAG_STORE, Instance, Role, ServerView, Snapshot


def plan_forming(snapshot: Snapshot, group: ClusterGroup, servers: Servers) -> Plan:
    """Form the first quorum: one machine a slot, then the marker once their own agents agree."""
    if (foreign := _foreign(snapshot)) is not None:
        return Plan.held("servers", Reason.FROZEN, foreign)
    live = live_servers(snapshot)
    asked = [plan for slot in range(servers.count) if (plan := _plan_slot(snapshot, group, servers, slot, live))]
    if asked:
        return Plan(actions=tuple(asked), holds=(_forming(servers, live, "its machines are being asked for"),))
    return _plan_marker(snapshot, group, servers, live)


def quorum_missing(addresses: Collection[str], views: Iterable[ServerView]) -> str | None:
    """Say what keeps the servers at these private addresses from being one quorum of exactly themselves; None: nothing.

    Every one is asked at its own address: all must name one leader and the same raft configuration, which holds just
    these addresses, all voting.
    """
    seen = {view.address: view for view in views}
    if silent := [a for a in sorted(addresses) if a not in seen or not seen[a].reachable]:
        return f"{len(addresses) - len(silent)} of {len(addresses)} agents answer; silent: {', '.join(silent)}"
    mine = [seen[a] for a in sorted(addresses)]
    if leaderless := [view.address for view in mine if not view.leader]:
        return f"no leader is known to {', '.join(leaderless)}"
    if len(leaders := sorted({view.leader or "" for view in mine})) > 1:
        return f"they name different leaders: {', '.join(leaders)}"
    for view in mine:
        voters = {host_of(peer.address) for peer in view.peers or () if peer.voter}
        if voters != set(addresses):
            return (
                f"{view.address} counts {', '.join(sorted(voters)) or 'nobody'} as voters, not all of {len(addresses)}"
            )
    return None


def not_to_be_given_up(address: str, views: Iterable[ServerView], *, impaired: bool) -> str | None:
    """Say why a forming server whose agent does not answer us may still be needed; None: it is not.

    Where no agent at all answers, it may be us who are cut off from a quorum that has formed: EC2's status checks
    decide. Where some do, those voters of theirs that answer must be a quorum without it.
    """
    answering = [view for view in views if view.reachable]
    if not answering and not impaired:
        return "no agent answers at its own address, so it may be us who cannot reach them, and EC2 calls it well"
    there = {view.address for view in answering} - {address}
    for view in answering:
        voters = {host_of(peer.address) for peer in view.peers or () if peer.voter}
        if voters and len(left := voters & there) < quorum_of(len(voters)):
            return f"{view.address} counts {len(voters)} voters, and only {len(left)} of them answer without it"
    return None


def alone(address: str, views: Sequence[ServerView]) -> bool:
    """Tell whether a forming server's agent answers and knows only itself, while others know each other."""
    mine = next((v for v in views if v.address == address and v.reachable), None)
    others = [v for v in views if v.reachable and v.address != address]
    knows_nobody = mine is not None and not mine.leader and set(mine.members or ()) <= {address}
    return knows_nobody and any(set(v.members or ()) - {v.address, address} for v in others)


def _foreign(snapshot: Snapshot) -> str | None:
    """Say why nothing may be formed here: signs of a cluster that was there before."""
    for instance in snapshot.instances:
        if TAG_STORE in instance.tags:
            return (
                f"{instance.id} carries {TAG_STORE}: a quorum with a store was here before; nothing is formed beside it"
            )
    slots = [i for i in snapshot.instances if i.role == Role.SERVER]
    ours = {i.private_ip for i in slots} | {i.id for i in slots}  # a machine that is gone has an id, and no address
    for view in snapshot.servers:
        for peer in view.peers or ():
            if not {host_of(peer.address), peer.name.partition(".")[0]} & ours:
                return f"{view.address} has the raft peer {peer.name} at {peer.address}, which is no slot of ours"
    return None


# --- slots -----------------------------------------------------------------------------------------------------------


def _plan_slot(
    snapshot: Snapshot, group: ClusterGroup, servers: Servers, slot: int, live: Sequence[Instance]
) -> FormServer | None:
    """Ask for a slot's machine where it has none: the highest attempt again, or the slot's next life."""
    life, attempt = _highest(snapshot, group.metadata.name, slot)
    if any(i.claim == server_claim(slot, life) for i in live):
        return None
    if any(i.claim == server_claim(slot, life) for i in snapshot.instances):
        life, attempt = life + 1, 0  # EC2 shows it gone
    again = form_template(group.metadata.name, slot, life, attempt) in snapshot.templates
    requests = server_requests(snapshot, group, servers, slot)
    first = requests[attempt % len(requests)]
    why = (
        "whether it was launched is unknown: asked again" if again else f"slot {slot} of {servers.count} has no machine"
    )
    return FormServer(
        group=group.metadata.name,
        slot=slot,
        life=life,
        attempt=attempt,
        template=server_template(group, arch_of(snapshot, first.instance_type)),
        requests=requests,
        reason=f"forming the quorum: {why}",
        price=max(on_demand_price(snapshot, r.instance_type) for r in requests),
    )


def _highest(snapshot: Snapshot, group: str, slot: int) -> tuple[int, int]:
    """Give the slot's highest life, and that life's highest attempt; (0, 0) where nothing was asked for yet."""
    made = [found for name in snapshot.templates if (found := parse_form_template(group, name)) and found[0] == slot]
    return max(((life, attempt) for _, life, attempt in made), default=(0, 0))


# --- the marker ------------------------------------------------------------------------------------------------------


def _plan_marker(snapshot: Snapshot, group: ClusterGroup, servers: Servers, live: Sequence[Instance]) -> Plan:
    """All slots have machines: mark the quorum formed when their agents agree, introduce those who found nobody."""
    addresses = {i.private_ip for i in live}
    missing = quorum_missing(addresses, snapshot.servers)
    if missing is None:
        names = tuple(sorted(n for n in snapshot.templates if parse_form_template(group.metadata.name, n)))
        reason = f"{len(live)} agents name one leader, and raft holds exactly them"
        mark = MarkFormed(marker=marker_template(group), count=servers.count, attempts=names, reason=reason)
        return Plan(actions=(mark,))
    actions: tuple[Action, ...] = tuple(
        IntroduceServers(
            asked=view.address,
            addresses=tuple(sorted(addresses - {view.address})),
            reason=f"{view.address} joined only itself"
            if view.members is not None
            else f"{view.address} knows no leader, and shows nobody whom it has joined",
        )
        for view in snapshot.servers
        if view.address in addresses and _unmet(view, hidden=group.spec.nomad.acl)
    )
    everybody = addresses <= {view.address for view in snapshot.servers if view.reachable}
    overdue = tuple(_overdue(snapshot, group, servers, live))
    needed = tuple(
        Hold(subject=a.subject, reason=Reason.QUORUM_AT_RISK, message=f"{a.reason}; {why}", passing=True)
        for a in overdue
        if (why := _needed(snapshot, a)) is not None
    )
    given_up = tuple(a for a in overdue if _needed(snapshot, a) is None)[:1]  # one at a time: the next look shows more
    ghosts = tuple(_ghosts(snapshot, live))
    return Plan(
        actions=(*given_up, *ghosts, *(actions if everybody else ())),
        holds=(_forming(servers, live, missing), *needed),
    )


def _unmet(view: ServerView, *, hidden: bool) -> bool:
    """Tell whether a server joined only itself, or, ``hidden`` by ACLs that have no token yet, perhaps did."""
    if view.members is None:
        return hidden and view.reachable and not view.leader
    return set(view.members) <= {view.address}


def _needed(snapshot: Snapshot, action: GiveUpForming) -> str | None:
    impaired = action.instance_id in snapshot.look.impaired
    return not_to_be_given_up(action.address, snapshot.servers, impaired=impaired)


def _overdue(
    snapshot: Snapshot, group: ClusterGroup, servers: Servers, live: Sequence[Instance]
) -> Iterator[GiveUpForming]:
    """Give up machines whose agents should have answered, and found the others, by now: next lives for their slots."""
    answering = {view.address for view in snapshot.servers if view.reachable}
    for instance in live:
        age, outside = snapshot.observed_at - instance.launched_at, alone(instance.private_ip, snapshot.servers)
        if age > servers.registration_timeout and (outside or instance.private_ip not in answering):
            state = "finds no other server" if outside else "is silent"
            yield GiveUpForming(
                group=group.metadata.name,
                instance_id=instance.id,
                address=instance.private_ip,
                reason=f"{instance.id} ({instance.claim}) was launched {_minutes(age)} ago and its agent {state};"
                f" registrationTimeout is {_minutes(servers.registration_timeout)}",
            )


def _ghosts(snapshot: Snapshot, live: Sequence[Instance]) -> Iterator[ForgetMember]:
    """Find members whose machines are gone: Nomad asks everyone it lists before it forms a quorum, the dead too."""
    there = {i.id for i in live}
    listed = {m.name: m.status for v in snapshot.servers for m in v.gossip or ()}
    for name, status in sorted(listed.items()):
        machine = name.partition(".")[0]
        if status in {"failed", "left"} and machine not in there and machine in snapshot.record.known:
            yield ForgetMember(name=name, reason=f"gossip lists {name} as {status}, and its machine is gone")


def _minutes(span: timedelta) -> str:
    return f"{span / timedelta(minutes=1):.0f} min"


def _forming(servers: Servers, live: Sequence[Instance], what: str) -> Hold:
    message = f"{len(live)} of {servers.count} servers have a machine; {what}"
    return Hold(subject="servers", reason=Reason.SERVERS_FORMING, message=message, passing=True)
