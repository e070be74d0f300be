"""What the models say about a place in a document: which keys it may have, what a value there is for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from schemas.document.base import Model, Text
from schemas.document.group import ClusterGroup
from schemas.document.problem import Path


def models_in(annotation: Any) -> tuple[type[Model], ...]:
    """List the models that a type is made of: itself, the items of a list, the branches of a union."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return (annotation,)
    return tuple(model for arg in get_args(annotation) for model in models_in(arg))


@cache
def fields_of(model: type[Model]) -> dict[str, FieldInfo]:
    """List a model's fields by the names that documents use."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def models_at(path: Path, top: type[Model] = ClusterGroup) -> tuple[type[Model], ...]:
    """List the models that a value at this place may be; components that are no keys are passed over.

    ``top`` is what the whole text is, here and below.
    """
    found: tuple[type[Model], ...] = (top,)
    for part in path:
        fields = [fields_of(model)[part] for model in found if isinstance(part, str) and part in fields_of(model)]
        if fields:
            found = tuple(model for info in fields for model in models_in(info.annotation))
    return found


def keys_at(path: Path, top: type[Model] = ClusterGroup) -> list[str]:
    """List the keys that a map at this place may have, in their order."""
    return [key for model in models_at(path, top) for key in fields_of(model)]


def field_at(path: Path, top: type[Model] = ClusterGroup) -> FieldInfo | None:
    """Find the field that this place is, None where a document is free."""
    *above, last = path
    for model in models_at(tuple(above), top):
        if isinstance(last, str) and last in fields_of(model):
            return fields_of(model)[last]
    return None


def text_at(path: Path, top: type[Model] = ClusterGroup) -> Text | None:
    """Find the form that the text at this place must have, None where any will do."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    info = field_at(path, top) if path else None
    if info is None:
        return None
    return next((m for m in (*info.metadata, *_metadata(info.annotation)) if isinstance(m, Text)), None)


def example_at(path: Path, top: type[Model] = ClusterGroup) -> str:
    """Give a value that may be written there, empty when none is known."""
    form, info = text_at(path, top), field_at(path, top)
    known = form.examples if form else (info.examples if info else None) or ()
    return str(known[0]) if known and isinstance(known[0], str | int) else ""


def _metadata(annotation: Any) -> Iterable[Any]:
    for arg in get_args(annotation):
        yield arg
        yield from _metadata(arg)


@cache
def _homes(top: type[Model]) -> dict[str, tuple[str, ...]]:
    """For every key of the text: the places where it belongs."""
    homes: dict[str, list[str]] = {}

    def walk(model: type[Model], path: str) -> None:
        for key, info in fields_of(model).items():
            homes.setdefault(key, []).append(path)
            many = "[]" if get_origin(info.annotation) is tuple else ""
            for inner in models_in(info.annotation):
                walk(inner, f"{path}.{key}{many}".lstrip("."))

    walk(top, "")
    return {key: tuple(dict.fromkeys(places)) for key, places in homes.items()}


def home_of(key: str, top: type[Model] = ClusterGroup) -> str:
    """Say where a key belongs when there is just one such place, else nothing."""
    places = _homes(top).get(key, ())
    return places[0] if len(places) == 1 else ""
