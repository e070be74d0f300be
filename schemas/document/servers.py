"""The servers of a group: how many, on what, and how patient we are with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from schemas.document.base import Duration, Items, Model, Text
from schemas.document.machine import MachineOverride

TypeName = Annotated[str, Text("[a-z0-9-]+\\.[a-z0-9-]+", "the name of an instance type", ("t3.small", "m6i.large"))]


class Snapshots(Model):
    """Raft snapshots on a schedule."""

    every: Duration | None = None
    """How often; null: never on a schedule."""
    keep: Annotated[int, Field(ge=1)] = 48
    """How many to keep, the newest."""
    to: (
        Annotated[str, Text("/[^\\s]*|s3://[^\\s]+", "a directory or an S3 URL", ("s3://bucket/nomad", "/var/backups"))]
        | None
    ) = None
    """Where they go: a directory, or `s3://bucket/prefix`."""


class Servers(Model):
    """Nomad servers, formed and replaced by the reconciler: on-demand, one voter each, spread over the zones."""

    count: Annotated[int, Field(json_schema_extra={"enum": [1, 3, 5]})] = 3
    """How many: 3 or 5; 1 only with `acceptDataLossRisk: true`."""
    accept_data_loss_risk: bool = False
    """Allow a single server: when its machine dies, the cluster's state dies with it."""
    instance_types: Annotated[Items[TypeName], Field(min_length=1, examples=[["t3.small", "t3a.small"]])] = (
        "t3.small",
        "t3a.small",
    )
    """Instance types that will do, the first that can be had is taken. Names, not globs; always on-demand."""
    elastic_ips: Items[Annotated[str, Text("eipalloc-[0-9A-Za-z]+", "an allocation id", ("eipalloc-0123",))]] = ()
    """Allocation ids of Elastic IPs, one a server; none: private addresses only."""
    replace_after: Duration = timedelta(minutes=5)
    """How long a failed server may take to come back by itself before it is replaced."""
    registration_timeout: Duration = timedelta(minutes=10)
    """How long a new server may take to join and vote before its machine is given up."""
    snapshots: Snapshots = Snapshots()
    """Raft snapshots on a schedule."""
    machine: MachineOverride = MachineOverride()
    """What is different for servers, field by field."""
