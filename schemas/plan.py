"""What a tick decides: actions and holds, each with its reason, and what came of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from schemas.names import form_template, server_claim
from schemas.world import TAG_CLAIM, Claim, Content, FleetError, Market, Override, Template


class Reason(StrEnum):
    """Why something is done or not done, in one word of a closed list; events, logs and metrics carry the same."""

    # why it is done
    FORMING = "Forming"
    DEMAND = "Demand"
    HEADROOM = "Headroom"
    MINIMUM = "Minimum"
    MISSING = "Missing"
    SERVER_FAILED = "ServerFailed"
    NEVER_JOINED = "NeverJoined"
    STALE_PEER = "StalePeer"
    SURPLUS = "Surplus"
    OUTDATED = "Outdated"
    MARKED = "Marked"
    UNUSED = "Unused"
    GARBAGE = "Garbage"
    SPREAD = "Spread"
    SCHEDULED = "Scheduled"
    # why it is not done, though it will be soon without anybody's help
    SERVERS_FORMING = "ServersForming"
    SERVER_JOINING = "ServerJoining"
    SERVER_LEAVING = "ServerLeaving"
    SERVER_FAILING = "ServerFailing"
    ONE_AT_A_TIME = "OneAtATime"
    QUORUM_AT_RISK = "QuorumAtRisk"
    NOT_YET_DECIDED = "NotYetDecided"
    ON_ITS_WAY = "OnItsWay"
    REPLAYING = "Replaying"
    LAUNCH_RATE = "LaunchRate"
    # why it is not done
    SOURCE_UNANSWERED = "SourceUnanswered"
    UNSATISFIABLE = "Unsatisfiable"
    NO_OFFERING = "NoOffering"
    SUBNET_FULL = "SubnetFull"
    RECLAIMED = "Reclaimed"
    MAINTENANCE = "Maintenance"
    IMPAIRED = "Impaired"
    AT_MAXIMUM = "AtMaximum"
    NODE_LIMIT = "NodeLimit"
    COST_LIMIT = "CostLimit"
    BROKER_PAUSED = "BrokerPaused"
    BOOT_FAILING = "BootFailing"
    ROLLOUT_HALTED = "RolloutHalted"
    DOWNGRADE = "Downgrade"
    SNAPSHOT_FAILED = "SnapshotFailed"
    ADDRESS_TAKEN = "AddressTaken"
    GIVEN_UP = "GivenUp"
    STALLED = "Stalled"
    FROZEN = "Frozen"
    PAUSED = "Paused"
    OBSERVING = "Observing"
    LED_ELSEWHERE = "LedElsewhere"
    NOT_IMPLEMENTED = "NotImplemented"
    WRONG_CLUSTER = "WrongCluster"
    REFUSED = "Refused"
    # why there is nothing to do
    AS_SPECIFIED = "AsSpecified"
    NOT_MANAGED = "NotManaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What was not done, and why. ``passing`` ones end by themselves: nothing has converged while one is there."""

    subject: str  # "pool/general", "job/web", "servers"
    reason: Reason
    message: str  # a sentence with numbers
    passing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRequest:
    """One way to ask for a forming server; where EC2 refuses it, the next one is tried."""

    instance_type: str
    subnet_id: str
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormServer:
    """Ask EC2 for the machine of one slot of the first quorum (semantics §10.12).

    The attempt is written before its launch, as a launch template whose name is unique: a template that is there is
    replayed as it stands, and a higher attempt is made only once EC2 has said no to this one.
    """

    group: str
    slot: int
    life: int
    attempt: int
    template: Template  # without name, type, subnet and claim, which each attempt adds
    requests: tuple[ServerRequest, ...]  # attempt k asks for the k-th, and around again
    reason: str
    price: float

    def asked(self, life: int, attempt: int) -> Template:
        """Give the whole request of one attempt."""
        request = self.requests[attempt % len(self.requests)]
        return replace(
            self.template,
            name=form_template(self.group, self.slot, life, attempt),
            instance_type=request.instance_type,
            subnet_id=request.subnet_id,
            tags={**self.template.tags, TAG_CLAIM: server_claim(self.slot, life)},
        )

    @property
    def key(self) -> str:
        """Idempotency key: one decision has one key, however often it is carried out."""
        return f"form/{server_claim(self.slot, self.life)}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"server/{self.slot}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntroduceServers:
    """Make servers that joined only themselves know each other (``agent/join``)."""

    asked: str  # private address of the one that is told
    addresses: tuple[str, ...]
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """One introduction for a server."""
        return f"introduce/{self.asked}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return "servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUpForming:
    """End the machine of a slot whose agent never came up, or fell silent before the quorum was marked as formed."""

    group: str
    instance_id: str
    address: str
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """By machine."""
        return f"give-up/{self.instance_id}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"server/{self.instance_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetMember:
    """Make gossip forget a server whose machine is gone: while it is listed, those that are there form no quorum."""

    name: str  # with region
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """By name."""
        return f"forget/{self.name}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return "servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkFormed:
    """Write the marker after which nothing is ever formed again; the attempts' templates go."""

    marker: Template
    count: int  # servers that must agree
    attempts: tuple[str, ...]  # names of the attempts' templates
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """There is one marker."""
        return f"formed/{self.marker.name}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return "servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumChange:
    """What a server step does to the quorum: an added voter counts as failed, one that goes may vanish at once."""

    voters: int
    healthy: int
    voters_after: int
    healthy_after: int

    @property
    def tolerance(self) -> int:
        """Healthy voters beyond quorum before."""
        return self.healthy - (self.voters // 2 + 1)

    @property
    def tolerance_after(self) -> int:
        """Healthy voters beyond quorum at the step's worst moment; negative: the step must not be taken."""
        return self.healthy_after - (self.voters_after // 2 + 1)

    @property
    def bearable(self) -> bool:
        """A quorum is left; a lone voter, which nothing can make safer but company, may always be joined."""
        return self.tolerance_after >= 0 or (self.voters, self.healthy, self.voters_after) == (1, 1, 2)

    @property
    def told(self) -> str:
        """The figures, as a plan shows them."""
        return (
            f"voters {self.voters} to {self.voters_after}, healthy {self.healthy} to {self.healthy_after},"
            f" tolerance {self.tolerance} to {self.tolerance_after}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AddServer:
    """Ask EC2 for one more server of a quorum that was formed; asking twice for a claim is asking once."""

    claim: str
    template: Template  # the whole request: name, type and subnet too
    zone: str
    cause: Reason  # MISSING, OUTDATED, MARKED or SPREAD
    change: QuorumChange
    reason: str
    price: float

    @property
    def key(self) -> str:
        """By claim."""
        return f"add/{self.claim}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"server/{self.claim}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferLeadership:
    """Hand leadership to another voter, because the leader is to go."""

    instance_id: str  # of the leader
    to_id: str  # raft id of the voter that takes over
    to_name: str
    cause: Reason
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """From whom, to whom."""
        return f"transfer/{self.instance_id}/{self.to_id}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"server/{self.instance_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminateServer:
    """End a server's machine: a live agent leaves raft as its machine shuts down, a dead one is removed afterwards."""

    instance_id: str
    address: str
    peer_id: str  # "" where raft does not have it
    voluntary: bool  # False: it is dead, or it never joined
    cause: Reason  # SERVER_FAILED, NEVER_JOINED, SURPLUS, OUTDATED or MARKED
    change: QuorumChange
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """By machine."""
        return f"terminate/{self.instance_id}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"server/{self.instance_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovePeer:
    """Take a dead peer whose machine is gone out of raft, by its id, and out of gossip."""

    peer_id: str
    name: str
    address: str  # host:port
    instance_id: str
    change: QuorumChange
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """By raft id."""
        return f"remove-peer/{self.peer_id}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"server/{self.instance_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveSnapshot:
    """Save the servers' state, read it back, and forget the oldest of those that were saved."""

    to: str  # a directory, or s3://bucket/prefix
    keep: int
    cause: Reason  # SCHEDULED or OUTDATED
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """By place."""
        return f"snapshot/{self.to}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return "snapshots"


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveAddress:
    """Give a server an Elastic IP that nobody has."""

    allocation_id: str
    instance_id: str
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """By both."""
        return f"address/{self.allocation_id}/{self.instance_id}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"server/{self.instance_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapAcl:
    """Give a new cluster its first management token; one that has it already stays as it is."""

    leader: str
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """There is one first token."""
        return "acl-bootstrap"

    @property
    def subject(self) -> str:
        """What it is about."""
        return "servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateNodePool:
    """Make a Nomad node pool that a pool's machines belong to: jobs cannot be registered for one that is missing."""

    name: str
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """By name."""
        return f"node-pool/{self.name}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"node-pool/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTemplate:
    """Make the launch template of a pool; its name ends in the hash of its content: made once, never changed."""

    template: Template
    pool: str
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """By name, and so by content."""
        return f"template/{self.template.name}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"pool/{self.pool}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTemplate:
    """Take away a launch template of an earlier content; one that is gone is deleted."""

    name: str
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """By name, and so by content."""
        return f"delete-template/{self.name}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"template/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndMachine:
    """End a client's machine that nothing explains; one that ends already is ended."""

    instance_id: str
    reason: str
    price: float = 0.0

    @property
    def key(self) -> str:
        """By machine."""
        return f"end/{self.instance_id}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"node/{self.instance_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Ask EC2 for ``count`` machines under a claim chosen beforehand; asking twice for a claim is asking once."""

    claim: str
    pool: str
    market: Market
    count: int
    overrides: tuple[Override, ...]  # each holds the content; cheapest first
    template: str
    contents: tuple[Content, ...]  # of each machine
    cause: Reason  # DEMAND, HEADROOM or MINIMUM
    reason: str

    @property
    def price(self) -> float:
        """USD an hour of the dearest that it may become: caps count that."""
        return self.count * max(o.price for o in self.overrides)

    @property
    def key(self) -> str:
        """Idempotency key: one decision has one key, however often it is carried out."""
        return f"launch/{self.claim}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"pool/{self.pool}"

    def claimed(self, at: datetime) -> Claim:
        """Give the claim as it stands once it is asked for, and not yet answered."""
        return Claim(
            name=self.claim,
            pool=self.pool,
            count=self.count,
            market=self.market,
            overrides=self.overrides,
            asked_at=at,
            answered=False,
            contents=self.contents,
        )


ServerAction = AddServer | TransferLeadership | TerminateServer | RemovePeer
FormingAction = FormServer | IntroduceServers | GiveUpForming | ForgetMember | MarkFormed
UpkeepAction = SaveSnapshot | GiveAddress | BootstrapAcl
RemovalAction = EndMachine
"""What takes a client away: never while the servers are frozen."""
PoolAction = CreateNodePool | CreateTemplate | DeleteTemplate | RemovalAction
Action = FormingAction | ServerAction | UpkeepAction | PoolAction | Launch


def to_builtins(action: Action) -> dict[str, Any]:
    """Write an action as plain values, its kind beside its fields."""
    return {"kind": type(action).__name__, **msgspec.to_builtins(action)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done, in order, and what is not."""

    actions: tuple[Action, ...] = ()
    holds: tuple[Hold, ...] = ()
    bound: float | None = None  # USD an hour: no set of new machines for this demand is cheaper

    def __add__(self, other: Plan) -> Plan:
        bounds = [b for b in (self.bound, other.bound) if b is not None]
        return Plan(
            actions=self.actions + other.actions,
            holds=self.holds + other.holds,
            bound=sum(bounds) if bounds else None,
        )

    @staticmethod
    def held(subject: str, reason: Reason, message: str, *, passing: bool = False) -> Plan:
        """Give the plan that does nothing, and says why."""
        return Plan(holds=(Hold(subject=subject, reason=reason, message=message, passing=passing),))

    @property
    def price(self) -> float:
        """USD an hour that its launches may add, at the dearest."""
        return sum(a.price for a in self.actions)

    @property
    def digest(self) -> str:
        """Names the actions: two plans with one digest do the same."""
        data = msgspec.json.encode([to_builtins(a) for a in self.actions], order="sorted")
        return hashlib.sha256(data).hexdigest()[:16]


class Result(StrEnum):
    """What came of an action."""

    DONE = "done"
    PARTLY = "partly"  # a launch that gave fewer than asked: the rest is planned again
    REFUSED = "refused"  # the outside said no; nothing happened
    FAILED = "failed"  # it could not be asked
    UNKNOWN = "unknown"  # no answer: the intent stays open and is resumed as it was written


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one action, for the journal and for people."""

    action: Action
    result: Result
    at: datetime
    message: str = ""
    instance_ids: tuple[str, ...] = ()
    errors: tuple[FleetError, ...] = ()  # of a launch: which offerings were refused, and why
