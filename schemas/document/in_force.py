"""Which version of each group is in force while documents change: the newest that is sound (design §3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from schemas.document.load import Loaded, LoadedGroup
from schemas.document.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A group that is in force, and what is wrong with a newer version of it that is not."""

    loaded: LoadedGroup
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """All groups in force, by name; a group that is not among them is left alone."""

    groups: Mapping[str, Standing] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    """Of documents that never were in force: nobody's status tells them."""

    def after(self, loaded: Loaded, *, known: bool = True) -> InForce:
        """Give what is in force when documents have changed.

        A sound document is in force at once. One that is not leaves its group's last good version, with the problems.
        One that is gone, or emptied, leaves its group alone; unless not all places were read (``known`` is false):
        then what was in force stays.
        """
        broken = _broken(loaded)
        sound = {
            g.group.metadata.name: Standing(loaded=g)
            for g in loaded.groups
            if g.file not in broken or not _told(g, broken)
        }
        kept: dict[str, Standing] = {}
        for name, standing in self.groups.items():
            if name in sound:
                continue
            problems = broken.get(standing.loaded.file, ())
            if problems or not known:
                kept[name] = replace(standing, problems=problems)
        spoken = {p for standing in kept.values() for p in standing.problems}
        silent = tuple(p for problems in broken.values() for p in problems if p not in spoken)
        return InForce(groups=dict(sorted({**sound, **kept}.items())), problems=silent)


def _broken(loaded: Loaded) -> dict[str, tuple[Problem, ...]]:
    """Give the problems of each file; an emptied file has none, for it holds no document any more."""
    found: dict[str, list[Problem]] = {}
    for problem in loaded.problems:
        if problem.file not in loaded.emptied:
            found.setdefault(problem.file, []).append(problem)
    return {file: tuple(problems) for file, problems in found.items()}


def _told(group: LoadedGroup, broken: Mapping[str, tuple[Problem, ...]]) -> bool:
    """Tell whether a problem of its file is this group's: it clashes with another. Those of other documents are not."""
    where = {(p.line, p.column) for p in (group.problem(at, "") for at in _places(group))}
    return any((p.line, p.column) in where for p in broken.get(group.file, ()))


def _places(group: LoadedGroup) -> list[tuple[str | int, ...]]:
    """List where clashes are told: its name, how Nomad is found, its pools."""
    pools = [("spec", "pools", n) for n in range(len(group.group.spec.pools))]
    return [("metadata", "name"), ("spec", "nomad"), *pools]
