"""What a place of documents held at one moment: texts by name, and what could not be read of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Texts by the name that problems call them; two with the same texts and troubles are equal."""

    of: Mapping[str, bytes] = field(default_factory=dict)
    """What is there, and what was there when it was last read and may still be: see ``troubles``."""
    troubles: tuple[str, ...] = ()
    """What could not be read, each a sentence; without any, what is not in ``of`` is not there."""


class Unreadable(Exception):  # noqa: N818 - the family; its members are the errors
    """A place of documents could not be read; nothing is known of what it holds."""


class AbsentError(Unreadable):
    """There is no such place, or no document in it."""


class SilentError(Unreadable):
    """Whoever keeps the documents did not answer, or not all of it."""


class Place(Protocol):
    """Where documents are: a file, a directory, a prefix in Consul."""

    @property
    def name(self) -> str:
        """How a person names it."""
        ...

    async def read(self) -> Texts:
        """Read all of it once, whole or not at all. Raises AbsentError, SilentError."""
        ...

    def watch(self) -> AsyncIterator[Texts]:
        """Give what is there now, and again whenever it changes, for ever; raises nothing: troubles are told."""
        ...
