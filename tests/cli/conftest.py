"""One run of the demo for all tests of what comes after it."""

from __future__ import annotations

import pytest

from support.demo_run import Demo, run_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo at its end. Tests do not change its file: those that must take a copy."""
    return run_demo(tmp_path_factory.mktemp("demo"))
