"""What a machine will say and hold is known from the document, the catalogue, and nodes of the same image."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from reconciler.packing.candidate import Candidate
from reconciler.packing.learnt import learn, pool_of
from reconciler.packing.promise import DISK_MIB, Promises
from reconciler.packing.room import Room
from schemas.world import DeviceGroup, Market, Node, Resources, Snapshot
from support.builders import NOON, a_constraint, a_group, a_job, a_node, a_pool, a_snapshot, a_task_group, an_instance


def promises(snapshot: Snapshot | None = None, **pool: Any) -> Promises:
    group = a_group(pools=[a_pool(**pool)])
    return Promises(snapshot=snapshot or a_snapshot(), group=group, pool=group.spec.pools[0])


def room(promised: Promises, name: str = "m6i.large", zone: str = "us-east-1b", market: Market = Market.SPOT) -> Room:
    return promised.room(promised.snapshot.catalogue[name], zone, market)


def candidate(promised: Promises, name: str = "m6i.large") -> Candidate:
    return room(promised, name).candidate


def seen(*nodes: Node, **instance: Any) -> Snapshot:
    """A world in which nodes of the pool run."""
    instances = tuple(an_instance(n, **instance) for n in range(1, len(nodes) + 1))
    return a_snapshot(nodes=nodes, instances=instances)


def test_the_document_and_the_catalogue_tell_what_a_machine_will_say() -> None:
    said = candidate(promises(meta={"team": "a"}, nodeClass="big", datacenter="dc9", attributes={"os.name": "debian"}))

    assert (said.datacenter, said.node_pool, said.node_class) == ("dc9", "default", "big")
    for target, value in {
        "${attr.cpu.arch}": "amd64",
        "${attr.cpu.numcores}": "2",
        "${attr.platform.aws.instance-type}": "m6i.large",
        "${attr.platform.aws.placement.availability-zone}": "us-east-1b",
        "${attr.platform.aws.instance-life-cycle}": "spot",
        "${attr.platform.aws.ami-id}": "ami-0123",
        "${attr.kernel.name}": "linux",
        "${attr.nomad.version}": "2.0.5",
        "${attr.os.name}": "debian",
        "${meta.team}": "a",
    }.items():
        assert said.resolve(target) == value
    assert "SIGUSR1" in (said.resolve("${attr.os.signals}") or "")


def test_an_arm_machine_says_arm64_and_an_image_by_parameter_has_no_known_id() -> None:
    machine = {"images": {"arm64": "ssm:/images/arm"}}
    said = candidate(promises(machine=machine), "m6g.large")

    assert said.resolve("${attr.cpu.arch}") == "arm64"
    assert said.resolve("${attr.platform.aws.ami-id}") is None


def test_an_empty_machine_has_nominal_room_less_what_the_kernel_takes() -> None:
    empty = room(promises())

    assert empty.free == Resources(cpu_mhz=7000, memory_mib=int(8192 * 0.925), disk_mib=DISK_MIB, cores=2)
    assert (empty.clock_mhz, empty.dynamic_ports, empty.allocations) == (3500, 12001, None)
    assert 14000 in empty.ports


def test_the_agents_configuration_changes_what_there_is() -> None:
    client = {
        "reserved": {"cpu": 100, "memory": 200, "disk": 300, "cores": "0", "reserved_ports": "22,20000-20009, x"},
        "memory_total_mb": 4000,
        "disk_total_mb": 9000,
        "node_max_allocs": 7,
        "min_dynamic_port": 20000,
        "max_dynamic_port": 20019,
        "meta": {"rack": "r1"},
        "host_volume": {"data": {"path": "/data"}, "certs": {"path": "/certs", "read_only": True}},
        "host_network": {"lan": {"cidr": "10.0.0.0/8"}},
    }
    empty = room(promises(machine={"agentConfig": {"client": client}}))

    assert empty.free == Resources(cpu_mhz=6900, memory_mib=3800, disk_mib=8700, cores=1)
    assert (empty.dynamic_ports, empty.allocations) == (10, 7)
    assert {22, 20000, 20009} <= empty.ports
    assert empty.candidate.meta == {"rack": "r1"}
    assert empty.candidate.host_volumes == {"data": False, "certs": True}
    assert "lan" in empty.candidate.host_networks


def test_a_gpu_is_promised_from_the_catalogue_and_then_as_it_was_seen() -> None:
    assert room(promises(), "g4dn.xlarge").devices == {"gpu": 1}
    assert candidate(promises(), "g4dn.xlarge").devices[0].attributes == {"memory": "16384 MiB"}
    t4 = DeviceGroup(vendor="nvidia", type="gpu", name="Tesla T4", count=1)
    node = a_node(devices=(t4,))
    assert candidate(promises(seen(node, type="g4dn.xlarge")), "g4dn.xlarge").devices == (t4,)


def test_system_jobs_that_match_are_taken_out_of_every_machine() -> None:
    everywhere = a_job("logs", type="system", groups=(a_task_group("l", ask=Resources(cpu_mhz=100, memory_mib=50)),))
    spot = a_constraint("${attr.platform.aws.instance-life-cycle}", "=", "spot")
    on_spot = a_job(
        "notice", type="system", groups=(a_task_group("n", ask=Resources(cpu_mhz=10), constraints=(spot,)),)
    )
    stopped = replace(everywhere, id="old", stopped=True)
    promised = promises(a_snapshot(jobs=(everywhere, on_spot, stopped)))

    assert room(promised, market=Market.SPOT).free.cpu_mhz == 7000 - 110
    assert room(promised, market=Market.ON_DEMAND).free.cpu_mhz == 7000 - 100


# --- learnt from nodes -----------------------------------------------------------------------------------------------


def test_what_nodes_of_the_type_measured_is_believed_over_the_catalogue() -> None:
    small = a_node(1, total=Resources(cpu_mhz=6800, memory_mib=7000, disk_mib=48_000, cores=2))
    smaller = a_node(2, total=Resources(cpu_mhz=6900, memory_mib=6990, disk_mib=48_000, cores=2))
    promised = promises(seen(small, smaller))

    assert room(promised).free == Resources(cpu_mhz=6800, memory_mib=6990, disk_mib=48_000, cores=2)
    assert room(promised, "m6i.xlarge").free.memory_mib == int(16384 * 0.925)


def test_attributes_of_the_image_are_learnt_and_those_of_one_machine_or_type_are_not() -> None:
    attributes = {
        "os.name": "debian",
        "unique.hostname": "box",
        "cpu.arch": "amd64",
        "cpu.modelname": "Xeon",
        "platform.aws.placement.availability-zone": "us-east-1a",
    }
    promised = promises(seen(a_node(attributes={**a_node().attributes, **attributes})))
    same, other = candidate(promised), candidate(promised, "m6i.xlarge")

    assert same.complete
    assert (same.resolve("${attr.os.name}"), other.resolve("${attr.os.name}")) == ("debian", "debian")
    assert same.resolve("${attr.unique.hostname}") is None
    assert same.resolve("${attr.platform.aws.placement.availability-zone}") == "us-east-1b"
    assert (same.resolve("${attr.cpu.modelname}"), other.resolve("${attr.cpu.modelname}")) == ("Xeon", None)


def test_nodes_of_another_image_pool_or_architecture_teach_nothing() -> None:
    for instance in (
        {"image_id": "ami-old"},
        {"tags": {"nomad-reconciler:pool": "other"}},
        {"type": "m6g.large"},
        {"type": "no-such.type"},
    ):
        assert not candidate(promises(seen(a_node(), **instance))).complete


def test_an_image_that_only_a_parameter_names_learns_from_all_nodes_of_the_pool() -> None:
    promised = promises(seen(a_node(), image_id="ami-any"), machine={"images": {"x86_64": "ssm:/images/x"}})

    assert candidate(promised).complete


def test_drivers_are_listed_else_learnt_else_assumed() -> None:
    listed = candidate(promises(drivers=["docker"]))
    assert (listed.drivers, listed.assumes_drivers) == ({"docker": True}, False)
    unknown = candidate(promises())
    assert (unknown.drivers, unknown.assumes_drivers) == ({}, True)
    learnt = candidate(promises(seen(a_node(drivers={"docker": True, "java": False}))))
    assert (learnt.drivers, learnt.assumes_drivers) == ({"docker": True, "java": False}, False)


def test_a_driver_that_a_fresh_node_lacks_may_still_come() -> None:
    fresh = a_node(drivers={"docker": False}, registered_at=NOON - timedelta(seconds=20))
    said = candidate(promises(seen(fresh)))

    assert said.assumes_drivers
    assert "docker" not in said.drivers


def test_a_driver_that_worked_on_any_node_is_not_disproved_by_another() -> None:
    works, broken = a_node(1, drivers={"docker": True}), a_node(2, drivers={"docker": False})

    assert candidate(promises(seen(works, broken))).drivers == {"docker": True}


def test_host_volumes_are_promised_once_all_of_several_nodes_have_them() -> None:
    one = a_node(1, host_volumes={"data": False, "own": False})
    two = a_node(2, host_volumes={"data": True})

    assert candidate(promises(seen(one))).host_volumes == {}
    assert candidate(promises(seen(one, two))).host_volumes == {"data": True}


def test_bridge_is_promised_by_the_document_or_by_what_was_seen() -> None:
    assert "bridge" not in candidate(promises()).network_modes
    assert "bridge" in candidate(promises(attributes={"plugins.cni.version.bridge": "1.5.0"})).network_modes
    assert "bridge" in candidate(promises(seen(a_node(network_modes=frozenset({"bridge"}))))).network_modes


def test_a_node_belongs_to_the_pool_of_its_instance_or_of_its_claim() -> None:
    assert pool_of(a_snapshot(instances=(an_instance(),)), a_node()) == "general"
    assert pool_of(a_snapshot(), a_node()) == "general"
    assert pool_of(a_snapshot(), a_node(meta={})) == ""
    assert not learn(a_snapshot(nodes=(a_node(),)), "general", "x86_64", None).seen
