"""A ClusterGroup: one Nomad cluster, or a part of one, as it should be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.document.base import Duration, GroupName, Items, Model, Percent, Region, Secret, Text, WindowName
from schemas.document.machine import Machine
from schemas.document.pool import Pool
from schemas.document.servers import Servers

API_VERSION: Final = "nomad-reconciler/v1alpha1"
KIND: Final = "ClusterGroup"


class Metadata(Model):
    """What the group is called."""

    name: GroupName
    """Name of the group: unique among all documents, never changed; tags, locks and templates carry it."""
    labels: Mapping[str, str] = Field(default={}, examples=[{"team": "platform"}])
    """Free labels, for people."""


_Reference = Annotated[
    str,
    Text(
        "ssm:/[^\\s]+|secretsmanager:[^\\s]+",
        "a reference",
        ("ssm:/nomad/tls/ca", "secretsmanager:nomad-ca"),
        secret=True,
    ),
]


class Tls(Model):
    """Where the machines find their certificates."""

    ca: _Reference
    """The authority's certificate."""
    cert: _Reference
    """The agent's certificate."""
    key: _Reference
    """The agent's key."""


class Nomad(Model):
    """The Nomad cluster."""

    version: Annotated[
        str, Text("[0-9]+\\.[0-9]+\\.[0-9]+([-+][0-9A-Za-z.+-]+)?", "a full version", ("2.0.5", "2.1.0-beta.1"))
    ] = "2.0.5"
    """Agent version of the machines; a change is drift, servers first."""
    region: Region = "global"
    """Nomad region."""
    address: (
        Annotated[str, Text("https?://[^\\s/]+/?", "the URL of a Nomad agent", ("https://nomad.internal:4646",))] | None
    ) = None
    """Where Nomad is reached. Omitted: `$NOMAD_ADDR`; with `servers`: found through the servers."""
    acl: bool = False
    """Whether the cluster uses ACLs."""
    bootstrap_token: (
        Annotated[
            str,
            Text(
                "(secretsmanager|env):[^\\s]+",
                "a reference to a token",
                ("secretsmanager:nomad-bootstrap", "env:NOMAD_BOOTSTRAP_TOKEN"),
                secret=True,
            ),
        ]
        | None
    ) = None
    """With `acl`: where the bootstrap token (a UUID) is; used for the first formation and server steps only."""
    gossip_key: Secret | None = None
    """Where the gossip encryption key is; fetched by the machine at boot, never in user data."""
    tls: Tls | None = None
    """Where the certificates are; null: plain HTTP and RPC."""


Zone = Annotated[str, Text("[a-z]{2}(-[a-z0-9]+)+-[0-9]+[a-z]", "an availability zone", ("us-east-1a",))]


class Subnet(Model):
    """A subnet where machines may be."""

    id: Annotated[str, Text("subnet-[0-9A-Za-z]+", "a subnet id", ("subnet-0123456789abcdef0",))]
    """Its id."""
    zone: Zone
    """The availability zone it lies in."""


class Aws(Model):
    """Where machines are bought."""

    region: Annotated[str, Text("[a-z]{2}(-[a-z]+)+-[0-9]+", "an AWS region", ("us-east-1",))]
    """AWS region."""
    subnets: Annotated[Items[Subnet], Field(min_length=1)]
    """Where machines may be, at least one; servers and pools are spread over the zones."""
    security_groups: Items[
        Annotated[str, Text("sg-[0-9A-Za-z]+", "a security group id", ("sg-0123456789abcdef0",))]
    ] = ()
    """Security groups of every machine; none: the VPC's default group."""
    instance_profile: Annotated[
        str, Text("|arn:[^\\s]+|[A-Za-z0-9+=,.@_-]{1,128}", "an instance profile", ("nomad-node",))
    ] = ""
    """Instance profile of every machine, by name or ARN: servers need `ec2:DescribeInstances` to find each other."""
    interruption_queue: (
        Annotated[
            str,
            Text(
                "https?://[^\\s]+",
                "the URL of an SQS queue",
                ("https://sqs.us-east-1.amazonaws.com/123456789012/nomad",),
            ),
        ]
        | None
    ) = None
    """URL of the SQS queue with spot notices and rebalance advice."""
    tags: Mapping[str, str] = Field(default={}, examples=[{"cost-center": "42"}])
    """Tags of everything that is made, besides our own."""


class Canary(Model):
    """The first machine of a new revision, watched before the rest follows."""

    soak: Duration = timedelta(minutes=10)
    """How long it must live well."""
    above: Annotated[int, Field(ge=0)] = 3
    """Only in pools of more nodes than this."""


Cron = Annotated[str, Text("[^\\s]+( [^\\s]+){4}", "a cron expression of five fields", ('"0 1 * * *"',))]
Moment = Annotated[
    str,
    Text(
        "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?)?",
        "a date or a time",
        ("2026-12-20", "2026-12-20T18:00:00Z"),
    ),
]
Removal = Literal["all", "servers", "drift", "scale-down", "consolidation"]


class Window(Model):
    """When voluntary disruption is allowed or denied: recurring (`cron`, `duration`) or once (`from`, `until`)."""

    name: WindowName | None = None
    """What a hold calls it."""
    cron: Cron | None = None
    """When it opens: minute, hour, day of month, month, day of week."""
    duration: Duration | None = None
    """How long it stays open."""
    timezone: Annotated[str, Text("UTC|[A-Za-z_]+(/[A-Za-z0-9_+-]+)+", "a time zone", ("Europe/Prague", "UTC"))] = "UTC"
    """The time zone of `cron`, and of `from` and `until` when they name none."""
    from_: Moment | None = Field(default=None, alias="from")
    """When it begins, once."""
    until: Moment | None = None
    """When it ends, once."""
    allow: Items[Removal] = ()
    """What may happen only in windows like this."""
    deny: Items[Removal] = ()
    """What must not happen in it."""


class Disruption(Model):
    """How much voluntary disruption the group bears."""

    max_unavailable_percent: Annotated[Percent, Field(ge=1)] = 10
    """At most this share of the group's nodes leaves at a time, whatever the reason; at least one."""
    canary: Canary = Canary()
    """The first machine of a new revision."""
    windows: Items[Window] = Field(
        default=(),
        examples=[
            [{"name": "nights", "cron": "0 1 * * *", "duration": "4h", "timezone": "Europe/Prague", "allow": ["drift"]}]
        ],
    )
    """When voluntary disruption is allowed or denied; none: always allowed."""


class Limits(Model):
    """Caps that hold at every instant, launches of unknown outcome included."""

    max_nodes: Annotated[int, Field(ge=0)] = 400
    """Clients of all pools together."""
    max_hourly_cost: Annotated[float, Field(ge=0)] = 120
    """USD an hour for all machines of the group; a launch that would pass it is held."""
    max_launches_per_minute: Annotated[int, Field(ge=1)] = 50
    """Machines asked for in any 60 seconds."""


class Spec(Model):
    """What should be."""

    mode: Literal["enforce", "observe", "paused"] = "enforce"
    """`enforce`; `observe`: plan and report only; `paused`: leave everything as it is."""
    nomad: Nomad = Nomad()
    """The Nomad cluster."""
    aws: Aws
    """Where machines are bought."""
    machine: Machine = Machine()
    """What machines are made from; servers and pools may override each field."""
    servers: Servers | None = None
    """The Nomad servers; omitted: they are left alone."""
    pools: Items[Pool] = ()
    """Pools of clients."""
    disruption: Disruption = Disruption()
    """How much voluntary disruption the group bears."""
    limits: Limits = Limits()
    """Caps."""


class ClusterGroup(Model):
    """A group of machines that one document describes: Nomad servers, pools of clients, or both."""

    api_version: Literal["nomad-reconciler/v1alpha1"] = API_VERSION
    """Version of this document's format."""
    kind: Literal["ClusterGroup"] = KIND
    """Kind of document."""
    metadata: Metadata
    """What the group is called."""
    spec: Spec
    """What should be."""
