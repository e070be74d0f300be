"""What a document may say and nobody acts on yet. Whoever implements a field removes its line here, and nothing else.

Where ignoring a field could harm, a value other than its default is refused; elsewhere it is a warning.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import PydanticUndefined

from schemas.document.base import Model
from schemas.document.partial import UnreadError
from schemas.document.problem import Finding, Path
from schemas.document.shape import fields_of

if TYPE_CHECKING:
    from schemas.document.group import ClusterGroup

REFUSED: Final = (
    "spec.pools.protect",
    "spec.disruption.windows",
)
WITHOUT_EFFECT: Final = (
    "spec.pools.scaleDown",
    "spec.pools.drain",
    "spec.pools.interruption",
    "spec.disruption.maxUnavailablePercent",
    "spec.disruption.canary",
)
"""A map in this list stands for each of its fields."""

_PLAINLY: Final = "remove it: what it asks for would not be done"
_IDLE: Final = "not implemented yet: no effect"


def refused(group: ClusterGroup) -> Iterator[Finding]:
    """Find the values that must not be ignored and would be."""
    for at in _changed(group, REFUSED):
        yield Finding(at=at, message="not implemented yet", hint=_PLAINLY)


def without_effect(group: ClusterGroup) -> Iterator[Finding]:
    """Find the values that nobody reads yet."""
    for at in _changed(group, WITHOUT_EFFECT):
        yield Finding(at=at, message=_IDLE)


def _changed(group: ClusterGroup, fields: tuple[str, ...]) -> Iterator[Path]:
    for field in fields:
        yield from _walk(group, (), tuple(field.split(".")))


def _walk(value: Any, at: Path, rest: tuple[str, ...]) -> Iterator[Path]:
    """Follow the rest of a field's name down, through every item of a list; yield what is not the default."""
    if isinstance(value, tuple) and at and rest:
        for i, item in enumerate(value):
            yield from _walk(item, (*at, i), rest)
    elif isinstance(value, Model):
        for key, info in fields_of(type(value)).items():
            if rest and key != rest[0]:
                continue
            with contextlib.suppress(UnreadError):
                inner = getattr(value, next(n for n, i in type(value).model_fields.items() if i is info))
                if len(rest) > 1 or (isinstance(inner, Model) and info.get_default() is not None):
                    yield from _walk(inner, (*at, key), rest[1:])
                elif (default := info.get_default()) is PydanticUndefined or inner != default:
                    yield (*at, key)
