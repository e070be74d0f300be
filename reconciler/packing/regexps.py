r"""Go's regular expressions (RE2 search) by way of Python's, as far as the two agree.

A pattern is rewritten token by token: ``$`` and ``\z`` mean the end of the text, classes are ASCII, ``(?i)`` may stand
in the middle of a group, ``\Q…\E`` and ``[[:alpha:]]`` are spelt out. What Go refuses (lookaround, backreferences) or
what has no counterpart here is no pattern: it matches nothing, as in Nomad a pattern that does not compile.
"""

from __future__ import annotations

import re
from functools import lru_cache

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_SPACE = r"\t\n\f\r "
_CLASS_ESCAPES = {"d": "0-9", "w": "0-9A-Za-z_", "s": _SPACE}
_NEGATED = {"D": "[^0-9]", "W": "[^0-9A-Za-z_]", "S": f"[^{_SPACE}]"}
_PLAIN_ESCAPES = frozenset("afnrtv")
_LENGTH_MAX = 1000  # of a pattern; longer ones are not worth their time


class _NoPatternError(Exception):
    """Go would refuse it, or it cannot be said here."""


@lru_cache(maxsize=1024)
def compile_re2(pattern: str) -> re.Pattern[str] | None:
    """Give the Python pattern that matches what Go's would; None when there is none."""
    if len(pattern) > _LENGTH_MAX:
        return None
    try:
        return re.compile(_Rewriter(pattern).whole())
    except (_NoPatternError, re.error, OverflowError, RecursionError):
        return None


def search_re2(pattern: str, text: str) -> bool:
    """Tell whether Go's ``pattern`` is found anywhere in ``text``."""
    compiled = compile_re2(pattern)
    return compiled is not None and compiled.search(text) is not None


class _Rewriter:
    """One pass over a pattern; each group closes what its inline flags opened."""

    def __init__(self, pattern: str) -> None:
        self.rest = pattern
        self.place = 0

    def whole(self) -> str:
        out = self.alternatives("")
        if self.place < len(self.rest):
            raise _NoPatternError  # a closing bracket too many
        return out

    def peek(self, length: int = 1) -> str:
        return self.rest[self.place : self.place + length]

    def take(self, length: int = 1) -> str:
        taken = self.peek(length)
        if len(taken) < length:
            raise _NoPatternError
        self.place += length
        return taken

    def alternatives(self, flags: str) -> str:
        """Rewrite up to the end of the group; ``(?i)`` holds from where it stands to there, later branches included."""
        now, branches = flags, []
        while True:
            branch = segment = ""
            while self.peek() not in {"", ")", "|"}:
                if (inline := re.match(r"\(\?([imsU]*)(?:-([imsU]+))?\)", self.rest[self.place :])) is not None:
                    branch, segment = branch + _scoped(segment, now, outside=flags), ""
                    self.place += inline.end()
                    now = _flags(now, inline[1], inline[2] or "")
                else:
                    segment += self.token(now)
            branches.append(branch + _scoped(segment, now, outside=flags))
            if self.peek() != "|":
                return "|".join(branches)
            self.take()

    def token(self, flags: str) -> str:
        match self.peek():
            case "\\":
                return self.escape()
            case "[":
                return self.char_class()
            case "(":
                return self.group(flags)
            case "$":
                self.take()
                return "$" if "m" in flags else r"\Z"
            case "{":
                return self.braces()
            case "*" | "+" | "?":
                return self.repeat(self.take())
            case _:
                return self.take()

    def repeat(self, out: str) -> str:
        if self.peek() == "?":
            out += self.take()
        if self.peek() and self.peek() in "*+?":
            raise _NoPatternError  # possessive, or a repeat of a repeat: Go refuses both
        return out

    def braces(self) -> str:
        found = re.match(r"\{\d+(,\d*)?\}", self.rest[self.place :], re.ASCII)
        if found is None:
            self.take()
            return r"\{"
        if max(int(n) for n in re.findall(r"\d+", found[0])) > 1000:
            raise _NoPatternError
        return self.repeat(self.take(found.end()))

    def group(self, flags: str) -> str:
        self.take()
        head = "(?:"
        if self.peek() == "?":
            found = re.match(r"\?P?<([A-Za-z0-9_]+)>|\?([imsU]*)(?:-([imsU]+))?:", self.rest[self.place :])
            if found is None:
                raise _NoPatternError  # lookaround, atomic, conditional
            self.place += found.end()
            if found[1] is None:
                flags = _flags(flags, found[2], found[3] or "")
                head = _head(flags)
        out = head + self.alternatives(flags) + ")"
        if self.take() != ")":
            raise _NoPatternError
        return out

    def escape(self) -> str:
        self.take()
        letter = self.take()
        if letter == "Q":
            end = self.rest.find("\\E", self.place)
            end = len(self.rest) if end < 0 else end
            quoted = self.take(end - self.place)
            self.place = min(len(self.rest), self.place + 2)
            return re.escape(quoted)
        match letter:
            case "z":
                return r"\Z"
            case "A":
                return r"\A"
            case "b" | "B":
                return f"(?a:\\{letter})"
            case "d" | "w" | "s":
                return f"[{_CLASS_ESCAPES[letter]}]"
            case "D" | "W" | "S":
                return _NEGATED[letter]
            case _:
                return self.literal(letter)

    def literal(self, letter: str) -> str:
        """Write one escaped character, inside a class or out of it."""
        if letter == "x":
            found = re.match(r"\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2})", self.rest[self.place :])
            if found is None:
                raise _NoPatternError
            self.place += found.end()
            return re.escape(chr(int(found[1] or found[2], 16)))
        if letter in _PLAIN_ESCAPES:
            return f"\\{letter}"
        if letter.isascii() and letter.isalnum():
            raise _NoPatternError  # backreferences, \pL, \C
        return re.escape(letter)

    def char_class(self) -> str:
        self.take()
        out = "["
        if self.peek() == "^":
            out += self.take()
        first = True
        while first or self.peek() != "]":
            out += self.class_item(first=first)
            first = False
        return out + self.take()

    def class_item(self, *, first: bool) -> str:
        if (posix := re.match(r"\[:(\^?)([a-z]+):\]", self.rest[self.place :])) is not None:
            if posix[1] or posix[2] not in _POSIX:
                raise _NoPatternError
            self.place += posix.end()
            return _POSIX[posix[2]]
        letter = self.take()
        if letter == "\\":
            letter = self.take()
            if letter in _CLASS_ESCAPES:
                return _CLASS_ESCAPES[letter]
            if letter in _NEGATED:
                return f"\\{letter}"
            return self.literal(letter)
        if letter == "]" and first:
            return r"\]"
        return letter if letter in {"-", "^"} or letter.isalnum() else re.escape(letter)


def _flags(now: str, on: str, off: str) -> str:
    return "".join(f for f in "imsU" if (f in now or f in on) and f not in off)


def _head(flags: str) -> str:
    if "U" in flags:
        raise _NoPatternError
    on = "".join(f for f in "ims" if f in flags)
    off = "".join(f for f in "ims" if f not in flags)
    return f"(?{on}-{off}:" if off else f"(?{on}:"


def _scoped(segment: str, now: str, *, outside: str) -> str:
    return segment if now == outside or not segment else f"{_head(now)}{segment})"
