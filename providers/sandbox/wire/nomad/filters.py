"""Nomad's filter language (go-bexpr): ``Status == "blocked" and "docker" in Drivers``.

Evaluated on the full record, not on what the list shows. No ``<``, no list literals, no ``any``/``all`` here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from providers.sandbox.world.nomad.errors import ApiError

Json = Mapping[str, Any]
Test = Callable[[Json], bool]
Missing = type("Missing", (), {})
MISSING = Missing()

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<sign>==|!=|[()\[\]])|(?P<word>[\w./~-]+)|(?P<other>\S))""",
    re.VERBOSE,
)
_EXPECTED = '"!=", "==", "contains", "in", "is", "matches", "not" or [ \\t\\r\\n]'


def compiled(expression: str, *, optional: frozenset[str] = frozenset()) -> Test:
    """Read an expression. ``optional`` names fields that records leave out when they are empty.

    Raises ApiError(400) as Nomad does; the test itself does so for what the record has not.
    """
    return _Parser(expression, optional).whole()


class _Parser:
    def __init__(self, text: str, optional: frozenset[str]) -> None:
        self._text, self._optional, self._place = text, optional, 0
        self._tokens = [
            (m.lastgroup or "", m.group(m.lastgroup or ""), m.start(m.lastgroup or "")) for m in _TOKEN.finditer(text)
        ]

    def whole(self) -> Test:
        test = self._either()
        if self._place < len(self._tokens):
            raise self._fault()
        return test

    # --- grammar

    def _either(self) -> Test:
        tests = [self._both()]
        while self._took("word", "or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda record: any(test(record) for test in tests)

    def _both(self) -> Test:
        tests = [self._negated()]
        while self._took("word", "and"):
            tests.append(self._negated())
        return tests[0] if len(tests) == 1 else lambda record: all(test(record) for test in tests)

    def _negated(self) -> Test:
        if self._took("word", "not"):
            inner = self._negated()
            return lambda record: not inner(record)
        if self._took("sign", "("):
            inner = self._either()
            if not self._took("sign", ")"):
                raise self._fault()
            return inner
        return self._match()

    def _match(self) -> Test:
        kind, first, _ = self._next()
        if kind == "text" or (kind == "word" and self._peek()[:2] == ("word", "in")):
            return self._membership(first if kind == "word" else _unquoted(first))
        if kind != "word":
            raise self._fault(back=1)
        selector = self._selector(first)
        negated = False
        kind, sign, _ = self._next()
        if (kind, sign) == ("word", "not"):
            negated, (kind, sign, _) = True, self._next()
        match sign:
            case "==" | "!=" if not negated:
                value = self._value()
                return _equality(self._reader(selector), value, wanted=sign == "==")
            case "is" if not negated:
                negated = self._took("word", "not")
                _, word, _ = self._next()
                if word not in {"empty", "nil"}:
                    raise self._fault(back=1)
                return _emptiness(self._reader(selector), wanted=not negated)
            case "contains":
                return _contains(self._reader(selector), self._value(), wanted=not negated)
            case "matches":
                pattern, read = re.compile(self._value()), self._reader(selector)
                return lambda record: (pattern.search(_text(read(record))) is not None) != negated
            case _:
                raise self._fault(back=1)

    def _membership(self, value: str) -> Test:
        negated = self._took("word", "not")
        if not self._took("word", "in"):
            raise self._fault()
        kind, name, at = self._next()
        if kind != "word":
            raise ApiError(400, f'{_SYNTAX}1:7 ({at}): rule "match": Invalid selector')
        return _contains(self._reader(self._selector(name)), value, wanted=not negated)

    def _selector(self, name: str) -> list[str]:
        parts = name.strip(".").split(".")
        while self._took("sign", "["):
            kind, key, _ = self._next()
            if kind != "text" or not self._took("sign", "]"):
                raise self._fault(back=1)
            parts.append(_unquoted(key))
            kind, more, _ = self._peek()
            if kind == "word" and more.startswith("."):
                self._place += 1
                parts += more.strip(".").split(".")
        return parts

    def _value(self) -> str:
        kind, value, _ = self._next(wants='"-", "0", "\\"", "`", [ \\t\\r\\n], [1-9] or [a-zA-Z]')
        if kind not in {"word", "text"}:
            raise self._fault(back=1)
        return _unquoted(value) if kind == "text" else value

    # --- tokens

    def _peek(self) -> tuple[str, str, int]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("", "", len(self._text))

    def _next(self, wants: str = _EXPECTED) -> tuple[str, str, int]:
        token = self._peek()
        if not token[0]:
            raise self._fault(wants=wants)
        self._place += 1
        return token

    def _took(self, kind: str, value: str) -> bool:
        if self._peek()[:2] == (kind, value):
            self._place += 1
            return True
        return False

    def _fault(self, *, back: int = 0, wants: str = _EXPECTED) -> ApiError:
        place = self._place - back
        at = self._tokens[place][2] if place < len(self._tokens) else len(self._text)
        return ApiError(400, f"{_SYNTAX}1:{at + 1} ({at}): no match found, expected: {wants}")

    def _reader(self, parts: list[str]) -> Callable[[Json], Any]:
        return lambda record: _found(record, parts, self._optional)


_SYNTAX = "failed to create result paginator: failed to read filter expression: "
_LOOK = "failed to read result page: error finding value in datum: "
_OPEN = frozenset({"Attributes", "Meta", "Links", "Items"})  # string maps: a key that is not there is just not there


def _found(record: Json, parts: list[str], optional: frozenset[str]) -> Any:
    """Walk to a value. A struct's unknown field and a map's unknown key below which one looks are errors."""
    value: Any = record
    path = "/" + "/".join(parts)
    for place, part in enumerate(parts):
        if value is None:
            raise ApiError(400, f"{_LOOK}{path}: at part {place}, invalid value kind: invalid")
        if isinstance(value, Mapping) and part in value:
            value = value[part]
            continue
        if place == 0:
            if part in optional:
                return MISSING
            raise ApiError(400, f'{_LOOK}{path} at part 0: couldn\'t find key: struct field with name "{part}"')
        if parts[0] in _OPEN or place == len(parts) - 1:
            return MISSING
        raise ApiError(400, f'{_LOOK}{path} at part {place}: couldn\'t find key "{part}"')
    return value


def _equality(read: Callable[[Json], Any], value: str, *, wanted: bool) -> Test:
    def test(record: Json) -> bool:
        found = read(record)
        return (found is not MISSING and _text(found) == value) == wanted

    return test


def _emptiness(read: Callable[[Json], Any], *, wanted: bool) -> Test:
    return lambda record: (read(record) in (MISSING, None, "", 0, [], {})) == wanted


def _contains(read: Callable[[Json], Any], value: str, *, wanted: bool) -> Test:
    def test(record: Json) -> bool:
        found = read(record)
        there = value in found if isinstance(found, (str, Mapping, list)) else False
        return there == wanted

    return test


def _text(found: Any) -> str:
    if found is MISSING:
        return ""
    return str(found).lower() if isinstance(found, bool) else str(found)


def _unquoted(text: str) -> str:
    return text[1:-1] if text[0] == "`" else re.sub(r"\\(.)", r"\1", text[1:-1])
