"""The demo as it ended, for tests of what comes after it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from support.typed import Typed, reconcile

DOCUMENT = "specs/demo.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demo printed, and the file that holds its world."""

    typed: Typed
    state: Path

    @property
    def world(self) -> list[str]:
        """The options that look at this world."""
        return world(self.state)

    def copy(self, folder: Path) -> Path:
        """Copy the world, for a test that changes it."""
        return Path(shutil.copy(self.state, folder / "world.db"))


def world(state: Path) -> list[str]:
    """Give the options for the demo's document and a kept world."""
    return ["-f", DOCUMENT, "--state", str(state), "--sandbox"]


def run_demo(folder: Path) -> Demo:
    """Run the demo to its end, keeping its world in a folder."""
    state = folder / "world.db"
    return Demo(typed=reconcile("--once", "--wait", "10m", *world(state)), state=state)
