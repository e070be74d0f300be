"""What contradicts itself across the fields of a document, checked on whatever of it could be read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from schemas.document.advice import GROUP_ADVICE, POOL_ADVICE
from schemas.document.check_group import GROUP_CHECKS
from schemas.document.check_pool import POOL_CHECKS
from schemas.document.check_windows import check_windows
from schemas.document.partial import UnreadError, read_items
from schemas.document.problem import Finding, Path

if TYPE_CHECKING:
    from schemas.catalogue import Catalogue
    from schemas.document.group import ClusterGroup
    from schemas.document.pool import Pool

GroupCheck = Callable[["ClusterGroup", "Catalogue"], Iterable[Finding]]
PoolCheck = Callable[["ClusterGroup", "Catalogue", "Pool", Path], Iterable[Finding]]

_MISTAKES: Final[tuple[GroupCheck, ...]] = (*GROUP_CHECKS, check_windows)


def contradictions(group: ClusterGroup, catalogue: Catalogue) -> Iterator[Finding]:
    """Find what cannot be right; ``group`` may have unread parts (see `partial`), about which nothing is said."""
    yield from _run(_MISTAKES, POOL_CHECKS, group, catalogue)


def advice(group: ClusterGroup, catalogue: Catalogue) -> Iterator[Finding]:
    """Find what is legal but unwise, each with its reason."""
    yield from _run(GROUP_ADVICE, POOL_ADVICE, group, catalogue)


def _run(
    checks: Iterable[GroupCheck], pool_checks: Iterable[PoolCheck], group: ClusterGroup, catalogue: Catalogue
) -> Iterator[Finding]:
    for check in checks:
        with contextlib.suppress(UnreadError):
            yield from check(group, catalogue)
    with contextlib.suppress(UnreadError):
        for i, pool in read_items(group.spec.pools):
            for pool_check in pool_checks:
                with contextlib.suppress(UnreadError):
                    yield from pool_check(group, catalogue, pool, ("spec", "pools", i))
