"""What a machine of a pool will say of itself and how much it will hold, before it exists (semantics §1, §2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from reconciler.packing.candidate import Candidate
from reconciler.packing.feasible import blocker
from reconciler.packing.learnt import Learnt, learn
from reconciler.packing.room import Room, free_devices, less
from schemas.catalogue import InstanceType
from schemas.document import ClusterGroup, Pool, effective_machine
from schemas.world import DeviceGroup, Job, Market, Resources, Snapshot, TaskGroup

MEMORY_SEEN = 0.925  # of the nominal memory: the rest is the kernel's and the firmware's (facts: aws §5)
DISK_MIB = 20 * 1024  # of the root volume, where neither a node nor the document tells
DYNAMIC_PORTS = (20000, 32000)
AGENT_PORTS = frozenset(range(14000, 14513))  # the agent reserves these for its plugins by itself
_ARCH = {"x86_64": "amd64", "arm64": "arm64"}
_SIGNALS = (
    "SIGABRT,SIGALRM,SIGBUS,SIGCONT,SIGFPE,SIGHUP,SIGILL,SIGINT,SIGIO,SIGIOT,SIGKILL,SIGNULL,SIGPIPE,SIGPROF,SIGQUIT,"
    "SIGSEGV,SIGSTOP,SIGSYS,SIGTERM,SIGTRAP,SIGTSTP,SIGTTIN,SIGTTOU,SIGUSR1,SIGUSR2,SIGWINCH,SIGXCPU,SIGXFSZ"
)


@dataclass(frozen=True, kw_only=True)
class Promises:
    """What one pool's machines will be; made once for a plan."""

    snapshot: Snapshot
    group: ClusterGroup
    pool: Pool
    _rooms: dict[tuple[str, str, Market], Room] = field(default_factory=dict, compare=False, repr=False)
    _empty: dict[str, Room] = field(default_factory=dict, compare=False, repr=False)
    _loaded: dict[tuple[str, tuple[int, ...]], Room] = field(default_factory=dict, compare=False, repr=False)
    _learnt: dict[str, Learnt] = field(default_factory=dict, compare=False, repr=False)

    def room(self, kind: InstanceType, zone: str, market: Market) -> Room:
        """Give the room of an empty machine: measured or nominal, less reserved, less the system jobs that match."""
        key = (kind.name, zone, market)
        if key not in self._rooms:
            candidate = self.candidate(kind, zone, market)
            overhead = tuple(n for n, (job, group) in enumerate(self._system) if blocker(job, group, candidate) is None)
            name = f"{self.pool.name}/{kind.name}/{zone}/{market}"
            self._rooms[key] = replace(self._with_overhead(kind, overhead), key=name, candidate=candidate)
        return self._rooms[key]

    def learnt(self, arch: str) -> Learnt:
        """What nodes of the pool's image tell."""
        if arch not in self._learnt:
            image = effective_machine(self.group, self.pool).images.get(arch, "")
            known = None if image.startswith("ssm:") or not image else image
            self._learnt[arch] = learn(self.snapshot, self.pool.name, arch, known)
        return self._learnt[arch]

    def candidate(self, kind: InstanceType, zone: str, market: Market) -> Candidate:
        """Say what Nomad's filters will see."""
        anywhere = self._bare(kind).candidate
        return replace(anywhere, attributes=(self._placed(zone, market), *anywhere.attributes))

    def _anywhere(self, kind: InstanceType) -> Candidate:
        """Describe a machine of a type, wherever and however it is bought."""
        learnt, client = self.learnt(kind.arch), self._client
        drivers = dict.fromkeys(self.pool.drivers, True) if self.pool.drivers else learnt.drivers
        modes = learnt.network_modes or self._modes
        volumes = {str(n): bool(v.get("read_only", False)) for n, v in _blocks(client, "host_volume").items()}
        return Candidate(
            name=f"{self.pool.name} {kind.name}",
            datacenter=self.pool.datacenter,
            node_pool=self.pool.node_pool,
            node_class=self.pool.node_class,
            attributes=(
                self.pool.attributes,
                learnt.attributes_by_type.get(kind.name, {}),
                self._nominal(kind),
                learnt.attributes,
                self._agent,
            ),
            meta=self._meta,
            drivers=drivers,
            devices=self._devices(kind),
            host_volumes={**learnt.host_volumes, **volumes},
            network_modes=modes | {"host"},
            host_networks=learnt.host_networks | {"default", *_blocks(client, "host_network")},
            complete=learnt.seen,
            assumes_drivers=not self.pool.drivers and not learnt.drivers_settled,
        )

    def _with_overhead(self, kind: InstanceType, overhead: tuple[int, ...]) -> Room:
        """Take the system jobs with these numbers out of an empty machine."""
        if (kind.name, overhead) not in self._loaded:
            room = self._bare(kind)
            for number in overhead:
                room = less(room, *self._system[number])
            self._loaded[kind.name, overhead] = room
        return self._loaded[kind.name, overhead]

    def _bare(self, kind: InstanceType) -> Room:
        if kind.name not in self._empty:
            total, candidate = self._total(kind), self._anywhere(kind)
            self._empty[kind.name] = Room(
                key=kind.name,
                candidate=candidate,
                free=total - self._reserved,
                clock_mhz=total.cpu_mhz // total.cores if total.cores else 0,
                ports=self._ports,
                dynamic_ports=self._dynamic_ports,
                allocations=int(self._client.get("node_max_allocs") or 0) or None,
                devices=free_devices(candidate.devices, {}),
                pool=self.pool.name,
            )
        return self._empty[kind.name]

    def _total(self, kind: InstanceType) -> Resources:
        measured = self.learnt(kind.arch).totals.get(kind.name) or self._remembered.get((self._image(kind), kind.name))
        if measured is not None:
            return measured
        client = self._client
        return Resources(
            cpu_mhz=kind.cpu_mhz,  # the boot script pins it
            memory_mib=int(client.get("memory_total_mb") or kind.memory_mib * MEMORY_SEEN),
            disk_mib=int(client.get("disk_total_mb") or DISK_MIB),
            cores=kind.vcpu,
        )

    def _devices(self, kind: InstanceType) -> tuple[DeviceGroup, ...]:
        learnt = self.learnt(kind.arch).devices.get(kind.name)
        if learnt is not None or not kind.gpu_count:
            return learnt or ()
        memory = {"memory": f"{kind.gpu_memory_mib // kind.gpu_count} MiB"} if kind.gpu_memory_mib else {}
        return (DeviceGroup(vendor="nvidia", type="gpu", name=kind.gpu_name, count=kind.gpu_count, attributes=memory),)

    def _placed(self, zone: str, market: Market) -> dict[str, str]:
        return {"platform.aws.placement.availability-zone": zone, "platform.aws.instance-life-cycle": str(market)}

    def _nominal(self, kind: InstanceType) -> dict[str, str]:
        total = self._total(kind)
        image = self._image(kind)
        return {
            "cpu.arch": _ARCH.get(kind.arch, kind.arch),
            "cpu.numcores": str(kind.vcpu),
            "cpu.totalcompute": str(total.cpu_mhz),
            "memory.totalbytes": str(total.memory_mib * 1024 * 1024),
            "platform.aws.instance-type": kind.name,
            **({} if image.startswith("ssm:") else {"platform.aws.ami-id": image}),
        }

    def _image(self, kind: InstanceType) -> str:
        return effective_machine(self.group, self.pool).images.get(kind.arch, "")

    @cached_property
    def _remembered(self) -> dict[tuple[str, str], Resources]:
        """What nodes that may be gone by now had, by image and type."""
        return {
            (m.image, m.instance_type): Resources(
                cpu_mhz=m.cpu_mhz, memory_mib=m.memory_mib, disk_mib=m.disk_mib, cores=m.cores
            )
            for m in self.snapshot.predictions.measured
        }

    @cached_property
    def _client(self) -> Mapping[str, Any]:
        """The client block of the agent configuration that the document adds."""
        return _blocks(effective_machine(self.group, self.pool).agent_config, "client")

    @cached_property
    def _meta(self) -> dict[str, str]:
        return {**self.pool.meta, **{str(k): str(v) for k, v in _blocks(self._client, "meta").items()}}

    @cached_property
    def _agent(self) -> dict[str, str]:
        """What every Linux agent of the document's version says, whatever its image."""
        return {
            "kernel.name": "linux",
            "nomad.version": self.group.spec.nomad.version,
            "nomad.service_discovery": "true",
            "os.signals": _SIGNALS,
        }

    @cached_property
    def _modes(self) -> frozenset[str]:
        """Bridge comes with its CNI plugins; the document tells of them, as no node has yet."""
        return frozenset({"bridge"} if "plugins.cni.version.bridge" in self.pool.attributes else ())

    @cached_property
    def _reserved(self) -> Resources:
        reserved = _blocks(self._client, "reserved")
        return Resources(
            cpu_mhz=int(reserved.get("cpu", 0)),
            memory_mib=int(reserved.get("memory", 0)),
            disk_mib=int(reserved.get("disk", 0)),
            cores=len(_port_list(str(reserved.get("cores", "")))),
        )

    @cached_property
    def _ports(self) -> frozenset[int]:
        return AGENT_PORTS | _port_list(str(_blocks(self._client, "reserved").get("reserved_ports", "")))

    @cached_property
    def _dynamic_ports(self) -> int:
        low = int(self._client.get("min_dynamic_port") or DYNAMIC_PORTS[0])
        high = int(self._client.get("max_dynamic_port") or DYNAMIC_PORTS[1])
        return max(0, high - low + 1 - sum(1 for p in self._ports if low <= p <= high))

    @cached_property
    def _system(self) -> tuple[tuple[Job, TaskGroup], ...]:
        """The groups of system jobs; each puts one copy on every machine that passes its filters."""
        running = (j for j in self.snapshot.jobs if j.type == "system" and not j.stopped and not j.parent)
        return tuple((job, group) for job in running for group in job.groups)


def _blocks(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = config.get(name)
    return found if isinstance(found, Mapping) else {}


def _port_list(text: str) -> frozenset[int]:
    """Read ``22,8000-8010``, Nomad's way to write ports and cores; what is no number is left out."""
    found: set[int] = set()
    for part in text.split(","):
        low, _, high = (piece.strip() for piece in part.partition("-"))
        if low.isdigit() and (not high or high.isdigit()):
            found.update(range(int(low), min(65535, int(high or low)) + 1))
    return frozenset(found)
