"""Which numbers the copies of a group have (source: ``AllocNameIndex`` in ``scheduler/reconciler/allocs.go``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad.allocation import alloc_name

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation


class NameIndex:
    """Hands out the lowest free numbers and takes back the highest."""

    def __init__(self, job: str, group: str, count: int, allocs: Iterable[Allocation]) -> None:
        self._job = job
        self._group = group
        self._count = count
        self._used: set[int] = set()
        self._twice: dict[int, int] = {}
        for alloc in allocs:
            if alloc.index in self._used:
                self._twice[alloc.index] = self._twice.get(alloc.index, 0) + 1
            self._used.add(alloc.index)

    def _name(self, index: int) -> str:
        return alloc_name(self._job, self._group, index)

    def highest(self, n: int) -> set[str]:
        """Free the ``n`` highest numbers and give their names."""
        top = sorted(self._used, reverse=True)[: max(0, n)]
        self._used.difference_update(top)
        return {self._name(i) for i in top}

    def is_duplicate(self, index: int) -> bool:
        """Whether two copies had this number."""
        return self._twice.get(index, 0) > 0

    def release(self, index: int) -> None:
        """Free a number."""
        if index in self._twice:
            self._twice[index] -= 1
            if not self._twice[index]:
                del self._twice[index]
        else:
            self._used.discard(index)

    def next(self, n: int) -> list[str]:
        """Take the ``n`` lowest free numbers below the group's count; beyond that, from 0 again."""
        taken = [i for i in range(self._count) if i not in self._used][:n]
        taken += range(n - len(taken))
        self._used.update(taken)
        return [self._name(i) for i in taken]

    def next_canaries(self, n: int, existing: Iterable[Allocation], destructive: Iterable[Allocation]) -> list[str]:
        """Name canaries: first as the copies that they will replace, then free numbers, then beyond the count."""
        held = {a.name for a in existing}
        replaced = {a.index for a in destructive}
        order = sorted(i for i in replaced if i < self._count)
        order += [i for i in range(self._count) if i not in self._used and i not in replaced]
        taken = [i for i in order if self._name(i) not in held][:n]
        self._used.update(taken)
        names = [self._name(i) for i in taken]
        return names + [self._name(self._count + i) for i in range(n - len(names))]
