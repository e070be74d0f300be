"""Which types each zone has, as DescribeInstanceTypeOfferings lists them (source: aws.md §5)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud


def offered_in(cloud: Cloud, zone: str) -> frozenset[str]:
    """Name the types of a zone; what an outage lacks is still offered."""
    return _offered(frozenset(cloud.catalogue), tuple(cloud.state.not_offered), zone)


@lru_cache(maxsize=64)
def _offered(names: frozenset[str], lacking: tuple[str, ...], zone: str) -> frozenset[str]:
    return frozenset(n for n in names if not any(fnmatchcase(f"{n}/{zone}", glob) for glob in lacking))
