"""What the rules of EC2 work on: the account, the time, the catalogue, and the machines they switch on and off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.state import Ec2State, Instance
from providers.sandbox.world.kernel import Kernel
from schemas.catalogue import InstanceType


class Machines(Protocol):
    """Whoever plays the operating system on the instances."""

    def powered_on(self, instance_id: str) -> None:
        """Let the system boot: the instance is running."""

    def shutting_down(self, instance_id: str) -> None:
        """Let the system shut down: services get their SIGTERM now."""

    def rebooted(self, instance_id: str) -> None:
        """Restart the system on the instance: its disk stays, what ran on it starts again."""

    def powered_off(self, instance_id: str) -> None:
        """End whatever still runs on the instance."""


@dataclass(slots=True)
class Cloud:
    """One account with its surroundings."""

    state: Ec2State
    kernel: Kernel
    catalogue: Mapping[str, InstanceType]
    machines: Machines

    def type_of(self, name: str) -> InstanceType:
        """Look a type up; InvalidParameterValue when EC2 does not know it."""
        if (found := self.catalogue.get(name)) is None:
            raise Ec2Error("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")
        return found

    def instance(self, instance_id: str) -> Instance:
        """Look an instance up; InvalidInstanceID.NotFound while describe does not show it yet, and after its hour."""
        found = self.state.instances.get(instance_id)
        if found is None or found.visible_at > self.kernel.now:
            raise Ec2Error("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
        return found

    def is_offered(self, instance_type: str, zone: str) -> bool:
        """Tell whether a type exists in a zone at all."""
        pool = f"{instance_type}/{zone}"
        return zone in self.state.zones and not any(fnmatchcase(pool, glob) for glob in self.state.not_offered)
