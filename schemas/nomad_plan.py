"""What Nomad's own scheduler would do with a job now, with the nodes that there are: an oracle, nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.world import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """The stored job planned again unchanged (source: ``POST /v1/job/:id/plan``).

    Only what Nomad would place at once is in it: of a rolling update the current batch. Periodic and parameterized
    parents are planned as if launched now.
    """

    namespace: str
    job_id: str
    placed: Mapping[str, int] = field(default_factory=dict)  # group → copies that would find room now
    failed: Mapping[str, int] = field(default_factory=dict)  # group → copies that would not ...
    failures: Mapping[str, Failure] = field(default_factory=dict)  # ... and why, as of now
    preempted: int = 0  # copies of other jobs that would have to go for it
