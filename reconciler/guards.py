"""Last refusals, on a fresh look: the plan is old by the time that it is carried out.

A guard that cannot see refuses: what a port raises inside one goes up, and the effect does not happen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reconciler.errors import GuardError, QuorumAtRiskError
from reconciler.journal import Ledger
from reconciler.packing.census import clients_by_pool
from reconciler.reconcilers.garbage import given_out
from reconciler.reconcilers.servers import alone, not_to_be_given_up, quorum_missing
from reconciler.reconcilers.servers.health import Quorum, ServerHealth, assess, live_servers
from reconciler.reconcilers.servers.steps import added, unready, without
from schemas.document import ClusterGroup
from schemas.names import formed_marker, parse_server_claim
from schemas.plan import (
    AddServer,
    DeleteTemplate,
    EndMachine,
    FormServer,
    GiveUpForming,
    Launch,
    MarkFormed,
    Reason,
    RemovePeer,
    ServerAction,
    TerminateServer,
    TransferLeadership,
)
from schemas.servers import StepKind
from schemas.world import TAG_STORE, Instance, Node, Role, ServerView, Snapshot


def guard_launch(action: Launch, fresh: Snapshot, group: ClusterGroup) -> None:
    """Refuse a launch whose claim was used, or that would pass the pool's or the group's number of machines."""
    ordinal = int(action.claim.rpartition("-")[2])
    if ordinal <= fresh.ordinals.get(action.pool, 0):
        raise GuardError(key=action.key, why=f"claim {action.claim} was used before; the next plan takes a new one")
    live = clients_by_pool(fresh)
    size = next((pool.size.max for pool in group.spec.pools if pool.name == action.pool), 0)
    if (there := live.get(action.pool, 0)) + action.count > size:
        raise GuardError(key=action.key, why=f"{there} + {action.count} machines pass size.max {size} of {action.pool}")
    everywhere, limit = sum(live.values()), group.spec.limits.max_nodes
    if everywhere + action.count > limit:
        raise GuardError(key=action.key, why=f"{everywhere} + {action.count} machines pass limits.maxNodes {limit}")


def guard_unused(action: DeleteTemplate, ledger: Ledger | None) -> None:
    """Refuse to delete a template that an open launch or server step was asked with: it is asked again as it was."""
    if ledger is None:
        raise GuardError(key=action.key, why="the journal is not known")
    step = ledger.servers.step
    asked = {intent.action.template for intent in ledger.intents} | ({step.template} if step else set())
    if action.name in asked:
        raise GuardError(key=action.key, why="a launch that was not answered yet was asked for with it")


def guard_garbage(
    action: EndMachine, instances: Sequence[Instance], nodes: Sequence[Node], ledger: Ledger | None
) -> bool:
    """Refuse to end a machine that something explains by now; False: it ends already, or is gone."""
    if ledger is None:
        raise GuardError(key=action.key, why="the journal is not known")
    found = next((i for i in instances if i.id == action.instance_id), None)
    if found is None or not found.live:
        return False
    if found.role != Role.CLIENT:
        raise GuardError(key=action.key, why=f"it is no client, its role is {found.role or 'not told'}")
    if found.tags.get(TAG_STORE) != ledger.store_id:
        raise GuardError(key=action.key, why=f"it is not of this store, {ledger.store_id}")
    if found.state == "stopped":
        return True
    if any(node.instance_id == found.id for node in nodes):
        raise GuardError(key=action.key, why="it has a node in Nomad now")
    if found.claim in {claim.name for claim in ledger.claims}:
        raise GuardError(key=action.key, why=f"the journal knows its claim {found.claim}")
    if given_out(found, ledger.ordinals):
        raise GuardError(key=action.key, why=f"the journal gave out its claim {found.claim}")
    return True


def guard_forming(action: FormServer, templates: frozenset[str], instances: Sequence[Instance]) -> None:
    """Refuse to form servers where a quorum was formed before, or where machines of ours belong to a store."""
    if (marker := formed_marker(action.group)) in templates:
        raise GuardError(key=action.key, why=f"{marker} is there: this quorum was formed, and never is again")
    if stored := next((i.id for i in instances if TAG_STORE in i.tags), None):
        raise GuardError(key=action.key, why=f"{stored} carries {TAG_STORE}: a quorum with a store was here before")


def guard_giving_up(
    action: GiveUpForming,
    templates: frozenset[str],
    instances: Sequence[Instance],
    views: Sequence[ServerView],
    *,
    impaired: bool,
) -> None:
    """Refuse to end a forming server where a quorum was formed or may need it, or one that answers after all.

    ``impaired``: EC2's status checks call its machine failed.
    """
    if (marker := formed_marker(action.group)) in templates:
        raise GuardError(key=action.key, why=f"{marker} is there: its servers are replaced step by step")
    found = next((i for i in instances if i.id == action.instance_id), None)
    if found is None or found.role != Role.SERVER or TAG_STORE in found.tags:
        raise GuardError(key=action.key, why=f"{action.instance_id} is no server that is being formed")
    if any(view.address == action.address and view.reachable for view in views) and not alone(action.address, views):
        raise GuardError(key=action.key, why=f"its agent answers at {action.address} by now")
    if (why := not_to_be_given_up(action.address, views, impaired=impaired)) is not None:
        raise GuardError(key=action.key, why=why)


def guard_marker(action: MarkFormed, servers: Sequence[Instance], views: Sequence[ServerView]) -> None:
    """Refuse the marker unless, asked again, all servers' agents agree on one leader and on exactly themselves.

    One that an operator added meanwhile is a server like the others: it goes later, step by step.
    """
    if len(servers) < action.count:
        raise GuardError(key=action.key, why=f"{len(servers)} servers are shown, not {action.count}")
    if (why := quorum_missing({i.private_ip for i in servers}, views)) is not None:
        raise GuardError(key=action.key, why=why)


# --- server steps: each check is one reason to refuse, and all of an action's checks are listed in one place ---------


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCase:
    """An action on a server, and the fresh look that it is judged by: all witnesses, twice."""

    action: ServerAction
    fresh: Snapshot
    quorum: Quorum
    count: int = 0  # servers that the document wants
    risk_accepted: bool = False  # it accepts that a lone server may be lost

    @property
    def victim(self) -> ServerHealth | None:
        """The server that the action is about, as it is now."""
        match self.action:
            case AddServer():
                return None
            case RemovePeer(peer_id=peer_id):
                return next((s for s in self.quorum.servers if s.peer and s.peer.id == peer_id), None)
            case TransferLeadership(instance_id=instance_id) | TerminateServer(instance_id=instance_id):
                return self.quorum.of(instance_id)

    def refuse(self, why: str) -> GuardError:
        """Give the refusal to raise."""
        return GuardError(key=self.action.key, why=why)


Check = Callable[[ServerCase], None]


def all_clear(case: ServerCase) -> None:
    """Refuse while two leaders, two clusters, a stranger or a lost quorum are seen."""
    if (frozen := case.quorum.frozen) is not None:
        raise case.refuse(frozen.told)


def leader_answered(case: ServerCase) -> None:
    """Refuse when the leader's own word could not be had: a guard that cannot see refuses."""
    if case.quorum.unknown or not case.quorum.leader:
        raise case.refuse(f"the leader did not answer: {case.quorum.unknown or 'none is agreed on'}")


def no_other_step(case: ServerCase) -> None:
    """Refuse while another server step is open, whichever replica of ours began it."""
    step = case.fresh.record.step
    if step is None or (step.kind is StepKind.REMOVE and not step.sure):
        return
    if isinstance(case.action, AddServer) or step.instance_id != case.action.instance_id:
        raise case.refuse(f"another server step is open: {step.kind} {step.instance_id or step.claim}, {step.reason}")


def claim_unused(case: ServerCase) -> None:
    """Refuse to use a claim's life twice."""
    claim = case.action.claim if isinstance(case.action, AddServer) else ""
    _, life = parse_server_claim(claim) or (0, 0)
    if life <= case.fresh.record.lives or any(i.claim == claim for i in case.fresh.instances):
        raise case.refuse(f"claim {claim} was used before; the next plan takes a new one")


def one_more_at_most(case: ServerCase) -> None:
    """Refuse a server beyond the one that replaces another."""
    live, most = len(live_servers(case.fresh)), case.count + 1
    if live >= most:
        raise case.refuse(f"{live} servers are there, and {case.count} with one replacement are the most")


def nobody_joins(case: ServerCase) -> None:
    """Refuse while a server is on its way to its vote."""
    for server in case.quorum.servers:
        if server.instance is not None and server.instance.live and not server.voter and not server.failed:
            raise case.refuse(f"{server.name} is joining, and is no voter yet")


def bears_a_joiner(case: ServerCase) -> None:
    """Refuse a voter that would end the quorum if it hung."""
    change = added(case.quorum)
    if not change.bearable:
        raise QuorumAtRiskError(
            key=case.action.key,
            server="one more voter that hangs",
            healthy=change.healthy_after,
            voters=change.voters_after,
            way_out="Wait until dead peers are removed and all voters are healthy.",
        )


def same_server(case: ServerCase) -> None:
    """Refuse when the machine or its raft id is no longer what the plan saw."""
    action, victim = case.action, case.victim
    if isinstance(action, RemovePeer):
        if victim is None or victim.peer is None or victim.peer.address != action.address:
            raise case.refuse(f"raft has no peer {action.peer_id} at {action.address} any more")
        return
    if isinstance(action, AddServer):
        return
    instance = case.fresh.instance_by_id.get(action.instance_id)
    if instance is None or instance.role != Role.SERVER:
        raise case.refuse(f"EC2 shows no server {action.instance_id} of this group")
    peer_id = victim.peer.id if victim is not None and victim.peer is not None else ""
    if isinstance(action, TerminateServer) and peer_id not in {action.peer_id, ""}:
        raise case.refuse(f"{action.instance_id} is raft peer {peer_id} now, not {action.peer_id or 'none'}")


def not_the_leader(case: ServerCase) -> None:
    """Refuse to end or remove the leader."""
    if case.victim is not None and case.quorum.leads(case.victim):
        raise case.refuse(f"{case.victim.name} leads: leadership is handed over first")


def quorum_stays(case: ServerCase) -> None:
    """Refuse when the others would be fewer than quorum, should a voter vanish without leaving raft."""
    if case.victim is None or not case.victim.voter or _last_of_two(case):
        return
    removed = isinstance(case.action, RemovePeer)
    change = without(case.quorum, case.victim, removed=removed)
    if change.tolerance_after < 0:
        raise QuorumAtRiskError(
            key=case.action.key,
            server=f"without {case.victim.name}",
            healthy=change.healthy_after,
            voters=change.voters_after,
            way_out="Wait until its replacement votes and is healthy.",
        )


def _last_of_two(case: ServerCase) -> bool:
    """Tell whether a lone server is being replaced, whose operator accepts that the old one may not leave in order."""
    action, victim = case.action, case.victim
    return (
        case.risk_accepted
        and case.count == 1
        and isinstance(action, TerminateServer)
        and action.voluntary
        and (len(case.quorum.voters), case.quorum.healthy) == (2, 2)
        and victim is not None
        and victim.reachable is True
    )


def others_well(case: ServerCase) -> None:
    """Refuse a voluntary step unless everybody but the victim is healthy, by all witnesses."""
    if isinstance(case.action, TerminateServer) and not case.action.voluntary:
        return
    if isinstance(case.action, AddServer) and case.action.cause is Reason.MISSING:
        return
    victim = "" if isinstance(case.action, AddServer) else case.action.instance_id
    if (wait := unready(case.quorum, but=victim)) is not None:
        raise case.refuse(f"a voluntary step needs all others well: {wait}")


def still_failed(case: ServerCase) -> None:
    """Refuse to end a failed server that came back."""
    action = case.action
    if isinstance(action, TerminateServer) and not action.voluntary and case.victim and case.victim.standing:
        raise case.refuse(f"{action.instance_id} is healthy again: it stays")


def really_dead(case: ServerCase) -> None:
    """Refuse to remove a peer whose machine may still run, or whose agent answers: a living one is added again."""
    victim = case.victim
    if victim is None:
        return
    if victim.instance is not None and victim.instance.live:
        raise case.refuse(f"{victim.name}: EC2 says {victim.instance.state}, its machine is ended first")
    if victim.reachable:
        raise case.refuse(f"{victim.name}: its agent still answers, raft would add it again")


def heir_is_well(case: ServerCase) -> None:
    """Refuse to hand leadership to a server that is not healthy, or from one that does not lead."""
    action = case.action
    if not isinstance(action, TransferLeadership):
        return
    heir = next((s for s in case.quorum.voters if s.peer and s.peer.id == action.to_id), None)
    if heir is None or not heir.healthy:
        raise case.refuse(f"{action.to_name} is no healthy voter{f': {heir.reason}' if heir else ''}")
    if case.victim is None or not case.quorum.leads(case.victim):
        raise case.refuse(f"{action.instance_id} does not lead any more")


SEEING: tuple[Check, ...] = (all_clear, leader_answered, no_other_step)
ADD_CHECKS: tuple[Check, ...] = (
    *SEEING,
    claim_unused,
    one_more_at_most,
    nobody_joins,
    bears_a_joiner,
    others_well,
)
TERMINATE_CHECKS: tuple[Check, ...] = (
    *SEEING,
    same_server,
    not_the_leader,
    still_failed,
    quorum_stays,
    others_well,
)
REMOVE_PEER_CHECKS: tuple[Check, ...] = (*SEEING, same_server, not_the_leader, really_dead, quorum_stays)
TRANSFER_CHECKS: tuple[Check, ...] = (*SEEING, heir_is_well, others_well)


def guard_server_step(action: ServerAction, fresh: Snapshot, count: int, *, risk_accepted: bool = False) -> None:
    """Refuse a server action unless every one of its checks passes on a fresh look; ``count``: servers wanted.

    ``risk_accepted``: ``servers.acceptDataLossRisk``, without which a lone server is never replaced.
    """
    quorum = assess(fresh, twice=True)
    case = ServerCase(action=action, fresh=fresh, quorum=quorum, count=count, risk_accepted=risk_accepted)
    for check in checks_of(action):
        check(case)


def checks_of(action: ServerAction) -> tuple[Check, ...]:
    """List the reasons for which an action may be refused."""
    match action:
        case AddServer():
            return ADD_CHECKS
        case TerminateServer():
            return TERMINATE_CHECKS
        case RemovePeer():
            return REMOVE_PEER_CHECKS
        case TransferLeadership():
            return TRANSFER_CHECKS
