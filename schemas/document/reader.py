"""YAML text to a tree that knows where everything stands; made for text that means harm.

Reads the events of libyaml and never its composer, which crashes the process on deep nesting. Only what JSON can say
comes out: maps with text for keys, lists, text, numbers, booleans, null (YAML 1.2 core schema, so ``yes``, ``012``,
``1_000`` and dates stay text).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from schemas.document.base import shortened
from schemas.document.encoding import Mark, UnreadableError, decoded, lines_of
from schemas.document.problem import Path

DEPTH_MAX: Final = 60
NODES_MAX: Final = 20_000
"""Values in a file, each alias counted with all that it stands for."""

SLOWLY_MAX: Final = 32 << 10
"""Characters that may be read by the slow parser, where libyaml does not know YAML 1.2."""

_PARSER: Final = YAML(typ="safe", pure=False)
FAST: Final = _PARSER.Parser.__module__.endswith("_ruamel_yaml")
"""Whether the C parser is in use (it comes with ``ruamel.yaml.clib``); else reading takes ten times longer."""


class _ColonError(UnreadableError):
    """libyaml stopped at a colon that YAML 1.2 allows: ``{address: https://nomad:4646}``."""


@dataclass(slots=True, eq=False)
class Scalar:
    """Text, a number, a boolean or null; ``source`` is what was written."""

    mark: Mark
    value: str | int | float | bool | None
    source: str


@dataclass(slots=True, eq=False)
class Sequence:
    """A list."""

    mark: Mark
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Mapping:
    """A map: by key, where the key stands and what it holds; merged keys (``<<``) keep the place they came from."""

    mark: Mark
    entries: dict[str, tuple[Mark, Node]] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping


class Report(Protocol):
    """Takes a mistake: where, what is wrong, what would be right, and its path as far as one can be told."""

    def __call__(self, at: Mark, message: str, hint: str, path: Path = ()) -> None:
        """Take it."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """A mistake found while a tree grows: its path is known only when the tree is whole."""

    at: Mark
    message: str
    hint: str
    holder: Node
    key: tuple[str, ...] = ()


def read(text: str | bytes, report: Report) -> tuple[list[Node], UnreadableError | None]:
    """Read the documents of a file (empty ones are left out), and say why reading ended early if it did.

    Mistakes after which reading can go on (duplicate keys, odd tags) go to ``report``.
    """
    try:
        content = decoded(text)
    except UnreadableError as e:
        return [], e
    found, faults, ended = _read_with(_PARSER, content)
    if isinstance(ended, _ColonError) and len(content) <= SLOWLY_MAX:
        found, faults, ended = _read_with(YAML(typ="safe", pure=True), content)
    for fault, path in faults:
        report(fault.at, fault.message, fault.hint, path)
    return found, ended


def _read_with(parser: YAML, text: str) -> tuple[list[Node], list[tuple[_Fault, Path]], UnreadableError | None]:
    builder = _Builder(parser, text)
    try:
        builder.build()
    except UnreadableError as e:
        return builder.found, builder.faults, e
    return builder.found, builder.faults, None


# --- events to a tree ------------------------------------------------------------------------------------------------

_INT: Final = re.compile("[-+]?(0|[1-9][0-9]{0,17})")
_BASED: Final = re.compile("0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_CORE: Final = "tag:yaml.org,2002:"


def core_value(text: str) -> str | int | float | bool | None:
    """Resolve a plain scalar by the core schema of YAML 1.2; what is no number, boolean or null stays text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "0123456789+-.":
        if _INT.fullmatch(text):
            return int(text)
        if _BASED.fullmatch(text):
            return int(text, 0)
        if len(text) <= 40 and not text.lstrip("+-").isdigit() and _FLOAT.fullmatch(text):
            return float(text)
    return text


class _Builder:
    """Builds trees from events, counting depth and nodes as it goes."""

    def __init__(self, parser: YAML, text: str) -> None:
        self.parser, self.text = parser, text
        self.found: list[Node] = []
        self.faults: list[tuple[_Fault, Path]] = []  # of finished documents
        self.pending: list[_Fault] = []
        self.anchors: dict[str, tuple[Node | None, int]] = {}  # None: not finished yet
        self.nodes = 0

    def build(self) -> None:
        """Read all documents; what was read before an error stays."""
        events = self._events()
        try:
            for event in events:
                if type(event).__name__ == "DocumentStartEvent":
                    self.anchors = {}
                    node = self._node(next(events), events, 0)
                    self._finish(node)
                    if not (isinstance(node, Scalar) and node.source == ""):
                        self.found.append(node)
        finally:
            self._finish(None)

    def _finish(self, root: Node | None) -> None:
        """Give the mistakes their paths, which are known once the tree is whole."""
        paths = _paths(root) if self.pending and root is not None else {}
        self.faults += [(fault, (*paths.get(id(fault.holder), ()), *fault.key)) for fault in self.pending]
        self.pending = []

    def _events(self) -> Iterator[Any]:
        try:
            yield from self.parser.parse(self.text)
        except YAMLError as e:
            raise _syntax_error(e, self.text) from None

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        mark = (event.start_mark.line + 1, event.start_mark.column + 1)
        kind, before = type(event).__name__, self.nodes
        if kind == "AliasEvent":
            return self._alias(event.anchor, mark)
        self._count(1, mark)
        anchor = event.anchor
        if anchor is not None:
            self.anchors[anchor] = (None, 0)
        node: Node
        if kind == "ScalarEvent":
            node = Scalar(mark, _resolved(event), event.value)
            self._check_tag(event.tag, node, "str", "null", "bool", "int", "float")
        else:
            if depth >= DEPTH_MAX:
                what = f"nested deeper than {DEPTH_MAX}"
                raise UnreadableError(mark, what, "no document needs more than a dozen levels")
            if kind == "MappingStartEvent":
                node = self._mapping(mark, events, depth + 1)
                self._check_tag(event.tag, node, "map")
            else:
                node = Sequence(mark)
                while type(inner := next(events)).__name__ != "SequenceEndEvent":
                    node.items.append(self._node(inner, events, depth + 1))
                self._check_tag(event.tag, node, "seq")
        if anchor is not None:
            self.anchors[anchor] = (node, self.nodes - before)
        return node

    def _count(self, nodes: int, mark: Mark) -> None:
        self.nodes += nodes
        if self.nodes > NODES_MAX:
            what = f"more than {NODES_MAX} values, aliases counted with what they stand for"
            raise UnreadableError(mark, what, "split the file, or write without nested aliases")

    def _alias(self, name: str, mark: Mark) -> Node:
        if name not in self.anchors:
            raise UnreadableError(
                mark, f"*{name} stands for nothing: no &{name} before it", "set the anchor first, or quote the text"
            )
        node, size = self.anchors[name]
        if node is None:
            raise UnreadableError(mark, f"*{name} contains itself", "write the value out")
        self._count(size, mark)
        return node

    def _mapping(self, mark: Mark, events: Iterator[Any], depth: int) -> Mapping:
        node, merges = Mapping(mark), []
        while type(event := next(events)).__name__ != "MappingEndEvent":
            plain = type(event).__name__ == "ScalarEvent" and event.implicit[0]
            key = self._node(event, events, depth)
            value = self._node(next(events), events, depth)
            at = (event.start_mark.line + 1, event.start_mark.column + 1)
            if not isinstance(key, Scalar):
                hint = 'write "key: value"; text that starts with [ or { needs quotes'
                self.pending.append(_Fault(at, "a key must be text, this is a list or a map", hint, node))
            elif key.source == "<<" and plain:
                merges.append((at, value))
            elif not isinstance(key.value, str):
                what = f"the key {key.source or '(nothing)'} is no text"
                self.pending.append(_Fault(at, what, f'write it in quotes: "{key.source}"', node))
            elif key.value in node.entries:
                first = node.entries[key.value][0][0]
                where = f"in line {first} and in line {at[0]}" if first != at[0] else f"in line {first}"
                self.pending.append(
                    _Fault(at, f"this key is there twice, {where}", "keep one of them", node, (key.value,))
                )
            else:
                node.entries[key.value] = (at, value)
        for at, value in merges:
            self._merge(node, at, value)
        return node

    def _merge(self, into: Mapping, at: Mark, value: Node) -> None:
        for source in value.items if isinstance(value, Sequence) else [value]:
            if isinstance(source, Mapping):
                into.entries = {**source.entries, **into.entries}
            else:
                hint = "write <<: *anchor with an anchor on a map"
                self.pending.append(_Fault(at, "<< merges maps, this is none", hint, into))

    def _check_tag(self, tag: str | None, node: Node, *core: str) -> None:
        if tag is not None and tag not in {"!", *(_CORE + name for name in core)}:
            what = f"the tag {shortened(tag.replace(_CORE, '!!'))} is not understood here"
            self.pending.append(_Fault(node.mark, what, "write the value itself, without a tag", node))


def _resolved(event: Any) -> str | int | float | bool | None:
    if event.tag is None:
        return core_value(event.value) if event.implicit[0] else str(event.value)
    return str(event.value) if event.tag in {"!", _CORE + "str"} else core_value(event.value)


def _paths(root: Node) -> dict[int, Path]:
    """Give the first path to every list and map, and to every other value, by identity."""
    found: dict[int, Path] = {}
    waiting: list[tuple[Path, Node]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        if id(node) in found:
            continue
        found[id(node)] = path
        if isinstance(node, Mapping):
            waiting += [((*path, key), value) for key, (_, value) in reversed(node.entries.items())]
        elif isinstance(node, Sequence):
            waiting += [((*path, i), item) for i, item in reversed(list(enumerate(node.items)))]
    return found


# --- a tree to values ------------------------------------------------------------------------------------------------


def value_of(node: Node) -> Any:
    """Give the plain value: dicts with text keys, tuples, text, numbers, booleans, None."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return tuple(value_of(item) for item in node.items)
    return {key: value_of(value) for key, (_, value) in node.entries.items()}


def find(node: Node, path: Path) -> tuple[Path, Mark, Node]:
    """Follow a path as far as it goes: what was reached, the mark of its key (of a list's item: its own), and the node.

    Components that are no keys of the document (a model's own, such as the branches of a union) are passed over.
    """
    reached: Path = ()
    mark = node.mark
    for part in path:
        if isinstance(node, Mapping) and isinstance(part, str) and part in node.entries:
            mark, node = node.entries[part]
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            mark = node.mark
        else:
            continue
        reached = (*reached, part)
    return reached, mark, node


# --- what libyaml says, in other words -------------------------------------------------------------------------------

_ADVICE: Final = (
    (
        "mapping values are not allowed",
        "a colon where none can be",
        'text with ": " in it needs quotes; else look at the indentation',
    ),
    ("expected ',' or ']'", "a list [ ... is not closed or lacks a comma", "close it with ]"),
    ("expected ',' or '}'", "a map { ... is not closed or lacks a comma", "close it with }"),
    ("expected key", "neither a key nor the end of the map", "line it up with the other keys"),
    ("expected <block end>", "neither a key nor the end of the map", "line it up with the other keys"),
    (
        "expected '-' indicator",
        "neither a list item nor the end of the list",
        'line it up with the other "- " items',
    ),
    ("could not find expected ':'", "a line without a colon", 'write "key: value"'),
    ("found unexpected end of stream", "a quote that is never closed", "close it"),
    ("found unexpected document indicator", "a quote that is never closed", "close it"),
    ("tab character", "a tab where spaces belong", "YAML is indented with spaces"),
    ("incompatible YAML document", "a %YAML version that is not 1.1 or 1.2", "remove the line"),
    ("<document start>", "something after the document's end", "begin another document with a line ---"),
)


def _syntax_error(error: YAMLError, text: str) -> UnreadableError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or "").strip() or "not YAML"
    lines = lines_of(text)
    line = min(mark.line, len(lines) - 1) if mark else 0
    column = min(mark.column, len(lines[line])) if mark else 0
    at = (line + 1, column + 1)
    if "found unexpected ':'" in problem:
        return _ColonError(at, "a colon inside [ ] or { } that is not quoted", "write the text in quotes")
    char = lines[line][column : column + 1]
    if "cannot start any token" in problem and char:
        if char == "\t":
            return UnreadableError(at, "a tab where spaces belong", "YAML is indented with spaces")
        return UnreadableError(at, f"text that starts with {char}", "write it in quotes")
    if not char and line == len(lines) - 1:  # what is missing at the end is best told where it began
        began = getattr(error, "context_mark", None)
        at = (began.line + 1, began.column + 1) if began else at
    for known, what, hint in _ADVICE:
        if known in problem:
            return UnreadableError(at, what, hint)
    return UnreadableError(at, f"not YAML: {problem}", "see what stands before it")
