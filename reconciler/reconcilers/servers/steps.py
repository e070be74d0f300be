"""Keeps a formed quorum at its count and as specified: one step at a time, the dead before the rest (semantics §10).

Nothing here remembers a rollout: which step is next follows from who is there. One too few: add. One too many: remove
the one that should go first. Right in number and one outdated: add, and the surplus makes it go. So a document changed
back in the middle needs no undoing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.machine import named_server_template, server_template
from reconciler.reconcilers.servers.health import Quorum, ServerHealth, Verdict, assess, host_of, live_servers
from reconciler.reconcilers.servers.record import seen_gone
from reconciler.reconcilers.servers.upkeep import saved_first
from reconciler.reconcilers.servers.wanted import (
    arch_of,
    best_request,
    downgrade,
    marked,
    outdated,
    price_of,
    revision_of,
    uneven,
)
from schemas.document import ClusterGroup, Servers
from schemas.faults import Source
from schemas.names import parse_server_claim, server_claim
from schemas.plan import (
    AddServer,
    Hold,
    IntroduceServers,
    Plan,
    QuorumChange,
    Reason,
    RemovePeer,
    TerminateServer,
    TransferLeadership,
)
from schemas.servers import ServerStep, StepKind
from schemas.world import Instance, Snapshot

LEFT_ALONE = timedelta(seconds=60)  # a dead peer's: autopilot removes it by itself, or never will
SILENT_FOR = timedelta(seconds=30)  # a server that was told to go and still is a peer
QUIET_FOR = timedelta(minutes=10)  # so long no server is new before zones are evened out
BARREN_MOST = 3  # servers in a row that never joined, before only one is tried ...
BARREN_PAUSE = timedelta(minutes=30)  # ... so often


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that a step is decided from."""

    snapshot: Snapshot
    group: ClusterGroup
    servers: Servers
    quorum: Quorum

    @property
    def now(self) -> datetime:
        """When it was looked."""
        return self.snapshot.observed_at


def plan_steps(snapshot: Snapshot, group: ClusterGroup, servers: Servers) -> Plan:
    """Give the one next action for a formed quorum, or say what it waits for."""
    if (silent := snapshot.unanswered.get(Source.STORE)) is not None:
        return Plan.held("servers", Reason.SOURCE_UNANSWERED, f"the store did not answer: {silent}", passing=True)
    quorum = assess(snapshot)
    if (frozen := quorum.frozen) is not None:
        return Plan.held("servers", Reason.FROZEN, frozen.told, passing=frozen.passing)
    if (was := snapshot.record.frozen) is not None:
        now = f"nobody can tell now: {quorum.unknown}" if quorum.unknown else "all is clear now, looked at once more"
        message = f"frozen since {was.since:%H:%M:%S}: {was.message}; {now}; see docs/runbooks/{was.runbook}.md"
        return Plan.held("servers", Reason.FROZEN, message, passing=True)
    if quorum.unknown:
        message = f"the servers' leader did not answer: {quorum.unknown}"
        return Plan.held("servers", Reason.SOURCE_UNANSWERED, message, passing=True)
    case = Case(snapshot=snapshot, group=group, servers=servers, quorum=quorum)
    failing = Plan(holds=tuple(_failing(case)))
    step = snapshot.record.step
    if step is not None and step.sure:
        return _go_on(case, step) + failing
    for rule in (_dead_server, _stale_peer, _too_few, _too_many, _not_as_specified, _unevenly_spread, _not_well):
        if (plan := rule(case)) is not None:
            return plan + failing
    return failing


def due(case: Case, server: ServerHealth) -> datetime | None:
    """Say when a failed server is replaced; None for one that has not failed, and for one that still may boot.

    One that never joined has ``registrationTimeout`` from its launch, one that did has ``replaceAfter``.
    """
    instance = server.instance
    if instance is None or not instance.live:
        return None
    if server.peer is None and server.gossip in {"", "alive"}:
        return instance.launched_at + case.servers.registration_timeout
    since = case.snapshot.record.failing.get(server.name)
    return since + case.servers.replace_after if since is not None else None


# --- a step that was begun -------------------------------------------------------------------------------------------


def _go_on(case: Case, step: ServerStep) -> Plan:
    """Carry on with what was begun, and with nothing else."""
    if step.kind is StepKind.ADD:
        return _joining(case, step)
    instance = case.snapshot.instance_by_id.get(step.instance_id)
    server = next((s for s in case.quorum.servers if _is_of(s, step)), None)
    if instance is not None and instance.live:
        return Plan(actions=(_terminate(case, server or _bare(instance), Reason.SERVER_LEAVING, step.reason, step),))
    if server is not None and server.peer is not None:
        gone = instance is None or instance.state == "terminated"
        silent = server.reachable is False and case.now - step.begun_at >= SILENT_FOR
        if gone or silent:
            why = "its machine is gone" if gone else "it ends, and its agent is silent"
            return Plan(actions=(_remove_peer(case, server, f"{step.reason}; {why}, and raft still has it"),))
    what = "raft has forgotten it" if seen_gone(case.snapshot, case.quorum, step) else "raft still has it"
    state = f"EC2 says {instance.state}" if instance else "its machine is gone"
    message = f"{step.instance_id or step.peer_id} leaves: {state}, {what}; {case.quorum.figures}"
    return Plan.held("servers", Reason.SERVER_LEAVING, message, passing=True)


def _joining(case: Case, step: ServerStep) -> Plan:
    instance = case.snapshot.instance_by_id.get(step.instance_id)
    if instance is None:
        message = f"{step.claim} was asked for, and EC2 does not show it yet"
        return Plan.held("servers", Reason.SERVER_JOINING, message, passing=True)
    server = case.quorum.of(instance.id) or _bare(instance)
    age = case.now - instance.launched_at
    if step.voted_at is None and age > case.servers.registration_timeout:
        patience = _minutes(case.servers.registration_timeout)
        reason = (
            f"{instance.id} ({step.claim}) was launched {_minutes(age)} ago and is no healthy voter"
            f" ({server.reason or server.verdict}); registrationTimeout is {patience}"
        )
        return Plan(actions=(_terminate(case, server, Reason.NEVER_JOINED, reason, step),))
    introduced = tuple(_introduced(case, instance)) if server.peer is None else ()
    if step.voted_at is not None:
        state = f"votes since {(case.now - step.voted_at).seconds} s"
    else:
        state = "is no voter yet" if server.peer else "boots"
    message = f"{instance.id} ({step.claim}) {state}; {case.quorum.figures}"
    return Plan(actions=introduced) + Plan.held("servers", Reason.SERVER_JOINING, message, passing=True)


def _introduced(case: Case, instance: Instance) -> Iterator[IntroduceServers]:
    """Introduce a joiner that found only itself, as who comes up while no other answers does, and never asks again."""
    view = next((v for v in case.snapshot.servers if v.address == instance.private_ip and v.reachable), None)
    if view is not None and view.members is not None and set(view.members) <= {view.address}:
        voters = tuple(sorted(host_of(s.peer.address) for s in case.quorum.voters if s.peer and s.reachable))
        if voters:
            yield IntroduceServers(asked=view.address, addresses=voters, reason=f"{instance.id} joined only itself")


def _is_of(server: ServerHealth, step: ServerStep) -> bool:
    by_peer = server.peer is not None and server.peer.id == step.peer_id
    return by_peer or (bool(step.instance_id) and server.name.partition(".")[0] == step.instance_id)


# --- the dead --------------------------------------------------------------------------------------------------------


def _failing(case: Case) -> Iterator[Hold]:
    """Name who has failed and may still come back."""
    for server in case.quorum.servers:
        when = due(case, server)
        if when is not None and when > case.now and server.name in case.snapshot.record.failing:
            since = case.snapshot.record.failing[server.name]
            message = (
                f"failed since {since:%H:%M:%S}: {server.reason}; it has until {when:%H:%M:%S} to come back by itself,"
                f" then it is replaced; {case.quorum.figures}"
            )
            yield Hold(subject=f"server/{server.name}", reason=Reason.SERVER_FAILING, message=message, passing=True)


def _dead_server(case: Case) -> Plan | None:
    """End the machine of a server that had its time to come back: before all other work, ignoring windows."""
    over = [(when, s) for s in case.quorum.servers if (when := due(case, s)) is not None and when <= case.now]
    if not over:
        return None
    _, server = min(over, key=lambda pair: (pair[1].voter, pair[0], pair[1].name))
    never = server.peer is None and server.gossip in {"", "alive"}
    cause = Reason.NEVER_JOINED if never else Reason.SERVER_FAILED
    reason = f"{'registrationTimeout' if never else 'replaceAfter'} is over: {server.reason}"
    if case.quorum.leads(server):  # ill by all others' word, and still it leads
        return _hand_over(case, server, cause, reason)
    return Plan(actions=(_terminate(case, server, cause, reason, None),))


def _stale_peer(case: Case) -> Plan | None:
    """Remove a raft peer whose machine is gone, unless autopilot does (semantics §10.8)."""
    gone = [s for s in case.quorum.servers if s.peer and (s.instance is None or not s.instance.live)]
    if not gone:
        return None
    server = min(gone, key=lambda s: s.name)
    since = case.snapshot.record.failing.get(server.name, case.now)
    if server.gossip == "alive" or case.now - since < LEFT_ALONE:
        message = (
            f"raft has {server.name}, whose machine is gone; autopilot may remove it by itself until"
            f" {since + LEFT_ALONE:%H:%M:%S}, gossip says {server.gossip or 'nothing'}; {case.quorum.figures}"
        )
        return Plan.held("servers", Reason.STALE_PEER, message, passing=True)
    return Plan(actions=(_remove_peer(case, server, "its machine is gone, and raft still has it"),))


# --- how many --------------------------------------------------------------------------------------------------------


def _too_few(case: Case) -> Plan | None:
    live = live_servers(case.snapshot)
    if len(live) >= case.servers.count:
        return None
    return _add(case, Reason.MISSING, f"{len(live)} of {case.servers.count} servers are there", _zones(case, live))


def _too_many(case: Case) -> Plan | None:
    live = live_servers(case.snapshot)
    if len(live) <= case.servers.count:
        return None
    victim = _victim(case)
    if victim is None:
        return None
    cause, why = _cause(case, victim)
    reason = f"{len(live)} servers are there, {case.servers.count} are wanted, and this one goes first: {why}"
    if (wait := unready(case.quorum, but=victim.name)) is not None:
        return Plan.held("servers", Reason.QUORUM_AT_RISK, f"{victim.name} is to go ({why}); {wait}", passing=True)
    if case.quorum.leads(victim):
        return _hand_over(case, victim, cause, reason)
    return Plan(actions=(_terminate(case, victim, cause, reason, None),))


def _not_as_specified(case: Case) -> Plan | None:
    """Add the replacement of a server that is marked or outdated; once it votes there is one too many."""
    due_ones = [(s, why) for s in case.quorum.servers if (why := must_go(case, s)) is not None]
    if not due_ones:
        return None
    named = ", ".join(f"{s.name} ({why})" for s, why in due_ones)
    what = f"{len(due_ones)} of {case.servers.count} servers are to be replaced, one after the other: {named}"
    if (wait := unready(case.quorum)) is not None:
        return Plan.held("servers", Reason.QUORUM_AT_RISK, f"{what}; {wait}", passing=True)
    if (waiting := saved_first(case.snapshot, case.servers)) is not None:
        return waiting
    is_marked = any(s.instance is not None and marked(s.instance) for s, _ in due_ones)
    going = {s.name for s, _ in due_ones}
    staying = [i for i in live_servers(case.snapshot) if i.id not in going]
    step = _add(case, Reason.MARKED if is_marked else Reason.OUTDATED, what, _zones(case, staying))
    return step + Plan(holds=tuple(_ahead(case, [s for s, _ in due_ones]))) if step.actions else step


def _ahead(case: Case, going: Sequence[ServerHealth]) -> Iterator[Hold]:
    """Tell of each that is to go when it does, and what each of its steps does to the quorum."""
    voters, healthy = len(case.quorum.voters), case.quorum.healthy
    joins = added(case.quorum)
    leaves = QuorumChange(voters=voters + 1, healthy=healthy + 1, voters_after=voters + 1, healthy_after=healthy)
    ordered = sorted(going, key=lambda s: _order(case, s, Counter()))
    for place, server in enumerate(ordered, 1):
        hands_over = "leadership is handed over, " if case.quorum.leads(server) else ""
        yield Hold(
            subject=f"server/{server.name}",
            reason=Reason.ONE_AT_A_TIME,
            message=(
                f"it goes as number {place} of {len(ordered)}: its replacement joins ({joins.told}), {hands_over}it is"
                f" ended ({leaves.told}), and raft forgets it (voters {voters}, tolerance {case.quorum.tolerance})"
            ),
            passing=True,
        )


def _unevenly_spread(case: Case) -> Plan | None:
    """Add a server in the emptiest zone when all has been quiet; once it votes, one of the fullest zone goes."""
    live = live_servers(case.snapshot)
    found = uneven(case.group, [i.zone for i in live])
    if found is None or unready(case.quorum) is not None:
        return None
    what, zones = found
    if (left := max(i.launched_at for i in live) + QUIET_FOR - case.now) > timedelta(0):
        message = f"{what}: evened out in {_minutes(left)}, if all stays quiet"
        return Plan.held("servers", Reason.SPREAD, message, passing=True)
    return _add(case, Reason.SPREAD, what, zones)


def _not_well(case: Case) -> Plan | None:
    """Nothing is to be done, and not all are healthy voters: it has not converged."""
    failing = case.snapshot.record.failing
    holds = tuple(
        Hold(
            subject=f"server/{s.name}",
            reason=Reason.SERVER_JOINING if s.verdict is Verdict.JOINING else Reason.QUORUM_AT_RISK,
            message=f"it is {s.verdict}{f': {s.reason}' if s.why else ''}; {case.quorum.figures}",
            passing=True,
        )
        for s in case.quorum.servers
        if not (s.standing and s.voter) and s.name not in failing
    )
    return Plan(holds=holds) if holds else None


def must_go(case: Case, server: ServerHealth) -> str | None:
    """Say why a server is to be replaced though nothing is wrong with it; None: it is as it should be."""
    if server.instance is None or not server.instance.live:
        return None
    if marked(server.instance):
        return "marked by an operator"
    return outdated(case.snapshot, case.group, case.servers, server.instance)


def unready(quorum: Quorum, *, but: str = "") -> str | None:
    """Say why no voluntary step may begin now; None: all are well but the one that goes (semantics §10.2)."""
    if not quorum.leader:
        return "no leader is agreed on"
    for server in quorum.servers:
        if server.name == but:
            continue
        if server.instance is None or not server.instance.live:
            return f"{server.name} is leaving: {server.reason}"
        if not server.healthy:
            return f"wait for {server.name}, which is {server.verdict}{f': {server.reason}' if server.why else ''}"
    return None


# --- who goes, and where the new one comes ---------------------------------------------------------------------------


RANKS = (
    "marked by an operator",
    "never joined",
    "unhealthy",
    "its agent is unreachable",
    "outdated",
    "the oldest in the zone with most servers",
)
MARKED, OUTDATED, REST = 0, 4, 5  # places in RANKS


def _victim(case: Case) -> ServerHealth | None:
    """Choose who goes (semantics §10.5); of those that are to go, the leader is the last (§10.6)."""
    candidates = [s for s in case.quorum.servers if s.instance is not None and s.instance.live]
    filled = Counter(s.instance.zone for s in candidates if s.instance)

    return min(candidates, key=lambda s: _order(case, s, filled), default=None)


def _order(case: Case, server: ServerHealth, filled: Counter[str]) -> tuple[int, bool, int, datetime, str]:
    rank, leads = _rank(case, server), case.quorum.leads(server)
    if leads and rank == MARKED:
        rank = OUTDATED  # those that are outdated go before it
    zone, launched_at = "", case.now
    if server.instance is not None:
        zone, launched_at = server.instance.zone, server.instance.launched_at
    return rank, leads, -filled[zone], launched_at, server.name


def _rank(case: Case, server: ServerHealth) -> int:
    """Give the place in RANKS."""
    if server.instance is not None and marked(server.instance):
        return MARKED
    if server.peer is None:
        return 1
    if server.failed:
        return 2
    if server.reachable is False:
        return 3
    return OUTDATED if must_go(case, server) is not None else REST


def _cause(case: Case, server: ServerHealth) -> tuple[Reason, str]:
    rank = _rank(case, server)
    if rank == MARKED:
        return Reason.MARKED, RANKS[rank]
    if rank == OUTDATED:
        return Reason.OUTDATED, must_go(case, server) or RANKS[rank]
    return Reason.SURPLUS, RANKS[rank]


def _zones(case: Case, staying: Sequence[Instance]) -> tuple[str, ...]:
    """Order the zones, that with fewest of the servers that stay first."""
    filled = Counter(i.zone for i in staying)
    everywhere = Counter(i.zone for i in live_servers(case.snapshot))
    zones = sorted({subnet.zone for subnet in case.group.spec.aws.subnets})
    return tuple(sorted(zones, key=lambda z: (filled[z], everywhere[z], z)))


# --- actions ---------------------------------------------------------------------------------------------------------


def _add(case: Case, cause: Reason, what: str, zones: tuple[str, ...]) -> Plan:
    quorum, record = case.quorum, case.snapshot.record
    if joining := [s.name for s in quorum.servers if s.instance and s.instance.live and not s.voter and not s.failed]:
        message = f"{what}; {', '.join(joining)} joins first; {quorum.figures}"
        return Plan.held("servers", Reason.SERVER_JOINING, message, passing=True)
    if (older := downgrade(case.snapshot, case.group)) is not None:
        return Plan.held("servers", Reason.DOWNGRADE, f"{what}; {older}")
    if (halted := _halted(case, cause, what)) is not None:
        return Plan(holds=(halted,))
    change = added(quorum)
    if not change.bearable:
        message = f"{what}; one more voter that hangs would end the quorum: {quorum.figures} ({change.told})"
        return Plan.held("servers", Reason.QUORUM_AT_RISK, message, passing=True)
    request = best_request(case.snapshot, case.group, case.servers, zones)
    if request is None:
        message = f"{what}; EC2 refuses all of {', '.join(case.servers.instance_types)} for now"
        return Plan.held("servers", Reason.NO_OFFERING, message, passing=cause is Reason.MISSING)
    life = 1 + max(record.lives, *(_life(i) for i in case.snapshot.instances), 0)
    claim = server_claim(_slot(case), life)
    template = server_template(case.group, arch_of(case.snapshot, request.instance_type))
    return Plan(
        actions=(
            AddServer(
                claim=claim,
                template=named_server_template(case.group, template, request.instance_type, request.subnet_id),
                zone=request.zone,
                cause=cause,
                change=change,
                reason=what,
                price=price_of(case.snapshot, request),
            ),
        )
    )


def _halted(case: Case, cause: Reason, what: str) -> Hold | None:
    record = case.snapshot.record
    if record.barren < BARREN_MOST or record.barren_at is None:
        return None
    if record.barren_revision != revision_of(case.snapshot, case.group, case.servers):
        return None
    again = record.barren_at + BARREN_PAUSE
    if cause is Reason.MISSING and case.now >= again:
        return None
    tried = f"{record.barren} servers in a row of revision {record.barren_revision} never joined"
    if cause is Reason.MISSING:
        return Hold(
            subject="servers",
            reason=Reason.BOOT_FAILING,
            message=f"{what}; {tried}, the next is tried at {again:%H:%M}",
        )
    message = f"{what}; {tried}: the rollout is halted and the old servers stay; change the document to go on"
    return Hold(subject="servers", reason=Reason.ROLLOUT_HALTED, message=message)


def _slot(case: Case) -> int:
    """Give the lowest slot that no live server has; surges share one past the last."""
    taken = {found[0] for i in live_servers(case.snapshot) if (found := parse_server_claim(i.claim))}
    return next(slot for slot in range(len(taken) + 1) if slot not in taken)


def _life(instance: Instance) -> int:
    found = parse_server_claim(instance.claim)
    return found[1] if found else 0


def _terminate(
    case: Case, server: ServerHealth, cause: Reason, reason: str, step: ServerStep | None
) -> TerminateServer:
    instance = server.instance
    if instance is None:
        raise ValueError(f"{server.name} has no machine to end")
    forced = cause in {Reason.SERVER_FAILED, Reason.NEVER_JOINED}
    return TerminateServer(
        instance_id=instance.id,
        address=instance.private_ip,
        peer_id=server.peer.id if server.peer else step.peer_id if step else "",
        voluntary=not forced if step is None or forced else step.voluntary,
        cause=cause,
        change=without(case.quorum, server),
        reason=reason,
    )


def _hand_over(case: Case, victim: ServerHealth, cause: Reason, reason: str) -> Plan:
    """Choose the newest of the healthy voters that stay; the youngest of those that go too, where none stays."""
    others = [s for s in case.quorum.voters if s.healthy and s.name != victim.name and s.instance and s.peer]
    if not others:
        message = f"{victim.name} leads and is to go, and no other voter is healthy; {case.quorum.figures}"
        return Plan.held("servers", Reason.QUORUM_AT_RISK, message, passing=True)
    best = min(others, key=lambda s: (must_go(case, s) is not None, s.name))
    if victim.instance is None or best.peer is None:
        raise ValueError(f"{victim.name} or {best.name} is no server of ours")
    return Plan(
        actions=(
            TransferLeadership(
                instance_id=victim.instance.id,
                to_id=best.peer.id,
                to_name=best.name,
                cause=cause,
                reason=f"{reason}; it leads, and the leader hands over before it goes",
            ),
        )
    )


def _remove_peer(case: Case, server: ServerHealth, reason: str) -> RemovePeer:
    if server.peer is None:
        raise ValueError(f"{server.name} is no raft peer")
    return RemovePeer(
        peer_id=server.peer.id,
        name=server.peer.name,
        address=server.peer.address,
        instance_id=server.name.partition(".")[0],
        change=without(case.quorum, server, removed=True),
        reason=reason,
    )


def added(quorum: Quorum) -> QuorumChange:
    """Give what one more voter does that counts as failed."""
    voters, standing = len(quorum.voters), quorum.standing
    return QuorumChange(voters=voters, healthy=standing, voters_after=voters + 1, healthy_after=standing)


def without(quorum: Quorum, server: ServerHealth, *, removed: bool = False) -> QuorumChange:
    """Give what the end of a server does: until raft forgets it (``removed``) it counts as a failed voter."""
    voters, standing = len(quorum.voters), quorum.standing
    return QuorumChange(
        voters=voters,
        healthy=standing,
        voters_after=voters - (removed and server.voter),
        healthy_after=standing - (server.standing and server.voter),
    )


def _bare(instance: Instance) -> ServerHealth:
    """Give a machine that the look did not place: nothing is known of it."""
    return ServerHealth(
        name=instance.id,
        instance=instance,
        peer=None,
        ours=True,
        verdict=Verdict.UNKNOWN,
        why=("it was not seen",),
        failed=False,
        reachable=None,
        gossip="",
        standing=False,
    )


def _minutes(span: timedelta) -> str:
    return f"{span / timedelta(minutes=1):.0f} min"
