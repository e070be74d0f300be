"""A scenario: the account that a world begins with, and the work that is submitted to its cluster.

A JSON file: ``{name, about, account, steps}``. Steps are in the neutral language of the recordings (``do``, its
arguments, ``at``: seconds after the cluster first has a leader).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from providers.sandbox.world.ec2.state import (
    CapacityLimit,
    Ec2State,
    ElasticIp,
    Image,
    Mishap,
    Outage,
    PriceMove,
    QueueRules,
    Quota,
    Reclaim,
    Subnet,
)

Json = dict[str, Any]

_PREFIX = "10.{}"  # each subnet has its own second number


class ScenarioError(Exception):
    """The scenario cannot be read; the text says where and why."""


class SubnetSpec(msgspec.Struct, forbid_unknown_fields=True):
    """A subnet of the account; ``addresses`` is how many machines it can hold."""

    id: str
    zone: str
    addresses: int = 4091


class AccountSpec(msgspec.Struct, forbid_unknown_fields=True):
    """The account as it is before anything of ours exists."""

    region: str
    subnets: list[SubnetSpec]
    security_groups: list[str]
    images: list[Image]
    zones: list[str] = []
    not_offered: list[str] = []
    capacity: list[CapacityLimit] = []
    quotas: list[Quota] = []
    price_moves: list[PriceMove] = []
    mishaps: list[Mishap] = []
    describe_lag_max: float = 5.0
    interruptions_per_day: float = 0.0
    queue: QueueRules = msgspec.field(default_factory=QueueRules)
    reclaims: list[Reclaim] = []
    outages: list[Outage] = []
    spot_role: bool = True
    elastic_ips: list[str] = []  # allocation ids


class Step(msgspec.Struct):
    """One thing that somebody does to the cluster; ``job`` is Nomad's job JSON."""

    do: str
    at: float = 0.0
    job: Any = None
    group: str = ""
    count: int = 0
    purge: bool = False


class Scenario(msgspec.Struct, forbid_unknown_fields=True):
    """A whole scenario."""

    name: str
    account: AccountSpec
    about: str = ""
    steps: list[Step] = []


def load_scenario(name: str) -> Scenario:
    """Read a shipped scenario by name, or any by path. Raises ``ScenarioError``."""
    try:
        if name.endswith(".json") or "/" in name:
            text = Path(name).read_bytes()
        else:
            text = resources.files("providers.sandbox.scenarios").joinpath(f"{name}.json").read_bytes()
    except OSError as missing:
        raise ScenarioError(
            f"scenario {name}: {missing.strerror or missing}; shipped ones: {', '.join(shipped())}"
        ) from missing
    try:
        return msgspec.json.decode(text, type=Scenario)
    except msgspec.MsgspecError as broken:
        raise ScenarioError(f"scenario {name}: {broken}") from broken


def shipped() -> list[str]:
    """Name the scenarios that come with the program."""
    files = resources.files("providers.sandbox.scenarios").iterdir()
    return sorted(f.name.removesuffix(".json") for f in files if f.name.endswith(".json"))


def account_of(spec: AccountSpec) -> Ec2State:
    """Give the account in its first state."""
    return Ec2State(
        region=spec.region,
        zones=spec.zones or sorted({s.zone for s in spec.subnets}),
        subnets={
            s.id: Subnet(id=s.id, zone=s.zone, prefix=_PREFIX.format(place), size=s.addresses)
            for place, s in enumerate(spec.subnets, start=1)
        },
        security_groups=list(spec.security_groups),
        images={image.id: image for image in spec.images},
        not_offered=list(spec.not_offered),
        capacity=list(spec.capacity),
        quotas=list(spec.quotas),
        price_moves=list(spec.price_moves),
        mishaps=list(spec.mishaps),
        describe_lag_max=spec.describe_lag_max,
        interruptions_per_day=spec.interruptions_per_day,
        queue=spec.queue,
        reclaims=list(spec.reclaims),
        outages=list(spec.outages),
        spot_role=spec.spot_role,
        elastic_ips={
            allocation: ElasticIp(allocation=allocation, public_ip=f"203.0.113.{place}")
            for place, allocation in enumerate(spec.elastic_ips, start=1)
        },
    )
