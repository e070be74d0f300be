"""Which vCPU quota an instance type counts against (source: aws.md §6)."""

from __future__ import annotations

import re

_FAMILY = re.compile(r"^[a-z]+(?:-[a-z0-9]+)?")
_QUOTA_BY_PREFIX = (  # longest first: "inf" before "i", "trn" before "t"
    ("u-", "highmem"),
    ("hpc", "hpc"),
    ("inf", "inf"),
    ("trn", "trn"),
    ("vt", "g"),
    ("dl", "dl"),
    ("f", "f"),
    ("g", "g"),
    ("p", "p"),
    ("x", "x"),
)


def quota_class(instance_type: str) -> str:
    """Name the vCPU quota a type counts against: standard, g, p, x, f, inf, trn, dl, hpc or highmem."""
    family = found.group() if (found := _FAMILY.match(instance_type)) else ""
    return next((name for prefix, name in _QUOTA_BY_PREFIX if family.startswith(prefix)), "standard")
