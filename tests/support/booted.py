"""A rendered machine on disk: its files below a directory, and stand-ins for the tools that its scripts call."""

from __future__ import annotations

import base64
import gzip
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ELSEWHERE = ("/etc/", "/opt/", "/usr/local/")  # what scripts write to, moved below the directory
BASE = (
    "awk",
    "cat",
    "chmod",
    "cp",
    "grep",
    "head",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "seq",
    "sha256sum",
    "touch",
)
"""The tools that every machine has; whatever else this one has must not matter."""


def files_of(user_data: str) -> dict[str, str]:
    """Give the files that a machine writes, unpacked, by path."""
    found = {}
    for file in YAML(typ="safe", pure=True).load(user_data)["write_files"]:
        packed = file.get("encoding") == "gz+b64"
        found[file["path"]] = gzip.decompress(base64.b64decode(file["content"])).decode() if packed else file["content"]
    return found


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine's disk below ``root``."""

    root: Path

    @classmethod
    def of(cls, root: Path, user_data: str, **told: str) -> Machine:
        """Write a machine's files; ``told`` replaces lines of what its scripts ask."""
        machine = cls(root)
        for path, content in files_of(user_data).items():
            where = machine.path(path)
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_text(machine.moved(content))
            where.chmod(0o755)
        (root / "bin").mkdir()
        (root / "bin" / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
        for tool in BASE:
            if found := shutil.which(tool):
                (root / "bin" / tool).symlink_to(found)
        for tool, does in {"install": 'while [ $# -gt 1 ]; do shift; done; mkdir -p "$1"', "sleep": ""}.items():
            machine.tool(tool, does)
        settings = machine.path("/etc/nomad-reconciler/machine")
        settings.write_text(settings.read_text() + "".join(f"\n{k}={v}" for k, v in told.items()) + "\n")
        return machine

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def moved(self, text: str) -> str:
        for prefix in ELSEWHERE:
            text = text.replace(f" {prefix}", f" {self.root}{prefix}").replace(f"={prefix}", f"={self.root}{prefix}")
        return text

    def tool(self, name: str, does: str) -> None:
        """Put a stand-in for a tool on the PATH; what it is called with is kept."""
        file = self.root / "bin" / name
        file.unlink(missing_ok=True)
        file.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.root}/calls\n{does}\n')
        file.chmod(0o755)

    def brings(self, name: str, arguments: str, tool: str, does: str) -> None:
        """Let a stand-in put another tool on the PATH when its arguments match a shell pattern."""
        self.tool(f"{tool}.coming", does)
        self.tool(name, f"case $* in {arguments}) cp {self.root}/bin/{tool}.coming {self.root}/bin/{tool} ;; esac")

    def calls(self) -> list[str]:
        """List the calls of stand-ins, in order."""
        file = self.root / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def run(self, script: str, **env: Any) -> subprocess.CompletedProcess[str]:
        """Run one of the machine's scripts."""
        return subprocess.run(  # noqa: S603
            ["/bin/sh", str(self.path(script))],
            env={"PATH": f"{self.root}/bin", **env},
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
