"""Actions and what came of them, as a person or a program reads them: short, with prices, without user data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from schemas.plan import (
    Action,
    AddServer,
    BootstrapAcl,
    CreateNodePool,
    CreateTemplate,
    DeleteTemplate,
    EndMachine,
    ForgetMember,
    FormServer,
    GiveAddress,
    GiveUpForming,
    IntroduceServers,
    Launch,
    MarkFormed,
    Outcome,
    Reason,
    RemovePeer,
    Result,
    SaveSnapshot,
    TerminateServer,
    TransferLeadership,
)
from schemas.world import Content, Instance, Market


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """One offering that a launch may take; USD an hour of one machine."""

    instance_type: str
    zone: str
    price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One action: what, why, at what price."""

    kind: str  # the action's: FormServer, AddServer, Launch …
    key: str  # one decision has one key, however often it is carried out
    subject: str
    cause: Reason
    what: str  # a phrase: "launch 2 m6i.large, spot in us-east-1a or us-east-1b"
    reason: str  # a phrase with numbers
    price: float  # USD an hour that it may add at the dearest
    claim: str = ""
    pool: str = ""
    market: Market | None = None
    count: int = 0  # machines
    offerings: tuple[Offered, ...] = ()  # cheapest first
    contents: tuple[Content, ...] = ()  # what each machine is meant to hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """Machines alike that a launch gave."""

    instances: tuple[str, ...]
    instance_type: str
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An action and what came of it."""

    act: Act
    result: Result
    at: datetime
    message: str
    instances: tuple[str, ...]
    got: tuple[Got, ...]  # the instances, where EC2 shows them by now
    refused: tuple[str, ...]  # offerings that EC2 refused, and why
    price: float  # USD an hour of what was given


def act_of(action: Action) -> Act:
    """Tell of an action."""
    match action:
        case FormServer():
            first = action.asked(action.life, action.attempt)
            place = next((r.zone for r in action.requests if r.subnet_id == first.subnet_id), "")
            return _act(
                action,
                Reason.FORMING,
                f"launch server {action.slot}, {first.instance_type} in {place}",
                price=action.price,
                market=Market.ON_DEMAND,
                count=1,
            )
        case IntroduceServers():
            others = ", ".join(action.addresses)
            return _act(action, Reason.FORMING, f"introduce the server at {action.asked} to {others}")
        case GiveUpForming():
            return _act(action, Reason.NEVER_JOINED, f"end forming server {action.instance_id}")
        case ForgetMember():
            return _act(action, Reason.FORMING, f"make gossip forget {action.name}")
        case MarkFormed():
            return _act(action, Reason.FORMING, "mark the quorum as formed: nothing is ever formed again")
        case AddServer():
            what = f"add server {action.claim}, {action.template.instance_type} in {action.zone}; {action.change.told}"
            return _act(
                action,
                action.cause,
                what,
                price=action.price,
                claim=action.claim,
                market=Market.ON_DEMAND,
                count=1,
            )
        case TransferLeadership():
            what = f"hand leadership of {action.instance_id} over to {action.to_name}"
            return _act(action, action.cause, what)
        case TerminateServer():
            return _act(action, action.cause, f"end server {action.instance_id}; {action.change.told}")
        case RemovePeer():
            return _act(action, Reason.STALE_PEER, f"remove raft peer {action.name}; {action.change.told}")
        case SaveSnapshot():
            return _act(action, action.cause, f"save a snapshot of the servers to {action.to}, keep {action.keep}")
        case GiveAddress():
            return _act(action, Reason.MISSING, f"give {action.allocation_id} to server {action.instance_id}")
        case BootstrapAcl():
            return _act(action, Reason.FORMING, "make nomad.bootstrapToken the first management token")
        case CreateNodePool():
            return _act(action, Reason.MISSING, f"create Nomad's node pool {action.name}")
        case CreateTemplate():
            what = f"create the launch template {action.template.name}"
            return _act(action, Reason.MISSING, what, pool=action.pool)
        case DeleteTemplate():
            return _act(action, Reason.UNUSED, f"delete the launch template {action.name}")
        case EndMachine():
            return _act(action, Reason.GARBAGE, f"end machine {action.instance_id}")
        case Launch():
            return _act(
                action,
                action.cause,
                f"launch {machines(action)}",
                price=action.price,
                claim=action.claim,
                pool=action.pool,
                market=action.market,
                count=action.count,
                offerings=tuple(
                    Offered(instance_type=o.instance_type, zone=o.zone, price=o.price) for o in action.overrides
                ),
                contents=action.contents,
            )
        case _:
            assert_never(action)


def done_of(outcome: Outcome, instances: Mapping[str, Instance]) -> Done:
    """Tell what came of an action; ``instances`` is what EC2 shows by now, by id."""
    got: dict[tuple[str, str], list[str]] = {}
    for id_ in outcome.instance_ids:
        if (instance := instances.get(id_)) is not None:
            got.setdefault((instance.type, instance.zone), []).append(id_)
    groups = tuple(Got(instances=tuple(ids), instance_type=t, zone=z) for (t, z), ids in sorted(got.items()))
    said = Counter((e.instance_type, e.zone, e.market, e.message or e.code) for e in outcome.errors)
    return Done(
        act=act_of(outcome.action),
        result=outcome.result,
        at=outcome.at,
        message=outcome.message,
        instances=outcome.instance_ids,
        got=groups,
        refused=tuple(f"{kind} in {zone} ({market}): {why}" for kind, zone, market, why in said),
        price=_given(outcome, groups),
    )


def machines(launch: Launch) -> str:
    """Write what a launch asks for: ``2 m6i.large, spot in us-east-1a``."""
    types = list(dict.fromkeys(o.instance_type for o in launch.overrides))
    zones = list(dict.fromkeys(o.zone for o in launch.overrides))
    return f"{launch.count} {either(types)}, {launch.market} in {either(zones)}"


def either(names: Sequence[str], most: int = 3) -> str:
    """Write ``a``, ``a or b``, or ``a, b, c or 4 others``."""
    if len(names) <= 1:
        return "".join(names)
    if len(names) > most:
        rest = len(names) - most
        return f"{', '.join(names[:most])} or {rest} other{'s' * (rest > 1)}"
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _act(
    action: Action,
    cause: Reason,
    what: str,
    *,
    price: float = 0.0,
    claim: str = "",
    pool: str = "",
    market: Market | None = None,
    count: int = 0,
    offerings: tuple[Offered, ...] = (),
    contents: tuple[Content, ...] = (),
) -> Act:
    return Act(
        kind=type(action).__name__,
        key=action.key,
        subject=action.subject,
        cause=cause,
        what=what,
        reason=action.reason,
        price=price,
        claim=claim,
        pool=pool,
        market=market,
        count=count,
        offerings=offerings,
        contents=contents,
    )


def _given(outcome: Outcome, got: tuple[Got, ...]) -> float:
    """USD an hour of the machines given, at the prices that were planned; what EC2 does not show yet counts dearest."""
    action = outcome.action
    if isinstance(action, FormServer | AddServer):
        return action.price if outcome.instance_ids else 0.0
    if not isinstance(action, Launch):
        return 0.0
    prices = {(o.instance_type, o.zone): o.price for o in action.overrides}
    dearest = max(prices.values())
    shown = sum(prices.get((g.instance_type, g.zone), dearest) * len(g.instances) for g in got)
    return shown + dearest * (len(outcome.instance_ids) - sum(len(g.instances) for g in got))
