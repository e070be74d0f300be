"""Devices of a node: whether it has what a group asks for, and which instances are free (``scheduler/feasible``)."""

from __future__ import annotations

from collections.abc import Iterable

from providers.sandbox.world.nomad.allocation import Allocation, AssignedDevice
from providers.sandbox.world.nomad.constraints import holds, resolve_device
from providers.sandbox.world.nomad.jobspec import DeviceAsk, GroupSpec
from providers.sandbox.world.nomad.node import Device, Node


class DeviceError(Exception):
    """No instances can be had; the text is Nomad's."""


def matches(device: Device, ask: DeviceAsk) -> bool:
    """Whether a device group is of the kind that is asked for."""
    parts = ask.name.split("/", 2)
    wanted = {1: (device.type,), 2: (device.vendor, device.type), 3: (device.vendor, device.type, device.name)}
    if tuple(parts) != wanted[len(parts)]:
        return False
    return all(
        holds(c.operand, resolve_device(c.left, device), resolve_device(c.right, device)) for c in ask.constraints
    )


def has_devices(node: Node, group: GroupSpec) -> bool:
    """Whether the healthy instances of a node could serve the group, whatever else uses them."""
    free = {d.id: sum(i.healthy for i in d.instances) for d in node.resources.devices}
    for ask in group.devices:
        missing = ask.count
        for device in node.resources.devices:
            if missing and free[device.id] and matches(device, ask):
                taken = min(missing, free[device.id])
                free[device.id] -= taken
                missing -= taken
        if missing:
            return False
    return True


class DeviceAllocator:
    """Free instances of one node while a placement is tried."""

    def __init__(self, node: Node, allocs: Iterable[Allocation]) -> None:
        self._devices = node.resources.devices
        self._used: dict[str, set[str]] = {}
        for alloc in allocs:
            for task in alloc.tasks.values():
                for given in task.devices:
                    self.take(given)

    def take(self, given: AssignedDevice) -> None:
        """Count instances as used."""
        self._used.setdefault(given.group, set()).update(given.ids)

    def free(self, device: Device) -> list[str]:
        """Healthy instances that nobody uses."""
        used = self._used.get(device.id, set())
        return [i.id for i in device.instances if i.healthy and i.id not in used]

    def offer(self, ask: DeviceAsk) -> tuple[AssignedDevice, float]:
        """Choose instances and give the weight of the affinities they meet; raises DeviceError."""
        if not self._devices:
            raise DeviceError("no devices available")
        best: tuple[float, float, AssignedDevice] | None = None
        for device in self._devices:
            if not matches(device, ask):
                continue
            free = self.free(device)
            if len(free) < ask.count:
                continue
            met = float(
                sum(
                    a.weight
                    for a in ask.affinities
                    if holds(a.operand, resolve_device(a.left, device), resolve_device(a.right, device))
                )
            )
            total = sum(abs(a.weight) for a in ask.affinities)
            score = met / total if total else 0.0
            if best is None or score >= best[0]:
                given = AssignedDevice(device.vendor, device.type, device.name, free[: ask.count])
                best = (score, met, given)
        if best is None:
            raise DeviceError("no devices match request")
        return best[2], best[1]
