"""What one tick knows of the world: frozen values, equal by content, cheap in tens of thousands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from schemas.catalogue import Catalogue
from schemas.faults import Source
from schemas.predictions import Predictions
from schemas.servers import Autopilot, Member, ServersRecord
from schemas.supply import Supply
from schemas.trouble import Trouble

TAG = "nomad-reconciler:"
TAG_CLUSTER, TAG_ROLE, TAG_POOL, TAG_CLAIM = f"{TAG}cluster", f"{TAG}role", f"{TAG}pool", f"{TAG}claim"
TAG_STORE, TAG_REVISION, TAG_JOIN = f"{TAG}store", f"{TAG}revision", f"{TAG}join"
TAG_REMOVE = f"{TAG}remove"  # set by an operator: this machine shall go
META_CLAIM = "unique.nomad_reconciler_claim"


class Role(StrEnum):
    """What a machine of ours is for."""

    SERVER = "server"
    CLIENT = "client"


class Market(StrEnum):
    """How a machine is bought."""

    SPOT = "spot"
    ON_DEMAND = "on-demand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a node has or an allocation takes: MHz and MiB as Nomad counts them, cores as a number of ids."""

    cpu_mhz: int = 0
    memory_mib: int = 0
    disk_mib: int = 0
    cores: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            cpu_mhz=self.cpu_mhz + other.cpu_mhz,
            memory_mib=self.memory_mib + other.memory_mib,
            disk_mib=self.disk_mib + other.disk_mib,
            cores=self.cores + other.cores,
        )

    def __sub__(self, other: Resources) -> Resources:
        return Resources(
            cpu_mhz=self.cpu_mhz - other.cpu_mhz,
            memory_mib=self.memory_mib - other.memory_mib,
            disk_mib=self.disk_mib - other.disk_mib,
            cores=self.cores - other.cores,
        )


# --- Nomad -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceGroup:
    """Devices of one kind on a node; ``count`` is the healthy ones."""

    vendor: str
    type: str
    name: str
    count: int
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A Nomad client as its servers see it (source: ``GET /v1/node/:id``)."""

    id: str
    name: str
    status: str  # initializing | ready | down | disconnected
    eligible: bool
    draining: bool
    datacenter: str
    node_pool: str
    node_class: str
    total: Resources
    core_mhz: int = 0  # of its fastest core: what a reserved core takes; 0: not known, an equal part of the total
    reserved: Resources = field(default_factory=Resources)
    reserved_ports: frozenset[int] = frozenset()
    dynamic_ports: tuple[int, int] = (20000, 32000)
    max_allocs: int = 0  # 0: no limit
    attributes: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    drivers: Mapping[str, bool] = field(default_factory=dict)  # driver → detected and healthy
    devices: tuple[DeviceGroup, ...] = ()
    host_volumes: Mapping[str, bool] = field(default_factory=dict)  # name → read only
    network_modes: frozenset[str] = frozenset({"host"})
    host_networks: frozenset[str] = frozenset({"default"})  # aliases of its addresses
    drain_meta: Mapping[str, str] = field(default_factory=dict)  # LastDrain.Meta: ours says ``by: nomad-reconciler``
    registered_at: datetime | None = None  # the node's first event
    version: str = ""
    modify_index: int = 0

    @property
    def ready(self) -> bool:
        """Nomad may place work here now."""
        return self.status == "ready" and self.eligible and not self.draining

    @property
    def instance_id(self) -> str | None:
        """The EC2 instance under it; None when neither the agent's fingerprint nor its name tells."""
        known = self.attributes.get("unique.platform.aws.instance-id")
        return known or (self.name if self.name.startswith("i-") else None)

    @property
    def claim(self) -> str | None:
        """The launch request that it came from; None when it is nobody's."""
        return self.meta.get(META_CLAIM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """One of a job's constraints; ``left`` and ``right`` as in the job, ``scope`` is where it stood."""

    left: str
    operand: str
    right: str
    scope: str = "group"  # job | group (tasks' count as their group's)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAsk:
    """Devices that a task wants: ``type``, ``vendor/type`` or ``vendor/type/name``."""

    name: str
    count: int = 1
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeAsk:
    """A volume that a group mounts; ``kind`` is ``host`` or ``csi``."""

    kind: str
    source: str
    read_only: bool = False
    sticky: bool = False
    per_alloc: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadWish:
    """Over the values of which attribute copies should be spread; Nomad scores by it and never refuses for it."""

    attribute: str
    targets: tuple[tuple[str, int], ...] = ()  # value → percent of the copies; none: evenly


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskGroup:
    """What one copy of a group needs, its life phases folded (facts: nomad §2.3); never split over nodes."""

    name: str
    count: int
    ask: Resources
    constraints: tuple[Constraint, ...] = ()  # the job's, its own and its tasks', ANDed
    drivers: frozenset[str] = frozenset()
    static_ports: frozenset[int] = frozenset()
    dynamic_ports: int = 0
    network_mode: str = "host"
    host_networks: frozenset[str] = frozenset()  # aliases that its ports name
    devices: tuple[DeviceAsk, ...] = ()
    volumes: tuple[VolumeAsk, ...] = ()
    spreads: tuple[SpreadWish, ...] = ()  # the job's, then its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job with what its summary says is queued (source: ``GET /v1/jobs`` and ``GET /v1/job/:id``)."""

    namespace: str
    id: str
    type: str  # service | batch | system | sysbatch
    priority: int
    node_pool: str
    datacenters: tuple[str, ...]  # globs
    groups: tuple[TaskGroup, ...]
    queued: Mapping[str, int] = field(default_factory=dict)  # group → copies that Nomad could not place
    stopped: bool = False
    parent: bool = False  # periodic or parameterized: its children want, it does not
    meta: Mapping[str, str] = field(default_factory=dict)
    submitted_at: datetime | None = None
    modify_index: int = 0

    @property
    def name(self) -> str:
        """How a person names it: ``namespace/id``, the default namespace left out."""
        return self.id if self.namespace == "default" else f"{self.namespace}/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a group could not be placed, in Nomad's words; frozen at its birth: it explains and never counts."""

    nodes_evaluated: int = 0
    nodes_filtered: int = 0
    nodes_exhausted: int = 0
    constraints: Mapping[str, int] = field(default_factory=dict)
    dimensions: Mapping[str, int] = field(default_factory=dict)
    quota: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation that is blocked or pending (source: ``GET /v1/evaluations``)."""

    id: str
    namespace: str
    job_id: str
    type: str
    status: str  # blocked | pending
    created_at: datetime
    node_id: str = ""
    triggered_by: str = ""
    wait_until: datetime | None = None
    quota_limit: str = ""
    missing: tuple[str, ...] = ()  # MissingNonNodeResources: ``csi-volume:ns:id``
    failures: Mapping[str, Failure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """One copy of a group on a node (source: ``GET /v1/allocations?resources=true``)."""

    id: str
    namespace: str
    job_id: str
    group: str
    node_id: str
    job_type: str
    desired: str  # run | stop | evict
    client: str  # pending | running | complete | failed | lost | unknown
    usage: Resources
    ports: frozenset[int] = frozenset()
    devices: Mapping[str, int] = field(default_factory=dict)  # vendor/type/name → how many
    created_at: datetime | None = None

    @property
    def takes_room(self) -> bool:
        """Whatever the client has not reported as ended takes room, also when it is to stop."""
        return self.client not in {"complete", "failed", "lost"}

    @property
    def overhead(self) -> bool:
        """System and sysbatch allocations are overhead, not work."""
        return self.job_type in {"system", "sysbatch"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftPeer:
    """A server in a raft configuration."""

    id: str
    name: str
    address: str  # host:port of its RPC
    leader: bool
    voter: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerView:
    """What one server's own agent answers, asked at its own address with stale reads; None means it did not answer."""

    address: str  # the private address that was asked
    reachable: bool
    leader: str | None = None  # RPC address that it names, "" when it knows none
    peers: tuple[RaftPeer, ...] | None = None
    members: tuple[str, ...] | None = None  # alive members' addresses by its gossip
    gossip: tuple[Member, ...] | None = None  # all members that it knows, the dead too
    ready: bool | None = None  # it answers for the leader (``GET /v1/agent/health``)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServersLook:
    """What the leader and EC2 say of the servers together; each server's own word is its ``ServerView``."""

    autopilot: Autopilot | None = None
    earlier: Autopilot | None = None  # the same question some seconds before: who lives has moved since
    raft: tuple[RaftPeer, ...] | None = None  # the leader's configuration, a consistent read
    gossip: tuple[Member, ...] | None = None  # of whichever agent answers for the cluster
    impaired: frozenset[str] = frozenset()  # instances whose status checks EC2 calls failed
    fault: str = ""  # what was heard instead of an answer
    reads: int = 0  # what the look cost, calls of EC2 included


# --- EC2 -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A machine with our cluster tag (source: ``DescribeInstances``)."""

    id: str
    type: str
    zone: str
    subnet_id: str
    market: Market
    state: str  # pending | running | shutting-down | terminated | stopping | stopped
    launched_at: datetime
    private_ip: str = ""
    image_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    state_reason: str = ""

    @property
    def live(self) -> bool:
        """It runs, will run, or could be started again: it counts towards every cap."""
        return self.state not in {"shutting-down", "terminated"}

    @property
    def role(self) -> str:
        """``server``, ``client`` or "" when the tag is not there (yet)."""
        return self.tags.get(TAG_ROLE, "")

    @property
    def pool(self) -> str:
        """The pool that it was launched for, "" for servers."""
        return self.tags.get(TAG_POOL, "")

    @property
    def claim(self) -> str:
        """The launch request that it answers."""
        return self.tags.get(TAG_CLAIM, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An Elastic IP of the region (source: ``DescribeAddresses``)."""

    allocation_id: str
    public_ip: str
    instance_id: str = ""  # who has it; "" when nobody has
    association_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A launch template: everything that is the same for all machines launched from it.

    Pools' templates leave type and subnet to the fleet request; a forming server's holds its whole request.
    """

    name: str
    image_id: str
    user_data: str
    security_groups: tuple[str, ...]
    instance_profile: str
    tags: Mapping[str, str]  # of the machines; the template itself carries the cluster tag
    instance_type: str | None = None
    subnet_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One offering that a fleet request may take: it holds the planned content, at this price in USD an hour."""

    instance_type: str
    subnet_id: str
    zone: str
    price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRequest:
    """``CreateFleet`` of type ``instant``: repeated byte for byte under one token, it gives the same machines."""

    token: str
    template: str
    market: Market
    count: int
    overrides: tuple[Override, ...]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetError:
    """One offering's no inside a fleet's answer."""

    instance_type: str
    zone: str
    market: Market
    code: str
    message: str
    why: str  # a Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetAnswer:
    """Instances and errors may come together; the instances are there whatever the errors say."""

    instances: tuple[Instance, ...]
    errors: tuple[FleetError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An offering that is out until ``until``: EC2 said no, or its market was interrupted."""

    instance_type: str
    zone: str
    market: Market
    why: str  # a Refusal
    until: datetime
    times: int = 1  # in a row: the pause grows with it


# --- Ours ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Copies of one group (or headroom units) that one new machine is meant to hold."""

    job: str  # Job.name, or "headroom" / "minimum"
    group: str
    copies: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One launch request for ``count`` machines, known from the moment when we wrote down that we ask for it."""

    name: str  # "general-7": pool and ordinal, never used twice
    pool: str
    count: int
    market: Market
    overrides: tuple[Override, ...]
    asked_at: datetime
    answered: bool  # False: whether EC2 did as asked is unknown; counted as launched
    instance_ids: tuple[str, ...] = ()
    contents: tuple[Content, ...] = ()  # of each machine


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What one tick knows of the world; reconcilers see nothing else, not even a clock."""

    observed_at: datetime  # with time zone
    catalogue: Catalogue
    unanswered: Mapping[Source, str] = field(default_factory=dict)  # who did not answer, and what was heard instead
    # EC2
    instances: tuple[Instance, ...] = ()
    templates: frozenset[str] = frozenset()  # names of ours
    elastic_ips: tuple[Address, ...] | None = None  # of the region; None: nobody wants to know, or EC2 was silent
    spot_prices: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (type, zone) → USD an hour
    on_demand_prices: Mapping[str, float] = field(default_factory=dict)  # by type; the shipped table where silent
    supply: Supply = field(default_factory=Supply)  # what zones sell, free addresses, and how old all that is
    trouble: Trouble = field(default_factory=Trouble)  # what EC2 has against machines that run
    # Nomad
    nodes: tuple[Node, ...] = ()
    jobs: tuple[Job, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()  # blocked and pending ones
    allocations: tuple[Allocation, ...] = ()  # those that take room
    node_pools: frozenset[str] = frozenset()
    broker_paused: bool = False
    servers: tuple[ServerView, ...] = ()  # each asked at its own address
    look: ServersLook = field(default_factory=ServersLook)
    # the journal
    journal_broken: str | None = None  # its record is there and cannot be read: nothing is done on a guess
    store_id: str | None = None
    claims: tuple[Claim, ...] = ()  # asked for, and not yet seen as nodes
    ordinals: Mapping[str, int] = field(default_factory=dict)  # pool → highest ordinal ever used
    refused: tuple[Refused, ...] = ()
    launched_last_minute: int = 0
    record: ServersRecord = field(default_factory=ServersRecord)
    predictions: Predictions = field(default_factory=Predictions)

    @cached_property
    def node_by_instance(self) -> Mapping[str, Node]:
        """The newest node that is not down on each instance."""
        found: dict[str, Node] = {}
        for node in sorted(self.nodes, key=lambda n: (n.status != "down", n.modify_index)):
            if node.instance_id:
                found[node.instance_id] = node
        return found

    @cached_property
    def instance_by_id(self) -> Mapping[str, Instance]:
        """Instances of ours by id."""
        return {i.id: i for i in self.instances}

    @cached_property
    def allocations_by_node(self) -> Mapping[str, tuple[Allocation, ...]]:
        """What takes room on each node."""
        found: dict[str, list[Allocation]] = {}
        for allocation in self.allocations:
            if allocation.takes_room:
                found.setdefault(allocation.node_id, []).append(allocation)
        return {node: tuple(some) for node, some in found.items()}

    @cached_property
    def copies_by_group(self) -> Mapping[tuple[str, str, str], int]:
        """Copies of each (namespace, job, group) that take room and are to run."""
        found: dict[tuple[str, str, str], int] = {}
        for allocation in self.allocations:
            if allocation.takes_room and allocation.desired == "run":
                key = (allocation.namespace, allocation.job_id, allocation.group)
                found[key] = found.get(key, 0) + 1
        return found

    @cached_property
    def job_by_name(self) -> Mapping[tuple[str, str], Job]:
        """Jobs by (namespace, id)."""
        return {(j.namespace, j.id): j for j in self.jobs}
