"""A document as far as it could be read, so that checks across fields run beside other mistakes.

What could not be read is a value that raises `UnreadError` at any use: a check that needs it ends there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, cast, get_args, get_origin

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, PydanticUndefined

from schemas.document.base import Model
from schemas.document.problem import Path
from schemas.document.shape import fields_of

M = TypeVar("M", bound=Model)
T = TypeVar("T")


class UnreadError(Exception):
    """A check asked for something that could not be read."""


class _Unread:
    """Stands for what could not be read."""


def _raise(*_: object) -> NoReturn:
    raise UnreadError


_SUMS = ("add", "sub", "mul", "mod", "truediv", "floordiv")
_USES = "getattr getitem eq ne lt le gt ge hash bool len iter contains str format index int float"
for _use in (*_USES.split(), *_SUMS):
    setattr(_Unread, f"__{_use}__", _raise)
    if _use in _SUMS:
        setattr(_Unread, f"__r{_use}__", _raise)

UNREAD = _Unread()


def read_items(items: Iterable[T]) -> Iterator[tuple[int, T]]:
    """Number the items of a list, leaving out those that could not be read."""
    return ((i, item) for i, item in enumerate(items) if item is not UNREAD)


def readable(model: type[M], value: Mapping[str, Any], misspelt: frozenset[Path], at: Path = ()) -> M:
    """Build a model from whatever is right in ``value``; ``misspelt`` are places that were meant but missed."""
    read: dict[str, Any] = {}
    for key, info in fields_of(model).items():
        name = next(n for n, i in model.model_fields.items() if i is info)
        if (*at, key) in misspelt:
            read[name] = UNREAD
        elif key in value:
            read[name] = _field(model, name, value[key], misspelt, (*at, key))
        else:
            default = info.get_default(call_default_factory=True)
            read[name] = UNREAD if default is PydanticUndefined else default
    return cast("M", model.model_construct(None, **read))


def _field(model: type[Model], name: str, value: Any, misspelt: frozenset[Path], at: Path) -> Any:
    info = model.model_fields[name]
    for step in info.metadata:
        if isinstance(step, BeforeValidator):
            try:
                value = step.func(value)  # type: ignore[call-arg] # ours take the value alone
            except PydanticCustomError:
                return UNREAD
    inner, many = _model_of(info.annotation)
    if inner is not None and many and isinstance(value, tuple):
        return tuple(_item(inner, item, misspelt, (*at, i)) for i, item in enumerate(value))
    if inner is not None and not many and isinstance(value, Mapping):
        return readable(inner, value, misspelt, at)
    whole = _read(model, name, value)
    if whole is UNREAD and get_origin(info.annotation) is tuple and isinstance(value, tuple) and len(value) > 1:
        items = (_read(model, name, (item,)) for item in value)
        return tuple(item if item is UNREAD else item[0] for item in items)
    return whole


def _read(model: type[Model], name: str, value: Any) -> Any:
    try:
        return _adapter(model, name).validate_python(value, by_alias=True, by_name=False)
    except ValidationError:
        return UNREAD


def _item(model: type[Model], value: Any, misspelt: frozenset[Path], at: Path) -> Any:
    if isinstance(value, Mapping):
        return readable(model, value, misspelt, at)
    return value if isinstance(value, model) else UNREAD


def _model_of(annotation: Any) -> tuple[type[Model] | None, bool]:
    """Tell whether a field is a model, perhaps null, or (second) a list of one model; all else is read as a whole."""
    args = [arg for arg in get_args(annotation) if arg not in {type(None), ...}]
    if get_origin(annotation) is tuple and len(args) == 1:
        return _model_of(args[0])[0], True
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation, False
    return _model_of(args[0]) if len(args) == 1 and get_origin(annotation) in {Union, UnionType} else (None, False)


@cache
def _adapter(model: type[Model], name: str) -> TypeAdapter[Any]:
    info = model.model_fields[name]
    kind: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    if isinstance(info.annotation, type) and issubclass(info.annotation, Model):
        return TypeAdapter(kind)  # it has its own configuration
    return TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False))
