"""What was promised of machines before they were there, and what became of it: the memory of the placement model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """Copies for which machines were bought, and which Nomad did not place when those were ready."""

    job: str  # Job.name
    group: str
    submitted_at: datetime | None  # of the job as it was then: another registration is another job
    document: str  # a mark of the document as it was then
    since: datetime  # when machines for it were ready first
    times: int  # in a row
    copies: int  # of the last time
    until: datetime | None  # nothing more is bought for it until then; None: given up
    why: str  # a phrase: what the machine turned out to lack, or that it fits by our count


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """What Nomad's own scheduler said when it was asked about copies that wait."""

    job: str  # Job.name
    group: str
    submitted_at: datetime | None
    asked_at: datetime
    copies: int  # that fit on ready nodes by our count
    placed: int  # that Nomad would place on them
    said: tuple[str, ...] = ()  # why not the rest, in Nomad's words

    @property
    def disagrees(self) -> bool:
        """Nomad and the model do not say the same."""
        return (self.copies > 0) != (self.placed > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What nodes of one image and type were seen to have: MHz and MiB, the least of all."""

    image: str
    instance_type: str
    cpu_mhz: int
    memory_mib: int
    disk_mib: int
    cores: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """The whole of it for one group; counts are of copies, ever since the journal began."""

    kept: int = 0  # placed on the machines that were bought for them, or not waiting any more
    missed: int = 0
    agreed: int = 0  # questions to which Nomad and the model gave the same answer
    disagreed: int = 0
    misses: tuple[Miss, ...] = ()  # by job and group
    disputes: tuple[Dispute, ...] = ()  # the last answer for each job and group that still waits
    measured: tuple[Measured, ...] = ()  # by image and type

    def missed_of(self, job: str, group: str) -> Miss | None:
        """Find the miss of a group, if there is one."""
        return next((m for m in self.misses if (m.job, m.group) == (job, group)), None)

    def dispute_of(self, job: str, group: str) -> Dispute | None:
        """Find the last answer about a group."""
        return next((d for d in self.disputes if (d.job, d.group) == (job, group)), None)
