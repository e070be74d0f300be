r"""Go's regular expressions (RE2 search), told yes or no in time linear in the text.

Python's ``re`` backtracks: a job's pattern could hold the planner for hours. So a pattern becomes an automaton, run
over all its states at once. What Go refuses (lookaround, backreferences), and classes by Unicode name, which are not
told here, are no pattern: they match nothing, as in Nomad a pattern that does not compile.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

STATES_MOST = 5000  # counted repeats are spelt out
REPEATS_MOST = 1000  # Go's own limit

_SPACE = r"\t\n\f\r "
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": _SPACE}
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
_WORD = re.compile("[0-9A-Za-z_]")
_FLAGS = re.compile(r"\(\?([imsU]*)(?:-([imsU]+))?\)")
_GROUP = re.compile(r"\(\?P?<[A-Za-z0-9_]+>|\(\?([imsU]*)(?:-([imsU]+))?:")
_COUNTS = re.compile(r"\{([0-9]+)(,([0-9]*))?\}")

Test = Callable[[str], object]  # of one character: truthy when it passes
Node = tuple[object, ...]  # ("test", Test) | ("at", str) | ("all", nodes) | ("any", nodes) | ("repeat", node, min, max)


class _NoPatternError(Exception):
    """Go would refuse it, or it cannot be told here."""


def search_re2(pattern: str, text: str) -> bool:
    """Tell whether Go's ``pattern`` is found anywhere in ``text``."""
    program = compile_re2(pattern)
    return program is not None and program.found_in(text)


@lru_cache(maxsize=1024)
def compile_re2(pattern: str) -> Program | None:
    """Give the automaton of a pattern; None when it is none."""
    try:
        node = _Parser(pattern).whole()
        program = Program()
        program.start = program.add(node, program.state("end"))
    except (_NoPatternError, RecursionError):
        return None
    return program


@dataclass(slots=True)
class Program:
    """States of an automaton: each passes on a character, asks where it stands, forks, or is the end."""

    states: list[tuple[str, object, tuple[int, ...]]] = field(default_factory=list)  # kind, detail, next ones
    start: int = 0

    def state(self, kind: str, detail: object = None, *following: int) -> int:
        """Add one state and give its number."""
        if len(self.states) >= STATES_MOST:
            raise _NoPatternError
        self.states.append((kind, detail, following))
        return len(self.states) - 1

    def add(self, node: Node, following: int) -> int:
        """Add the states of a node, which go on to ``following``; gives the first."""
        match node:
            case ("all", list(nodes)):
                for one in reversed(nodes):
                    following = self.add(one, following)
                return following
            case ("any", list(nodes)):
                return self.state("fork", None, *(self.add(one, following) for one in nodes))
            case ("repeat", tuple(one), int(least), most):
                return self._repeat(one, least, most if isinstance(most, int) else None, following)
            case _:
                kind, detail = node
                return self.state(str(kind), detail, following)

    def _repeat(self, node: Node, least: int, most: int | None, following: int) -> int:
        first = following
        if most is None:
            first = self.state("fork")
            self.states[first] = ("fork", None, (self.add(node, first), following))
        else:
            for _ in range(most - least):
                first = self.state("fork", None, self.add(node, first), following)
        for _ in range(least):
            first = self.add(node, first)
        return first

    def found_in(self, text: str) -> bool:
        """Run over a text, starting anew at each place."""
        now: set[int] = set()
        for place in range(len(text) + 1):
            now = self._reached({*now, self.start}, text, place)
            if any(self.states[s][0] == "end" for s in now):
                return True
            if place < len(text):
                now = {self.states[s][2][0] for s in now if self._passes(s, text[place])}
        return False

    def _passes(self, state: int, letter: str) -> bool:
        kind, test, _ = self.states[state]
        return kind == "test" and callable(test) and bool(test(letter))

    def _reached(self, states: set[int], text: str, place: int) -> set[int]:
        """Follow forks and assertions, which take no character."""
        reached: set[int] = set()
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state in reached:
                continue
            reached.add(state)
            kind, detail, following = self.states[state]
            if kind == "fork" or (kind == "at" and _stands(str(detail), text, place)):
                waiting += following
        return reached


def _stands(what: str, text: str, place: int) -> bool:
    """Tell whether an assertion holds between two characters."""
    match what:
        case "begin":
            return place == 0
        case "end of text":
            return place == len(text)
        case "line begin":
            return place == 0 or text[place - 1] == "\n"
        case "line end":
            return place == len(text) or text[place] == "\n"
        case _:
            before = place > 0 and _WORD.match(text[place - 1]) is not None
            after = place < len(text) and _WORD.match(text[place]) is not None
            return (before != after) is (what == "word edge")


class _Parser:
    """Reads a pattern; flags that stand in the middle hold to the end of their group, later branches included."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.place = 0

    def whole(self) -> Node:
        node = self.branches(frozenset())
        if self.place < len(self.pattern):
            raise _NoPatternError  # a closing bracket too many
        return node

    def peek(self) -> str:
        return self.pattern[self.place : self.place + 1]

    def take(self) -> str:
        letter = self.peek()
        if not letter:
            raise _NoPatternError
        self.place += 1
        return letter

    def taken(self, form: re.Pattern[str]) -> re.Match[str] | None:
        found = form.match(self.pattern, self.place)
        if found is not None:
            self.place = found.end()
        return found

    def branches(self, flags: frozenset[str]) -> Node:
        found: list[Node] = []
        while True:
            items: list[Node] = []
            while self.peek() not in {"", ")", "|"}:
                if (inline := self.taken(_FLAGS)) is not None:
                    flags = _changed(flags, inline[1], inline[2])
                else:
                    items.append(self.repeated(self.item(flags)))
            found.append(("all", items))
            if self.peek() != "|":
                return ("any", found)
            self.take()

    def repeated(self, node: Node) -> Node:
        """Read the repeat after an item; greedy or not is all the same to a yes or no."""
        bounds: tuple[int, int | None] | None = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self.peek())
        if bounds is not None:
            self.take()
        elif (counts := self.taken(_COUNTS)) is not None:
            least = int(counts[1])
            bounds = (least, least if counts[2] is None else int(counts[3]) if counts[3] else None)
            if max(least, bounds[1] or 0) > REPEATS_MOST or (bounds[1] is not None and bounds[1] < least):
                raise _NoPatternError
        else:
            return node
        if self.peek() == "?":
            self.take()
        if self.peek() and (self.peek() in "*+?" or _COUNTS.match(self.pattern, self.place)):
            raise _NoPatternError  # a repeat of a repeat: Go refuses it
        return ("repeat", node, *bounds)

    def item(self, flags: frozenset[str]) -> Node:
        if self.peek() == "(":
            return self.group(flags)
        match letter := self.take():
            case "\\":
                return self.escape(flags)
            case "[":
                return ("test", self.char_class(flags))
            case ".":
                return ("test", _test("(?s:.)" if "s" in flags else r"[^\n]"))
            case "^":
                return ("at", "line begin" if "m" in flags else "begin")
            case "$":
                return ("at", "line end" if "m" in flags else "end of text")
            case "*" | "+" | "?":
                raise _NoPatternError  # nothing to repeat
            case _:
                return ("test", _literal(letter, flags))

    def group(self, flags: frozenset[str]) -> Node:
        named = self.taken(_GROUP)
        if named is not None:
            flags = _changed(flags, named[1], named[2])
        else:
            self.take()
            if self.peek() == "?":
                raise _NoPatternError  # lookaround, atomic, conditional
        node = self.branches(flags)
        self.take()  # the closing bracket: nothing else ends the branches before the pattern does
        return node

    def escape(self, flags: frozenset[str]) -> Node:
        letter = self.take()
        if letter == "Q":
            end = self.pattern.find("\\E", self.place)
            quoted = self.pattern[self.place : end if end >= 0 else None]
            self.place = end + 2 if end >= 0 else len(self.pattern)
            return ("all", [("test", _literal(one, flags)) for one in quoted])
        places = {"A": "begin", "z": "end of text", "b": "word edge", "B": "no word edge"}
        if letter in places:
            return ("at", places[letter])
        if letter.lower() in _CLASSES:
            return ("test", _test(_class_escape(letter)))
        return ("test", _literal(self.character(letter), flags))

    def character(self, letter: str) -> str:
        """Give the one character that an escape stands for."""
        if letter == "x":
            found = self.taken(re.compile(r"\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2})"))
            code = int(found[1] or found[2], 16) if found is not None else -1
            if not 0 <= code <= 0x10FFFF:
                raise _NoPatternError
            return chr(code)
        plain = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}.get(letter)
        if plain is None and letter.isascii() and letter.isalnum():
            raise _NoPatternError  # backreferences, \pL, \C
        return plain or letter

    def char_class(self, flags: frozenset[str]) -> Test:
        negated = self.peek() == "^"
        if negated:
            self.take()
        some: list[str] = []
        while not some or self.peek() != "]":
            some.append(self.class_item())
        self.take()
        tests = [_test(one, ignoring_case="i" in flags) for one in some]
        return lambda letter: any(test(letter) for test in tests) is not negated

    def class_item(self) -> str:
        """Read one item of a class, as Python's class of its own."""
        if (posix := self.taken(re.compile(r"\[:(\^?)([a-z]+):\]"))) is not None:
            if posix[2] not in _POSIX:
                raise _NoPatternError
            return f"[{posix[1]}{_POSIX[posix[2]]}]"
        if self.peek() == "\\" and self.pattern[self.place + 1 : self.place + 2].lower() in _CLASSES:
            self.take()
            return _class_escape(self.take())
        first = self.class_character()
        if self.peek() == "-" and self.pattern[self.place + 1 : self.place + 2] not in {"", "]"}:
            self.take()
            last = self.class_character()
            if last < first:
                raise _NoPatternError
            return f"[{re.escape(first)}-{re.escape(last)}]"
        return re.escape(first)

    def class_character(self) -> str:
        letter = self.take()
        return self.character(self.take()) if letter == "\\" else letter


def _changed(flags: frozenset[str], on: str | None, off: str | None) -> frozenset[str]:
    return (flags | frozenset(on or "")) - frozenset(off or "")


def _class_escape(letter: str) -> str:
    return f"[{'^' if letter.isupper() else ''}{_CLASSES[letter.lower()]}]"


def _literal(letter: str, flags: frozenset[str]) -> Test:
    return _test(re.escape(letter), ignoring_case="i" in flags)


@lru_cache(maxsize=4096)
def _test(pattern: str, *, ignoring_case: bool = False) -> Test:
    return re.compile(pattern, re.IGNORECASE if ignoring_case else 0).fullmatch
