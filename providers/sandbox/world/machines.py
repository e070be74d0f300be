"""What runs on the instances: a system boots, reads its user data, starts a Nomad agent, takes it along at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from providers.sandbox.world.cloud_init import (
    AgentConfig,
    BootError,
    agent_config,
    block,
    cpu_total_compute,
    written_files,
)
from providers.sandbox.world.ec2.describe import describe_instances
from providers.sandbox.world.ec2.lifecycle import hang
from providers.sandbox.world.ec2.state import RUNNING, Image, Instance
from providers.sandbox.world.nomad.agent import AgentSpec, DeviceSpec
from providers.sandbox.world.nomad.node import HostVolume, Reserved
from providers.sandbox.world.servers import agents
from providers.sandbox.world.servers.state import ServerAgent

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud
    from providers.sandbox.world.servers.context import Servers
    from schemas.catalogue import InstanceType

Json = dict[str, Any]

_BOOT_SECONDS = (25.0, 50.0)
_JOIN_AGAIN = 30.0
_MEMORY_SEEN = 0.96  # kernel and firmware keep the rest of the nominal memory (aws.md §5.1)
_CLAIM_TAG, _CLAIM_META = "nomad-reconciler:claim", "unique.nomad_reconciler_claim"
_CPU_MODEL = {"x86_64": "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "arm64": "Neoverse-V1"}


class Clients(Protocol):
    """The client agents of the simulated Nomad."""

    def start_agent(self, spec: AgentSpec) -> object:
        """Start an agent on a machine of its own."""

    def kill_agent(self, name: str) -> object:
        """End an agent and its work at once."""

    def restart_agent(self, name: str) -> object:
        """Start an agent again with its data."""

    def remove_agent(self, name: str) -> object:
        """Forget an agent: its machine is gone."""


@dataclass(slots=True)
class Machine:
    """A machine that is switched on. ``life`` counts its boots: events of an earlier one are void."""

    life: int = 0
    on: bool = False
    server: str = ""  # address of its server agent
    client: str = ""  # name of its client agent
    waiting: AgentSpec | None = None  # a client agent that has found no server yet


@dataclass(slots=True)
class MachinesState:
    """All machines that were ever switched on and are not forgotten."""

    machines: dict[str, Machine] = field(default_factory=dict)


class MachineRoom:
    """Plays the operating systems: EC2 switches machines on and off, agents come and go with them."""

    def __init__(self, state: MachinesState, clients: Clients) -> None:
        self.state = state
        self._clients = clients
        self._cloud: Cloud
        self._servers: Servers

    def connect(self, cloud: Cloud, servers: Servers) -> None:
        """Say what the machines run on, and whom they join."""
        self._cloud, self._servers = cloud, servers
        cloud.kernel.on("machine.booted", self._booted)
        cloud.kernel.on("machine.join", self._join)
        cloud.kernel.on("machine.back", self._back)

    def discover(self, key: str, value: str) -> list[str]:
        """Find private addresses of running instances by tag, as go-discover does."""
        found = describe_instances(self._cloud, tags={key: value}, states=frozenset({RUNNING}))
        return [i.private_ip for i in found]

    # --- what EC2 does to a machine

    def powered_on(self, instance_id: str) -> None:
        """Begin to boot."""
        instance = self._cloud.state.instances[instance_id]
        machine = self.state.machines.setdefault(instance_id, Machine())
        machine.life, machine.on = machine.life + 1, True
        if instance.mishap == "never-boots":
            instance.console.append("kernel panic - not syncing: VFS: unable to mount root fs")
            hang(self._cloud, instance)
            return
        late = instance.mishap_figure if instance.mishap == "boots-late" else 0.0
        delay = self._cloud.kernel.chance().uniform(*_BOOT_SECONDS) + late
        self._cloud.kernel.after(delay, "machine.booted", instance_id, machine.life)

    def shutting_down(self, instance_id: str) -> None:
        """Services get their SIGTERM: a server may leave, a client agent just stops with all that it runs."""
        machine = self.state.machines.get(instance_id)
        if machine is None:  # it hung: nothing runs on it
            return
        machine.life, machine.waiting = machine.life + 1, None
        if machine.server:
            agents.terminate(self._servers, machine.server)
        if machine.client:
            self._clients.kill_agent(machine.client)

    def rebooted(self, instance_id: str) -> None:
        """Everything on it ends, and starts again with its disk as it was."""
        machine = self.state.machines.get(instance_id)
        if machine is None or not machine.on:
            return
        machine.life += 1
        if machine.server:
            agents.kill(self._servers, machine.server)
        if machine.client:
            self._clients.kill_agent(machine.client)
        kind = "machine.back" if machine.server or machine.client else "machine.booted"
        delay = self._cloud.kernel.chance().uniform(*_BOOT_SECONDS)
        self._cloud.kernel.after(delay, kind, instance_id, machine.life)

    def powered_off(self, instance_id: str) -> None:
        """Nothing runs any more."""
        machine = self.state.machines.get(instance_id)
        if machine is None or not machine.on:
            return
        machine.life, machine.on, machine.waiting = machine.life + 1, False, None
        if machine.server:
            agents.kill(self._servers, machine.server)
        if machine.client:
            self._clients.kill_agent(machine.client)
            self._clients.remove_agent(machine.client)
        del self.state.machines[instance_id]

    # --- what the machine does by itself

    def _booted(self, instance_id: str, life: int) -> None:
        machine, instance = self.state.machines.get(instance_id), self._cloud.state.instances[instance_id]
        if machine is None or machine.life != life:
            return
        try:
            files = written_files(self._cloud.state.user_data[instance.user_data])
            config = agent_config(files, boot_file(instance, cpu_total_compute(files, instance.type)))
        except BootError as broken:
            instance.console.append(str(broken))
            return
        instance.console.append("nomad: agent started")
        if config.server is not None:
            machine.server = instance.private_ip
            agents.start(self._servers, server_agent(instance, config, self._cloud.kernel.new_id()))
        if config.client is not None:
            kind, image = self._cloud.catalogue[instance.type], self._cloud.state.images[instance.image]
            machine.waiting = client_spec(instance, kind, image, config)
            self._join(instance_id, life)

    def _join(self, instance_id: str, life: int) -> None:
        machine, instance = self.state.machines.get(instance_id), self._cloud.state.instances[instance_id]
        if machine is None or machine.life != life or machine.waiting is None:
            return
        config = agent_config(written_files(self._cloud.state.user_data[instance.user_data]), {})
        entries = block(config.client or {}, "server_join").get("retry_join") or []
        if not any(self._servers.up(address) for entry in entries for address in self._servers_at(str(entry))):
            instance.console.append("nomad: no servers found")
            self._cloud.kernel.after(_JOIN_AGAIN, "machine.join", instance_id, life)
            return
        machine.client, spec, machine.waiting = machine.waiting.name, machine.waiting, None
        self._clients.start_agent(spec)

    def _back(self, instance_id: str, life: int) -> None:
        machine = self.state.machines.get(instance_id)
        if machine is None or machine.life != life:
            return
        if machine.server:
            agents.restart(self._servers, machine.server)
        if machine.client:
            self._clients.restart_agent(machine.client)

    def _servers_at(self, entry: str) -> list[str]:
        if not entry.startswith("provider="):
            return [entry.partition(":")[0]]
        pairs = dict(part.split("=", 1) for part in entry.split() if "=" in part)
        return self.discover(pairs.get("tag_key", ""), pairs.get("tag_value", ""))


def boot_file(instance: Instance, cpu_mhz: int | None) -> Json:
    """Give what the boot script learns from the metadata service and writes beside the rendered configuration."""
    if instance.mishap == "no-metadata":
        return {}
    boot: Json = {"name": instance.id}
    client: Json = {}
    if cpu_mhz is not None:
        client["cpu_total_compute"] = cpu_mhz
    if instance.tags_in_metadata and _CLAIM_TAG in instance.tags:
        client["meta"] = {_CLAIM_META: instance.tags[_CLAIM_TAG]}
    return {**boot, "client": client} if client else boot


def server_agent(instance: Instance, config: AgentConfig, server_id: str) -> ServerAgent:
    """Give the server agent that a machine's configuration asks for, on an empty disk."""
    server = config.server or {}
    return ServerAgent(
        address=instance.private_ip,
        name=config.name or _hostname(instance),
        id=server_id,
        region=config.region,
        datacenter=config.datacenter,
        expect=int(server.get("bootstrap_expect", 0)),
        retry_join=[str(entry) for entry in block(server, "server_join").get("retry_join") or []],
        gossip_key="another" if instance.mishap == "joins-nobody" else str(server.get("encrypt", "")),
        leave_on_terminate=config.leave_on_terminate,
        acl=block(config.extra, "acl").get("enabled") is True,
    )


def client_spec(instance: Instance, kind: InstanceType, image: Image, config: AgentConfig) -> AgentSpec:
    """Give the client agent that a machine's configuration asks for, with what it finds on this machine."""
    client, reserved = config.client or {}, block(config.client or {}, "reserved")
    share = instance.mishap_figure if instance.mishap == "less-memory" else 1.0
    memory = int(client.get("memory_total_mb") or kind.memory_mib * _MEMORY_SEEN * share)
    cpu = int(client.get("cpu_total_compute") or kind.cpu_mhz)
    return AgentSpec(
        name=config.name or _hostname(instance),
        cpu_mhz=cpu,
        memory_mib=memory,
        disk_mib=int(client.get("disk_total_mb") or image.disk_mib),
        datacenter=config.datacenter,
        node_pool=str(client.get("node_pool", "default")),
        node_class=str(client.get("node_class", "")),
        region=config.region,
        address=instance.private_ip,
        meta={str(k): str(v) for k, v in block(client, "meta").items()},
        attributes=_attributes(instance, kind, image, cpu, memory),
        drivers=dict.fromkeys(image.drivers, True),
        cores=list(range(kind.vcpu)),
        core_mhz=[kind.cpu_mhz // kind.vcpu] * kind.vcpu,
        dynamic_ports=(int(client.get("min_dynamic_port", 20000)), int(client.get("max_dynamic_port", 32000))),
        reserved=Reserved(
            cpu_mhz=int(reserved.get("cpu", 0)),
            memory_mib=int(reserved.get("memory", 0)),
            disk_mib=int(reserved.get("disk", 0)),
            ports=str(reserved.get("reserved_ports", "")),
        ),
        devices=_devices(kind),
        host_volumes={
            str(name): HostVolume(read_only=bool(v.get("read_only", False)), path=str(v.get("path", "")))
            for name in block(client, "host_volume")
            for v in [block(block(client, "host_volume"), name)]
        },
        max_allocs=int(client.get("node_max_allocs", 0)),
        default_ineligible=bool(client.get("default_ineligible", False)),
    )


def _attributes(instance: Instance, kind: InstanceType, image: Image, cpu_mhz: int, memory_mib: int) -> dict[str, str]:
    found = {
        "kernel.name": "linux",
        "kernel.version": "6.8.0-1021-aws",
        "os.name": image.os_name,
        "os.version": image.os_version,
        "cpu.arch": "arm64" if kind.arch == "arm64" else "amd64",
        "cpu.modelname": _CPU_MODEL[kind.arch],
        "cpu.numcores": str(kind.vcpu),
        "cpu.frequency": str(kind.cpu_mhz // kind.vcpu),
        "cpu.totalcompute": str(cpu_mhz),
        "memory.totalbytes": str(memory_mib * 1024 * 1024),
        "nomad.version": image.agent_version,
        "nomad.service_discovery": "true",
        "unique.hostname": _hostname(instance),
        "unique.network.ip-address": instance.private_ip,
        "unique.storage.volume": "/dev/nvme0n1p1",
        "unique.storage.bytestotal": str(image.disk_mib * 1024 * 1024),
        **{f"driver.{driver}": "1" for driver in image.drivers},
    }
    if instance.mishap != "no-metadata":
        found |= {
            "platform.aws.ami-id": instance.image,
            "platform.aws.instance-type": instance.type,
            "platform.aws.instance-life-cycle": instance.market,
            "platform.aws.placement.availability-zone": instance.zone,
            "unique.platform.aws.instance-id": instance.id,
            "unique.platform.aws.hostname": _hostname(instance),
            "unique.platform.aws.local-ipv4": instance.private_ip,
        }
    return found


def _devices(kind: InstanceType) -> list[DeviceSpec]:
    """GPUs as the NVIDIA plugin shows them; it knows no other maker's."""
    vendor, _, model = kind.gpu_name.partition(" ")
    if kind.gpu_count == 0 or vendor.lower() != "nvidia":
        return []
    memory = {"memory": f"{kind.gpu_memory_mib // kind.gpu_count} MiB"}
    return [DeviceSpec(vendor="nvidia", type="gpu", name=model, instances=kind.gpu_count, attributes=memory)]


def _hostname(instance: Instance) -> str:
    return f"ip-{instance.private_ip.replace('.', '-')}.ec2.internal"
