"""Text to ClusterGroups: everything that is wrong with a file at once, each with its place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from schemas.document.base import shortened
from schemas.document.checks import advice, contradictions
from schemas.document.diagnose import findings_from, misspelt
from schemas.document.encoding import Mark
from schemas.document.group import API_VERSION, KIND, ClusterGroup
from schemas.document.notyet import refused, without_effect
from schemas.document.partial import readable
from schemas.document.problem import Finding, Path, Problem, path_text
from schemas.document.reader import Mapping, Node, Scalar, find, read, value_of
from schemas.document.similar import closest

if TYPE_CHECKING:
    from schemas.catalogue import Catalogue

PROBLEMS_MAX: Final = 100
"""Problems told of one file; beyond it, only how many more there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedGroup:
    """A document without mistakes."""

    group: ClusterGroup
    file: str
    warnings: tuple[Problem, ...]
    digest: str
    """SHA-256 (hex) of what the document means: comments, order and spelled-out defaults do not change it."""
    root: Node = field(repr=False, compare=False)

    def problem(self, at: Path, message: str, hint: str = "") -> Problem:
        """Say something about a place in this document, such as ``("spec", "pools", 0, "nodePool")``."""
        return placed(self.file, self.root, Finding(at=at, message=message, hint=hint))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What came of one file: the good groups, and everything that is wrong or unwise, by position."""

    groups: tuple[LoadedGroup, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    emptied: frozenset[str] = frozenset()
    """Files that hold no document at all: nothing, or comments."""


def load(text: str | bytes, *, file: str, catalogue: Catalogue) -> Loaded:
    """Read the documents of one file (several are parted by ``---``). Raises nothing, whatever the text is.

    Args:
        text: at most 1 MiB of UTF-8.
        file: what problems call it.
        catalogue: the instance types that globs and requirements are held against.

    """
    faults: list[Problem] = []

    def report(at: Mark, message: str, hint: str, path: Path = ()) -> None:
        faults.append(Problem(file=file, line=at[0], column=at[1], path=path_text(path), message=message, hint=hint))

    roots, ended = read(text, report)
    read_badly = [problem.line for problem in faults]
    if ended is not None:
        report(ended.at, ended.message, ended.hint)
    elif not roots and not faults:
        report((1, 1), "the file holds no document", f"begin with apiVersion: {API_VERSION} and kind: {KIND}")
    always = tuple(faults[-1:]) if ended is not None else ()
    groups: list[LoadedGroup] = []
    for i, root in enumerate(roots):
        problems, group = _document(file, root, catalogue)
        faults += problems
        last = roots[i + 1].mark[0] if i + 1 < len(roots) else None
        if group is not None and not any(root.mark[0] <= n and (last is None or n < last) for n in read_badly):
            groups.append(group)
    faults += _clashes([(one, other) for i, one in enumerate(groups) for other in groups[:i]])
    return Loaded(
        groups=tuple(groups),
        problems=in_order(file, faults, always),
        warnings=tuple(w for group in groups for w in group.warnings),
        emptied=frozenset([file] if ended is None and not roots and not read_badly else []),
    )


def check_together(loaded: Iterable[Loaded]) -> tuple[Problem, ...]:
    """Find what is wrong between the groups of several files: names used twice, a node pool with two masters.

    Each of the two is told, naming the other; pairs within one file were told when it was loaded.
    """
    known = [(i, group) for i, file in enumerate(loaded) for group in file.groups]
    pairs = [(one, other) for n, (i, one) in enumerate(known) for j, other in known[:n] if i != j]
    return tuple(sorted(_clashes(pairs), key=_order))


# --- one document ----------------------------------------------------------------------------------------------------


def _document(file: str, root: Node, catalogue: Catalogue) -> tuple[list[Problem], LoadedGroup | None]:
    if not isinstance(root, Mapping):
        what = (
            "the document is a list"
            if not isinstance(root, Scalar)
            else f'the document is just "{shortened(root.source)}"'
        )
        return [placed(file, root, Finding(at=(), message=what, hint=f"begin with apiVersion: {API_VERSION}"))], None
    findings, ours = _identity(root)
    if not ours:
        return [placed(file, root, finding) for finding in findings], None
    data: dict[str, Any] = {**value_of(root), "apiVersion": API_VERSION, "kind": KIND}
    try:
        group = ClusterGroup.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as e:
        errors = e.errors(include_url=False)
        findings += findings_from(errors, root)
        group = readable(ClusterGroup, data, misspelt(errors, root))
    findings += contradictions(group, catalogue)
    findings += refused(group)
    problems = [placed(file, root, finding) for finding in findings]
    if problems:
        return problems, None
    unwise = (*advice(group, catalogue), *without_effect(group))
    warnings = in_order(file, [placed(file, root, finding) for finding in unwise])
    return [], LoadedGroup(group=group, file=file, warnings=warnings, digest=_digest(group), root=root)


def _identity(root: Mapping) -> tuple[list[Finding], bool]:
    """Look at apiVersion and kind: what is wrong with them, and whether the rest is worth reading as ours."""
    findings, ours = [], True
    for key, right in (("apiVersion", API_VERSION), ("kind", KIND)):
        if key not in root.entries:
            near = closest(key, (k for k in root.entries if k not in {"metadata", "spec"}))
            if near is None:  # else the unknown key says it
                findings.append(Finding(at=(key,), message="is missing", hint=f'add "{key}: {right}"', missing=True))
            continue
        node = root.entries[key][1]
        word = node.source if isinstance(node, Scalar) else "this"
        if word != right:
            near = closest(word, [right])
            ours = ours and near is not None
            hint = f'did you mean "{right}"?' if near else f"this program reads {right}"
            findings.append(Finding(at=(key,), message=f'"{shortened(word)}" is not known', hint=hint))
    return findings, ours and (not findings or "spec" in root.entries or "metadata" in root.entries)


def _digest(group: ClusterGroup) -> str:
    content = json.dumps(group.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


# --- places ----------------------------------------------------------------------------------------------------------


def placed(file: str, root: Node, finding: Finding) -> Problem:
    """Give a finding its place: the value when in its key's line, else the key; its parent's if it is missing."""
    path = finding.at[:-1] if finding.missing else finding.at
    reached, key, node = find(root, path)
    whole = reached == path and not finding.missing and node.mark[0] == key[0]
    line, column = node.mark if whole and finding.message != "unknown key" else key
    message = finding.message
    if finding.other is not None:
        message = message.replace("{other}", f"line {find(root, finding.other)[1][0]}")
    return Problem(file=file, line=line, column=column, path=path_text(finding.at), message=message, hint=finding.hint)


def _order(problem: Problem) -> tuple[str, int, int, str, str]:
    return problem.file, problem.line, problem.column, problem.path, problem.message


def in_order(file: str, problems: Iterable[Problem], always: tuple[Problem, ...] = ()) -> tuple[Problem, ...]:
    """Give the problems of one file by position, each once, `PROBLEMS_MAX` of them; ``always`` are told in any case."""
    once = {  # a fault behind an anchor is told where it stands, by its first path
        (p.line, p.column, p.message, p.hint, p.path.rpartition(".")[2]): p
        for p in sorted(problems, key=_order, reverse=True)
    }
    found = sorted(once.values(), key=_order)
    if len(found) <= PROBLEMS_MAX:
        return tuple(found)
    last, rest = found[PROBLEMS_MAX], len(found) - PROBLEMS_MAX
    more = Problem(file=file, line=last.line, column=last.column, path="", message=f"and {rest} more from here on")
    return (*found[:PROBLEMS_MAX], more, *(problem for problem in always if problem not in found[:PROBLEMS_MAX]))


# --- between documents -----------------------------------------------------------------------------------------------


def _clashes(pairs: Iterable[tuple[LoadedGroup, LoadedGroup]]) -> list[Problem]:
    return [problem for one, other in pairs for problem in (*_same_name(one, other), *_same_nodes(one, other))]


def _same_name(one: LoadedGroup, other: LoadedGroup) -> Iterator[Problem]:
    at = ("metadata", "name")
    if one.group.metadata.name == other.group.metadata.name:
        for here, there in ((one, other), (other, one)):
            what = f'the group "{here.group.metadata.name}" is also in {_where(there, at)}'
            yield here.problem(at, what, "give each group a name of its own")


def _same_nodes(one: LoadedGroup, other: LoadedGroup) -> Iterator[Problem]:
    if _cluster(one.group) != _cluster(other.group):
        return
    for i, mine in enumerate(one.group.spec.pools):
        for j, theirs in enumerate(other.group.spec.pools):
            if (mine.datacenter, mine.node_pool) == (theirs.datacenter, theirs.node_pool):
                for here, n, there, m in ((one, i, other, j), (other, j, one, i)):
                    name = f"{there.group.metadata.name}/{there.group.spec.pools[m].name}"
                    place = _where(there, ("spec", "pools", m))
                    what = (
                        f"datacenter {mine.datacenter}, node pool {mine.node_pool} is also managed by {name} ({place})"
                    )
                    hint = "groups of one cluster must not share them: change nodePool or datacenter in one"
                    yield here.problem(("spec", "pools", n), what, hint)


def _cluster(group: ClusterGroup) -> str:
    """Name the Nomad cluster that a group belongs to, as far as documents say."""
    nomad = group.spec.nomad
    if nomad.address is not None:
        return f"{nomad.address.rstrip('/').lower()} {nomad.region}"
    return f"servers of {group.metadata.name}" if group.spec.servers is not None else f"$NOMAD_ADDR {nomad.region}"


def _where(group: LoadedGroup, at: Path) -> str:
    problem = group.problem(at, "")
    return f"{problem.file}:{problem.line}"
