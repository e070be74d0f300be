"""Where a workload's text is: a path, or the name of one that comes with the program."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

SUFFIXES = (".yaml", ".yml", ".json")


class WorkloadNotFoundError(Exception):
    """Neither a file nor a shipped workload; the text says which there are."""


def shipped() -> list[str]:
    """Name the workloads that come with the program."""
    files = resources.files("providers.sandbox.workloads").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def text_of(name: str) -> tuple[bytes, str]:
    """Give a workload's text, and what problems in it are to call it. Raises WorkloadNotFoundError."""
    path = Path(name)
    try:
        if name.endswith(SUFFIXES) or "/" in name or path.is_file():
            return path.read_bytes(), name
        if name in shipped():
            return resources.files("providers.sandbox.workloads").joinpath(f"{name}.yaml").read_bytes(), f"{name}.yaml"
    except OSError as error:
        raise WorkloadNotFoundError(f"{name}: {error.strerror or error}") from error
    raise WorkloadNotFoundError(f"no workload is called {name}; shipped ones: {', '.join(shipped())}, or give a path")
