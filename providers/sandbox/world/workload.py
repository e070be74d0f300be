"""The work that people submit: each step of the scenario in its time, tried again, as CI would, when Nomad says no."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.scenario import Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from providers.sandbox.world.kernel import Kernel

_AGAIN = 5.0
_GIVE_UP = 3600.0


class JobApi(Protocol):
    """What submitting work needs of Nomad's API."""

    def register_job(self, body: Mapping[str, Any]) -> object:
        """``POST /v1/jobs``."""

    def deregister_job(self, job_id: str, *, purge: bool = False) -> object:
        """``DELETE /v1/job/:id``."""

    def scale_job(self, job_id: str, body: Mapping[str, Any]) -> object:
        """``POST /v1/job/:id/scale``."""


@dataclass(slots=True, kw_only=True)
class WorkloadState:
    """The steps, when they began to count, and what was refused for good."""

    steps: list[Step] = field(default_factory=list)
    began_at: float | None = None
    refused: dict[int, str] = field(default_factory=dict)  # step → Nomad's last words


class Workload:
    """Carries the steps out from the moment on when the cluster first has a leader."""

    def __init__(self, state: WorkloadState, kernel: Kernel, nomad: JobApi) -> None:
        self.state = state
        self._kernel, self._nomad = kernel, nomad
        kernel.on("workload.step", self._step)

    def begin(self) -> None:
        """Start the clock of the steps; a second call changes nothing."""
        if self.state.began_at is None:
            self.state.began_at = self._kernel.now
            for place, step in enumerate(self.state.steps):
                self._kernel.after(step.at, "workload.step", place)

    def _step(self, place: int) -> None:
        step = self.state.steps[place]
        try:
            self._do(step)
        except ApiError as no:
            self.state.refused[place] = no.text
            if self._kernel.now - (self.state.began_at or 0.0) - step.at < _GIVE_UP:
                self._kernel.after(_AGAIN, "workload.step", place)
        else:
            self.state.refused.pop(place, None)

    def _do(self, step: Step) -> None:
        match step.do:
            case "register-job":
                self._nomad.register_job({"Job": step.job})
            case "stop-job":
                self._nomad.deregister_job(str(step.job), purge=step.purge)
            case "scale":
                self._nomad.scale_job(str(step.job), {"Count": step.count, "Target": {"Group": step.group}})
            case _:
                raise ApiError(400, f"a workload has no step {step.do!r}")
