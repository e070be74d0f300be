"""Deployment watcher: stub until the next file lands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.jobs import Jobs
    from providers.sandbox.world.nomad.store import Store
    from providers.sandbox.world.nomad.worker import Worker


class DeploymentWatcher:
    """Stub."""

    def __init__(self, store: Store, worker: Worker, jobs: Jobs) -> None:
        self._store = store

    def changed(self, allocs: Iterable[Allocation]) -> None:
        """Stub."""

    def promote(self, deployment_id: str, groups: list[str] | None) -> dict[str, object]:
        """Stub."""
        raise NotImplementedError

    def fail_by_user(self, deployment_id: str) -> dict[str, object]:
        """Stub."""
        raise NotImplementedError

    def pause(self, deployment_id: str, *, pause: bool) -> dict[str, object]:
        """Stub."""
        raise NotImplementedError

    def restore(self) -> None:
        """Stub."""
