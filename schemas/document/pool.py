"""A pool of clients: which machines may be bought, how many, and how they are given back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from schemas.document.base import Datacenter, Driver, Duration, Items, Model, Percent, PoolName, Text
from schemas.document.machine import Arch, MachineOverride

if TYPE_CHECKING:
    from schemas.catalogue import Catalogue, InstanceType

Glob = Annotated[
    str, Text("[a-z0-9.*?\\[\\]!-]{1,64}", "an instance type or a glob of instance types", ("m6i.*", "c6i.xlarge"))
]


class Size(Model):
    """How many machines a pool may have."""

    min: Annotated[int, Field(ge=0)] = 1
    """Never fewer, even when all are idle."""
    max: Annotated[int, Field(ge=0)] = 50
    """Never more, whatever waits."""
    desired: Annotated[int, Field(ge=0)] | None = None
    """Pins the number: demand, headroom and scale-down stay out. Omitted: derived from demand and headroom."""


class IntRange(Model):
    """Bounds of a whole number, both included; an end that is not given is open."""

    min: Annotated[int, Field(ge=0)] | None = None
    """No less than this."""
    max: Annotated[int, Field(ge=1)] | None = None
    """No more than this."""


class NumberRange(Model):
    """Bounds of a number, both included; an end that is not given is open."""

    min: Annotated[float, Field(ge=0)] | None = None
    """No less than this."""
    max: Annotated[float, Field(gt=0)] | None = None
    """No more than this."""


class Require(Model):
    """What an instance type must be like."""

    vcpu: IntRange = IntRange()
    """Bounds of its vCPUs."""
    memory_gib: NumberRange = Field(default=NumberRange(), alias="memoryGiB")
    """Bounds of its nominal memory, in GiB."""
    arch: Annotated[Items[Arch], Field(min_length=1)] = ("x86_64",)
    """Architectures that will do; each needs an image."""
    burstable: bool | None = False
    """Whether it must earn CPU credits (t2, t3, ...); null: either will do."""
    exclude: Items[Glob] = ("*.metal",)
    """Globs of types that will not do."""


class Instances(Model):
    """Which instance types may be bought: those that match a glob of `types` and all of `require`."""

    types: Items[Glob] = Field(default=(), examples=[["m6i.*", "c6i.xlarge"]])
    """Names or globs of instance types; none: any type that satisfies `require`."""
    require: Require | None = None
    """What a type must be like.

    With neither `types` nor `require`: 2-16 vCPU, 4 GiB or more, x86_64, not burstable, not bare metal."""

    def allowed(self, catalogue: Catalogue) -> tuple[InstanceType, ...]:
        """List the types of a catalogue that may be bought, by name."""
        return catalogue.matching(self.types, self.require)


ANY_ORDINARY = Require(vcpu=IntRange(min=2, max=16), memory_gib=NumberRange(min=4))


def _instances(value: Any) -> Any:
    """Fill in what a pool may buy when it says nothing about it."""
    if isinstance(value, Mapping) and not (value.keys() & {"types", "require"}):
        return {**value, "require": ANY_ORDINARY}
    return value


class Capacity(Model):
    """How much of a pool is bought on the spot market."""

    spot_percent: Percent = 80
    """Share of spot machines among those beyond `onDemandBase`."""
    on_demand_base: Annotated[int, Field(ge=0)] = 1
    """So many machines are on-demand in any case."""
    fallback_to_on_demand: bool = True
    """Buy on-demand while no spot offering can be had, and go back to spot later."""


class HeadroomUnit(Model):
    """An indivisible piece of spare room: on one node or nowhere. A dimension that is not given does not count."""

    units: Annotated[int, Field(ge=0, examples=[10])]
    """How many such pieces must be free."""
    cpu_mhz: Annotated[int, Field(ge=1)] | None = Field(default=None, alias="cpuMHz")
    """CPU of a piece in MHz, as Nomad counts it."""
    memory_mib: Annotated[int, Field(ge=1)] | None = Field(default=None, alias="memoryMiB")
    """Memory of a piece in MiB."""


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, Mapping | HeadroomUnit) else value


Headroom = Annotated[
    Items[HeadroomUnit], BeforeValidator(_one_or_many, json_schema_input_type=HeadroomUnit | tuple[HeadroomUnit, ...])
]


class ScaleDown(Model):
    """When idle nodes are given back."""

    enabled: bool = True
    """Whether nodes are given back at all."""
    cpu_below_percent: Percent = 40
    """A node is idle while its allocated CPU is under this ..."""
    memory_below_percent: Percent = 40
    """... and its allocated memory under this; system jobs do not count."""
    period: Duration = timedelta(seconds=60)
    """How long one look at a node lasts."""
    periods: Annotated[int, Field(ge=1)] = 5
    """So many periods in a row must find it idle."""
    max_percent: Annotated[Percent, Field(ge=1)] = 10
    """At most this share of the pool leaves at a time, at least one node."""
    cooldown: Duration = timedelta(minutes=5)
    """Rest between two batches of removals, from the end of the last."""


class Drain(Model):
    """How work leaves a node before the node leaves."""

    deadline: Duration = timedelta(minutes=15)
    """How long services may take to move; batch work of a voluntary drain has no deadline."""
    batch: Literal["wait", "keep", "migrate"] = "wait"
    """Batch work on a node: `wait` for its end, `keep` such nodes, or `migrate` each copy by stopping it."""
    ignore_system_jobs: bool = True
    """Leave system jobs running until the machine goes."""


class Protect(Model):
    """Work whose nodes are left alone by scale-down; with both given, a job must match both."""

    jobs: Annotated[str, Text("[^\\s]+", "a glob of job ids", ("etl-*",))] | None = None
    """Glob of job ids."""
    meta: Mapping[str, str] | None = None
    """Job meta that must be as given."""


class Registration(Model):
    """How patient we are with new machines."""

    timeout: Duration = timedelta(minutes=10)
    """How long a machine may take to register in Nomad before it is given up."""


class Interruption(Model):
    """What happens when EC2 takes a machine back."""

    on_rebalance: Literal["replace-then-drain", "drain", "ignore"] = "replace-then-drain"
    """On rebalance advice: a replacement first, only drain, or nothing."""
    on_notice: Literal["drain-now"] = "drain-now"
    """On a two-minute notice."""


class Pool(Model):
    """Machines of one purpose: the same datacenter, node pool, class and template, of any allowed type."""

    name: PoolName
    """Name of the pool, once in a group."""
    datacenter: Datacenter = "dc1"
    """Nomad datacenter of its nodes."""
    node_pool: Annotated[
        str,
        Text(
            "[A-Za-z0-9_-]{1,128}", "a node pool's name: 1-128 letters, digits, dashes, underscores", ("default", "gpu")
        ),
    ] = "default"
    """Nomad node pool; created when it is missing, never deleted."""
    node_class: Annotated[
        str, Text("[A-Za-z0-9_./:-]{0,128}", "a node class: letters, digits and `_./:-`", ("general", "gpu"))
    ] = "general"
    """Nomad node class."""
    meta: Mapping[str, str] = Field(default={}, examples=[{"owner": "platform"}])
    """Meta of its nodes."""
    drivers: Items[Driver] = Field(default=(), examples=[["docker", "exec"]])
    """Task drivers that its nodes will have; empty: learnt from nodes of the same image, else assumed."""
    attributes: Mapping[str, str] = Field(default={}, examples=[{"kernel.name": "linux"}])
    """Node attributes to promise to jobs before the first node of this image was seen."""
    join: (
        Annotated[
            Items[Annotated[str, Text("[^\\s/]+", "an address", ("10.0.0.10:4647", "nomad.internal"))]],
            Field(min_length=1),
        ]
        | None
    ) = None
    """Server addresses to join, only without `servers`; default: the hosts of `nomad.address`, port 4647."""
    size: Size = Size()
    """How many machines."""
    priority: Annotated[int, Field(ge=0)] = 100
    """When several pools can serve a group: higher first, then cheaper."""
    instances: Annotated[Instances, BeforeValidator(_instances)] = Instances(require=ANY_ORDINARY)
    """Which instance types."""
    capacity: Capacity = Capacity()
    """On-demand and spot."""
    headroom: Headroom = Field(default=(), examples=[{"units": 10, "cpuMHz": 1000, "memoryMiB": 512}])
    """Spare room that is always there: one unit shape, or a list of them."""
    scale_down: ScaleDown = ScaleDown()
    """When idle nodes are given back."""
    drain: Drain = Drain()
    """How work leaves a node."""
    protect: Items[Protect] = Field(default=(), examples=[[{"jobs": "etl-*"}, {"meta": {"team": "data"}}]])
    """Work whose nodes are left alone by scale-down."""
    registration: Registration = Registration()
    """How patient we are with new machines."""
    interruption: Interruption = Interruption()
    """What happens when EC2 takes a machine back."""
    machine: MachineOverride = MachineOverride()
    """What is different for this pool's machines, field by field."""
