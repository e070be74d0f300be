"""What EC2 says against machines that run: failed checks, dates of maintenance, spot requests that were closed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledEvent:
    """What AWS will do to a machine on a date (source: ``DescribeInstanceStatus``)."""

    instance_id: str
    id: str
    code: str  # instance-retirement | instance-stop | system-reboot | instance-reboot | system-maintenance
    due: datetime
    description: str = ""

    @property
    def ends_machine(self) -> bool:
        """The machine is stopped or gone afterwards, not only restarted."""
        return self.code in {"instance-retirement", "instance-stop"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Everything that EC2 has against machines of ours, at most a minute old."""

    impaired: Mapping[str, datetime | None] = field(default_factory=dict)  # a check fails; since when, if told
    events: tuple[ScheduledEvent, ...] = ()  # those still ahead, the soonest first
    reclaimed: Mapping[str, str] = field(default_factory=dict)  # spot: EC2 takes it; the status of its request
    at: datetime | None = None  # None: nobody told
    fault: str = ""  # what was heard instead of an answer

    def only(self, instance_ids: Collection[str]) -> Trouble:
        """Give what of it is about these machines."""
        wanted = frozenset(instance_ids)
        return Trouble(
            impaired={i: since for i, since in self.impaired.items() if i in wanted},
            events=tuple(event for event in self.events if event.instance_id in wanted),
            reclaimed={i: status for i, status in self.reclaimed.items() if i in wanted},
            at=self.at,
            fault=self.fault,
        )
