"""What a region sells and where it has room: asked seldom, kept for long, each answer for itself.

A cold start costs ``DescribeInstanceTypeOfferings`` (a page for each thousand pairs of type and zone), one
``DescribeInstanceTypes`` when there are types that the shipped table does not know, one ``DescribeSubnets`` and the
Price List; after that nothing for hours but the subnets, once a minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import anyio

from providers.aws.call import Caller
from providers.aws.clients import Clients
from providers.ec2.answers import part
from providers.prices.kept import Aged, Kept
from providers.prices.on_demand import OnDemandPrices
from schemas.catalogue import InstanceType
from schemas.faults import Source, UnansweredError
from schemas.supply import Supply

T = TypeVar("T")
Row = Mapping[str, Any]

OFFERED = {"asked_every": timedelta(hours=12), "kept_for": timedelta(days=7), "retried_every": timedelta(minutes=10)}
SUBNETS = {
    "asked_every": timedelta(minutes=1),
    "kept_for": timedelta(minutes=10),
    "retried_every": timedelta(minutes=1),
}

_PAGE: Final = 1000
_NAMED_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """What each zone has, and the types among it that were not known."""

    offered: Mapping[str, frozenset[str]]
    types: tuple[InstanceType, ...] = ()


@dataclass(slots=True)
class _Heard:
    """The answers to one look, and what was heard where there was none."""

    silent: dict[str, str] = field(default_factory=dict)

    async def kept(self, name: str, kept: Kept[T], ask: Callable[[], Awaitable[T]]) -> Aged[T] | None:
        try:
            found: Aged[T] | None = await kept.get(ask)
        except UnansweredError as fault:
            self.silent[name] = fault.message
            return None
        if kept.failed:
            self.silent[name] = kept.failed
        return found


class SupplyBoard:
    """The supply of one region, as far as EC2 and the Price List tell it."""

    def __init__(self, clients: Clients, now: Callable[[], datetime], *, inline: bool = False) -> None:
        self._clients, self._now = clients, now
        self._caller = Caller(Source.EC2, inline=inline)
        self._prices = OnDemandPrices(clients, now, inline=inline)
        self._sold: dict[object, Kept[Sold]] = {}
        self._free: dict[object, Kept[Mapping[str, int]]] = {}

    def subnets_changed(self) -> None:
        """Ask for free addresses anew at the next look: a launch met a full subnet."""
        self._free.clear()

    async def look(self, zones: Sequence[str], subnets: Sequence[str], known: Collection[str]) -> Supply:
        """Give what is known, asking what is due, all at once; never raises: who is silent is named."""
        heard = _Heard()
        sold_in, free_in = tuple(sorted(zones)), tuple(sorted(subnets))
        sold = self._sold.setdefault(sold_in, Kept(self._now, **OFFERED))
        free = self._free.setdefault(free_in, Kept(self._now, **SUBNETS))
        answers: dict[str, Aged[Any] | None] = {}

        async def ask(name: str, kept: Kept[Any], question: Callable[[], Awaitable[Any]]) -> None:
            answers[name] = await heard.kept(name, kept, question)

        async with anyio.create_task_group() as group:
            group.start_soon(ask, "offerings", sold, lambda: self._ask_sold(sold_in, known))
            group.start_soon(ask, "subnets", free, lambda: self._ask_free(free_in))
            group.start_soon(ask, "on-demand prices", self._prices.kept, self._prices.ask)
        offered, room, prices = (answers[name] for name in ("offerings", "subnets", "on-demand prices"))
        return Supply(
            types=offered.value.types if offered else (),
            offered=offered.value.offered if offered else {},
            offered_at=offered.at if offered else None,
            on_demand=prices.value if prices else {},
            on_demand_at=prices.at if prices else None,
            free_addresses=room.value if room else {},
            subnets_at=room.at if room else None,
            silent=dict(sorted(heard.silent.items())),
        )

    async def _ask_sold(self, zones: Sequence[str], known: Collection[str]) -> Sold:
        def pages() -> Sold:
            client = self._clients.ec2()
            asked: list[Any] = [{"Name": "location", "Values": list(zones)}]
            found = client.get_paginator("describe_instance_type_offerings").paginate(
                LocationType="availability-zone", Filters=asked, PaginationConfig={"PageSize": _PAGE}
            )
            offered = offered_from(found, zones)
            new = sorted(set().union(*offered.values()) - set(known))
            types = [
                row
                for start in range(0, len(new), _NAMED_AT_ONCE)
                for row in part(
                    client.describe_instance_types(InstanceTypes=new[start : start + _NAMED_AT_ONCE]),  # type: ignore[arg-type]
                    "InstanceTypes",
                )
            ]
            return Sold(offered=offered, types=types_from(types))

        return await self._caller.read("DescribeInstanceTypeOfferings", pages)

    async def _ask_free(self, subnets: Sequence[str]) -> Mapping[str, int]:
        """Ask by filter: naming one that does not exist would spoil the answer for all."""

        def pages() -> Mapping[str, int]:
            asked: list[Any] = [{"Name": "subnet-id", "Values": list(subnets)}]
            found = self._clients.ec2().get_paginator("describe_subnets").paginate(Filters=asked)
            return {row["SubnetId"]: row["AvailableIpAddressCount"] for page in found for row in part(page, "Subnets")}

        return await self._caller.read("DescribeSubnets", pages)


def offered_from(pages: Iterable[Row], zones: Sequence[str]) -> dict[str, frozenset[str]]:
    """Read which types each zone has; a zone of which nothing was said is not known."""
    found: dict[str, set[str]] = {}
    for row in (row for page in pages for row in part(page, "InstanceTypeOfferings")):
        if row["Location"] in zones:
            found.setdefault(row["Location"], set()).add(row["InstanceType"])
    return {zone: frozenset(types) for zone, types in sorted(found.items())}


def types_from(rows: Iterable[Row]) -> tuple[InstanceType, ...]:
    """Read ``DescribeInstanceTypes``; a type of which EC2 does not say enough is left out, and so never bought."""
    return tuple(kind for row in rows if (kind := _type_from(row)) is not None)


def _type_from(row: Row) -> InstanceType | None:
    cpu, processor = row.get("VCpuInfo", {}), row.get("ProcessorInfo", {})
    arch = next((a for a in processor.get("SupportedArchitectures", ()) if a in {"x86_64", "arm64"}), "")
    clock, memory = processor.get("SustainedClockSpeedInGhz", 0.0), row.get("MemoryInfo", {}).get("SizeInMiB", 0)
    vcpu = cpu.get("DefaultVCpus", 0)
    if not (arch and clock and memory and vcpu):
        return None
    gpus = row.get("GpuInfo", {}).get("Gpus", ())
    neuron = row.get("NeuronInfo", {}).get("NeuronDevices", ())  # EC2 describes some of them a second time
    others = (
        *(neuron or row.get("InferenceAcceleratorInfo", {}).get("Accelerators", ())),
        *row.get("FpgaInfo", {}).get("Fpgas", ()),
        *row.get("MediaAcceleratorInfo", {}).get("Accelerators", ()),
    )
    disks = row.get("InstanceStorageInfo", {})
    return InstanceType(
        name=row["InstanceType"],
        vcpu=vcpu,
        cores=cpu.get("DefaultCores") or max(1, vcpu // 2),
        memory_mib=memory,
        arch=arch,
        cpu_mhz=round(vcpu * clock * 1000),
        gpu_count=sum(gpu.get("Count", 0) for gpu in gpus),
        gpu_name=next((f"{gpu.get('Manufacturer', '')} {gpu.get('Name', '')}".strip() for gpu in gpus), ""),
        gpu_memory_mib=row.get("GpuInfo", {}).get("TotalGpuMemoryInMiB", 0),
        accelerator_count=sum(one.get("Count", 0) for one in others),
        local_nvme_gb=disks.get("TotalSizeInGB", 0) if disks.get("NvmeSupport", "unsupported") != "unsupported" else 0,
        burstable=row.get("BurstablePerformanceSupported", False),
        bare_metal=row.get("BareMetal", False),
        current_generation=row.get("CurrentGeneration", True),
        spot_supported="spot" in row.get("SupportedUsageClasses", ("spot",)),
        on_demand_usd_per_hour=0.0,  # the Price List says, or it is not bought
    )
