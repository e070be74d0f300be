"""The simulated account: everything EC2 remembers, as data that can be written down and read back.

Times are virtual seconds; references go by id; patterns are globs (``m6i.*``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

PENDING, RUNNING, SHUTTING_DOWN, TERMINATED = "pending", "running", "shutting-down", "terminated"
STOPPING, STOPPED = "stopping", "stopped"
LIVE = frozenset({PENDING, RUNNING, STOPPING, STOPPED})  # what counts against capacity and quotas
SPOT, ON_DEMAND = "spot", "on-demand"


@dataclass(slots=True, kw_only=True)
class Subnet:
    """A subnet with room for ``size`` addresses; ``taken`` maps the used ones to their instances."""

    id: str
    zone: str
    prefix: str  # the first two numbers, "10.1"
    size: int = 4091  # a /20 less the five that AWS keeps
    cursor: int = 0
    taken: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Image:
    """A machine image with an agent baked in."""

    id: str
    arch: str
    agent_version: str = "2.0.5"
    os_name: str = "ubuntu"
    os_version: str = "24.04"
    disk_mib: int = 48_000  # its root volume, as the agent sees it
    drivers: list[str] = field(default_factory=lambda: ["docker", "exec", "raw_exec", "mock_driver"])


@dataclass(slots=True, kw_only=True)
class CapacityLimit:
    """At most ``live_max`` live instances in each pool that matches, for a while; the last match decides."""

    live_max: int
    market: str = "*"
    types: str = "*"
    zones: str = "*"
    since: float = 0.0
    until: float | None = None


@dataclass(slots=True, kw_only=True)
class Quota:
    """vCPUs of one class that may be live in one market."""

    market: str
    family: str
    vcpus_max: int


@dataclass(slots=True, kw_only=True)
class PriceMove:
    """The spot price of the pools that match is ``share`` of on-demand for a while; the last match decides."""

    share: float
    types: str = "*"
    zones: str = "*"
    since: float = 0.0
    until: float | None = None


@dataclass(slots=True, kw_only=True)
class Outage:
    """A zone has no machine to give for a while; with ``silent`` lists of machines fail as a whole meanwhile."""

    zone: str
    since: float
    until: float
    silent: bool = False


@dataclass(slots=True, kw_only=True)
class Reclaim:
    """At ``at`` EC2 wants back a ``share`` of the spot machines that match, and gives none for ``lack`` seconds.

    The advice comes ``advice`` seconds before the notice; 0: not at all.
    """

    at: float
    types: str = "*"
    zones: str = "*"
    share: float = 1.0
    lack: float = 1800.0
    advice: float = 0.0


@dataclass(slots=True, kw_only=True)
class Bucket:
    """Requests of one kind that may still be made, as of ``at``."""

    left: float
    at: float


@dataclass(slots=True, kw_only=True)
class Mishap:
    """What goes wrong with the next ``times`` machines that match, in the order they are launched.

    ``kind``: fails-pending (``code`` is the state reason) | never-boots | boots-late (``figure`` seconds) |
    less-memory (``figure`` is the share it has) | no-metadata (the agent cannot read IMDS) |
    joins-nobody (its server agent has a gossip key of its own).
    """

    kind: str
    times: int = 1
    types: str = "*"
    zones: str = "*"
    role: str = "*"  # the tag nomad-reconciler:role
    figure: float = 0.0
    code: str = "Server.InternalError"


@dataclass(slots=True, kw_only=True)
class Instance:
    """One machine, from pending until an hour after its end."""

    id: str
    type: str
    subnet: str
    zone: str
    image: str
    market: str
    private_ip: str
    launched_at: float
    visible_at: float  # describe shows it from here on
    tags_visible_at: float  # filters by tag find it from here on
    state: str = PENDING
    state_reason: str = ""
    state_message: str = ""
    client_token: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    template: str = ""
    security_groups: list[str] = field(default_factory=list)
    instance_profile: str = ""
    user_data: str = ""  # a key of Ec2State.user_data
    fleet: str = ""
    protected: bool = False
    shutdown_behavior: str = "stop"
    tags_in_metadata: bool = False
    mishap: str = ""
    mishap_figure: float = 0.0
    running_at: float | None = None
    ended_at: float | None = None
    interruption_at: float | None = None  # when the two minutes are over
    rebalance_at: float | None = None
    hung: bool = False  # nothing runs on it; its checks turn impaired a minute or two later
    impaired: bool = False
    impaired_at: float | None = None
    host_impaired: bool = False  # the system check: what the machine stands on
    scheduled: list[Json] = field(default_factory=list)
    console: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class ElasticIp:
    """An address of the account's own, and the instance that has it."""

    allocation: str
    public_ip: str
    instance: str = ""
    association: str = ""


@dataclass(slots=True, kw_only=True)
class LaunchTemplate:
    """A launch template with one version; ``content`` is its LaunchTemplateData, in the shape of the EC2 API."""

    id: str
    name: str
    created_at: float
    content: Json
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Binding:
    """What a client token was first used for, and what came of it (nothing, when EC2 said no)."""

    digest: str
    instances: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class FleetPool:
    """Instances a fleet got from one pool."""

    type: str
    subnet: str
    zone: str
    market: str
    instances: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class FleetError:
    """Why one pool of a fleet gave nothing, or not all."""

    type: str
    subnet: str
    zone: str
    market: str
    code: str
    message: str


@dataclass(slots=True, kw_only=True)
class Fleet:
    """An instant fleet: its answer, which a replay of its token gets again."""

    id: str
    digest: str
    pools: list[FleetPool] = field(default_factory=list)
    errors: list[FleetError] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class QueueRules:
    """How the interruption queue treats its messages: a share comes twice, some seconds late, in no order."""

    duplicates: float = 0.0
    delay_max: float = 0.0
    disorder: bool = False


@dataclass(slots=True, kw_only=True)
class Message:
    """An EventBridge event in the interruption queue."""

    id: str
    sent_at: float
    body: Json
    visible_at: float = 0.0
    receives: int = 0


@dataclass(slots=True, kw_only=True)
class Ec2State:
    """The account in one region."""

    region: str
    zones: list[str]
    subnets: dict[str, Subnet]
    security_groups: list[str]
    images: dict[str, Image]
    not_offered: list[str] = field(default_factory=list)  # "type/zone" globs
    capacity: list[CapacityLimit] = field(default_factory=list)
    quotas: list[Quota] = field(default_factory=list)
    price_moves: list[PriceMove] = field(default_factory=list)
    mishaps: list[Mishap] = field(default_factory=list)
    describe_lag_max: float = 5.0
    interruptions_per_day: float = 0.0  # of one spot instance
    reclaims: list[Reclaim] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    spot_role: bool = True  # AWSServiceRoleForEC2Spot exists
    buckets: dict[str, Bucket] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    elastic_ips: dict[str, ElasticIp] = field(default_factory=dict)
    templates: dict[str, LaunchTemplate] = field(default_factory=dict)
    bindings: dict[str, Binding] = field(default_factory=dict)
    fleets: dict[str, Fleet] = field(default_factory=dict)
    user_data: dict[str, str] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    queue: QueueRules = field(default_factory=QueueRules)
