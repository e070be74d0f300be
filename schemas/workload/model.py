"""What a workload file may say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from schemas.document.base import Driver, Duration, Items, Model, Percent, Text, refusal

Glob = Annotated[str, Text("[a-z0-9.*?\\[\\]!-]{1,64}", "a glob", ("m6i.*", "*a"))]
JobName = Annotated[str, Text("[A-Za-z0-9._-]{1,100}", "a job's name: letters, digits, . _ -", ("web", "nightly-etl"))]
TimeOfDay = Annotated[str, Text("([01][0-9]|2[0-3]):[0-5][0-9]", "a time of day", ("14:00",))]
Whole = Annotated[int, Field(ge=0)]


class Daily(Model):
    """A wave of one day: fewest copies twelve hours from the peak, most at it."""

    low: Whole
    """Copies at the quietest hour."""
    high: Whole
    """Copies at the peak."""
    peak: TimeOfDay = "14:00"
    """When there are most, in UTC."""
    weekend: Percent = 100
    """What is left of the wave on Saturday and Sunday, in percent of its height above `low`."""
    every: Duration = timedelta(minutes=30)
    """How often the count is set."""
    noise: Percent = 0
    """By how much a count may be off the wave, in percent, drawn by the seed."""


class Count(Model):
    """A count from a moment on."""

    at: Duration
    """When, from the beginning."""
    count: Whole
    """Copies of the group from then on."""


class Arrivals(Model):
    """The job comes again and again, each time as a new one: `name-1`, `name-2` and so on."""

    every: Duration | None = None
    """Evenly, one batch of jobs in this time. Either this or `at`."""
    at: Items[TimeOfDay] = Field(default=(), examples=[["01:00"]])
    """At these times of the day, in UTC."""
    weekdays: Items[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = ()
    """Only on these days; none: on all."""
    jobs: Annotated[int, Field(ge=1, le=10_000)] = 1
    """How many jobs come each time."""
    spread: Duration | None = None
    """Over how long the jobs of one time come, drawn by the seed; none: all at once."""

    @model_validator(mode="after")
    def _one_rhythm(self) -> Self:
        if (self.every is None) == (not self.at):
            raise refusal("says when jobs arrive twice or not at all", "give every or at, one of them")
        return self


class Constraint(Model):
    """A constraint of the job, as Nomad writes it."""

    attribute: str
    """Such as `${attr.cpu.arch}`."""
    operator: str = "="
    """Nomad's operator."""
    value: str = ""
    """What it is held against."""


class Job(Model):
    """A job of one task group, in short; or any job, in Nomad's own JSON, under `job`."""

    name: JobName
    """The job's id."""
    copies: Annotated[int, Field(ge=1, le=10_000)] = 1
    """So many jobs alike: `name-1`, `name-2` and so on when there are several."""
    job: Mapping[str, Any] | None = None
    """The job as Nomad's API takes it, instead of the short form below; its `ID` and `Name` are set to the name."""
    type: Literal["service", "batch", "system", "sysbatch"] = "service"
    """Nomad's type of job."""
    priority: Annotated[int, Field(ge=1, le=100)] = 50
    """Nomad's priority."""
    node_pool: Annotated[str, Text("[A-Za-z0-9_-]{1,128}", "a node pool", ("default",))] = "default"
    """Where it may run."""
    datacenters: Items[
        Annotated[str, Text("[A-Za-z0-9_.*-]{1,128}", "a datacenter, or a glob of them", ("dc1", "*"))]
    ] = ("*",)
    """Where it may run."""
    count: Whole = 1
    """Copies of its group, as long as neither `daily` nor `counts` says otherwise."""
    cpu_mhz: Annotated[int, Field(ge=1, alias="cpuMHz")] = 500
    """CPU of a copy, in MHz."""
    cores: Annotated[int, Field(ge=1)] | None = None
    """Whole cores of a copy, instead of `cpuMHz`."""
    memory_mib: Annotated[int, Field(ge=10, alias="memoryMiB")] = 256
    """Memory of a copy, in MiB."""
    disk_mib: Annotated[int, Field(ge=10, alias="diskMiB")] = 300
    """Ephemeral disk of a copy, in MiB."""
    gpus: Whole = 0
    """GPUs of a copy."""
    driver: Driver = "docker"
    """The task driver."""
    ports: Items[Annotated[int, Field(ge=1, le=65535)]] = ()
    """Static host ports."""
    dynamic_ports: Whole = 0
    """How many ports Nomad chooses."""
    distinct_hosts: bool = False
    """No two copies on one node."""
    spread_zones: bool = False
    """Spread over availability zones."""
    constraints: Items[Constraint] = ()
    """Where it may run."""
    run_for: Duration | None = None
    """How long a copy runs before it ends by itself; batch work without it: 10 minutes, services: for ever."""
    run_noise: Percent = 0
    """By how much each job's `runFor` may differ, in percent, drawn by the seed."""
    from_: Duration | None = Field(default=None, alias="from")
    """When it is submitted first, from the beginning; none: at once."""
    until: Duration | None = None
    """When it is stopped, or arrives no more; none: never."""
    daily: Daily | None = None
    """Its count goes in daily waves."""
    counts: Items[Count] = ()
    """Its count changes at these moments."""
    arrivals: Arrivals | None = None
    """It comes again and again, as a new job each time."""

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        given = [
            name for name, one in (("daily", self.daily), ("counts", self.counts), ("arrivals", self.arrivals)) if one
        ]
        if len(given) > 1:
            raise refusal(f"has {' and '.join(given)}", "one of them says how the job changes")
        everywhere = self.type in {"system", "sysbatch"} and self.job is None
        if everywhere and (self.spread_zones or self.distinct_hosts or self.daily or self.counts):
            raise refusal(
                f"is a {self.type} job, one copy a node", "leave out spreadZones, distinctHosts, daily and counts"
            )
        if self.until is not None and self.from_ is not None and self.until <= self.from_:
            raise refusal("ends before it begins", "write an until that is later than from")
        return self


class _Passing(Model):
    """Something that is so for a while."""

    from_: Duration | None = Field(default=None, alias="from")
    """Since when, from the beginning; none: always."""
    until: Duration | None = None
    """Until when; none: to the end."""


class _Pools(_Passing):
    """Something that is so of some capacity pools for a while."""

    types: Glob = "*"
    """Glob of instance types."""
    zones: Glob = "*"
    """Glob of availability zones, such as `*a`."""


class SpotPrice(_Pools):
    """Spot costs so much of on-demand for a while."""

    percent: Percent
    """Of the on-demand price."""


class Capacity(_Pools):
    """EC2 has only so many machines to give for a while."""

    market: Literal["spot", "on-demand", "*"] = "*"
    """Which market."""
    machines: Whole = 0
    """Live machines of each type in each zone at most; 0: none more."""


class Quota(Model):
    """A vCPU quota of the account."""

    market: Literal["spot", "on-demand"]
    """Which market."""
    family: Literal["standard", "g", "p", "x", "f", "inf", "trn", "dl", "hpc", "highmem"] = "standard"
    """Which class of instance types."""
    vcpus: Whole
    """vCPUs that may be live."""


class Reclaim(Model):
    """EC2 takes many spot machines back at once."""

    at: Duration
    """When, from the beginning."""
    types: Glob = "*"
    """Glob of instance types."""
    zones: Glob = "*"
    """Glob of availability zones."""
    percent: Percent = 100
    """Share of the machines that match."""
    lack: Duration = timedelta(minutes=30)
    """For how long these pools give no machine afterwards."""
    advice: Duration | None = None
    """How long before the notice the rebalance advice comes; none: it does not."""


class Outage(Model):
    """A zone gives no machines for a while."""

    zone: Annotated[str, Text("[a-z0-9-]{5,32}", "an availability zone", ("us-east-1a",))]
    """Which."""
    from_: Duration = Field(alias="from")
    """Since when."""
    until: Duration
    """Until when."""
    silent: bool = False
    """Lists of machines fail meanwhile, too."""


class LaunchTrouble(Model):
    """What goes wrong with the next machines that are launched."""

    kind: Literal["fails-pending", "never-boots", "boots-late", "less-memory", "no-metadata"]
    """What."""
    times: Annotated[int, Field(ge=1)] = 1
    """With how many machines."""
    types: Glob = "*"
    """Glob of instance types."""
    zones: Glob = "*"
    """Glob of availability zones."""
    role: Literal["server", "client", "*"] = "client"
    """Of which machines."""
    delay: Duration | None = None
    """`boots-late`: by how much."""
    percent: Percent = 50
    """`less-memory`: what there is of it."""


class Market(Model):
    """What EC2 has to give, and at what price."""

    spot: Items[SpotPrice] = ()
    """Spot prices that are said; others wander by the seed."""
    capacity: Items[Capacity] = ()
    """Droughts."""
    quotas: Items[Quota] = ()
    """vCPU quotas."""
    interruptions_per_day: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """How often a spot machine is taken back, a day and machine."""
    reclaims: Items[Reclaim] = ()
    """Many machines taken back at once."""
    outages: Items[Outage] = ()
    """Zones that give none."""
    launch_trouble: Items[LaunchTrouble] = ()
    """Machines that come up badly, or not at all."""


class Step(Model):
    """One thing that somebody does, as scenarios write it."""

    do: Literal["register-job", "stop-job", "scale"]
    """What."""
    at: Duration | None = None
    """When, from the beginning; none: at once."""
    job: Annotated[Mapping[str, Any] | str, WithJsonSchema({"type": ["object", "string"]})]
    """`register-job`: the job, as Nomad's API takes it; else its id."""
    group: str = ""
    """`scale`: which group."""
    count: Whole = 0
    """`scale`: how many copies."""
    purge: bool = False
    """`stop-job`: forget the job, too."""

    @model_validator(mode="after")
    def _job_by_kind(self) -> Self:
        if (self.do == "register-job") == isinstance(self.job, str):
            what = "the job itself" if self.do == "register-job" else "the job's id"
            raise refusal(f"{self.do} has something else under job", f"write {what}")
        return self


class Workload(Model):
    """Jobs over time, and the market meanwhile."""

    name: Annotated[str, Text("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "a name", ("daily-wave",))]
    """What reports call it."""
    about: str = ""
    """A sentence on what it is for."""
    jobs: Items[Job] = ()
    """Jobs and how they change."""
    steps: Items[Step] = ()
    """Single things that somebody does."""
    market: Market = Market()
    """What EC2 has to give, and at what price."""
