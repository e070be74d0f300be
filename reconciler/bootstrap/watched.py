"""Documents while they change, for the service: all places watched, and what is in force told whenever it changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

import anyio

from reconciler.bootstrap.source import loaded_from, places
from schemas.document.in_force import InForce
from schemas.document.texts import Place, Texts

__all__ = ["Documents", "follow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What is in force, and what could not be read, each a sentence."""

    in_force: InForce = field(default_factory=InForce)
    troubles: tuple[str, ...] = ()


async def follow(files: Sequence[str], changed: Callable[[Documents], None], *, begin: InForce | None = None) -> None:
    """Call ``changed`` when all places were looked at, and again whenever something is different, until cancelled.

    Args:
        files: what ``--file`` named. Raises NoDocumentError for an address that makes no sense.
        changed: must not wait: it brings ticks forward, starts and ends groups.
        begin: what is in force already, as kept from an earlier run.

    """
    watch = _Watch(of=places(files), changed=changed, now=Documents(in_force=begin or InForce()))
    async with anyio.create_task_group() as tasks:
        for number, place in enumerate(watch.of):
            tasks.start_soon(watch.one, number, place)


@dataclass(slots=True, kw_only=True)
class _Watch:
    of: Sequence[Place]
    changed: Callable[[Documents], None]
    now: Documents
    texts: dict[int, Texts] = field(default_factory=dict)
    told: Documents | None = None

    async def one(self, number: int, place: Place) -> None:
        async with aclosing(cast("AsyncGenerator[Texts, None]", place.watch())) as watch:
            async for texts in watch:
                self.texts[number] = texts
                if len(self.texts) == len(self.of):  # before, a group of a place not yet read would look deleted
                    self._look()

    def _look(self) -> None:
        newest = [self.texts[number] for number in range(len(self.of))]
        troubles = tuple(trouble for texts in newest for trouble in texts.troubles)
        loaded = loaded_from({name: text for texts in newest for name, text in texts.of.items()})
        self.now = Documents(in_force=self.now.in_force.after(loaded, known=not troubles), troubles=troubles)
        if self.now != self.told:
            self.told = self.now
            self.changed(self.now)
