"""What all tests share: golden files, written anew with --update-golden, and the bounds of hypothesis."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.real_nomad import RealCluster, started

# The suite draws the same examples everywhere; HYPOTHESIS_PROFILE=search draws new ones, and more of them.
settings.register_profile("suite", deadline=None, derandomize=True, database=None, print_blob=True)
settings.register_profile("search", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing")
    parser.addoption("--seed", type=int, help="simulations: play this one seed")
    parser.addoption("--all-faults", action="store_true", help="spoil every request of a tick in every way")
    parser.addoption("--seeds", type=int, default=8, help="simulations: play this many seeds [8]")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with a golden file, or write it there under --update-golden."""
    update: bool = request.config.getoption("--update-golden")

    def compare(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} is missing: look at the text, then write it with `./task golden`\n{text}"
        assert text == path.read_text(encoding="utf-8"), f"{path} differs; write it anew with `./task golden`"

    return compare


@pytest.fixture(scope="session")
def real_nomad(request: pytest.FixtureRequest) -> Iterator[RealCluster]:
    """Three servers and two clients, for all tests of this session that want them (group ``real-nomad``)."""
    with started() as cluster:
        yield cluster
        cluster.keep_logs = request.session.testsfailed > 0
