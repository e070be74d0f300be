"""The fast way into the simulated world: our ports, answered without a wire."""

from providers.sandbox.doors.ec2 import SandboxEc2
from providers.sandbox.doors.nomad import SandboxNomad, SandboxNomadDoor

__all__ = ["SandboxEc2", "SandboxNomad", "SandboxNomadDoor"]
