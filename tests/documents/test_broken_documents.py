"""The corpus of broken files: what is said about each is committed beside it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.documents import loaded

BROKEN = Path(__file__).parent / "broken"
FILES = sorted(BROKEN.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_mistake_is_told_in_the_committed_words(path: Path, golden: Callable[[Path, str], None]) -> None:
    began = time.process_time()
    result = loaded(path.read_bytes(), file=path.name)
    took = time.process_time() - began

    assert result.problems, "a broken file was taken"
    assert took < 1
    golden(path.with_suffix(".txt"), "".join(f"{problem}\n" for problem in result.problems))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_problem_lies_inside_its_file_and_is_told_once(path: Path) -> None:
    problems = loaded(path.read_bytes(), file=path.name).problems
    lines = re.split("\r\n|\r|\n", path.read_bytes().decode("utf-8", errors="replace"))

    for problem in problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
    assert len({(p.line, p.column, p.path, p.message) for p in problems}) == len(problems)
    assert [(p.line, p.column) for p in problems] == sorted((p.line, p.column) for p in problems)


def test_the_corpus_is_not_lost() -> None:
    assert len(FILES) >= 40
    assert {path.stem for path in BROKEN.glob("*.txt")} <= {path.stem for path in FILES}
