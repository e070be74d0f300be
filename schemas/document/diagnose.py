"""What pydantic found wrong, in words that a person can act on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from schemas.document.base import Model, shortened
from schemas.document.group import ClusterGroup
from schemas.document.problem import Finding, Path
from schemas.document.reader import Node, Scalar, find
from schemas.document.shape import example_at, home_of, keys_at, text_at
from schemas.document.similar import closest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SECRET = {"gossipKey", "bootstrapToken", "tls"}
_LIMITS = {
    "greater_than_equal": ("ge", "or more"),
    "greater_than": ("gt", "or more, not {} itself"),
    "less_than_equal": ("le", "or less"),
    "less_than": ("lt", "or less, not {} itself"),
}


def findings_from(errors: list[ErrorDetails], root: Node, top: type[Model] = ClusterGroup) -> Iterator[Finding]:
    """Translate the errors of one document; a misspelt key is one fault, not also a missing one.

    ``top`` is the model that the whole text was held against.
    """
    meant = misspelt(errors, root, top)
    for error in errors:
        if error["type"] == "too_short" and any(
            e["loc"][: len(error["loc"])] == error["loc"] for e in errors if e is not error
        ):
            continue  # its items are wrong, and were told
        reached, _, node = find(root, error["loc"])
        if error["type"] == "missing":
            path = (*reached, error["loc"][-1])
            if path not in meant:
                yield _missing(path, top)
        elif error["type"] == "extra_forbidden":
            yield _unknown(reached, _meant(error, root, top), root, top)
        else:
            yield _wrong(error, reached, node, top)


def misspelt(errors: list[ErrorDetails], root: Node, top: type[Model] = ClusterGroup) -> frozenset[Path]:
    """List the places that unknown keys were probably meant for: what is there by default was not asked for."""
    return frozenset(path for error in errors if (path := _meant(error, root, top)))


def _meant(error: ErrorDetails, root: Node, top: type[Model]) -> Path | None:
    if error["type"] != "extra_forbidden":
        return None
    reached, _, _ = find(root, error["loc"])
    *above, key = reached
    if home_of(str(key), top):
        return None  # it is a key, only not here
    _, _, parent = find(root, tuple(above))
    there = getattr(parent, "entries", {})
    near = closest(str(key), [k for k in keys_at(tuple(above), top) if k not in there])
    return (*above, near) if near else None


def _missing(path: Path, top: type[Model]) -> Finding:
    example = example_at(path, top)
    hint = f'add "{path[-1]}: {example}"' if example else f'add "{path[-1]}:"'
    return Finding(at=path, message="is missing", hint=hint, missing=True)


def _unknown(path: Path, meant: Path | None, root: Node, top: type[Model]) -> Finding:
    *above, key = path
    if meant is not None:
        hint = f'did you mean "{meant[-1]}"?'
    elif home := home_of(str(key), top):
        hint = f"it belongs under {home}"
    else:
        _, _, parent = find(root, tuple(above))
        left = [k for k in keys_at(tuple(above), top) if k not in getattr(parent, "entries", {})]
        hint = f"known here: {', '.join(left)}" if left else "nothing else may be written here"
    return Finding(at=path, message="unknown key", hint=hint)


def _wrong(error: ErrorDetails, path: Path, node: Node, top: type[Model]) -> Finding:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if value is None and kind != "document":
        what, hint = "is empty", "write a value, or remove the key"
    elif kind == "document":
        what, hint = context["what"], context["hint"]
    elif kind == "literal_error":
        what, hint = _none_of(str(value) if isinstance(value, str) else _source(node), context["expected"])
    elif kind in _LIMITS:
        name, rest = _LIMITS[kind]
        limit = f"{context[name]:g}"
        what, hint = f"is {_source(node)}", f"write {limit} {rest.format(limit)}"
    elif kind == "too_short":
        what, hint = "is an empty list", f"write at least {context['min_length']}"
    elif kind == "finite_number":
        what, hint = f"is {_source(node)}", "write a number"
    else:
        what, hint = _wrong_type(kind, value, path, node, top)
    return Finding(at=path, message=what, hint=hint)


def _none_of(word: str, expected: str) -> tuple[str, str]:
    known = re.findall("'([^']*)'", expected)
    near = closest(word, known)
    choice = f'"{known[0]}"' if len(known) == 1 else " or ".join((", ".join(known[:-1]), known[-1]))
    return f'"{shortened(word)}" is not known here', f'did you mean "{near}"?' if near else f"write {choice}"


def _wrong_type(kind: str, value: Any, path: Path, node: Node, top: type[Model]) -> tuple[str, str]:
    is_what = _described(value, path, node)
    if kind.startswith(("int", "float")):
        whole = "a whole number" if kind.startswith("int") else "a number"
        return f"is {is_what}, not {whole}", _number_hint(value, kind)
    if kind.startswith("bool"):
        meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(str(value).lower())
        return f"is {is_what}, not true or false", f"write {meant}" if meant else "write true or false, without quotes"
    if kind.startswith("string"):
        return f"is {is_what}, not text", _text_hint(path, node, top)
    if kind.startswith(("model", "dict", "mapping")):
        keys = keys_at(path, top)
        return f"is {is_what}, not a map", f"write keys under it: {', '.join(keys[:6])}" if keys else "write key: value"
    if kind.startswith(("tuple", "list")):
        single = isinstance(value, str) and not _SECRET.intersection(path)
        return (
            f"is {is_what}, not a list",
            f"write [{shortened(str(value))}]" if single else 'write a list: lines that start with "- "',
        )
    return f"is wrong here ({kind})", "see the reference of the document"


def _text_hint(path: Path, node: Node, top: type[Model]) -> str:
    form = text_at(path, top)
    if isinstance(node, Scalar) and form is not None and not re.fullmatch(form.pattern, node.source):
        return f'write {form.meaning}, such as "{form.examples[0]}"'
    quotable = isinstance(node, Scalar) and not _SECRET.intersection(path)
    return f'write it in quotes: "{_source(node)}"' if quotable else "write text"


def _number_hint(value: Any, kind: str) -> str:
    if isinstance(value, str):
        plain = value.replace("_", "").replace(",", "").strip()
        if re.fullmatch(r"-?[0-9]{1,15}", plain):
            return f"write {int(plain)}, without quotes or separators"
        if re.fullmatch(r"[0-9]{1,3} ?%", plain):
            return f"write {plain.rstrip(' %')}, without the sign"
    if isinstance(value, float) and kind.startswith("int") and value.is_integer() and abs(value) < 1e15:
        return f"write {int(value)}"
    return "write a whole number" if kind.startswith("int") else "write a number"


def _described(value: Any, path: Path, node: Node) -> str:
    if _SECRET.intersection(path):
        return "text" if isinstance(value, str) else "something else"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {_source(node)}"
    if isinstance(value, str):
        return f'the text "{shortened(value)}"' if value else "empty text"
    return "a map" if isinstance(value, Mapping) else "a list"


def _source(node: Node) -> str:
    return shortened(node.source) if isinstance(node, Scalar) else ("a list" if hasattr(node, "items") else "a map")
