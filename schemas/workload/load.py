"""Text to a Workload: everything that is wrong with a file at once, each with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from schemas.document.diagnose import findings_from
from schemas.document.encoding import Mark
from schemas.document.load import in_order, placed
from schemas.document.problem import Finding, Path, Problem, path_text
from schemas.document.reader import Mapping, read, value_of
from schemas.workload.model import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedWorkload:
    """What came of one file: the workload, or what is wrong with it."""

    workload: Workload | None
    problems: tuple[Problem, ...] = ()


def load_workload(text: str | bytes, *, file: str) -> LoadedWorkload:
    """Read one workload; ``file`` is what problems call it. Raises nothing, whatever the text is."""
    problems: list[Problem] = []

    def report(at: Mark, message: str, hint: str, path: Path = ()) -> None:
        problems.append(Problem(file=file, line=at[0], column=at[1], path=path_text(path), message=message, hint=hint))

    roots, ended = read(text, report)
    if ended is not None:
        report(ended.at, ended.message, ended.hint)
    elif not roots and not problems:
        report((1, 1), "the file holds no workload", "begin with name: and jobs:")
    elif len(roots) > 1:
        report(roots[1].mark, "a second document begins here", "a file holds one workload: remove it")
    workload: Workload | None = None
    for root in roots[:1]:
        if not isinstance(root, Mapping):
            report(root.mark, "the file is not a map", "begin with name: and jobs:")
            continue
        data: dict[str, Any] = value_of(root)
        try:
            workload = Workload.model_validate(data, by_alias=True, by_name=False)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            problems += [placed(file, root, finding) for finding in findings_from(errors, root, Workload)]
        else:
            problems += [placed(file, root, finding) for finding in _contradictions(workload)]
    found = in_order(file, problems)
    return LoadedWorkload(workload=None if found else workload, problems=found)


def _contradictions(workload: Workload) -> list[Finding]:
    """Find what only the whole can tell: names used twice, nothing to do."""
    found: list[Finding] = []
    seen: dict[str, int] = {}
    for place, job in enumerate(workload.jobs):
        if job.name in seen:
            message = f'the job "{job.name}" is there twice, also in {{other}}'
            at: Path = ("jobs", place, "name")
            found.append(
                Finding(at=at, message=message, hint="give each its name", other=("jobs", seen[job.name], "name"))
            )
        seen.setdefault(job.name, place)
    if not workload.jobs and not workload.steps:
        found.append(
            Finding(
                at=("jobs",), message="neither jobs nor steps: nobody submits any work", hint="add jobs:", missing=True
            )
        )
    return found
