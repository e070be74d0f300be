"""Everything the simulated Nomad knows, as plain data that msgspec writes and reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from providers.sandbox.world.nomad.agent import Agent
from providers.sandbox.world.nomad.allocation import Allocation
from providers.sandbox.world.nomad.deployment import Deployment
from providers.sandbox.world.nomad.evaluation import Evaluation
from providers.sandbox.world.nomad.job import Job, JobVersion
from providers.sandbox.world.nomad.node import Node
from providers.sandbox.world.nomad.settings import SchedulerConfiguration, Settings
from providers.sandbox.world.nomad.variables import Variable


@dataclass(slots=True)
class NodePool:
    """A named set of nodes."""

    name: str
    description: str = ""
    meta: dict[str, str] | None = None
    identity_ttl: float = 86400.0
    hash: str | None = None
    create_index: int = 1
    modify_index: int = 1


@dataclass(slots=True)
class Namespace:
    """A namespace of jobs."""

    name: str
    description: str = ""
    meta: dict[str, str] | None = None
    create_index: int = 1
    modify_index: int = 1


@dataclass(slots=True)
class Broker:
    """The leader's queue of evaluations: ids that wait for a scheduler, and those held back behind their job's.

    Lives in the leader's memory: lost with it and made anew from the evaluations' states.
    """

    ready: list[str] = field(default_factory=list)
    busy: dict[str, str] = field(default_factory=dict)  # job → the evaluation that is queued or under way
    waiting: dict[str, list[str]] = field(default_factory=dict)  # job → later ones
    woken: dict[str, Evaluation] = field(default_factory=dict)  # blocked ones, as their tracker knew them
    ending: dict[str, Evaluation] = field(default_factory=dict)  # given up: what will be written, by id
    scheduled: bool = False  # a "nomad.schedule" event is to come


@dataclass(slots=True)
class Blocked:
    """The leader's tracker of blocked evaluations, with their current (not stored) failure details."""

    captured: dict[str, Evaluation] = field(default_factory=dict)
    escaped: dict[str, Evaluation] = field(default_factory=dict)
    system: dict[str, Evaluation] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)  # job → the one that is tracked
    unblocked: dict[str, int] = field(default_factory=dict)  # class or resource → index of its last change
    duplicates: list[Evaluation] = field(default_factory=list)  # displaced, to be cancelled by a "nomad.reap" event
    retrying: bool = False  # a "nomad.unblock_failed" event is to come


@dataclass(slots=True)
class Watch:
    """What the watcher of a deployment remembers."""

    looking: bool = False  # a "nomad.deployment_look" event is to come
    outstanding: bool = False  # a "nomad.deployment_update" event is to come
    replace: list[str] = field(default_factory=list)  # unhealthy allocations that it will let be replaced
    deadline: float | None = None  # when the next "nomad.deployment_deadline" event is due


@dataclass(slots=True)
class DrainWork:
    """One thing for the drainer to do: ``drain`` allocations or ``deadline`` of nodes."""

    kind: str
    ids: list[str]


@dataclass(slots=True)
class DrainTracker:
    """What the leader's drainer remembers. Its job watcher waits for its requests to be done; so do requests."""

    jobs: dict[str, None] = field(default_factory=dict)  # jobs with work on draining nodes
    handled: int = 0  # the index up to which the job watcher has looked
    looking: bool = False  # a "nomad.drain_look" event is to come
    requested: bool = False  # the job watcher waits for a request of its own
    migrated: list[str] = field(default_factory=list)  # nodes to check once that is done
    queue: list[DrainWork] = field(default_factory=list)  # the first is under way
    deadlines: dict[str, float] = field(default_factory=dict)  # node → force deadline
    timer: float | None = None  # when the next "nomad.drain_deadline" event is due


@dataclass(slots=True)
class ClusterState:
    """The root. Dict order is the order of creation, which rules may rely on."""

    settings: Settings = field(default_factory=Settings)
    scheduler: SchedulerConfiguration = field(default_factory=SchedulerConfiguration)
    index: int = 0  # raft's
    leader: bool = True
    leader_since: float = 0.0
    leaders: int = 0  # elections so far
    nodes: dict[str, Node] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    versions: dict[str, JobVersion] = field(default_factory=dict)
    allocs: dict[str, Allocation] = field(default_factory=dict)
    evals: dict[str, Evaluation] = field(default_factory=dict)
    deployments: dict[str, Deployment] = field(default_factory=dict)
    pools: dict[str, NodePool] = field(default_factory=dict)
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    heartbeats: dict[str, float] = field(default_factory=dict)  # silent node → when the servers give it up
    known: dict[str, str] = field(default_factory=dict)  # node → the agent behind it
    watched: dict[str, Watch] = field(default_factory=dict)  # by deployment
    broker: Broker = field(default_factory=Broker)
    blocked: Blocked = field(default_factory=Blocked)
    drainer: DrainTracker = field(default_factory=DrainTracker)
    tables: dict[str, int] = field(default_factory=dict)  # table → index of its last change
    collecting: bool = False  # a "nomad.gc" event is to come
