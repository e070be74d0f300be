"""Values for tests, each with a default for all that a test does not speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from providers.prices.shipped import load_catalogue
from schemas.catalogue import Catalogue
from schemas.document import ClusterGroup
from schemas.names import formed_marker
from schemas.world import (
    META_CLAIM,
    TAG_CLAIM,
    TAG_CLUSTER,
    TAG_POOL,
    TAG_ROLE,
    Allocation,
    Claim,
    Constraint,
    Evaluation,
    Instance,
    Job,
    Market,
    Node,
    Override,
    RaftPeer,
    Resources,
    ServerView,
    Snapshot,
    TaskGroup,
)

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
GROUP = "prod"


def a_catalogue() -> Catalogue:
    """The shipped one."""
    return load_catalogue()


def a_pool(**given: Any) -> dict[str, Any]:
    """A pool as a document writes it, camelCase: on-demand m6i machines, no minimum."""
    pool: dict[str, Any] = {
        "name": "general",
        "instances": {"types": ["m6i.large", "m6i.xlarge"]},
        "size": {"min": 0, "max": 50},
        "capacity": {"spotPercent": 0, "onDemandBase": 0},
    }
    return {**pool, **given}


def a_group(
    *, pools: Sequence[Mapping[str, Any]] = (), servers: Mapping[str, Any] | None = None, **spec: Any
) -> ClusterGroup:
    """A group of three servers and these pools over three zones."""
    document = {
        "apiVersion": "nomad-reconciler/v1alpha1",
        "kind": "ClusterGroup",
        "metadata": {"name": GROUP},
        "spec": {
            "aws": {
                "region": "us-east-1",
                "subnets": [{"id": f"subnet-{z}1", "zone": f"us-east-1{z}"} for z in "abc"],
                "securityGroups": ["sg-0123"],
                "instanceProfile": "nomad-node",
            },
            "machine": {"images": {"x86_64": "ami-0123", "arm64": "ami-0456"}},
            "servers": dict(servers or {}),
            "pools": [dict(pool) for pool in pools],
            **spec,
        },
    }
    return ClusterGroup.model_validate(document)


def a_snapshot(*, formed: bool = True, **given: Any) -> Snapshot:
    """A quiet world at noon: a quorum was formed, nothing runs, nothing waits."""
    catalogue = a_catalogue()
    snapshot = Snapshot(
        observed_at=NOON,
        catalogue=catalogue,
        templates=frozenset({formed_marker(GROUP)} if formed else ()),
        node_pools=frozenset({"default", "all"}),
        store_id="store-1",
    )
    return replace(snapshot, **given)


def an_instance(number: int = 1, **given: Any) -> Instance:
    """A running client of pool ``general``."""
    tags = {TAG_CLUSTER: GROUP, TAG_ROLE: "client", TAG_POOL: "general", TAG_CLAIM: f"general-{number}"}
    instance = Instance(
        id=f"i-{number:04}",
        type="m6i.large",
        zone="us-east-1a",
        subnet_id="subnet-a1",
        market=Market.ON_DEMAND,
        state="running",
        launched_at=NOON - timedelta(hours=1),
        private_ip=f"10.0.0.{number}",
        image_id="ami-0123",
        tags=tags,
    )
    return replace(instance, **given)


def a_server(slot: int, life: int = 0, **given: Any) -> Instance:
    """A running server's machine."""
    tags = {TAG_CLUSTER: GROUP, TAG_ROLE: "server", TAG_CLAIM: f"server-{slot}-{life}"}
    some = {"type": "t3.small", "tags": tags, "private_ip": f"10.1.0.{slot}", "id": f"i-server-{slot}-{life}"}
    return an_instance(900 + slot, **{**some, **given})


def a_view(address: str, voters: Sequence[str], leader: str | None = None, **given: Any) -> ServerView:
    """What a server's agent answers: it sees these voters, the first of which leads."""
    leads = (leader if leader is not None else f"{voters[0]}:4647") if voters else ""
    peers = tuple(
        RaftPeer(id=f"id-{v}", name=v, address=f"{v}:4647", leader=f"{v}:4647" == leads, voter=True) for v in voters
    )
    view = ServerView(address=address, reachable=True, leader=leads, peers=peers, members=tuple(voters))
    return replace(view, **given)


def a_node(number: int = 1, **given: Any) -> Node:
    """A ready node on ``an_instance(number)``: 5,000 MHz, 8,000 MiB, nothing on it."""
    node = Node(
        id=f"node-{number:04}",
        name=f"i-{number:04}",
        status="ready",
        eligible=True,
        draining=False,
        datacenter="dc1",
        node_pool="default",
        node_class="",
        total=Resources(cpu_mhz=5000, memory_mib=8000, disk_mib=20000, cores=2),
        attributes={
            "unique.platform.aws.instance-id": f"i-{number:04}",
            "platform.aws.instance-type": "m6i.large",
            "cpu.arch": "amd64",
            "kernel.name": "linux",
        },
        meta={META_CLAIM: f"general-{number}"},
        drivers={"docker": True, "exec": True},
        registered_at=NOON - timedelta(hours=1),
        modify_index=number,
    )
    return replace(node, **given)


def a_task_group(name: str = "web", **given: Any) -> TaskGroup:
    """A group of one docker task: 500 MHz, 256 MiB."""
    group = TaskGroup(
        name=name,
        count=1,
        ask=Resources(cpu_mhz=500, memory_mib=256, disk_mib=300),
        drivers=frozenset({"docker"}),
    )
    return replace(group, **given)


def a_job(name: str = "web", *, queued: int = 0, **given: Any) -> Job:
    """A service of one group, ``queued`` copies of which wait."""
    groups = given.pop("groups", (a_task_group(),))
    job = Job(
        namespace="default",
        id=name,
        type="service",
        priority=50,
        node_pool="default",
        datacenters=("*",),
        groups=groups,
        queued={groups[0].name: queued} if queued else {},
        submitted_at=NOON - timedelta(minutes=10),
    )
    return replace(job, **given)


def a_blocked(job: Job, **given: Any) -> Evaluation:
    """The job's blocked evaluation, a minute old."""
    evaluation = Evaluation(
        id=f"eval-{job.id}",
        namespace=job.namespace,
        job_id=job.id,
        type=job.type,
        status="blocked",
        created_at=NOON - timedelta(minutes=1),
    )
    return replace(evaluation, **given)


def an_allocation(node: Node, number: int = 1, **given: Any) -> Allocation:
    """A running copy of ``web`` on a node."""
    allocation = Allocation(
        id=f"alloc-{node.id}-{number}",
        namespace="default",
        job_id="web",
        group="web",
        node_id=node.id,
        job_type="service",
        desired="run",
        client="running",
        usage=Resources(cpu_mhz=500, memory_mib=256, disk_mib=300),
        created_at=NOON - timedelta(minutes=30),
    )
    return replace(allocation, **given)


def a_claim(number: int = 1, **given: Any) -> Claim:
    """One m6i.large of pool ``general``, asked for half a minute ago and not answered."""
    claim = Claim(
        name=f"general-{number}",
        pool="general",
        count=1,
        market=Market.ON_DEMAND,
        overrides=(Override(instance_type="m6i.large", subnet_id="subnet-a1", zone="us-east-1a", price=0.096),),
        asked_at=NOON - timedelta(seconds=30),
        answered=False,
    )
    return replace(claim, **given)


def a_constraint(left: str, operand: str, right: str, scope: str = "job") -> Constraint:
    """A constraint of a job."""
    return Constraint(left=left, operand=operand, right=right, scope=scope)
