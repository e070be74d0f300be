"""The shipped table: instance types and On-Demand prices of us-east-1, known without asking anybody.

The fallback when prices are silent or absurd, and the catalogue that documents are checked against. Source, date and
rules for readers: ``data/README.md``.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from schemas.catalogue import Catalogue, InstanceType

if TYPE_CHECKING:
    from collections.abc import Iterator


def _rows(name: str) -> Iterator[dict[str, str]]:
    lines = files("providers.prices").joinpath("data", name).read_text(encoding="utf-8").splitlines()
    reader = csv.reader(lines)
    header = next(reader)
    return (dict(zip(header, row, strict=True)) for row in reader)


@cache
def load_catalogue() -> Catalogue:
    """Load the 1,354 types of which enough is known (once; some 20 ms)."""
    prices = {row["instance_type"]: float(row["usd_per_hour"]) for row in _rows("ec2-ondemand-us-east-1.csv")}
    return Catalogue(
        _instance_type(row, prices[row["instance_type"]])
        for row in _rows("ec2-instance-types.csv")
        if row["vcpu"] and row["memory_mib"] and row["nomad_cpu_mhz"]
    )


def _instance_type(row: dict[str, str], price: float) -> InstanceType:
    vcpu = int(row["vcpu"])
    return InstanceType(
        name=row["instance_type"],
        vcpu=vcpu,
        cores=int(row["cores"] or max(1, vcpu // 2)),
        memory_mib=int(row["memory_mib"]),
        arch=row["arch"],
        cpu_mhz=round(float(row["nomad_cpu_mhz"])),
        gpu_count=int(row["gpu_count"]),
        gpu_name=row["gpu_name"],
        gpu_memory_mib=int(row["gpu_memory_mib"]),
        accelerator_count=int(row["accelerator_count"]),
        local_nvme_gb=round(float(row["local_nvme_gb"])),
        burstable=row["burstable"] == "true",
        bare_metal=row["bare_metal"] == "true",
        current_generation=row["current_generation"] == "true",
        spot_supported=row["spot_supported"] == "true",
        on_demand_usd_per_hour=price,
    )
