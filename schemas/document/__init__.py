"""The ClusterGroup document: text in, checked and frozen values out."""

from schemas.document.base import Duration, format_duration, parse_duration
from schemas.document.effective import EffectiveMachine, effective_machine
from schemas.document.group import (
    API_VERSION,
    KIND,
    Aws,
    ClusterGroup,
    Disruption,
    Limits,
    Metadata,
    Nomad,
    Spec,
    Subnet,
)
from schemas.document.load import Loaded, LoadedGroup, check_together, load
from schemas.document.machine import Arch, Download, Machine
from schemas.document.pool import (
    Capacity,
    Drain,
    HeadroomUnit,
    Instances,
    Interruption,
    Pool,
    Protect,
    Registration,
    Require,
    ScaleDown,
    Size,
)
from schemas.document.problem import Path, Problem, path_text
from schemas.document.servers import Servers, Snapshots

__all__ = [
    "API_VERSION",
    "KIND",
    "Arch",
    "Aws",
    "Capacity",
    "ClusterGroup",
    "Disruption",
    "Download",
    "Drain",
    "Duration",
    "EffectiveMachine",
    "HeadroomUnit",
    "Instances",
    "Interruption",
    "Limits",
    "Loaded",
    "LoadedGroup",
    "Machine",
    "Metadata",
    "Nomad",
    "Path",
    "Pool",
    "Problem",
    "Protect",
    "Registration",
    "Require",
    "ScaleDown",
    "Servers",
    "Size",
    "Snapshots",
    "Spec",
    "Subnet",
    "check_together",
    "effective_machine",
    "format_duration",
    "load",
    "parse_duration",
    "path_text",
]
