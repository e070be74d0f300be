"""A workload out of a live cluster's jobs, read through the Nomad provider as any Nomad tool would reach it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import anyio

from providers.http import App
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings, SettingsError
from providers.nomad.specifications import run_times, specifications
from providers.sandbox.workloads.imported import imported

__all__ = ["SettingsError", "import_workload", "read_workload"]


def import_workload(address: str | None, *, name: str) -> Mapping[str, Any]:
    """Read the jobs of the cluster at an address, or at ``$NOMAD_ADDR``. Raises SettingsError, UnansweredError."""
    environ = {**os.environ, "NOMAD_ADDR": address} if address else os.environ
    return anyio.run(lambda: read_workload(NomadSettings.from_env(environ), name=name))


async def read_workload(settings: NomadSettings, *, name: str, app: App | None = None) -> Mapping[str, Any]:
    """Do so with settings; ``app``: an API in this process instead of the network."""
    async with RealNomadDoor(settings, app=app) as door:
        channel = door.channel([settings.address])
        jobs = await specifications(channel)
        seconds = await run_times(channel)
    return imported(jobs, seconds, name=name, about=f"The jobs at {settings.address}.")
